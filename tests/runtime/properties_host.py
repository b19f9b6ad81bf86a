"""The daemon and its host in simulated time: what its checks see, what its attempts do, and the witness of it all."""

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from daemon.engine.counting import counts_still
from daemon.engine.guards import Proposal
from daemon.errors import StoreError
from daemon.model.check import Reading
from daemon.model.incident import Hold, HoldReason
from daemon.model.remediation import Attempt, AttemptState
from daemon.runtime.executor import BEGIN_WITHIN
from daemon.runtime.situation import Found
from daemon.store.memory import Memory
from daemon.store.store import Store
from daemon.testing.simulation import Effect, Simulation, Slow
from tests.runtime.model_worlds import START
from tests.runtime.properties_broken import require
from tests.runtime.properties_notes import Deed, Notes, picture
from tests.runtime.properties_scene import MEMBERS, Scene, readings, world_of
from tests.runtime.properties_witness import Witness

LONGEST_WINDOW = 86400.0
WELL = {"pool": "C" * len(MEMBERS)}  # any other check's is one letter


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a check sees, as letters (`readings`)."""

    run: str
    look: str | None = None  # what second looks see instead
    then: str | None = None  # what every other regular run sees instead
    takes: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What attempts do from now on."""

    begins: float = 0.0  # seconds after the claim
    takes: float = 1.0
    outcome: str = "succeeded"
    heals: str = "nothing"  # or: it, all
    again: float | None = None  # seconds after which what was healed is as sick as before
    lives_on: bool = False  # a kill of heald does not end it


doings = st.builds(
    Doing,
    begins=st.sampled_from((0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.5, 6.0)),
    takes=st.sampled_from((0.0, 1.0, 1.0, 4.0, 8.0, math.inf)),
    outcome=st.sampled_from(("succeeded",) * 8 + ("failed", "failed", "permanent")),
    heals=st.sampled_from(("nothing", "nothing", "it", "all")),
    again=st.sampled_from((None, 5.0, 30.0)),
    lives_on=st.booleans(),
)


class Killed(Exception):  # noqa: N818  # not an error: it is what happens to heald
    """heald is killed between a claim and its effect."""


class Host(Simulation):
    """One daemon after the other on one host; the witness sees what happens."""

    def __init__(self, scene: Scene, folder: Path, memory: Memory) -> None:
        self.witness = Witness(scene, self.is_stored, lambda: self.clock.steady())
        self.looks = Counter[str]()  # regular runs, by check
        self.reality: dict[str, Seen] = {}  # by check
        self.doing = Doing()
        self.dies_in_claim = False
        self.disk = memory.connection
        self.is_behind = False  # whether the disk was full, and rows may still wait
        super().__init__(
            world_of(scene),
            folder,
            see=self.see,
            effect=self.claimed,
            start=START,
            memory=memory,
            board=lambda: Notes(self.witness.hears),
        )
        self.found = self.asks_manager

    def _start(self, setup: Any) -> None:
        self.witness.now = self.now
        self.witness.begin_anew()
        super()._start(setup)
        self.witness.notes_released(self.assembly.board)
        pipeline = self.assembly.pipeline
        take = pipeline.take

        def seen(run: Any) -> None:
            if run.check in self.setup.checks:
                self.witness.now = self.now
                self.witness.sees(run)
                take(run)
                self.witness.judged(run)

        pipeline.take = seen  # type: ignore[method-assign]  # to watch it
        healing = self.assembly.healing
        after_look = healing.after_look

        def looked_again(proposal: Proposal, *, found: Found) -> Attempt | None:
            attempt = after_look(proposal, found=found)
            self.witness.looked_again(proposal, attempt, found)
            return attempt

        healing.after_look = looked_again  # type: ignore[method-assign]  # to watch it

    def reload(self, setup: Any) -> None:
        super().reload(setup)
        self.witness.notes_released(self.assembly.board)

    @property
    def is_looking(self) -> bool:
        return bool(self._looking)

    def _look_again(self, proposal: Proposal) -> None:
        self.witness.looks_again(proposal)
        super()._look_again(proposal)

    def _end(self, attempt_id: str, effect: Effect) -> None:
        super()._end(attempt_id, effect)
        self.witness.ended(self.assembly.board.attempts[attempt_id])

    def _die(self) -> None:
        if not self.assembly.runs.remembers:
            self.assembly.board.take_measured()  # which then is never written
        super()._die()

    def _instant(self) -> None:
        self._tries_disk()
        self.witness.begins_instant(self.clock.wall_offset, self.now, self.assembly.board)
        super()._instant()
        self.witness.ends_instant(self.assembly.board)

    # ---- what the world is to heald -----------------------------------------------------------------------------

    def see(self, check: str, is_look: bool) -> Sequence[Reading] | str | Slow:
        seen = self.reality.get(check) or Seen(run=WELL.get(check, "C"))
        self.looks[check] += not is_look
        letters = seen.look if is_look else seen.then if self.looks[check] % 2 else None
        found = readings(check, letters or seen.run)
        return Slow(seen=found, takes=seen.takes) if seen.takes else found

    def asks_manager(self, proposal: Proposal) -> Found:
        said = self.witness.managers.get(proposal.resource)
        if said == "unasked":
            return Found(hold=Hold(reason=HoldReason.BLIND_NOW, sentence="it could not be asked"))
        return Found(**{said: "it says so"}) if said else Found()

    def claimed(self, attempt: Attempt) -> Effect:
        self.witness.claimed(attempt, self.assembly.board)
        if self.dies_in_claim:
            self.dies_in_claim = False
            raise Killed
        doing, now = self.doing, self.now
        latest = now + attempt.timeout
        if doing.begins <= BEGIN_WITHIN and now + doing.begins < latest:
            ends = min(now + doing.begins + doing.takes, latest)
            is_well = doing.outcome == "succeeded" and now + doing.begins + doing.takes <= latest
            self.witness.deeds.append(
                Deed(
                    attempt=attempt,
                    claimed=now,
                    began=now + doing.begins,
                    ends=ends,
                    lives_on=doing.lives_on,
                    settles=is_well,
                )
            )
        return Effect(
            begins=doing.begins,
            takes=doing.takes,
            state=AttemptState.SUCCEEDED if doing.outcome == "succeeded" else AttemptState.FAILED,
            permanent=doing.outcome == "permanent",
            then=lambda: self.heals(attempt, doing),
        )

    def heals(self, attempt: Attempt, doing: Doing) -> None:
        """What an effect changes, perhaps for a while only."""
        if self.witness.scene.harms:
            self.reality |= {check: Seen(run="B" * len(WELL.get(check, "C"))) for check in self.setup.checks}
            return
        incident = self.assembly.board.incidents.get(attempt.incidents[0])
        if doing.heals == "nothing" or incident is None:
            return
        checks = list(self.setup.checks) if doing.heals == "all" else [incident.check]
        before = {check: self.reality[check] for check in checks if check in self.reality}
        for check in checks:
            self.reality[check] = Seen(run=WELL.get(check, "C"))
        if doing.again is not None:
            self.at(self.now + doing.again, lambda: self.reality.update(before))

    # ---- the disk -----------------------------------------------------------------------------------------------

    def is_stored(self, attempt: str) -> bool:
        row = self.disk.execute("SELECT state FROM attempts WHERE id = ?", (attempt,)).fetchone()
        return row == ("running",) and not self.disk.in_transaction

    def _open(self) -> Store:
        store = super()._open()
        writer = store._writer
        reachable = writer._reachable

        def full() -> Any:
            if self.witness.is_disk_full:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorname = "SQLITE_FULL"
                raise error
            return reachable()

        async def unreadable(**_: Any) -> Any:
            raise StoreError("the file cannot be read")

        writer._reachable = full  # type: ignore[method-assign]  # a disk that is full
        if self.witness.is_unreadable:
            store.remembered = unreadable  # type: ignore[method-assign]  # one that cannot be read
        return store

    def _tries_disk(self) -> None:
        """What the store's standing task does: try again what failed."""
        if self.store.why is not None and not self.witness.is_disk_full:
            try:
                self.ask(_waits(self.store._call(self.store._writer.recover)))
            except StoreError as error:
                raise AssertionError(f"the disk is well again, and the store says {error}") from error
        self.is_behind = self.store.why is not None or self.witness.is_disk_full or self.witness.is_unreadable

    def record(self) -> None:
        """As who serves an operator does: what they asked for is on the disk before they are answered."""
        self.ask(self.assembly.record())

    # ---- the end of a daemon ------------------------------------------------------------------------------------

    def dies(self, restart: Callable[[], None], *, host: bool) -> None:
        """Kill it, and compare what it knew with what it knows again."""
        before, is_behind = picture(self.assembly.board), self.is_behind
        self.witness.now = self.now
        self.witness.killed(self.assembly.board, host=host)
        restart()
        if is_behind:  # what was not written yet nobody knows any more; what was claimed is known all the same
            self._forgets()
            before = {"attempts": {}}
        after, now = picture(self.assembly.board), self.clock.stamp()
        kept = {key: it for key, it in before["attempts"].items() if key in after["attempts"]}
        for attempt in before["attempts"].values():
            is_lost = attempt.id not in kept and counts_still(attempt, LONGEST_WINDOW, now)
            require(not is_lost, "replay attempts", attempt)
        before["attempts"] = kept
        for what, known in before.items():
            if not is_behind:
                require(after[what] == known, f"replay {what}", "\n", known, "\n", after[what])

    def _forgets(self) -> None:
        rows = {it.id for it in self.ask(self.store.incidents(limit=1000, closed=True))}
        witness, board = self.witness, self.assembly.board
        witness.fired = {name: found for name, found in witness.fired.items() if name in rows}
        witness.ladders.lost_rows()
        witness.harm.clear()
        witness.states = {key: it.state for key, it in board.tracks.items()}
        known = board.attempts
        for deed in witness.deeds:
            is_old = self.now - deed.ends > LONGEST_WINDOW
            require(deed.attempt.id in known or is_old, "replay attempts", deed)


async def _waits(future: Any) -> Any:
    return await future
