"""A plug-in's reference: the same page for the documentation and for the terminal."""

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from daemon.config.schema import CheckKeys, ConnectionKeys, StepKeys
from daemon.config.setup import Types
from daemon.config.shapes import fields_of
from daemon.reference.values import Row, rows_of

KINDS = {
    "checks": "check type",
    "remediations": "remediation",
    "managers": "service manager",
    "connections": "kind of connection",
}
"""The kinds of plug-ins as `Types` has them, and what one is called."""
_FLAGS = {
    "discovers": "It finds its subjects when it runs.",
    "asks": "It always asks a person first.",
    "harmless": "It changes nothing, and passes the guards.",
}
_COMMON: dict[str, tuple[str, type[BaseModel]]] = {
    "checks": ("every check", CheckKeys),
    "remediations": ("every step", StepKeys),
    "connections": ("every connection", ConnectionKeys),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What there is to know of one plug-in."""

    kind: str  # as a field of Types
    name: str
    text: str  # the docstring: what it does, what is sick, what is blind, what rights it needs
    flags: Sequence[str]
    options: Sequence[Row]
    samples: Sequence[tuple[str, str, str]]  # name, unit, meaning
    beside: str  # a sentence about the keys that stand beside it; "" where there are none
    example: str  # a part of a rules file that uses it

    @property
    def title(self) -> str:
        """What it is, and its name."""
        return f"{self.name}: a {KINDS[self.kind]}"


def pages_of(types: Types, kind: str) -> list[Page]:
    """A page for each plug-in of a kind, by name."""
    return [_page(kind, name, found) for name, found in sorted(getattr(types, kind).items())]


def _page(kind: str, name: str, found: Any) -> Page:
    beside = ""
    if kind in _COMMON:
        whose, model = _COMMON[kind]
        beside = f"Beside it stand the keys that {whose} may have: {', '.join(fields_of(model))}."
    return Page(
        kind=kind,
        name=name,
        text=inspect.cleandoc(found.module.__doc__ or ""),
        flags=[sentence for flag, sentence in _FLAGS.items() if getattr(found, flag, False)],
        options=list(rows_of(found.options)),
        samples=[(it.name, it.dimension.value, it.meaning) for it in getattr(found, "samples", {}).values()],
        beside=beside,
        example=inspect.cleandoc(getattr(found.module, "EXAMPLE", "")),
    )


# ---- for the documentation ------------------------------------------------------------------------------------------


def markdown(page: Page) -> str:
    """The page in Markdown."""
    parts = [f"# {page.title}", page.text, *page.flags, "## Options", options_table(page.options)]
    if page.beside:
        parts.append(page.beside.replace("the keys", "[the keys](../rules-file.md)", 1))
    if page.samples:
        head = ("sample", "unit", "meaning")
        parts += ["## Samples", table(head, [(f"`{name}`", unit, meaning) for name, unit, meaning in page.samples])]
    if page.example:
        parts += ["## Example", f"```yaml\n{page.example}\n```"]
    return "\n\n".join(parts) + "\n"


def options_table(rows: Sequence[Row]) -> str:
    """Keys, what they take and what they are without being written."""
    if not rows:
        return "It has none: write `{}`."
    cells = [
        (
            f"`{row.name}`",
            row.takes,
            "required" if row.is_required else f"`{row.default}`" * bool(row.default),
            row.meaning,
        )
        for row in rows
    ]
    return table(("key", "takes", "default", "meaning"), cells)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |" for line in lines
    )


# ---- for the terminal -----------------------------------------------------------------------------------------------


def plain(page: Page, width: int) -> str:
    """The page in plain text, no line wider than asked where words allow."""
    lines = [page.title, "", page.text, ""]
    if page.flags:
        lines += [*page.flags, ""]
    lines += ["options", *(_option_lines(page.options, width) if page.options else ["  none: write {}"]), ""]
    if page.beside:
        lines += [*textwrap.wrap(page.beside, width), ""]
    if page.samples:
        lines += ["samples", *_item_lines([(name, unit, meaning) for name, unit, meaning in page.samples], width), ""]
    if page.example:
        lines += ["example", textwrap.indent(page.example, "  "), ""]
    return "\n".join(lines)


def _option_lines(rows: Sequence[Row], width: int) -> Iterator[str]:
    return _item_lines([(row.name, _takes(row), row.meaning) for row in rows], width)


def _takes(row: Row) -> str:
    if row.is_required:
        return f"{row.takes}, required"
    return f"{row.takes}, default {row.default}" if row.default else row.takes


def _item_lines(items: Sequence[tuple[str, str, str]], width: int) -> Iterator[str]:
    for name, takes, meaning in items:
        yield f"  {name}  ({takes})"
        indent = " " * 6
        yield from textwrap.wrap(
            meaning,
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
