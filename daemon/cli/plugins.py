"""`heald plugins`: what this heald can look at, do and manage, with every option and sample."""

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from daemon.config.setup import Types

_INDENT = "    "


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
@click.pass_context
def plugins_command(ctx: click.Context, as_json: bool) -> None:
    """List check types, remediations, managers and connections with their options, samples and units.

    Exits 1 if a plug-in cannot be used: a doubled name, a missing part.
    """
    from daemon.config.discover import discover_types
    from daemon.config.problems import ConfigError

    try:
        types = discover_types()
    except ConfigError as error:
        click.echo(error.render(), err=True)
        ctx.exit(1)
    listed = _listed(types)
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        _show(listed)


def _listed(types: "Types") -> dict[str, Any]:
    """Everything, as JSON values."""
    checks = {
        name: {
            **_described(kind),
            "discovers": kind.discovers,
            "samples": [
                {"name": spec.name, "unit": spec.dimension.value, "meaning": spec.meaning}
                for spec in kind.samples.values()
            ],
        }
        for name, kind in types.checks.items()
    }
    remediations = {
        name: {**_described(kind), "asks": kind.asks, "harmless": kind.harmless}
        for name, kind in types.remediations.items()
    }
    managers = {name: _described(kind) for name, kind in types.managers.items()}
    connections = {name: _described(kind) for name, kind in types.connections.items()}
    return {
        "checks": checks,
        "remediations": remediations,
        "managers": managers,
        "connections": connections,
        "unavailable": dict(types.unavailable),
    }


def _described(kind: Any) -> dict[str, Any]:
    text = (kind.module.__doc__ or "").strip()
    return {"summary": " ".join(text.split("\n\n")[0].split()), "options": _options(kind.options)}


def _options(model: "type[BaseModel]") -> list[dict[str, Any]]:
    from daemon.config.shapes import fields_of, type_word
    from daemon.reference.values import default_of

    return [
        {
            "name": key,
            "type": type_word(field),
            "required": field.is_required(),
            "default": None if field.is_required() else default_of(field),
            "description": field.description or "",
        }
        for key, field in fields_of(model).items()
    ]


def _show(listed: "Mapping[str, Any]") -> None:
    for kind in ("checks", "remediations", "managers", "connections"):
        if not listed[kind]:
            continue
        click.echo(click.style(kind.upper(), bold=True))
        for name, plugin in listed[kind].items():
            click.echo(f"\n{click.style(name, bold=True)}{_flags(plugin)}  {plugin['summary']}")
            _lines("options", [(it["name"], _takes(it), it["description"]) for it in plugin["options"]])
            _lines("samples", [(it["name"], it["unit"], it["meaning"]) for it in plugin.get("samples", ())])
        click.echo()
    for name, why in listed["unavailable"].items():
        click.echo(f"{name}: {why}")


def _flags(plugin: "Mapping[str, Any]") -> str:
    words = {"discovers": "discovers its subjects", "asks": "asks first", "harmless": "changes nothing"}
    said = [word for key, word in words.items() if plugin.get(key)]
    return f" ({', '.join(said)})" if said else ""


def _takes(option: "Mapping[str, Any]") -> str:
    if option["required"]:
        return f"{option['type']}, required"
    if option["default"] in (None, [], {}, ""):
        return str(option["type"])
    shown = json.dumps(option["default"]) if isinstance(option["default"], bool | list | dict) else option["default"]
    return f"{option['type']}, default {shown}"


def _lines(title: str, rows: list[tuple[str, str, str]]) -> None:
    if not rows:
        return
    click.echo(f"  {title}")
    widths = [max(len(row[place]) for row in rows) for place in range(2)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo(f"{_INDENT}{cells[0]}  {cells[1]}  {row[2]}".rstrip())
