"""`heald plan` and `heald report`: what heald would do now, and what it would have done."""

import json
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import click

from daemon.api.wire_explain import PeakJson, PlanEntryJson, WouldReportJson, WouldRowJson
from daemon.cli.client import ask
from daemon.cli.explain import ASK_SECONDS, show_next
from daemon.cli.places import json_option, state_dir_option
from daemon.cli.tables import clean, coloured, counted, since
from daemon.model.explanation import PLANNED_AT_MOST
from daemon.model.units import parse_duration

_SHOWN = 20  # attempts of one rule and resource that the report lists; --json has all
_LONGEST = 400 * 86400.0  # seconds: the record goes no further back


@click.command("plan")
@state_dir_option
@json_option
def plan_command(state_dir: Path | None, as_json: bool) -> None:
    """Say everything that heald would do now in act mode, in the order in which it would, and what holds it.

    Each is told as if those before it were done: their attempts count against limits and their resources are taken.
    """
    answer = ask("GET", "/plan", state_dir=state_dir, seconds=ASK_SECONDS)
    if as_json:
        click.echo(json.dumps(answer["plan"], indent=2))
        return
    entries = cast("list[PlanEntryJson]", answer["plan"])
    if not entries:
        click.echo("nothing would be done: no incident is firing and breached")
    for place, entry in enumerate(entries):
        if place:
            click.echo()
        where = f"{entry['check']} {entry['subject']}".strip()
        click.secho(clean(f"{place + 1}. {entry['severity']} {entry['rule']} on {where}: {entry['answer']}"), bold=True)
        if entry["next"] is not None:
            show_next(entry["next"])
    if len(entries) >= PLANNED_AT_MOST:
        click.echo(f"\n… and what comes after these {PLANNED_AT_MOST}, if there is more")


def _duration(ctx: click.Context, param: click.Parameter, value: str) -> int:
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not 1 <= seconds <= _LONGEST:
        raise click.BadParameter("write a duration from 1s to 400d, such as 24h")
    return round(seconds)


@click.command("report")
@click.option("--would", "is_would", is_flag=True, required=True, help="What observe mode would have done.")
@click.option(
    "--since", "seconds", callback=_duration, default="24h", show_default=True, metavar="DURATION", help="How far back."
)
@state_dir_option
@json_option
def report_command(is_would: bool, seconds: int, state_dir: Path | None, as_json: bool) -> None:
    """Say what observe mode would have done over a time, by the limits that are in force now.

    By rule and resource: the attempts on paper, how far each limit was used at most, what held, and what people were
    told of. An attempt on paper changes nothing, so it is ineffective unless the trouble went by itself.
    """
    answer = ask("GET", f"/would?{urlencode({'seconds': seconds})}", state_dir=state_dir, seconds=ASK_SECONDS)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    report = cast("WouldReportJson", answer)
    attempts = sum(len(row["attempts"]) for row in report["rows"])
    told = len({incident["id"] for row in report["rows"] for incident in row["handed_over"]})
    click.secho(
        f"since {since(report['since_at'])}: {counted(attempts, 'attempt')} would have been made, "
        f"{counted(told, 'incident')} handed to people",
        bold=True,
    )
    if report["is_cut"]:
        click.echo("the record of that time is too long to read as a whole: the oldest of it is missing here")
    _show_peaks(report["budget"])
    for row in report["rows"]:
        _show_row(row)


def _show_row(row: WouldRowJson) -> None:
    click.echo()
    click.secho(clean(f"{row['rule']} · {row['resource']}: {counted(len(row['attempts']), 'attempt')}"), bold=True)
    for attempt in row["attempts"][-_SHOWN:]:
        found = coloured(attempt["verification"]) if attempt["verification"] else "not verified yet"
        what = f"{since(attempt['claimed_at']).split(' (')[0]}  {attempt['remediation']}, try {attempt['try_number']}"
        click.echo(f"  {clean(what)}, {found}: {clean(attempt['summary'])}")
    if len(row["attempts"]) > _SHOWN:
        click.echo(f"  … {len(row['attempts']) - _SHOWN} older")
    _show_peaks(row["limits"])
    if row["holds"]:
        held = ", ".join(f"{reason} {count}×" for reason, count in row["holds"].items())
        click.echo(f"  held by {held}")
    for incident in row["handed_over"]:
        when = since(incident["handed_over_at"])
        click.echo(f"  people were told of {incident['id']} because of {incident['handed_over']}, {when}")


def _show_peaks(peaks: list[PeakJson]) -> None:
    for peak in peaks:
        click.echo(clean(f"  limit {peak['limit']} of {peak['of']}: at most {peak['most']} counted at once"))
