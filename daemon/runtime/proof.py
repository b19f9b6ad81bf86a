"""What heald tells people who ask why: of a rule, a service or an incident.

Nothing here changes anything. What waits is asking: the store, a service's manager, a remediation for its plan.
"""

from collections.abc import Iterable, Iterator, Sequence

from daemon.engine.condition_error import did_you_mean
from daemon.errors import RemediationError, StoreError
from daemon.model.explanation import Explanation, IncidentStory, PlanEntry, Standing, WouldReport
from daemon.model.incident import OWN, Incident, IncidentState
from daemon.model.moment import Stamp
from daemon.protocols import Clock
from daemon.runtime.bindings import Binding, Bindings
from daemon.runtime.board import Board
from daemon.runtime.outlooks import Outlooks
from daemon.runtime.planning import plan
from daemon.runtime.standing import Place, Standings
from daemon.runtime.unread import unread
from daemon.runtime.would import would_report
from daemon.store.store import Store

TOLD_AT_MOST = 10  # standings of one explanation
_CLOSED = (IncidentState.RESOLVED, IncidentState.VANISHED, IncidentState.WITHDRAWN)
READ_AT_MOST = 10_000  # rows of each kind that a report reads


class Proof:
    """Answers by the configuration in use; made anew for each question."""

    def __init__(
        self,
        bindings: Bindings,
        standings: Standings,
        board: Board,
        asking: Outlooks,
        store: Store,
        clock: Clock,
    ) -> None:
        self._bindings = bindings
        self._standings = standings
        self._board = board
        self._asking = asking
        self._store = store
        self._clock = clock

    async def explain(self, name: str) -> Explanation:
        """Of a rule, a service, or an incident by its id. Raises LookupError with a did-you-mean, StoreError."""
        is_rule, is_service = name in self._bindings.rules, name in self._bindings.setup.services
        if not is_rule and not is_service:
            return await self._explain_incident(name)
        kind = " and ".join([*["rule"] * is_rule, *["service"] * is_service])
        found: dict[tuple[str, str], Binding] = {}
        for binding in self._all():
            if (is_rule and binding.rule.name == name) or (is_service and self._touches(binding, name)):
                found[binding.rule.name, binding.check.name] = binding
        places = self._standings.places(found.values())
        if not places:
            said = f"no rule judges a check of service {name}, so heald never acts on it"
            return Explanation(name=name, kind=kind, answer=said)
        return await self._told(name, kind, places)

    async def plan(self) -> list[PlanEntry]:
        """What heald would do now in act mode, in the order in which it would."""
        return await plan(self._bindings, self._standings, self._asking, self._clock)

    async def would(self, seconds: float) -> WouldReport:
        """What observe mode would have done in the last so many seconds, by the limits in force. Raises StoreError."""
        before = self._bindings.longest_window  # what was claimed before that time may have counted in it
        attempts = await self._store.attempts_since(seconds + before, most=READ_AT_MOST)
        holds = await self._store.holds_since(seconds, most=READ_AT_MOST)
        told = await self._store.handed_over_since(seconds, most=READ_AT_MOST)
        cut = any(len(rows) >= READ_AT_MOST for rows in (attempts, holds, told))
        return would_report(self._bindings, attempts, holds, told, seconds, self._clock.stamp(), is_cut=cut)

    def _all(self) -> Iterable[Binding]:
        return (binding for mine in self._bindings.by_check.values() for binding in mine)

    def _touches(self, binding: Binding, service: str) -> bool:
        """Whether a rule judges the service, or a step of it would touch what its manager runs."""
        if binding.check.service == service:
            return True
        manager = self._bindings.setup.managers.get(service)
        return manager is not None and manager.resource in self._resources(binding)

    def _resources(self, binding: Binding) -> Iterator[str]:
        """What a rule's steps would touch, as far as that can be told without a subject."""
        for step in binding.rule.steps:
            try:
                yield self._bindings.resource(step, binding.check, "")
            except RemediationError:
                continue

    async def _told(
        self, name: str, kind: str, places: Sequence[Place], story: IncidentStory | None = None
    ) -> Explanation:
        shown = places[:TOLD_AT_MOST]
        standings = []
        for number, place in enumerate(shown):
            outlook = self._standings.outlook(place)
            if number == 0:
                outlook = await self._asking.asked(outlook)
            standings.append(self._standings.standing(place, outlook, await self._since(place)))
        return Explanation(
            name=name,
            kind=kind,
            answer=_first_line(standings[0]),
            standings=tuple(standings),
            left_out=len(places) - len(shown),
            story=story,
        )

    async def _since(self, place: Place) -> Stamp | None:
        """When the present state began, as far back as the record goes."""
        track = place.track
        try:
            moved = await self._store.last_transition(track.rule, track.check, track.subject)
        except StoreError:
            return None  # when an incident opened is known in memory
        if moved is None:
            return None
        now_in = IncidentState.INACTIVE if moved.new in _CLOSED else moved.new
        return moved.at if now_in is track.state else None

    async def _explain_incident(self, name: str) -> Explanation:
        incident = self._board.incidents.get(name)
        if incident is None and name.startswith("INC-"):
            incident = await self._store.incident(name)
        if incident is None:
            known = [*self._bindings.rules, *self._bindings.setup.services, *self._board.incidents]
            if (written := await unread(name, self._bindings.setup.path)) is not None:
                raise LookupError(written)
            near = did_you_mean(name, known)
            raise LookupError(f"there is no rule, service or incident {name}" + (f"; {near}" if near else ""))
        story = await self._story(incident)
        mine = [it for it in self._bindings.by_check.get(incident.check, ()) if it.rule.name == incident.rule]
        places = [it for it in self._standings.places(mine) if it.subject == incident.subject]
        if incident.closed is None and places:
            return await self._told(name, "incident", places, story)
        return Explanation(name=name, kind="incident", answer=_ending(story), story=story)

    async def _story(self, incident: Incident) -> IncidentStory:
        known = {it.id: it for it in self._board.attempts.values() if incident.id in it.incidents}
        try:
            made = {it.id: it for it in (await self._store.attempts_of([incident.id]))[incident.id]}
            moved, held = await self._store.transitions_of(incident.id), await self._store.holds_of(incident.id)
        except StoreError:  # what is in memory can be told all the same
            made, moved, held = {}, [], []
        return IncidentStory(
            incident=incident, transitions=tuple(moved), holds=tuple(held), attempts=tuple((made | known).values())
        )


def _first_line(worst: Standing) -> str:
    where = f"{worst.check} {worst.subject}".strip()
    return f"rule {worst.rule} on {where}: {worst.answer}"


def _ending(story: IncidentStory) -> str:
    """How an incident without a rule that could act on it went, in one sentence."""
    incident, made = story.incident, [it for it in story.attempts if not it.would]
    if incident.rule.startswith(OWN) and incident.closed is None:
        return f"{incident.because}: {incident.hold_sentence or 'heald acts on nothing here, and only tells people'}"
    paper = len(story.attempts) - len(made)
    parts = [f"{len(made)} attempt{'s' if len(made) != 1 else ''}"] if made or not paper else []
    parts += [f"{paper} on paper"] if paper else []
    last = story.attempts[-1] if story.attempts else None
    found = f", the last {last.verification or last.state}" if last is not None else ""
    held = "" if story.attempts or not story.holds else f", held last by {story.holds[-1].reason}"
    told = f", handed to people because of {incident.handed_over}" if incident.handed_over else ""
    where = f"rule {incident.rule}" + (f" on {incident.check}" if incident.check else "")
    return f"{where}: {incident.state} after {' and '.join(parts)}{found}{held}{told}"
