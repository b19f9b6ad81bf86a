"""`heald explain`: why it did not restart my service, in one screen, the answer on the first line."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import click

from daemon.api.wire_explain import (
    AllowanceJson,
    ExplanationJson,
    GuardJson,
    NextStepJson,
    OperandJson,
    StandingJson,
    StoryJson,
)
from daemon.cli.client import ask
from daemon.cli.places import json_option, state_dir_option
from daemon.cli.tables import WORRYING, ago, clean, coloured, since
from daemon.model.units import format_duration, rough_duration

ASK_SECONDS = 60.0  # managers and remediations may be asked, each for ten seconds at most
_TOLD_AT_MOST = 20  # events of an incident's story: the first and the newest
_LABEL = 10


@click.command("explain")
@click.argument("name", metavar="RULE|SERVICE|INCIDENT")
@state_dir_option
@json_option
def explain_command(name: str, state_dir: Path | None, as_json: bool) -> None:
    """Say why heald does nothing about a rule, a service or an incident, or what it does; the first line is the answer.

    Then the worst of it in full: the condition with its operands' values as the newest run found them, the state, what
    would be done next, every guard in its order, and what limits still permit. Of a closed incident: what happened.
    """
    query = urlencode({"name": name})
    answer = ask("GET", f"/explain?{query}", state_dir=state_dir, seconds=ASK_SECONDS)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    told = cast("ExplanationJson", answer)
    click.secho(clean(told["answer"]), bold=True)
    for place, standing in enumerate(told["standings"]):
        if place == 0:
            _show(standing)
        else:
            _show_other(standing, is_first=place == 1)
    if told["left_out"]:
        click.echo(f"  … and {told['left_out']} more, none of them worse")
    if told["story"] is not None:
        _show_story(told["story"])


def _line(label: str, text: str) -> None:
    click.echo(f"  {label:<{_LABEL}}{text}".rstrip())


def _show(it: StandingJson) -> None:
    """One rule and one subject in full."""
    click.echo()
    where = f"{it['check']} {it['subject']}".strip()
    service = f" · service {it['service']}" if it["service"] else ""
    incident = f" · {it['incident']}" if it["incident"] else ""
    _line("rule", clean(f"{it['rule']} ({it['severity']}) · check {where}{service}{incident}"))
    verdict = f"{coloured(it['verdict'])}, run {ago(it['ran_at'])}" if it["verdict"] else "not judged yet"
    _line("when", f"{clean(it['condition'])} · {verdict}")
    for operand in it["operands"]:
        _line("", clean(_operand(operand)))
    if it["clear_when"]:
        _line("clears", clean(it["clear_when"]))
    _line("state", _state(it))
    if it["hold"] and not _is_held_now(it):
        _line("held", clean(f"by {it['hold']}, as recorded: {it['hold_sentence']}"))
    if it["handed_over"]:
        _line("people", f"were told because of {it['handed_over']}")
    if it["next"] is not None:
        show_next(it["next"])


def _is_held_now(it: StandingJson) -> bool:
    """Whether what is recorded as holding is what holds now."""
    guards = it["next"]["guards"] if it["next"] is not None else []
    return next((guard["guard"] for guard in guards if guard["holds"]), None) == it["hold"]


def _operand(it: OperandJson) -> str:
    value = it["value"] if it["value"] is not None else f"missing: {it['missing']}"
    if it["window_seconds"] is None:
        return f"{it['text']} = {value}"
    span = rough_duration(it["span_seconds"] or 0.0)
    return f"{it['text']} = {value} ({it['samples']} samples in {format_duration(it['window_seconds'])}, over {span})"


def _state(it: StandingJson) -> str:
    state = coloured(it["state"])
    if it["since_at"]:
        state += f" since {since(it['since_at'])}"
    if it["needed_seconds"] > 0:
        state += f", {rough_duration(it['counted_seconds'])} of {format_duration(it['needed_seconds'])} count"
    return state


def show_next(it: NextStepJson) -> None:
    """What would be done next, every guard, and what limits permit."""
    place = f"step {it['step']} of {it['steps']}, try {it['try_number']} of {it['tries']}"
    paper = ", on paper" if it["would"] else ""
    what = f"{it['remediation']} of {it['resource']}"
    _line("next", clean(f"{what} ({place}{paper})" if it["is_left"] else f"nothing is left; {what} was the last step"))
    if it["plan"] and it["is_left"]:
        _line("plan", clean(it["plan"]))
    for label, text in _guards(it["guards"]):
        _line(label, text)
    for number, allowance in enumerate(it["budget"]):
        _line("budget" if number == 0 else "", clean(_allowance(allowance)))


def _guards(guards: list[GuardJson]) -> Iterator[tuple[str, str]]:
    """Guards in their order: those that let pass side by side, each that holds on a line of its own."""
    label = "guards"
    for holds, group in groupby(guards, key=lambda guard: guard["holds"]):
        if not holds:
            yield label, f"pass  {' '.join(guard['guard'] for guard in group)}"
            label = ""
            continue
        for guard in group:
            until = f", until {since(guard['until_at']).split(' (')[0]}" if guard["until_at"] else ""
            yield label, f"{click.style('HOLD', fg=WORRYING)}  {guard['guard']}: {clean(guard['sentence'])}{until}"
            label = ""


def _allowance(it: AllowanceJson) -> str:
    left = f"{it['remaining']} left"
    if it["free_in_seconds"] is None:
        left += ", never more"
    elif it["free_in_seconds"] > 0:
        left += f", one more in {rough_duration(it['free_in_seconds'])}"
    return f"{it['limit']} of {it['of']}: {it['used']} used, {left}"


def _show_other(it: StandingJson, *, is_first: bool) -> None:
    if is_first:
        click.echo()
        click.echo("  also")
    where = f"{it['check']} {it['subject']}".strip()
    click.echo(
        f"  {it['severity']}  {coloured(it['state'])}  {clean(it['rule'])} on {clean(where)}: {clean(it['answer'])}"
    )


def _show_story(it: StoryJson) -> None:
    """What happened, in the order of time."""
    incident = it["incident"]
    events = [(move["moved_at"], f"{move['old']} → {move['new']}: {move['because']}") for move in it["transitions"]]
    events += [(hold["held_at"], f"held by {hold['reason']}: {hold['sentence']}") for hold in incident["holds"]]
    for attempt in incident["attempts"]:
        what = f"{attempt['remediation']} of {attempt['resource']}, try {attempt['try_number']}"
        paper = " on paper" if attempt["would"] else ""
        found = f", {attempt['verification']}" if attempt["verification"] else ""
        events.append((attempt["claimed_at"], f"{what}{paper}: {attempt['state']}{found}: {attempt['summary']}"))
    if incident["handed_over"] and incident["handed_over_at"]:
        events.append((incident["handed_over_at"], f"people were told because of {incident['handed_over']}"))
    events.sort(key=lambda event: event[0])
    click.echo()
    _line("incident", clean(f"{incident['id']} · rule {incident['rule']} · because {incident['because']}"))
    left_out = len(events) - _TOLD_AT_MOST
    for number, (at, text) in enumerate(events):
        if number == 1 and left_out > 0:
            _line("", f"… {left_out} more")
        if number == 0 or left_out <= 0 or number > left_out:
            _line("happened" if number == 0 else "", f"{since(at).split(' (')[0]}  {clean(text)}")
