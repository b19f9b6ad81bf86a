"""A hypothesis state machine over the daemon's own assembly in simulated time: anything in any order."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from daemon.model.order import OrderKind
from daemon.model.remediation import AttemptState
from tests.runtime.properties_ends import is_withdrawn
from tests.runtime.properties_host import WELL, Seen
from tests.runtime.properties_notes import Wish
from tests.runtime.properties_scene import SHAPES, edited, scenes, world_of
from tests.runtime.properties_targets import Targets, nths, whiles

ABOUT = (
    ("service", "*"), ("service", "api"), ("rule", "*"), ("rule", "s*"), ("check", "*"), ("subject", "m*"),
)  # fmt: skip


class Machine(Targets):
    """The other half: what people do, and what befalls the host."""

    # ---- what people do ---------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(("drop", "add", "rules", "limits", "mode", "all")), data=st.data(), then=whiles)
    def reloads(self, what: str, data: Any, then: int) -> None:
        """An edit of the file."""
        shape = next(name for name, names in SHAPES.items() if set(self.checks) == set(names))
        scene = edited(self.scene, data.draw(scenes(shape)), what)
        self.host.witness.reloads(scene)
        self.host.reload(world_of(scene))
        is_withdrawn(self.host.witness, self.board)
        self.go(then)

    @rule(lasts=st.sampled_from((1, 5, 20)), amid=st.booleans(), then=whiles)
    def pauses(self, lasts: int, amid: bool, then: int) -> None:
        """Now, or while something is looked at again."""
        if amid:
            self.slows(4.0)
            for _ in range(20):
                if self.host.is_looking:
                    break
                self.go(1)
        self.host.assembly.circumstances.pause(why="a release", who="ann")
        self.host.witness.paused = True
        self.go(lasts)
        self.host.assembly.circumstances.resume()
        self.host.witness.paused = False
        self.host.witness.resumed = self.host.now
        self.go(then)
        if amid:
            self.slows(0.0)

    def slows(self, takes: float) -> None:
        """Every run takes so long from now on."""
        for check in self.checks:
            seen = self.host.reality.get(check) or Seen(run=WELL.get(check, "C"))
            self.host.reality[check] = replace(seen, takes=takes)

    @rule(
        kind=st.sampled_from(list(OrderKind)),
        about=st.sampled_from(ABOUT),
        holds=st.sampled_from((True, True, False)),
        lasts=st.sampled_from((20.0, 60.0, 60.0, None)),
        then=whiles,
    )
    @precondition(lambda self: not self.host.is_behind)
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

    @precondition(lambda self: self.board.orders and not self.host.is_behind)
    @rule(nth=nths, then=whiles)
    def ends_order(self, nth: int, then: int) -> None:
        found = self.host.assembly.orders.in_force()
        if found:
            order = found[nth % len(found)]
            self.host.assembly.orders.end(order.id, who="ann")
            if order.holds:
                self.host.assembly.circumstances.acting_resumed()
            if order.kind is OrderKind.PAUSE:
                self.host.witness.resumed = self.host.now
            self.host.record()
            del self.host.witness.wishes[order.id]
        self.go(then)

    @precondition(lambda self: self.board.approvals and not self.host.is_behind)
    @rule(nth=nths, agrees=st.sampled_from((True, True, True, False)), then=whiles)
    def decides(self, nth: int, agrees: bool, then: int) -> None:
        found = [it for it, _ in self.host.assembly.approvals.waiting()]
        if found:
            self.decide(found[nth % len(found)], agrees=agrees)
        self.go(then)

    @precondition(lambda self: self.board.incidents)
    @rule(then=whiles)
    def retries(self, then: int) -> None:
        for incident in list(self.board.incidents.values()):
            if incident.id in self.board.ladder_of:
                self.host.assembly.retry(incident.id)
                self.host.witness.ladders.anew(self.board.ladder_of[incident.id])
        self.go(then)

    # ---- what the host does -----------------------------------------------------------------------------------------

    @property
    def is_under_way(self) -> bool:
        return any(it.state is AttemptState.RUNNING for it in self.board.attempts.values())

    @rule(down=st.sampled_from((0.0, 0.0, 3.0, 40.0)), waits=st.booleans(), into=st.sampled_from((0.0, 0.5, 9.0)),
          then=whiles)  # fmt: skip
    def crashes(self, down: float, waits: bool, into: float, then: int) -> None:
        """Now, or so many seconds into the next effect."""
        for _ in range(40):
            if not waits or self.is_under_way:
                self.go(into)
                break
            self.go(1)
        self.happened["killed in an effect" if self.is_under_way else "killed"] += 1
        self.host.dies(lambda: self.host.crash(down), host=False)
        self.go(then)

    @rule(then=st.sampled_from((10, 20)))
    def will_die_in_claim(self, then: int) -> None:
        self.host.dies_in_claim = True
        self.go(then)

    @rule(down=st.sampled_from((0.0, 60.0)), off=st.sampled_from((0.0, 0.0, -7200.0, 3600.0)), then=whiles)
    def reboots(self, down: float, off: float, then: int) -> None:
        now = self.host.clock

        def restart() -> None:
            self.host.witness.booted = self.host.now + down
            self.host.reboot(down, clock=off - now.wall_offset, synchronised=off == 0.0)

        self.happened["rebooted"] += 1
        self.host.dies(restart, host=True)
        self.go(then)

    @rule(off=st.sampled_from((20.0, 0.0, 20.0, 3600.0, -7200.0)), then=whiles)
    def sets_clock(self, off: float, then: int) -> None:
        """The kernel does not call a clock synchronised that somebody set; a time server makes it right again."""
        self.host.clock.wall_offset = off
        self.host.clock.synchronised = off == 0.0
        self.go(then)

    @rule(lasts=st.sampled_from((5, 20)), then=whiles)
    def disk_is_full(self, lasts: int, then: int) -> None:
        self.host.is_disk_full = self.host.is_behind = True
        self.go(lasts)
        self.host.is_disk_full = False
        self.go(then)

    @rule(lasts=st.sampled_from((1, 20)), down=st.sampled_from((0.0, 3.0)), then=whiles)
    def stops(self, lasts: int, down: float, then: int) -> None:
        """As who is asked to: what is under way may end for a while, and then is ended; it starts again."""
        self.host.assembly.circumstances.shutting_down = self.host.witness.is_stopping = True
        self.go(lasts)
        self.host.dies(lambda: self.host.crash(down), host=False)
        self.go(then)

    @precondition(lambda self: not self.host.is_behind)
    @rule(lasts=st.sampled_from((40, 5)), then=whiles)
    def cannot_be_read(self, lasts: int, then: int) -> None:
        """heald starts while its store cannot be read, and builds all anew once it can be."""
        witness = self.host.witness

        def restart() -> None:
            witness.is_unreadable = True
            self.host.crash()
            self.go(lasts)
            witness.is_unreadable = False
            self.host.crash()

        self.host.dies_in_claim = False
        self.host.dies(restart, host=False)
        self.go(then)
