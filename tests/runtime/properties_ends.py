"""What must be true when all is over: what is withdrawn is closed, and each incident that fired has its end."""

from collections.abc import Iterable

from daemon.engine.guards import SAID_ONCE
from daemon.model.incident import OWN, HoldReason, Incident
from daemon.model.order import OrderKind
from daemon.model.rule import Verdict
from daemon.runtime.board import Board
from tests.runtime.properties_broken import require
from tests.runtime.properties_witness import Witness

LASTING = (HoldReason.MODE, HoldReason.PAUSED, HoldReason.MAINTENANCE, HoldReason.SILENCED)


def is_withdrawn(seen: Witness, board: Board) -> None:
    """After a reload nothing is open for a rule or a check that is gone."""
    pairs = seen.pairs()
    for it in board.incidents.values():
        require(it.rule.startswith(OWN) or (it.rule, it.check) in pairs, "not withdrawn", it)


def is_settled(seen: Witness, it: Incident, incidents: Iterable[Incident]) -> bool:
    """Whether it is closed, or people know of it, or wanted it so, or it waits for what it depends on."""
    if it.closed is not None or it.handed_over is not None or it.hold in LASTING:
        return True
    if any(map(seen.is_sick, seen.upstream(seen.service(it.check)))):
        return True
    if _is_between(seen, it):
        return True
    quiet, scope = (OrderKind.SILENCE, OrderKind.MAINTENANCE), seen.scope(it)
    if any(wish.kind in quiet and wish.covers(scope) and seen.now < wish.until for wish in seen.wishes.values()):
        return it.hold is not None or it.rule.startswith(OWN) or not _is_breached(seen, it)
    own = [other for other in incidents if other.rule == f"{OWN}blind" and other.check == it.check]
    own += [other for other in incidents if it.hold in SAID_ONCE and other.rule == f"{OWN}{it.hold}"]
    return any(other.closed is None and other.handed_over is not None for other in own)


def _is_breached(seen: Witness, it: Incident) -> bool:
    """Whether its newest run found it breached: then something is proposed, and done or held."""
    run = seen.known.get(it.check)
    is_seen = run is not None and it.check not in seen.blind
    return is_seen and seen.verdict(run, it.subject) is Verdict.BREACHED


def _is_between(seen: Witness, it: Incident) -> bool:
    """Whether neither `when` nor `clear_when` holds: then the state stays, as whoever wrote them wants it."""
    run, rule = seen.known.get(it.check), seen.scene.rule(it.rule)
    if run is None or rule is None or seen.verdict(run, it.subject) is not Verdict.CLEAR:
        return False
    return seen.word(run, it.subject, rule) is Verdict.UNKNOWN
