"""A hypothesis state machine over the daemon's own assembly in simulated time: anything in any order."""

import secrets
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from daemon.config.setup import Setup
from daemon.engine.counting import counts_still
from daemon.model.approval import ApprovalState
from daemon.model.check import Reading
from daemon.model.order import OrderKind
from daemon.model.remediation import Attempt, AttemptState
from daemon.runtime.executor import BEGIN_WITHIN
from daemon.store.memory import Memory
from daemon.testing.simulation import Effect, Simulation, Slow
from tests.runtime.model_scene import Check, Config, Rule, Step
from tests.runtime.model_worlds import LETTERS, START, setup_of
from tests.runtime.properties_witness import Deed, Notes, Wish, Witness, picture, require

CHECKS = (
    Check(name="db", service="db"),
    Check(name="api", service="api"),
    Check(name="api_too", service="api", every=7),
)
FIELDS = {
    "service": ("api", "db"),
    "rule": ("first", "s*"),
    "check": ("api*", "db"),
}
QUIET = 1500  # seconds after which all must be settled: longer than anything here lasts
ESCALATE_AFTER = 120.0


# ---- what the machine draws -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What attempts do from now on."""

    begins: float = 0.0
    takes: float = 1.0
    outcome: str = "succeeded"
    heals: bool = False
    lives_on: bool = False


@st.composite
def steps(draw: Any) -> Step:
    return Step(
        name=draw(st.sampled_from(("restart", "restart", "run"))),  # each `run` needs approval
        service=draw(st.sampled_from((None, None, None, "other"))),
        tries=draw(st.sampled_from((1, 3, 9))),
        cooldown=draw(st.sampled_from(((0, 0), (0, 0), (15, 15), (5, 40)))),
        settle=draw(st.sampled_from((0, 5, 10))),
        verify=draw(st.sampled_from((10, 20))),
        timeout=draw(st.sampled_from((5, 20))),
    )


limits = st.sampled_from((((50, 3600),), ((1, 60),), ((2, 100),), ((1, 30), (3, 200))))


@st.composite
def rules(draw: Any, name: str, checks: tuple[str, ...]) -> Rule:
    found = tuple(draw(steps()) for _ in range(draw(st.sampled_from((1, 1, 2)))))
    return Rule(
        name=name,
        checks=checks if draw(st.integers(0, 3)) == 0 else (draw(st.sampled_from(checks)),),
        for_=draw(st.sampled_from((0, 0, 10))),
        clear_for=draw(st.sampled_from((0, 0, 10))),
        has_clear_when=draw(st.booleans()),
        severity=draw(st.integers(0, 3)),
        steps=tuple(replace(it, approval=it.name == "run") for it in found),
        limit=draw(limits),
        relapse=draw(st.sampled_from((30, 100))),
        escalate_after=draw(st.sampled_from((20, 100))),
    )


@st.composite
def configs(draw: Any) -> Config:
    checks = draw(st.sampled_from((CHECKS[1:2], CHECKS[:2], CHECKS[1:], CHECKS)))
    names = tuple(it.name for it in checks)
    wanted = draw(st.sampled_from((("first",), ("first", "second"), ("second", "third"), ("first", "second", "third"))))
    return Config(
        rules=tuple(draw(rules(name, names)) for name in wanted),
        checks=checks,
        depends_on={"api": ("db",)},
        service_limit=draw(limits),
        budget=draw(limits),
        is_act=draw(st.integers(0, 11)) > 0,
        allow=draw(st.sampled_from((("restart", "run"), ("restart", "run"), ("restart",)))),
        startup_grace=25 if draw(st.integers(0, 9)) == 9 else 0,
    )


letters = st.sampled_from("BBBBBCCPMNU")
whiles = st.sampled_from((0, 1, 5, 10, 10, 20, 40))
doings = st.builds(
    Doing,
    begins=st.sampled_from((0.0, 0.0, 3.0, 6.0)),
    takes=st.sampled_from((0.0, 1.0, 10.0, float("inf"))),
    outcome=st.sampled_from(("succeeded", "succeeded", "succeeded", "failed", "permanent")),
    heals=st.booleans(),
    lives_on=st.booleans(),
)


# ---- the world --------------------------------------------------------------------------------------------------


class Killed(Exception):  # noqa: N818  # not an error: it is what happens to heald
    """heald is killed between a claim and its effect."""


def world_of(config: Config) -> Setup:
    setup = setup_of(config)
    return replace(setup, settings=replace(setup.settings, escalate_after=ESCALATE_AFTER))


class Host(Simulation):
    """The daemon and its host; the witness sees what happens."""

    def __init__(self, config: Config, folder: Path, memory: Memory) -> None:
        self.witness = Witness(config)
        self.reality: dict[str, tuple[str, str, float]] = {}  # by check: what runs see, what looks see, how slowly
        self.doing = Doing()
        self.dies_in_claim = False
        super().__init__(
            world_of(config),
            folder,
            see=self.see,
            effect=self.claimed,
            start=START,
            memory=memory,
            board=lambda: Notes(self.witness.hears),
        )

    def _start(self, setup: Setup) -> None:
        self.witness.begin_anew()
        super()._start(setup)
        pipeline = self.assembly.pipeline
        take = pipeline.take

        def seen(run: Any) -> None:
            if run.check in self.setup.checks:
                self.witness.sees(run)
                take(run)
            self.witness.judging = None

        pipeline.take = seen  # type: ignore[method-assign]  # to watch it

    def _instant(self) -> None:
        self.witness.watches_clock(self.clock.wall_offset, self.now)
        super()._instant()
        self.witness.notes_releases(self.assembly.board, self.now)

    def see(self, check: str, is_look: bool) -> Sequence[Reading] | str | Slow:
        run, look, takes = self.reality.get(check, ("C", "C", 0.0))
        letter = look if is_look else run
        seen = "no route to host" if letter == "U" else [Reading(samples=LETTERS[letter])]
        return Slow(seen=seen, takes=takes) if takes else seen

    def claimed(self, attempt: Attempt) -> Effect:
        self.witness.claimed(attempt, self.now, self.assembly.board)
        if self.dies_in_claim:
            self.dies_in_claim = False
            raise Killed
        doing, now = self.doing, self.now
        if doing.begins <= BEGIN_WITHIN:
            ends = min(now + doing.begins + doing.takes, now + attempt.timeout)
            is_well = doing.outcome == "succeeded" and doing.takes <= attempt.timeout
            deed = Deed(attempt=attempt, began=now + doing.begins, ends=ends, lives_on=doing.lives_on, settles=is_well)
            self.witness.acts(deed)
        return Effect(
            begins=doing.begins,
            takes=doing.takes,
            state=AttemptState.SUCCEEDED if doing.outcome == "succeeded" else AttemptState.FAILED,
            permanent=doing.outcome == "permanent",
            then=self.heal if doing.heals else lambda: None,
        )

    def heal(self) -> None:
        self.reality = dict.fromkeys(self.reality, ("C", "C", 0.0))

    def record(self) -> None:
        """As who serves an operator does: what they asked for is on the disk before they are answered."""
        self.ask(self.assembly.record())

    def dies(self, restart: Callable[[], None], *, host: bool) -> None:
        """Kill it, and compare what it knew with what it knows again."""
        before = picture(self.assembly.board)
        self.witness.killed(self.now, host=host)
        restart()
        after, now = picture(self.assembly.board), self.clock.stamp()
        for attempt in before["attempts"].values():
            if attempt.id not in after["attempts"]:
                longest = 86400.0
                require(not counts_still(attempt, longest, now), "replay attempts", attempt)
        before["attempts"] = {key: it for key, it in before["attempts"].items() if key in after["attempts"]}
        for what, known in before.items():
            require(after[what] == known, f"replay {what}", "\n", known, "\n", after[what])


# ---- the machine ------------------------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """Anything in any order."""

    happened: ClassVar[Counter[str]] = Counter()  # over all examples: that they are about something

    def __init__(self) -> None:
        super().__init__()
        numbers = count()
        self._token_hex, secrets.token_hex = secrets.token_hex, lambda nbytes=None: f"{next(numbers):06x}"
        self.folder = Path(tempfile.mkdtemp(prefix="heald-properties-"))
        self.memory = Memory()

    @initialize(config=configs(), letter=letters, doing=doings)
    def begins(self, config: Config, letter: str, doing: Doing) -> None:
        self.host = Host(config, self.folder, self.memory)
        self.host.doing = doing
        self.host.reality = {it.name: (letter, letter, 0.0) for it in CHECKS[1:]}
        self.until = 0.0
        self.go(20)

    @property
    def board(self) -> Any:
        return self.host.assembly.board

    def go(self, seconds: float) -> None:
        until = self.host.now + seconds
        while True:
            try:
                self.host.run(until)
            except Killed:
                self.happened["killed in the claim"] += 1
                self.host.dies(lambda: self.host.crash(0.0), host=False)
            else:
                return

    # ---- what targets do ----

    @rule(
        check=st.sampled_from([it.name for it in CHECKS]),
        letter=letters,
        look=st.sampled_from((None, None, None, "C", "U", "N", "B")),
        takes=st.sampled_from((0.0, 0.0, 0.0, 4.0)),
        then=whiles,
    )
    def reads(self, check: str, letter: str, look: str | None, takes: float, then: int) -> None:
        self.host.reality[check] = (letter, look or letter, takes)
        self.go(then)

    @rule(doing=doings, checks=st.sampled_from((("api",), ("api", "api_too"), ("db",))), then=st.sampled_from((30, 60)))
    def breaks(self, doing: Doing, checks: tuple[str, ...], then: int) -> None:
        self.host.doing = doing
        for check in CHECKS:
            letter = "B" if check.name in checks else "C"
            self.host.reality[check.name] = (letter, letter, 0.0)
        self.go(then)

    @rule(seconds=st.sampled_from((10, 50, 100)))
    def passes(self, seconds: int) -> None:
        self.go(seconds)
        setup = self.host.setup
        longest = self.host.assembly._bindings.longest_window
        self.board.forget(self.host.clock.stamp(), longest=longest, rules={it.name: it for it in setup.rules})

    # ---- what people do ----

    @rule(config=configs(), keeps=st.booleans(), then=whiles)
    def reloads(self, config: Config, keeps: bool, then: int) -> None:
        before = self.host.witness.config
        if keeps:  # an edit of some of the file
            config = replace(before, rules=config.rules, budget=config.budget, checks=config.checks)
        self.host.witness.reloads(config)
        self.host.reload(world_of(config))
        self.go(then)

    @rule(lasts=st.sampled_from((10, 30, 0)), then=whiles)
    def pauses(self, lasts: int, then: int) -> None:
        self.host.assembly.circumstances.pause(why="a release", who="ann")
        self.host.witness.paused = True
        self.go(lasts or then)
        if lasts:
            self.resumes(then)

    @precondition(lambda self: self.host.witness.paused)
    @rule(then=whiles)
    def resumes_at_last(self, then: int) -> None:
        self.resumes(then)

    def resumes(self, then: int) -> None:
        self.host.assembly.circumstances.resume()
        self.host.witness.paused = False
        self.go(then)

    @rule(
        kind=st.sampled_from(list(OrderKind)),
        about=st.sampled_from([(field, it) for field, found in FIELDS.items() for it in found]),
        holds=st.booleans(),
        lasts=st.sampled_from((30.0, 100.0, None)),
        then=whiles,
    )
    def orders(self, kind: OrderKind, about: tuple[str, str], holds: bool, lasts: float | None, then: int) -> None:
        if kind is OrderKind.PAUSE:
            lasts = None
        holds = holds or kind is not OrderKind.SILENCE
        field, pattern = about
        order = self.host.assembly.orders.make(
            kind, [(field, "=", pattern)], who="ann", why="work", lasts=lasts, holds=holds
        )
        self.host.record()
        until = float("inf") if lasts is None else self.host.now + lasts
        self.host.witness.wishes[order.id] = Wish(kind=kind, field=field, pattern=pattern, holds=holds, until=until)
        self.go(then)

    @precondition(lambda self: self.board.orders)
    @rule(nth=st.integers(0, 3), then=whiles)
    def ends_order(self, nth: int, then: int) -> None:
        found = self.host.assembly.orders.in_force()
        if found:
            order = found[nth % len(found)]
            self.host.assembly.orders.end(order.id, who="ann")
            self.host.record()
            del self.host.witness.wishes[order.id]
        self.go(then)

    @precondition(lambda self: self.board.approvals)
    @rule(nth=st.integers(0, 2), agrees=st.sampled_from((True, True, False)), then=whiles)
    def decides(self, nth: int, agrees: bool, then: int) -> None:
        approvals = self.host.assembly.approvals
        found = [it for it, _ in approvals.waiting()]
        if found:
            asked = found[nth % len(found)]
            if not agrees:
                approvals.reject(asked.id, who="ann", why="no")
                self.host.witness.granted = [it for it in self.host.witness.granted if it[1].id != asked.id]
            elif asked.state is ApprovalState.ASKED:
                approvals.approve(asked.id, who="ann")
                self.host.witness.granted.append((self.host.now, asked))
            self.host.record()
            self.happened["decided"] += 1
        self.go(then)

    @precondition(lambda self: self.board.incidents)
    @rule(then=whiles)
    def retries(self, then: int) -> None:
        for incident in list(self.board.incidents.values()):
            if incident.id in self.board.ladder_of:
                self.host.assembly.retry(incident.id)
        self.go(then)

    # ---- what the host does ----

    @rule(down=st.sampled_from((0.0, 0.0, 3.0, 40.0)), then=whiles)
    def crashes(self, down: float, then: int) -> None:
        is_under_way = any(it.state is AttemptState.RUNNING for it in self.board.attempts.values())
        self.happened["killed in an effect" if is_under_way else "killed"] += 1
        self.host.dies(lambda: self.host.crash(down), host=False)
        self.go(then)

    @rule()
    def will_die_in_claim(self) -> None:
        self.host.dies_in_claim = True
        self.go(20)

    @rule(down=st.sampled_from((0.0, 60.0)), off=st.sampled_from((0.0, 0.0, -7200.0, 3600.0)), then=whiles)
    def reboots(self, down: float, off: float, then: int) -> None:
        now = self.host.clock

        def restart() -> None:
            self.host.reboot(down, clock=off - now.wall_offset, synchronised=off == 0.0)

        self.happened["rebooted"] += 1
        self.host.dies(restart, host=True)
        self.go(then)

    @rule(off=st.sampled_from((0.0, 20.0, 3600.0, -7200.0)), then=whiles)
    def sets_clock(self, off: float, then: int) -> None:
        """The kernel does not call a clock synchronised that somebody set; a time server makes it right again."""
        self.host.clock.wall_offset = off
        self.host.clock.synchronised = off == 0.0
        self.go(then)

    # ---- the end ----

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None and hasattr(self, "host"):
                self.quiet()
        finally:
            secrets.token_hex = self._token_hex
            if hasattr(self, "host"):
                self.host.close()
            self.memory.close()
            shutil.rmtree(self.folder)

    def quiet(self) -> None:
        """Nothing happens any more: each incident that fired closes, or people know of it, or wanted it so."""
        host = self.host
        host.dies_in_claim = False
        for check, (letter, _, _) in host.reality.items():
            host.reality[check] = (letter, letter, 0.0)
        for _ in range(QUIET // 100):
            self.go(100)
            rows = {it.id: it for it in host.ask(host.store.incidents(limit=1000, closed=True))}
            left = [it for it in rows.values() if not host.witness.is_settled(it, rows.values(), host.now)]
            if not left:
                break
        missing = host.witness.fired - rows.keys()
        require(not missing, "an end", missing)
        require(not left, "an end", left, host.reality)
        of_rows = {it.id: it for it in rows.values() if it.closed is None}
        require(of_rows == host.assembly.board.incidents, "replay rows", of_rows)
        self.happened["attempts"] += len(host.witness.deeds)
        self.happened["incidents"] += len(rows)
