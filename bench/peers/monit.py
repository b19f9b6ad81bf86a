"""Monit: one process, a serial loop."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers.plan import Plan
from bench.peers.processes import alive, child

NAME = "Monit"
_HEAD = """\
set daemon {every:.0f}
set log {folder}/monit.log
set pidfile {folder}/pid
set idfile {folder}/id
set statefile {folder}/state
"""
_HTTP = ' protocol http request "/"'


def config(plan: Plan, folder: Path) -> str:
    """Its control file: each check with the one rule that it can have."""
    protocol = _HTTP if plan.kind == "http" else ""
    return _HEAD.format(every=plan.every, folder=folder) + "".join(
        f"check host c{number} with address 127.0.0.1\n"
        f"  if failed port {plan.nginx.port_of(number)}{protocol} with timeout 5 seconds for 3 cycles then alert\n"
        for number in plan.numbers
    )


@contextlib.contextmanager
def start(plan: Plan, folder: Path) -> Iterator[Sequence[int]]:
    """Run it in the foreground."""
    control, log = folder / "monitrc", folder / "log"
    control.write_text(config(plan, folder))
    control.chmod(0o600)  # it refuses what others may read
    with child(["monit", "-I", "-c", control], log=log) as process:
        alive(process, log)
        yield [process.pid]
