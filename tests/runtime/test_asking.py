"""Who stopped it: what heald left stopped itself is told from what a person stopped (`stopped_by_operator`)."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemon.clock import SystemClock
from daemon.engine.guards import Proposal
from daemon.errors import CheckError
from daemon.model.incident import Incident
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.service import ServiceState, ServiceStatus
from daemon.runtime.asking import Asking
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.connections import Connections
from daemon.runtime.situation import NOTHING, Found

API = "supervisor:api@node"


REDIS = "supervisor:redis@node"


@dataclass
class Manager:
    resource: str = API
    kind: str = "supervisor"
    stopped_for: float | None = None
    state: ServiceState = ServiceState.STOPPED
    refuses: bool = False

    async def status(self, context: object) -> ServiceStatus:
        if self.refuses:
            raise CheckError("no socket")
        if self.state is not ServiceState.STOPPED:
            return ServiceStatus(state=self.state, detail=str(self.state))
        return ServiceStatus(
            state=ServiceState.STOPPED, detail="STOPPED", by_operator=True, stopped_for=self.stopped_for
        )


@dataclass
class Scene:
    """A service that its manager calls stopped, and what heald did to it before."""

    clock: SystemClock = field(default_factory=SystemClock)
    board: Board = field(default_factory=Board)

    def attempt(self, remediation: str, state: AttemptState, *, ended: float, nth: int = 1) -> None:
        """An attempt whose effect ended so many seconds ago."""
        attempt = Attempt(
            id=f"{nth}", rule="api-down", resource=API, ladder=API, remediation=remediation, step="", try_number=1,
            incidents=("INC-1",), claimed=self._ago(ended + 10), timeout=120.0, settle=10.0, verify=60.0, cooldown=60.0,
            state=state, ended=self._ago(ended), released=self._ago(ended),
        )  # fmt: skip
        self.board.attempts[attempt.id] = attempt

    def _ago(self, seconds: float) -> Stamp:
        now = self.clock.stamp()
        return Stamp(
            wall=now.wall - seconds, boot=now.boot, boottime=now.boottime - seconds, host=now.host,
            synchronised=now.synchronised,
        )  # fmt: skip

    async def is_left_alone(self, stopped_for: float | None) -> bool:
        found = await self.ask(API, Manager(stopped_for=stopped_for))
        return found.stopped is not None

    async def ask(self, resource: str, *managers: Manager) -> Found:
        """What is found around a step of a rule on the service api that would act on this."""
        named = {it.resource.split(":")[1].split("@")[0]: it for it in managers}
        setup = SimpleNamespace(managers=named, secret_variables=frozenset())
        bindings = cast(Bindings, SimpleNamespace(setup=setup, conflicts=lambda _: (), acted_on=lambda *_: ()))
        proposal = cast(Proposal, SimpleNamespace(resource=resource, service="api"))
        return await self.asking.ask(proposal, bindings)

    @property
    def asking(self) -> Asking:
        connections: Any = Connections(types={}, configured={})
        return Asking(board=self.board, connections=connections, clock=self.clock, node="node")


async def test_what_heald_never_touched_was_stopped_by_a_person() -> None:
    assert await Scene().is_left_alone(None)


@pytest.mark.parametrize(
    ("remediation", "state", "ended", "stopped_for", "is_left_alone"),
    [
        ("restart", AttemptState.SUCCEEDED, 10.0, 5.0, True),
        ("stop", AttemptState.SUCCEEDED, 600.0, 601.0, False),
        ("stop", AttemptState.SUCCEEDED, 600.0, 30.0, True),  # somebody started it, and stopped it again
        ("restart", AttemptState.FAILED, 600.0, 605.0, False),  # it was stopped, and did not come up again
        ("restart", AttemptState.FAILED, 600.0, 540.0, False),  # its manager went on after heald gave it up
        ("restart", AttemptState.FAILED, 600.0, 30.0, True),  # somebody came, and stopped it to look
        (
            "restart",
            AttemptState.FAILED,
            600.0,
            3600.0,
            True,
        ),  # heald left this part alone
    ],
)
async def test_heald_s_own_stops_are_told_by_when_they_were(
    remediation: str, state: AttemptState, ended: float, stopped_for: float, is_left_alone: bool
) -> None:
    scene = Scene()
    scene.attempt(remediation, state, ended=ended)
    assert await scene.is_left_alone(stopped_for) is is_left_alone


@pytest.mark.parametrize(("stopped_for", "is_left_alone"), [(601.0, False), (30.0, True), (None, True)])
async def test_what_heald_did_to_it_since_its_own_stop_makes_that_nobody_elses(
    stopped_for: float | None, is_left_alone: bool
) -> None:
    scene = Scene()
    scene.attempt("stop", AttemptState.SUCCEEDED, ended=600.0, nth=1)
    scene.attempt("run", AttemptState.SUCCEEDED, ended=300.0, nth=2)  # before `start`, the last step of that ladder
    assert await scene.is_left_alone(stopped_for) is is_left_alone


async def test_what_failed_since_its_own_stop_does_not_make_that_a_persons() -> None:
    scene = Scene()
    scene.attempt("stop", AttemptState.SUCCEEDED, ended=600.0, nth=1)
    scene.attempt("run", AttemptState.FAILED, ended=300.0, nth=2)
    assert not await scene.is_left_alone(604.0)
    assert await scene.is_left_alone(3600.0)


async def test_what_was_started_since_a_failed_attempt_was_stopped_by_a_person() -> None:
    scene = Scene()
    scene.attempt("restart", AttemptState.FAILED, ended=120.0, nth=1)
    scene.attempt("restart", AttemptState.SUCCEEDED, ended=90.0, nth=2)
    assert await scene.is_left_alone(60.0)


@pytest.mark.parametrize(("is_open", "is_left_alone"), [(True, False), (False, True)])
async def test_where_nobody_knows_when_a_failed_attempt_counts_while_its_incident_is_open(
    is_open: bool, is_left_alone: bool
) -> None:
    scene = Scene()
    scene.attempt("restart", AttemptState.FAILED, ended=600.0)
    if is_open:
        scene.board.incidents["INC-1"] = cast(Incident, SimpleNamespace(id="INC-1"))
    assert await scene.is_left_alone(None) is is_left_alone


async def test_the_newest_attempt_is_the_last_one_made_whatever_the_wall_clock_said() -> None:
    scene = Scene()
    scene.attempt("stop", AttemptState.SUCCEEDED, ended=600.0, nth=2)  # before the clock was set back
    scene.attempt("restart", AttemptState.SUCCEEDED, ended=500.0, nth=1)
    assert await scene.is_left_alone(None)


@pytest.mark.parametrize(
    ("remediation", "state", "stopped_for", "is_own"),
    [
        ("stop", AttemptState.SUCCEEDED, 604.0, True),
        ("stop", AttemptState.SUCCEEDED, 612.0, False),  # it was down before heald came
        ("stop", AttemptState.SUCCEEDED, 590.0, False),  # somebody started it, and stopped it again
        ("restart", AttemptState.FAILED, 604.0, True),
        ("restart", AttemptState.FAILED, 3600.0, False),  # a person had stopped it, and heald left it alone
        ("restart", AttemptState.FAILED, 540.0, True),  # its manager went on after heald gave it up
        ("restart", AttemptState.SUCCEEDED, 604.0, False),  # what heald stopped by that is running
    ],
)
async def test_of_parts_heald_stopped_those_that_were_stopped_while_it_was_at_it(
    remediation: str, state: AttemptState, stopped_for: float, is_own: bool
) -> None:
    scene = Scene()
    scene.attempt(remediation, state, ended=600.0)  # and claimed 610 s ago
    scene.attempt("restart", AttemptState.SUCCEEDED, ended=300.0, nth=2)
    scene.attempt("restart", AttemptState.RUNNING, ended=0.0, nth=3)
    stopped_at = scene.clock.steady() - stopped_for
    stops = scene.asking.own_stops(API, besides="3")
    assert any(since <= stopped_at <= until for since, until in stops) is is_own
    assert scene.asking.own_stops(REDIS, besides="3") == []


async def test_what_a_person_stopped_is_no_reason_to_act_on_another_service() -> None:
    redis = Manager(resource=REDIS, state=ServiceState.RUNNING)
    found = await Scene().ask(REDIS, Manager(), redis)
    assert found.stopped == f"supervisor says STOPPED of {API}"
    own = Scene()
    own.attempt("stop", AttemptState.SUCCEEDED, ended=600.0)
    assert await own.ask(REDIS, Manager(stopped_for=600.0), redis) is NOTHING


@pytest.mark.parametrize("api", [Manager(refuses=True), Manager(state=ServiceState.BUSY)], ids=["silent", "busy"])
async def test_of_the_checks_own_service_only_a_persons_stop_holds_what_is_done_to_another(api: Manager) -> None:
    assert await Scene().ask(REDIS, api, Manager(resource=REDIS, state=ServiceState.RUNNING)) is NOTHING
