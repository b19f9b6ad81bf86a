"""What people tell the daemon to leave alone, and what it asks them: `silence`, `maintenance`, `approvals`, ..."""

import json
from pathlib import Path
from typing import Any, cast

import click

from daemon.api.wire_people import ApprovalJson, OrderJson
from daemon.cli.client import ask
from daemon.cli.places import json_option, state_dir_option
from daemon.cli.tables import ago, clean, show_table
from daemon.model.order import FIELDS
from daemon.model.units import format_duration, parse_duration, rough_duration

_LONGEST = 400 * 86400.0  # seconds: the daemon takes no order that lasts longer


def _said(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("say why, for those who find it so")
    return value


_why_option = click.option(
    "--why", required=True, callback=_said, metavar="TEXT", help="Why, for those who find it so."
)
_all_option = click.option("--all", "everything", is_flag=True, help="Those that are over too.")


def scope_options(command: Any) -> Any:
    """--service, --rule and --check, each as often as wanted."""
    for name in ("check", "rule", "service"):
        command = click.option(f"--{name}", f"{name}s", multiple=True, metavar="NAME", help=f"A {name}, or several.")(
            command
        )
    return command


def named(services: tuple[str, ...], rules: tuple[str, ...], checks: tuple[str, ...]) -> list[list[list[str]]]:
    """The matchers of one order for each thing that is named."""
    things = (("service", services), ("rule", rules), ("check", checks))
    return [[[field, "=", name]] for field, names in things for name in names]


class Seconds(click.ParamType[float]):
    """A duration such as 30m or 1h30m, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it; a usage error says how to write one."""
        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not 0 < seconds <= _LONGEST:
            self.fail(
                f"{value} is too {'long' if seconds else 'short'}; write more than 0s and at most 400d", param, ctx
            )
        return seconds


def parse_matcher(text: str) -> list[str]:
    """`rule=api-*` or `label:tier!=store` as field, operator and pattern. Raises BadParameter."""
    operator = "!=" if "!=" in text else "="
    field, found, pattern = text.partition(operator)
    if not found or not (field in FIELDS or (field.startswith("label:") and field != "label:")):
        allowed = f"{', '.join(FIELDS)} or label:NAME"
        raise click.BadParameter(f"{text!r} is no matcher; write FIELD=PATTERN or FIELD!=PATTERN; fields: {allowed}")
    return [field, operator, pattern]


# ---- silences -------------------------------------------------------------------------------------------------------


@click.group("silence")
def silence_group() -> None:
    """Keep quiet about something for a while: people are not told, and "resolved" still is."""


@silence_group.command("add")
@click.argument("matchers", nargs=-1, required=True, metavar="MATCHER...")
@click.option("--for", "lasts", type=Seconds(), required=True, metavar="DURATION", help="How long, such as 2h.")
@_why_option
@click.option("--hold", "holds", is_flag=True, help="Hold acting too.")
@state_dir_option
def _add(matchers: tuple[str, ...], lasts: float, why: str, holds: bool, state_dir: Path | None) -> None:
    """Add a silence for what all MATCHERs match: FIELD=PATTERN or FIELD!=PATTERN, with * and ? in the pattern.

    Fields are rule, check, service, subject, severity and label:NAME.
    """
    body = {
        "kind": "silence",
        "matchers": [parse_matcher(matcher) for matcher in matchers],
        "why": why,
        "lasts_seconds": lasts,
        "holds": holds,
    }
    order = cast("OrderJson", ask("POST", "/orders", state_dir=state_dir, body=body)["order"])
    click.echo(f"{order['id']}: silent for {format_duration(lasts)}" + (", and acting is held" if holds else ""))


@silence_group.command("list")
@_all_option
@state_dir_option
@json_option
def _list_silences(everything: bool, state_dir: Path | None, as_json: bool) -> None:
    """Show silences, the newest first."""
    _show_orders("silence", everything=everything, state_dir=state_dir, as_json=as_json)


@silence_group.command("expire")
@click.argument("silence")
@state_dir_option
def _expire(silence: str, state_dir: Path | None) -> None:
    """End a SILENCE now."""
    _say_ended(ask("POST", "/orders/end", state_dir=state_dir, body={"id": silence}))


# ---- maintenance ----------------------------------------------------------------------------------------------------


@click.group("maintenance")
def maintenance_group() -> None:
    """Unplanned maintenance: what it covers is judged and recorded, and neither acted on nor told."""


@maintenance_group.command("start")
@click.argument("lasts", type=Seconds(), metavar="DURATION")
@scope_options
@_why_option
@state_dir_option
def _start(
    lasts: float,
    services: tuple[str, ...],
    rules: tuple[str, ...],
    checks: tuple[str, ...],
    why: str,
    state_dir: Path | None,
) -> None:
    """Begin maintenance for DURATION, such as 30m."""
    things = named(services, rules, checks)
    if not things:
        raise click.UsageError("name what it is for: --service, --rule or --check")
    for matchers in things:
        body = {"kind": "maintenance", "matchers": matchers, "why": why, "lasts_seconds": lasts}
        order = cast("OrderJson", ask("POST", "/orders", state_dir=state_dir, body=body)["order"])
        click.echo(f"{order['id']}: maintenance of {_words(order)} for {format_duration(lasts)}")


@maintenance_group.command("end")
@click.argument("maintenance", required=False)
@scope_options
@state_dir_option
def _end(
    maintenance: str | None,
    services: tuple[str, ...],
    rules: tuple[str, ...],
    checks: tuple[str, ...],
    state_dir: Path | None,
) -> None:
    """End MAINTENANCE by its id, or that of a service, rule or check; without any, all that was started by hand."""
    if maintenance is not None:
        _say_ended(ask("POST", "/orders/end", state_dir=state_dir, body={"id": maintenance}))
        return
    for matchers in named(services, rules, checks) or [[]]:
        body: dict[str, object] = {"kind": "maintenance", "matchers": matchers}
        _say_ended(ask("POST", "/orders/end", state_dir=state_dir, body=body))


@maintenance_group.command("list")
@_all_option
@state_dir_option
@json_option
def _list_maintenance(everything: bool, state_dir: Path | None, as_json: bool) -> None:
    """Show maintenance that was started by hand, the newest first."""
    _show_orders("maintenance", everything=everything, state_dir=state_dir, as_json=as_json)


# ---- approvals ------------------------------------------------------------------------------------------------------


@click.command("approvals")
@_all_option
@state_dir_option
@json_option
def approvals_command(everything: bool, state_dir: Path | None, as_json: bool) -> None:
    """Show what waits for a person to agree: what would be done, for what, and for how long the question stands."""
    found = cast(
        "list[ApprovalJson]", ask("GET", f"/approvals?all={int(everything)}", state_dir=state_dir)["approvals"]
    )
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("nothing waits for approval")
        return
    columns: tuple[str, ...] = ("approval", "state", "incident", "would", "left")
    rows: list[tuple[str, ...]] = [
        (it["id"], it["state"], it["incident"], it["plan"], _left(it["left_seconds"])) for it in found
    ]
    if any(it["who"] for it in found):  # else nobody has decided yet, and the room is the plan's
        columns += ("who", "why")
        rows = [(*row, it["who"] or "", it["why"]) for row, it in zip(rows, found, strict=True)]
    show_table(columns, rows)


@click.command("approve")
@click.argument("approval")
@state_dir_option
def approve_command(approval: str, state_dir: Path | None) -> None:
    """Agree to one attempt. All else that may hold it is asked again before it is made."""
    given = cast("ApprovalJson", ask("POST", "/approve", state_dir=state_dir, body={"id": approval})["approval"])
    click.echo(f"approved: heald may {clean(given['plan'])}")


@click.command("reject")
@click.argument("approval")
@_why_option
@state_dir_option
def reject_command(approval: str, why: str, state_dir: Path | None) -> None:
    """Refuse an attempt: its step is over, and the next step's turn comes."""
    body: dict[str, object] = {"id": approval, "why": why}
    given = cast("ApprovalJson", ask("POST", "/reject", state_dir=state_dir, body=body)["approval"])
    click.echo(f"rejected: heald will not {clean(given['plan'])}")


# ---- what is shown --------------------------------------------------------------------------------------------------


def _show_orders(kind: str, *, everything: bool, state_dir: Path | None, as_json: bool) -> None:
    found = cast("list[OrderJson]", ask("GET", f"/orders?all={int(everything)}", state_dir=state_dir)["orders"])
    orders = [order for order in found if order["kind"] == kind]
    if as_json:
        click.echo(json.dumps(orders, indent=2))
        return
    if not orders:
        click.echo(f"no {kind} is in force" if not everything else f"there was no {kind}")
        return
    rows = [
        (
            it["id"],
            _words(it),
            _left(it["left_seconds"]) if it["ended_at"] is None else f"ended by {it['ended_by']}",
            "yes" if it["holds"] else "no",
            it["who"],
            ago(it["made_at"]),
            it["why"],
        )
        for it in orders
    ]
    show_table((kind, "of", "left", "holds acting", "who", "since", "why"), rows)


def _say_ended(answer: dict[str, Any]) -> None:
    for order in cast("list[OrderJson]", answer["ended"]):
        click.echo(f"{order['id']} ended")


def _words(order: OrderJson) -> str:
    return " ".join("".join(matcher) for matcher in order["matchers"])


def _left(seconds: float | None) -> str:
    return "until it is ended" if seconds is None else rough_duration(seconds)
