"""A damaged state file: moved aside whole, and nothing is acted on until a person says so.

What it remembered is what limits are counted from. heald goes on without it only to watch.
"""

import os
from pathlib import Path

from daemon.model.pause import FILE, Pause, parse_pause
from daemon.protocols import Clock

_BY = "heald itself"


def move_aside(path: Path, why: str, clock: Clock) -> str:
    """Pause all acting, then rename the file and its log; returns what was done, in a sentence.

    In this order, so that whatever crashes in between leaves heald paused. The log goes before the file: SQLite would
    read what is left of it into the new one. Nothing is deleted.

    Raises:
        OSError: it could not be done; what was done so far can be done again.
    """
    at = clock.now()
    aside = path.with_name(f"{path.name}.damaged-{at:%Y%m%dT%H%M%SZ}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{at:%Y%m%dT%H%M%SZ}-{number}")
    sentence = f"{why}; it was moved aside to {aside}, and what was done before is not known any more"
    _pause(path.with_name(FILE), sentence, at.isoformat(timespec="seconds"))
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        log.rename(aside.with_name(f"{aside.name}-wal"))
    path.rename(aside)
    _sync(path.parent)
    return sentence


def _pause(file: Path, sentence: str, at: str) -> None:
    """Write the kill switch; what it said before is kept in it."""
    try:
        before = parse_pause(file.read_text(errors="replace"))
    except FileNotFoundError:
        why = sentence
    else:
        why = before.why if sentence in before.why else f"{sentence} (paused before that by {before.who}: {before.why})"
    unfinished = file.with_name(f"{file.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as text:
        text.write(Pause(why=why, who=_BY, at=at).text())
        text.flush()
        os.fsync(text.fileno())
    unfinished.replace(file)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
