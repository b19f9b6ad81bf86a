"""Tables and moments for people: drawn on a terminal, plain aligned columns where the output is read by a program."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from daemon.model.units import format_duration

GOOD, WORRYING, BAD = "green", "yellow", "red"
COLOURS = {
    "up": GOOD,
    "ok": GOOD,
    "CLEAR": GOOD,
    "succeeded": GOOD,
    "effective": GOOD,
    "resolved": GOOD,
    "blind": WORRYING,
    "waiting": WORRYING,
    "UNKNOWN": WORRYING,
    "recovering": WORRYING,
    "warning": WORRYING,
    "unknown": WORRYING,
    "unverified": WORRYING,
    "down": BAD,
    "firing": BAD,
    "BREACHED": BAD,
    "critical": BAD,
    "failed": BAD,
    "ineffective": BAD,
}
"""By word; any other stands in the terminal's own colour."""
_LONGEST_WORD = 40  # characters of an id or a name that is not broken
_LEAST_TEXT = 8  # characters of a line of text
_GAP = 3  # characters between two columns


def clean(text: str) -> str:
    """Text from elsewhere (a target's answer, a command's output) on one line, without what steers a terminal."""
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "\ufffd" for sign in text)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout; its last column may be long."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, cleaned)
        return
    lines = [[column.upper() for column in columns], *cleaned]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    console, least = Console(file=sys.stdout), 0
    for place, column in enumerate(columns):
        cells = [row[place] for row in rows]
        longest = max(map(len, [column, *cells]))
        is_word = longest <= _LONGEST_WORD and not any(" " in cell for cell in cells)  # an id is copied: never in two
        table.add_column(column, overflow="fold", no_wrap=is_word)
        least += _GAP + (longest if is_word else min(longest, _LEAST_TEXT))
    for row in rows:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))  # Text: no markup from elsewhere
    console.width = max(console.width, least)  # a terminal that is narrower breaks lines so that they are copied whole
    console.print(table)


def counted(count: int, word: str) -> str:
    """`1 check`, `2 checks`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def coloured(word: str) -> str:
    """A word in its colour; click leaves the colour out where the output is no terminal."""
    return click.style(clean(word), fg=COLOURS.get(word))


def ago(at: str | None, now: datetime | None = None) -> str:
    """A moment of the wire as how long ago it was, in its two largest units; `never` for none."""
    if at is None:
        return "never"
    try:
        seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(at)).total_seconds()
    except ValueError:
        return clean(at)
    if seconds < 0:
        return "in the future by its clock"
    coarse = seconds // 3600 * 3600 if seconds >= 86400 else seconds // 60 * 60 if seconds >= 3600 else seconds // 1
    return f"{format_duration(coarse)} ago"


def since(at: str | None) -> str:
    """A moment of the wire to the second, and how long ago it was."""
    return f"{at[:19].replace('T', ' ')}Z ({ago(at)})" if at else "never"
