"""A demo as a child of the test, as a newcomer starts it, and what is left of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).parent.parent.parent


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo.conductor", *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    )


def left_of(folder: Path) -> list[str]:
    """What is left of a demo: files in its temporary folder, processes that speak of it."""
    lines = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line:
            lines.append(line)
    return [*lines, *(str(path) for path in folder.iterdir())]


def lines_until(demo: subprocess.Popen[str], wanted: str) -> Iterator[str]:
    assert demo.stdout is not None
    for line in demo.stdout:
        yield line
        if wanted in line:
            return
