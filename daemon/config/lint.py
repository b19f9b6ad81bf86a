"""`heald lint`: advice on a file that is valid, and probably does not do what its author thinks."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from daemon.config.advice import Advice, Notes
from daemon.config.document import join
from daemon.config.lint_limits import lint_limits
from daemon.config.lint_rules import lint_rule
from daemon.config.load import load_with_text
from daemon.config.setup import Types
from daemon.engine.condition import Condition
from daemon.model.rule import Rule
from daemon.model.units import format_duration
from daemon.plugin import ConnectionOf


def lint(path: Path, *, node: str | None = None, types: Types | None = None) -> list[Advice]:
    """Advice on a rules file, in the order of the file.

    Raises:
        ConfigError: the file is not valid.
    """
    setup, documents = load_with_text(path, node=node, types=types)
    notes = Notes(setup, documents)
    for rule in setup.rules:
        lint_rule(notes, rule)
    lint_limits(notes)
    _long_timeouts(notes)
    _unused_checks(notes)
    _unused_connections(notes)
    _unchecked_services(notes)
    return notes.sorted()


def conditions_of(rule: Rule) -> Iterator[Condition]:
    """Every compiled condition of a rule."""
    for compiled in (rule.when, rule.clear_when or {}, *(step.only_if or {} for step in rule.steps)):
        yield from (it for it in compiled.values() if isinstance(it, Condition))


def _long_timeouts(notes: Notes) -> None:
    """A target that hangs takes the place of runs that would be due: it is found later than the file seems to say."""
    for name, check in notes.setup.checks.items():
        written, at = notes.node("checks", name, "timeout"), join(join("checks", name), "timeout")
        if written is None:
            written, at = notes.node("defaults", "checks", "timeout"), "defaults.checks.timeout"
        if written is not None and check.timeout > check.every:
            every = format_duration(check.every)
            said = (
                f"{written.text} is longer than every ({every}) of {name}: while a run hangs the next are skipped, "
                f"and it is known to hang only then; write {every} or less"
            )
            notes.add("long-timeout", written.place, at, said)


def _unused_checks(notes: Notes) -> None:
    """A check that no rule judges or names, that is no self test, and whose service no guard looks at."""
    setup = notes.setup
    if not setup.rules:
        return  # heald then only measures, which is a use
    used = {name for rule in setup.rules for name in rule.checks} | set(setup.settings.self_test)
    used |= {name for rule in setup.rules for condition in conditions_of(rule) for name in condition.others}
    looked_at = {name for upstream in setup.upstream.values() for name in upstream}  # by the guard upstream
    looked_at |= {name for name, upstream in setup.upstream.items() if upstream}  # by worse
    looked_at |= {name for name, it in setup.services.items() if it.min_healthy is not None or setup.settings.storm}
    for name, check in setup.checks.items():
        at = notes.node("checks", name)
        if name not in used and check.service not in looked_at and at is not None:
            said = "no rule uses this check: it is looked at and shown, and nothing follows from it"
            notes.add("unused-check", at.key, join("checks", name), said)


def _unused_connections(notes: Notes) -> None:
    setup = notes.setup
    users: list[object] = [check.options for check in setup.checks.values()]
    users += [step.options for rule in setup.rules for step in rule.steps]
    users += [service.run_by.options for service in setup.services.values() if service.run_by is not None]
    used = {name for options in users for name in _connections(options)}
    for name in setup.connections:
        at = notes.node("connections", name)
        if name not in used and at is not None:
            said = "nothing uses this connection: no check, step or run_by names it"
            notes.add("unused-connection", at.key, join("connections", name), said)


def _connections(options: object) -> Iterator[str]:
    """The connections that options name."""
    if not isinstance(options, BaseModel):
        return
    for name, option in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, str) and any(isinstance(it, ConnectionOf) for it in option.metadata):
            yield value


def _unchecked_services(notes: Notes) -> None:
    looked_at = {check.service for check in notes.setup.checks.values()}
    for name in notes.setup.services:
        at = notes.node("services", name)
        if name not in looked_at and at is not None:
            said = "no check looks at this service: heald never knows that it is sick, nor holds what depends on it"
            notes.add("unchecked-service", at.key, join("services", name), said)
