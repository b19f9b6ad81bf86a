"""`heald check`: look once without a daemon, judge, and exit as a monitoring plug-in does."""

import json
import os
import socket
import sys
import threading
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from daemon.api.wire import json_value
from daemon.cli.places import config_option, find_config
from daemon.cli.tables import clean, coloured, counted, show_table

if TYPE_CHECKING:
    from daemon.config.setup import Setup
    from daemon.testing.once import Finding, Pass

UNKNOWN = 3  # what a monitoring plug-in exits with where it could not do its work, wrong usage included
_SHOWN = 6  # samples of a reading that the table shows; --json has all
_LAST_WORDS = 0.2  # seconds for threads that end by themselves


class _Plugin(click.Command):
    """A command whose wrong usage is unknown (3): 2 is critical here (Monitoring Plugins Development Guidelines)."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **named)
        except click.ClickException as error:
            error.show()
            raise SystemExit(UNKNOWN) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.show()
            raise SystemExit(UNKNOWN) from error


@click.command("check", cls=_Plugin)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@config_option
@click.option("--json", "as_json", is_flag=True, help="All that was seen and found, as JSON.")
def check_command(names: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Run every check, or those named, once and without a daemon, and judge them by their rules.

    Exits 0 ok, 1 warning (a P2 or P3 rule is breached), 2 critical (a P0 or P1 rule is breached, or a check that
    no rule judges is down), 3 unknown (we could not look; wrong usage; a file that is not valid). Of several, critical
    comes before warning, warning before unknown, unknown before ok. A rule's `for` is not waited for, and its windows
    see this one run: where they need more, the rule is not judged, which is said and counts as ok.
    """
    from daemon.clock import SystemClock
    from daemon.testing.once import run_once

    setup = _load(find_config(config))
    for name in names:
        if name not in setup.checks:
            near = "".join(f"; did you mean {found}?" for found in get_close_matches(name, setup.checks, n=1))
            raise click.BadParameter(f"there is no check {name}{near}", param_hint="NAME")
    threads = set(threading.enumerate())
    seen = run_once(setup, names or tuple(setup.checks), clock=SystemClock(), node=socket.gethostname())
    if as_json:
        click.echo(json.dumps(_as_json(seen), indent=2))
    else:
        _show(seen, setup)
    _leave(seen.level.exit_code, threads)


def _load(path: Path) -> "Setup":
    from daemon.config.load import load
    from daemon.config.problems import ConfigError

    try:
        return load(path)
    except ConfigError as error:
        click.echo(error.render(), err=True)
        raise click.ClickException(f"{path} cannot be used") from error


def _leave(code: int, threads: set[threading.Thread]) -> NoReturn:
    """Exit at once: Python would wait for the thread of a check that hangs (a dead network disk) for ever."""
    for thread in set(threading.enumerate()) - threads:
        thread.join(_LAST_WORDS)
        if thread.is_alive() and not thread.daemon:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    raise SystemExit(code)


def _show(seen: "Pass", setup: "Setup") -> None:
    """A summary on the first line, as Nagios reads it, then what was seen, then what rules say of it."""
    bad = [finding for finding in seen.findings if finding.level is seen.level and seen.level.exit_code]
    told = (
        "; ".join(dict.fromkeys(_in_short(finding) for finding in bad)) or f"{counted(len(seen.runs), 'check')} looked"
    )
    click.echo(f"{coloured(seen.level.value)}: {clean(told)}")
    click.echo()
    rows = []
    for run in seen.runs:
        specs = setup.types.checks[setup.checks[run.check].type].samples_of(setup.checks[run.check].options)  # type: ignore[arg-type]  # the type's own Options
        if run.error is not None:
            rows.append((run.check, "", "blind", run.error))
        rows += [
            (run.check, reading.subject, _up(reading.samples), _samples(reading.samples, specs))
            for reading in run.readings
        ]
    show_table(("check", "subject", "state", "samples"), rows)
    judged = [finding for finding in seen.findings if finding.rule is not None]
    if judged:
        click.echo()
        show_table(
            ("rule", "severity", "check", "subject", "verdict", "because"),
            [
                (
                    finding.rule or "",
                    finding.severity.value if finding.severity else "",
                    finding.check,
                    finding.subject,
                    finding.verdict.value,
                    finding.because + _window_note(finding),
                )
                for finding in judged
            ],
        )


def _in_short(finding: "Finding") -> str:
    where = f"{finding.check} {finding.subject}".strip()
    return f"{finding.rule} ({where}): {finding.because}" if finding.rule else f"{where}: {finding.because}"


def _window_note(finding: "Finding") -> str:
    is_judged = finding.needs_window and finding.verdict.value != "UNKNOWN"
    return " (its windows saw this one run)" if is_judged else ""


def _up(samples: Mapping[str, object]) -> str:
    up = samples.get("up")
    return "" if up is None else "down" if up == 0 else "up"


def _samples(samples: Mapping[str, Any], specs: Mapping[str, Any]) -> str:
    from daemon.engine.values import human

    known = [name for name in specs if name in samples]  # in the order of the check type's page
    shown = [
        f"{name}={human(samples[name], specs[name].dimension) if name in specs else samples[name]}"
        for name in [*known, *(name for name in samples if name not in specs)]
        if name != "up" and samples[name] != ""
    ]
    more = f" … {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return " ".join(shown[:_SHOWN]) + more


def _as_json(seen: "Pass") -> dict[str, object]:
    return {
        "result": seen.level.value,
        "exit_code": seen.level.exit_code,
        "checks": [
            {
                "name": run.check,
                "error": run.error,
                "seconds": run.ended - run.began,
                "readings": [
                    {"subject": reading.subject, "samples": json_value(reading.samples)} for reading in run.readings
                ],
            }
            for run in seen.runs
        ],
        "findings": [
            {
                "check": finding.check,
                "subject": finding.subject,
                "rule": finding.rule,
                "severity": finding.severity.value if finding.severity else None,
                "verdict": finding.verdict.value,
                "because": finding.because,
                "needs_window": finding.needs_window,
                "level": finding.level.value,
            }
            for finding in seen.findings
        ],
    }
