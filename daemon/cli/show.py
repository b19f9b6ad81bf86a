"""Asking the running daemon: `heald status`, `heald incidents`."""

import json
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import click

from daemon.api.wire import AttemptJson, CheckJson, IncidentJson, StatusJson
from daemon.cli.client import ask
from daemon.cli.places import json_option, state_dir_option
from daemon.cli.tables import BAD, WORRYING, ago, clean, coloured, counted, show_table, since
from daemon.model.units import format_duration


@click.command("status")
@state_dir_option
@json_option
def status_command(state_dir: Path | None, as_json: bool) -> None:
    """Show what the daemon is doing now: mode, pause, what keeps it from acting on anything, reload, limits, checks."""
    answer = ask("GET", "/status", state_dir=state_dir)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    status = cast("StatusJson", answer)
    _show_daemon(status)
    _show_warnings(status)
    for attempt in status["under_way"]:
        click.echo(f"under way: {_attempt_line(attempt)}")
    for budget in status["budgets"]:
        if budget["resource"] == "all" or budget["remaining"] <= 0:
            click.echo(f"limit {budget['limit']} of {clean(budget['resource'])}: {budget['remaining']} left")
    click.echo()
    rows = [_check_row(check) for check in status["checks"]]
    show_table(("check", "state", "every", "ran", "subjects", "why"), rows)


def _show_daemon(status: StatusJson) -> None:
    click.echo(
        f"heald {status['version']} on {clean(status['node'])}, process {status['pid']}, mode {status['mode']}, "
        f"started {ago(status['started_at'])}"
    )
    pages = f"http://{status['listen']}/" if status["listen"] else "not served"
    click.echo(f"rules {clean(status['config'])} · state {clean(status['state_dir'])} · pages {pages}")
    click.echo(
        f"{counted(len(status['checks']), 'check')} · {counted(status['rules'], 'rule')} · "
        f"{counted(status['open_incidents'], 'open incident')}, {status['handed_over']} handed to people"
    )


def _show_warnings(status: StatusJson) -> None:
    """Everything that keeps heald from working as the rules file says, one line each."""
    if status["ready"] is not None:
        click.secho(f"not ready: {clean(status['ready'])}", fg=WORRYING)
    if pause := status["paused"]:
        who, why = clean(pause["who"]), clean(pause["why"])
        when = f", {ago(pause['since_at'])}" if pause["since_at"] else ""
        click.secho(f"paused by {who}{when}: {why}; `heald resume` ends it", fg=WORRYING)
    if not status["store_writable"]:
        click.secho("the store takes no writes: heald checks on and acts on nothing", fg=BAD)
    for hold in status["holding"]:
        until = f", until {since(hold['until_at']).split(' (')[0]}" if hold["until_at"] else ""
        click.secho(f"nothing is acted on: {hold['reason']}: {clean(hold['sentence'])}{until}", fg=WORRYING)
    reload = status["reload"]
    if not reload["successful"]:
        click.secho(f"the last reload was refused, {ago(reload['ended_at'])}; an older configuration is used", fg=BAD)
        for error in reload["errors"]:
            for line in error.splitlines():
                click.echo(f"  {clean(line)}")


def _check_row(check: CheckJson) -> tuple[str, ...]:
    why = check["error"] or (", ".join(subject for subject in check["down"] if subject))
    return (
        check["name"],
        check["state"],
        format_duration(check["every_seconds"]),
        ago(check["ran_at"]),
        str(check["subjects"]),
        why,
    )


@click.command("incidents")
@click.option("--all", "closed", is_flag=True, help="Closed ones too.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@state_dir_option
@json_option
def incidents_command(closed: bool, limit: int, state_dir: Path | None, as_json: bool) -> None:
    """Show what is wrong, what heald did about it and what keeps it from doing more; newest first."""
    query = urlencode({"limit": limit, "closed": int(closed)})
    answer = ask("GET", f"/incidents?{query}", state_dir=state_dir)
    if as_json:
        click.echo(json.dumps(answer["incidents"], indent=2))
        return
    found = cast("list[IncidentJson]", answer["incidents"])
    if not found:
        click.echo("no incidents" if closed else "no open incidents")
    for place, incident in enumerate(found):
        if place:
            click.echo()
        _show_incident(incident)
    if len(found) == limit:
        click.echo(f"\n… and those before these {limit}, if there are more: --limit 1000 shows up to 1000")


def _show_incident(incident: IncidentJson) -> None:
    where = f" · check {incident['check']} {incident['subject']}".rstrip() if incident["check"] else ""
    service = f" · service {incident['service']}" if incident["service"] else ""
    click.echo(
        f"{incident['id']}  {incident['severity']}  {coloured(incident['state'])}{clean(_under_way(incident))}  "
        f"{clean(incident['rule'])}{clean(where)}{clean(service)}"
    )
    lines = [("since", since(incident["opened_at"])), ("because", incident["because"])]
    if incident["closed_at"]:
        lines.append(("closed", since(incident["closed_at"])))
    if incident["linked_to"]:
        lines.append(("relapse of", incident["linked_to"]))
    if incident["hold"]:
        lines.append(("held", f"{incident['hold']}: {incident['hold_sentence']}"))
    if incident["handed_over"]:
        lines.append(("people", f"told because of {incident['handed_over']}, {since(incident['handed_over_at'])}"))
    for label, text in lines:
        click.echo(f"  {label:<11}{clean(text)}")
    for attempt in incident["attempts"]:
        click.echo(f"  {'attempt':<11}{_attempt_line(attempt)}")


def _under_way(incident: IncidentJson) -> str:
    """What is being done about it now, if anything is: behind its state."""
    open_ones = [it for it in incident["attempts"] if it["released_at"] is None and it["verification"] is None]
    if incident["closed_at"] or not open_ones:
        return ""
    attempt = open_ones[-1]
    doing = "under way" if attempt["state"] == "running" else "being verified"
    return f", {attempt['remediation']} {doing}" + (" on paper" if attempt["would"] else "")


def _attempt_line(attempt: AttemptJson) -> str:
    """One attempt: what, on what, how its effect ended, what verification found."""
    found = f", {coloured(attempt['verification'])}" if attempt["verification"] else ""
    would = " (observe mode: not done)" if attempt["would"] else ""
    said = f": {clean(attempt['summary'])}" if attempt["summary"] else ""
    what = (
        f"{attempt['remediation']} of {attempt['resource']}, try {attempt['try_number']}, {ago(attempt['claimed_at'])}"
    )
    return f"{clean(what)}{would}, {coloured(attempt['state'])}{found}{said}"
