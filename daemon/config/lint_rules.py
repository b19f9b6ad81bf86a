"""Advice on one rule: its condition, its times, and what it would do to a stateful service."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from pydantic import BaseModel

from daemon.config.advice import Notes
from daemon.config.document import Node, Place, join
from daemon.engine import expression
from daemon.engine.condition import Condition
from daemon.engine.ranges import Allowed, Span, never, points
from daemon.engine.references import Own, Reference
from daemon.engine.values import is_number
from daemon.engine.windows import Window
from daemon.model.check import Check, Dimension
from daemon.model.rule import Rule, Step
from daemon.model.service import Service
from daemon.model.units import format_duration

_SHARES = ("used_percent", "available_percent", "free_percent")
"""Ends of names of samples that are a share of a whole, 0 to 100, where the check type itself has them."""
_TIMED = frozenset(("command", "docker", "http", "postgres", "redis", "systemd", "tcp"))
"""Check types whose `latency_seconds` is a part of the run, which ends with the check's timeout."""
_LATE = 0.25
"""Seconds past its timeout after which a run says nothing of its target (docs/judgement.md)."""
_INTERRUPTS = ("restart", "stop")
"""Remediations that end what runs."""
_KEEPERS = """
db database postgres postgresql timescaledb mysql mariadb mssql mongo mongodb redis valkey kafka zookeeper minio ceph
etcd consul rabbitmq nats elasticsearch opensearch solr cassandra scylladb cockroachdb clickhouse influxdb couchdb
neo4j vault
"""
_SATELLITES = """
admin agent bouncer client commander connect console consumer curator dashboard exporter express gateway manager metrics
migrate migration migrations migrator operator producer proxy rest sentinel sidecar ui worker
"""
_BESIDE = frozenset(_SATELLITES.split())
"""Words that make it something beside such a program."""
STATEFUL_WORDS = frozenset(_KEEPERS.split())
"""Names of programs that keep data, as a word of a service's name or of what its manager calls it."""
_CALLED = ("unit", "service", "container", "program", "deployment", "daemon_set")
"""Options of managers that name what is run."""


def lint_rule(notes: Notes, rule: Rule) -> None:
    """All of it."""
    node = notes.node("rules", rule.name)
    if node is None:
        return
    path = join("rules", rule.name)
    _conditions(notes, rule, node, path)
    _times(notes, rule, node, path)
    for at, step in enumerate(rule.steps):
        _stateful(notes, rule, step, node.entries["steps"].items[at], f"{path}.steps[{at}]")


# ---- conditions -----------------------------------------------------------------------------------------------------


def _conditions(notes: Notes, rule: Rule, node: Node, path: str) -> None:
    when = node.entries.get("when")
    if when is None:
        return
    _first(notes, rule, "never-fires", when.place, f"{path}.when", lambda check: _never_fires(notes, rule, check))
    at, key = node.entries.get("clear_when", when), "clear_when" if "clear_when" in node.entries else "when"
    _first(notes, rule, "never-clears", at.place, f"{path}.{key}", lambda check: _never_clears(notes, rule, check))

    for written in ("when", "clear_when"):
        if (said := node.entries.get(written)) is not None:
            conditions = (rule.when if written == "when" else rule.clear_when) or {}
            _first(
                notes, rule, "short-window", said.place, f"{path}.{written}", partial(_short_window, notes, conditions)
            )


def _first(notes: Notes, rule: Rule, code: str, place: Place, path: str, said_of: Callable[[str], str | None]) -> None:
    """Say it once, and of which checks if not of all."""
    said = {check: text for check in rule.checks if (text := said_of(check)) is not None}
    if said:
        only = f" on {', '.join(said)}" if len(said) < len(rule.checks) else ""
        notes.add(code, place, path, next(iter(said.values())).replace("CHECKS", only))


def _never_fires(notes: Notes, rule: Rule, check: str) -> str | None:
    when = _compiled(rule.when, check)
    blame = never([(when.node, True)], _domain(notes, check)) if when is not None else None
    return None if blame is None else f"no run can breach it, so the rule never firesCHECKS: {_why(blame)}"


def _never_clears(notes: Notes, rule: Rule, check: str) -> str | None:
    when, domain = _compiled(rule.when, check), _domain(notes, check)
    clears = _compiled(rule.clear_when, check) if rule.clear_when is not None else None
    if when is None:
        return None
    blame = never([(when.node, False)], domain)
    if blame is not None:
        return f"every run that is known breaches it, so an incident never closesCHECKS: {_why(blame)}"
    blame = never([(when.node, False), (clears.node, True)], domain) if clears is not None else None
    if blame is None:
        return None
    return f"it is never true where `when` is false, so an incident never closesCHECKS: {_why(blame)}"


def _short_window(notes: Notes, conditions: Mapping[str, object], check: str) -> str | None:
    """The first window that is too short for its function at any time that runs come regularly."""
    condition = _compiled(conditions, check)
    for window in _windows_of(condition.node) if condition is not None else ():
        looked_at = notes.setup.checks.get(window.reference.check)
        if looked_at is not None and window.length <= (least := (window.fewest - 1) * looked_at.every):
            return (
                f"{window.text} needs {window.fewest} runs, and {looked_at.name} runs every"
                f" {format_duration(looked_at.every)}, so it is missingCHECKS; write more than {format_duration(least)}"
            )
    return None


def _windows_of(node: expression.Node) -> Iterator[Window]:
    """Every window in a condition."""
    if isinstance(node, Window):
        yield node
    for child in node.children:
        yield from _windows_of(child)


def _why(blame: Sequence[str]) -> str:
    what = " or ".join(f"of {name}" if name.isidentifier() else f"for {name}" for name in blame)
    samples = {name.split(".")[-1] for name in blame}
    known = "; up is 0 or 1" if "up" in samples else ""
    known += "; a run ends with the timeout of its check" if "latency_seconds" in samples else ""
    return f"no value {what} can make it so{known}"


def _compiled(conditions: Mapping[str, object], check: str) -> Condition | None:
    found = conditions.get(check)
    return found if isinstance(found, Condition) else None


def _domain(notes: Notes, own_check: str) -> Callable[[Reference], Allowed | None]:
    """What samples may be at all, as far as every check, or the check type itself, promises it."""

    def domain(reference: Reference) -> Allowed | None:
        if not is_number(reference.dimension):
            return None
        name = reference.sample
        if name == "up":
            return points(0.0, 1.0)
        # A condition that fits all checks of its rule names the first of them.
        check = notes.setup.checks.get(own_check if isinstance(reference, Own) else reference.check)
        if name == "latency_seconds":
            return (Span(0.0, check.timeout + _LATE),) if check and check.type in _TIMED else (Span(low=0.0),)
        own = notes.setup.types.checks[check.type].samples if check is not None else {}
        is_share = reference.dimension is Dimension.PERCENT and name.endswith(_SHARES) and name in own
        return (Span(0.0, 100.0),) if is_share else None

    return domain


# ---- times ----------------------------------------------------------------------------------------------------------


def _times(notes: Notes, rule: Rule, node: Node, path: str) -> None:
    _short_for(notes, rule, node, path)
    _for_over_count(notes, rule, node, path)
    slowest = max((notes.setup.checks[name] for name in rule.checks), key=lambda it: it.every)
    for at, step in enumerate(rule.steps):
        if step.verify < slowest.every:
            _short_verify(notes, step, slowest, node.entries["steps"].items[at], f"{path}.steps[{at}]")


def _short_for(notes: Notes, rule: Rule, node: Node, path: str) -> None:
    written, at = node.entries.get("for"), f"{path}.for"
    if written is None:
        written, at = notes.node("defaults", "rules", "for"), "defaults.rules.for"
    checks = [notes.setup.checks[name] for name in rule.checks]
    slow = next((it for it in checks if 0 < rule.for_seconds[it.name] < it.every), None)
    if written is not None and slow is not None:
        least, retry = format_duration(slow.every), format_duration(slow.retry_every)
        said = (
            f"{written.text} is shorter than every ({least}) of {slow.name}: the runs that come every {retry} while it"
            f" is pending decide; write {least} or more, or 0s for at once"
        )
        notes.add("short-for", written.place, at, said)


def _for_over_count(notes: Notes, rule: Rule, node: Node, path: str) -> None:
    counts = [it for it in rule.checks if (when := _compiled(rule.when, it)) is not None and when.rings]
    waits = [rule.for_seconds[it] for it in counts if rule.for_seconds[it] > 0]
    if waits:
        key = "for" if "for" in node.entries else "when"
        said = (
            f"count_of counts runs already, and for ({format_duration(waits[0])}) asks that it stays true for so long"
            " on top, which what comes and goes may never do; write for: 0s"
        )
        notes.add("for-over-count", node.entries[key].place, f"{path}.{key}", said)


def _short_verify(notes: Notes, step: Step, slowest: Check, node: Node, path: str) -> None:
    written = node.entries.get("verify")
    place, key = (written.place, "verify") if written else (node.entries[step.remediation].key, step.remediation)
    said = (
        f"verify ({format_duration(step.verify)}) is shorter than every ({format_duration(slowest.every)}) of"
        f" {slowest.name}, which may need as long to see that it helped; write that or more"
    )
    notes.add("short-verify", place, f"{path}.{key}", said)


# ---- what keeps data ------------------------------------------------------------------------------------------------


def _stateful(notes: Notes, rule: Rule, step: Step, node: Node, path: str) -> None:
    """Restarting what keeps data may cost data: a person is to agree."""
    if step.remediation not in _INTERRUPTS or step.approval or step.asks:
        return
    named = getattr(step.options, "service", None)
    own = [notes.setup.checks[name].service for name in rule.checks]
    for name in dict.fromkeys([named] if named else own):
        service = notes.setup.services.get(name or "")
        why = why_stateful(service) if service is not None else None
        if why is not None:
            said = f"{name} keeps data ({why}) and this would {step.remediation} it unasked; write approval: true"
            place = node.entries[step.remediation].key
            notes.add("stateful-restart", place, join(path, step.remediation), said)
            return


def why_stateful(service: Service) -> str | None:
    """What says that a service keeps data; None if nothing does, or its label `stateful` says otherwise."""
    label = service.labels.get("stateful", "").lower()
    if label in ("true", "yes", "false", "no"):
        return f"its label stateful is {label}" if label in ("true", "yes") else None
    if service.labels.get("tier") == "store":
        return "its label tier is store"
    texts = [service.name]
    if service.run_by is not None and isinstance(service.run_by.options, BaseModel):
        options = service.run_by.options
        if getattr(options, "stateful_set", None):
            return "it is a stateful set"
        texts += [value for name in _CALLED if isinstance(value := getattr(options, name, None), str)]
    for text in texts:
        words = re.findall(r"[a-z0-9]+", text.lower())
        found = [known for word in words if (known := _keeper(word)) is not None]
        if found and not _BESIDE & set(words):
            return f"{text} is a name of {found[0]}"
    return None


def _keeper(word: str) -> str | None:
    """The program that keeps data that a word names, its number and the `d` of a daemon left out: redis01, mysqld."""
    bare = word.rstrip("0123456789")
    return next((name for name in (word, bare, bare.removesuffix("d")) if name in STATEFUL_WORDS), None)
