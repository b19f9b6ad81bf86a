"""Half of the properties' machine: a world, its time, its targets, and what must be true when all is over.

It is dense: what is sick stays so until something heals it, what was healed soon breaks again, and time goes on to
where something is due: just before it, at it, just after it.
"""

import secrets
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from daemon.model.approval import Approval, ApprovalState
from daemon.store.memory import Memory
from tests.runtime.properties_broken import require
from tests.runtime.properties_claims import JUMP_HOLD
from tests.runtime.properties_ends import is_settled
from tests.runtime.properties_host import WELL, Doing, Host, Killed, Seen, doings
from tests.runtime.properties_scene import GATEWAY, MEMBERS, Scene, scenes

QUIET = 3000  # seconds after which all must be settled: longer than anything here lasts, each try of a step among it
FAR = 150.0  # seconds: what is due later than that is not waited for

whiles = st.sampled_from((20, 0, 1, 40, 70))
sick = st.sampled_from("BBBBPP")
letters = st.sampled_from("BBBCCPMNUX")
of_pool = st.sampled_from(("BCC", "CPC", "BBC", "PPC", "PPP", "PCN", "-CC", "B-P", "PBC", "MCB", "U", "XPC"))
words = st.sampled_from(("busy", "stopped", "conflict", "unasked"))  # of managers
nths = st.integers(0, 7)
masks = st.sampled_from((63, 63, 2, 14, 62, 1, 60))  # which checks are sick; 1 is the first, on which others depend


class Targets(RuleBasedStateMachine):
    """A world without people; what it is to be like stands in the class, for whoever runs it."""

    happened: ClassVar[Counter[str]] = Counter()  # over all examples: that they are about something
    where: ClassVar[dict[str, Any]] = {}  # what every scene is to be (`scenes`)
    ends: ClassVar[bool] = True  # whether to wait for the end of everything

    def __init__(self) -> None:
        super().__init__()
        numbers = count()
        self._token_hex, secrets.token_hex = secrets.token_hex, lambda nbytes=None: f"{next(numbers):06x}"
        self.folder = Path(tempfile.mkdtemp(prefix="heald-properties-"))
        self.memory = Memory()

    @initialize(data=st.data(), letter=sick, members=of_pool, doing=doings, which=masks,
                prompt=st.booleans(), last=st.sampled_from((None, None, "N", "U")))  # fmt: skip
    def begins(
        self, data: Any, letter: str, members: str, doing: Doing, which: int, prompt: bool, last: str | None
    ) -> None:
        self.host = Host(data.draw(scenes(**self.where)), self.folder, self.memory)
        self.are_people_prompt = prompt
        self.last = last
        self.breaks(letter, members, doing, which)

    @property
    def board(self) -> Any:
        return self.host.assembly.board

    @property
    def scene(self) -> Scene:
        return self.host.witness.scene

    @property
    def checks(self) -> list[str]:
        """Those that rules may be on."""
        return [it.name for it in self.scene.config.checks if it.name != GATEWAY]

    def go(self, seconds: float) -> None:
        until = self.host.now + seconds
        while True:
            try:
                self.host.run(until)
            except Killed:
                self.happened["killed in the claim"] += 1
                self.host.dies(lambda: self.host.crash(0.0), host=False)
            else:
                break
        if self.are_people_prompt and not self.host.is_behind:
            for asked, _ in self.host.assembly.approvals.waiting():
                self.decide(asked, agrees=True)

    def decide(self, asked: Approval, *, agrees: bool) -> None:
        approvals, witness = self.host.assembly.approvals, self.host.witness
        if not agrees:
            approvals.reject(asked.id, who="ann", why="no")
            witness.granted = [it for it in witness.granted if it[1].id != asked.id]
            witness.ladders.forgets((asked.rule, asked.ladder))  # its step is over
        elif asked.state is ApprovalState.ASKED:
            approvals.approve(asked.id, who="ann")
            witness.granted.append((self.host.now, asked))
        self.host.record()

    # ---- time -------------------------------------------------------------------------------------------------------

    def edges(self) -> list[float]:
        """When something ends, frees something or is due, soonest first."""
        witness, config, now = self.host.witness, self.scene.config, self.host.now
        windows = {window for found in (config.budget, config.service_limit) for _, window in found}
        windows |= {window for it in config.rules for _, window in it.limit}
        found = [witness.jumped + JUMP_HOLD, *(it.until for it in witness.wishes.values())]
        for deed in witness.deeds[-5:]:
            attempt = deed.attempt
            found += [deed.ends, deed.ends + attempt.settle, deed.ends + attempt.settle + attempt.verify]
            found += [witness.released.get(attempt.id, now) + attempt.cooldown]
            found += [deed.ends + window for window in windows]
            found += [deed.claimed + attempt.timeout + window for window in windows]
        found += [at - self.host.clock.steady() + now for at in self.host.timetable.next_run.values()]
        return sorted({round(it, 3) for it in found if now < it < now + FAR})

    @rule(nth=nths, off=st.sampled_from((-0.5, 0.0, 0.0, 0.5)))
    def passes_to_an_edge(self, nth: int, off: float) -> None:
        edges = self.edges()
        if edges:
            self.go(max(0.0, edges[nth % len(edges)] + off - self.host.now))

    @rule(seconds=st.sampled_from((30, 60)))
    def passes(self, seconds: int) -> None:
        self.go(seconds)

    @rule(seconds=st.sampled_from((60, 100)))
    def passes_and_forgets(self, seconds: int) -> None:
        """As the janitor does."""
        self.go(seconds)
        longest = self.host.assembly._bindings.longest_window
        rules = {it.name: it for it in self.host.setup.rules}
        self.board.forget(self.host.clock.stamp(), longest=longest, rules=rules)

    # ---- what targets do --------------------------------------------------------------------------------------------

    @rule(letter=sick, members=of_pool, doing=doings, which=masks)
    def breaks(self, letter: str, members: str, doing: Doing, which: int) -> None:
        """Some of it is sick, the rest is well; and attempts do something else from now on."""
        self.host.doing = doing
        for place, check in enumerate(self.checks):
            is_sick, well = (which >> place) % 2 or len(self.checks) == 1, WELL.get(check, "C")
            self.host.reality[check] = Seen(run=(members if check == "pool" else letter) if is_sick else well)
        self.go(40)

    @rule(nth=nths, letter=letters, members=of_pool, look=st.sampled_from((None, "CC", "CC", "U", "NB")),
          takes=st.sampled_from((0.0, 0.0, 4.0, 45.0)), then=whiles)  # fmt: skip
    def reads(self, nth: int, letter: str, members: str, look: str | None, takes: float, then: int) -> None:
        """One check sees something; its second looks, perhaps, something else."""
        check = self.checks[nth % len(self.checks)]
        if check == "pool":
            look = None if look is None or look == "U" else look + "C"
        self.host.reality[check] = Seen(
            run=members if check == "pool" else letter,
            look=look if check == "pool" or look is None else look[0],
            takes=takes if check == "db" else min(takes, 4.0),
        )
        self.go(max(then, 20) if look else then)
        self.host.reality[check] = replace(self.host.reality[check], look=None)

    @precondition(lambda self: "db" in self.checks)
    @rule(then=whiles)
    def upstream_is_slow(self, then: int) -> None:
        """It takes longer to look at what the sick one depends on than what was seen of that is worth."""
        self.host.reality |= {"db": Seen(run="C", takes=45.0), "api": Seen(run="B")}
        self.go(110)
        self.host.reality["db"] = Seen(run="C")
        self.go(then)

    @rule(nth=nths, lasts=st.sampled_from((90, 50)), then=whiles)
    def flickers(self, nth: int, lasts: int, then: int) -> None:
        """Every other run sees it well, and second looks do not."""
        check = self.checks[nth % len(self.checks)]
        is_pool = check == "pool"
        self.host.reality[check] = Seen(run="BPC" if is_pool else "B", then=WELL.get(check, "C"))
        self.go(lasts)
        self.host.reality[check] = replace(self.host.reality[check], then=None)
        self.go(then)

    @rule(doing=doings, then=whiles)
    def attempts_do(self, doing: Doing, then: int) -> None:
        self.host.doing = doing
        self.go(then)

    @rule(letter=st.sampled_from("CCBU"), then=whiles)
    @precondition(lambda self: self.scene.has_self_test)
    def network(self, letter: str, then: int) -> None:
        self.host.reality[GATEWAY] = Seen(run=letter)
        self.go(then)

    @rule(
        said=st.sampled_from(("busy", "stopped", "conflict", "unasked")), lasts=st.sampled_from((20, 40)), then=whiles
    )
    def managers_say(self, said: str, lasts: int, then: int) -> None:
        """Of all that was ever acted on."""
        self.host.witness.managers = {deed.attempt.resource: said for deed in self.host.witness.deeds}
        self.go(lasts)
        self.host.witness.managers = {}
        self.go(then)

    # ---- the end ----------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None and hasattr(self, "host") and self.ends:
                self.quiet()
        finally:
            secrets.token_hex = self._token_hex
            if hasattr(self, "host"):
                self.happened["examples"] += 1
                self.happened["attempts"] += len(self.host.witness.deeds)
                self.happened["examples without an attempt"] += not self.host.witness.deeds
                self.happened["incidents"] += len(self.host.witness.fired)
                self.happened.update({f"held: {reason}": times for reason, times in self.host.witness.held.items()})
                self.host.close()
            self.memory.close()
            shutil.rmtree(self.folder)

    def quiet(self) -> None:
        """Nothing happens any more: each incident that fired closes, or people know of it, or wanted it so."""
        host = self.host
        host.dies_in_claim = False
        for check, seen in host.reality.items():
            letters = seen.run if self.last is None or check == GATEWAY else self.last
            host.reality[check] = Seen(run=letters * len(MEMBERS) if letters == "N" and check == "pool" else letters)
        for _ in range(QUIET // 100):
            self.go(100)
            rows = {it.id: it for it in host.ask(host.store.incidents(limit=1000, closed=True))}
            left = [it for it in rows.values() if not is_settled(host.witness, it, rows.values())]
            if not left:
                break
        missing = host.witness.fired.keys() - rows.keys()
        require(not missing, "an end", missing)
        require(not left, "an end", left, host.reality)
        of_rows = {it.id: it for it in rows.values() if it.closed is None}
        require(of_rows == host.assembly.board.incidents, "replay rows", of_rows)
