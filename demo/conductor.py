"""`make demo` and `make demo-host`: break three real services, and show how heald finds and heals each fault.

Without `--once` everything goes on running after the last fault, to be broken by hand, until Ctrl-C. With it, the exit
code is 0 only if every fault ended as it should. Everything is in one temporary folder, and nothing is left.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.composed import Composed
from demo.engine import EngineError
from demo.faults import FAULTS, FAULTS_OF_CONTAINERS, Ending, Fault, discrepancies
from demo.stage import PROGRAMS, SERVICES, Stage, StageError, set_up
from demo.supervised import Supervised

FOLLOW_SECONDS = 0.1
COLOURS = {"error": "red", "warning": "yellow"}
PROGRAMMES: dict[type[Stage], tuple[Fault, ...]] = {Supervised: FAULTS, Composed: FAULTS_OF_CONTAINERS}
console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)


class Clock:
    """Seconds since the demo began, before every line."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the time."""
        console.print(f"[dim]{time.monotonic() - self._began:5.1f}s[/dim]  {text}", soft_wrap=True)


async def follow(log: Path, clock: Clock) -> NoReturn:
    """Show what heald says while it says it: its log, from now on."""
    with log.open() as lines:
        lines.seek(0, 2)
        rest = ""
        while True:
            rest += lines.read()
            *whole, rest = rest.split("\n")
            for line in whole:
                clock.say(_spoken(line).replace(f"{log.parent}/", ""))
            await asyncio.sleep(FOLLOW_SECONDS)


def _spoken(line: str) -> str:
    try:
        said = json.loads(line)
    except ValueError:
        return f"       [red]{escape(line)}[/red]"  # no line of the log: a traceback, say
    colour = COLOURS.get(said["level"], "cyan")
    return f"       [{colour}]heald[/{colour}] {escape(said['message'])}"


async def play(stage: Stage, faults: Sequence[Fault], clock: Clock) -> list[tuple[Fault, Ending]]:
    """One fault after the other, each on a stage where all is well again."""
    endings = []
    following = asyncio.create_task(follow(stage.log, clock))
    try:
        for number, fault in enumerate(faults, 1):
            clock.say(f"[bold]{number}/{len(faults)} {fault.title}[/bold] [dim]({fault.expected})[/dim]")
            ending = await fault.play(stage)
            endings.append((fault, ending))
            verdict = (
                "[green]as it should be[/green]"
                if not ending.wrong
                else f"[red]{escape('; '.join(ending.wrong))}[/red]"
            )
            clock.say(f"{number}/{len(faults)} {verdict}")
            await stage.until(lambda: _is_quiet(stage), "not all is well after the fault", 30)
    finally:
        following.cancel()
    return endings


async def _is_quiet(stage: Stage) -> bool:
    status = await stage.heald("status")
    return not status["under_way"] and not status["open_incidents"] and await stage.is_well()


def show(endings: list[tuple[Fault, Ending]], folder: Path) -> None:
    """The table: seconds since each fault, and heald's own words."""
    table = Table(title="seconds after the fault", title_justify="left", show_lines=True)
    for heading in ("fault", "detected", "acted", "healed", "starts", "what heald said", "well ended"):
        table.add_column(heading, justify="right" if heading in ("detected", "acted", "healed", "starts") else "left")
    for fault, ending in endings:
        table.add_row(
            fault.title,
            *(_seconds(value) for value in (ending.detected, ending.acted)),
            _seconds(ending.healed) + ("\nby people" if fault.restarts > 1 and ending.healed else ""),
            str(ending.restarts),
            escape(ending.said.replace(f"{folder}/", "")),
            "[green]yes[/green]" if not ending.wrong else f"[red]{escape(chr(10).join(ending.wrong))}[/red]",
        )
    console.print(table)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"


async def invite(stage: Stage, clock: Clock) -> None:
    """Say how to go on by hand, and show what heald says to it until Ctrl-C."""
    address = (await stage.heald("status"))["listen"]
    for line in (
        "everything goes on running; break it yourself, from another terminal, and end with Ctrl-C",
        "(the worker's limit is used up: if it breaks, heald leaves it to people)",
        *(f"  {command}" for command in stage.invitation()),
        f"  {PROGRAMS / 'heald'} incidents --all --state-dir {stage.state}",
        f"  curl http://{address}/metrics",
    ):
        console.print(line, soft_wrap=True, markup=False)
    await follow(stage.log, clock)


async def conduct(kind: type[Stage], *, once: bool) -> int:
    """Set the stage, play, show; the exit code."""
    clock = Clock()
    services = "[bold]store[/bold], [bold]api[/bold] (needs it), [bold]worker[/bold]"
    clock.say(f"starting {kind.runner} with {services}; then heald")
    async with set_up(kind) as stage:
        clock.say(f"all {len(SERVICES)} services are well and heald watches them, in {stage.folder}")
        endings = await play(stage, PROGRAMMES[kind], clock)
        wrong = await discrepancies(stage)
        show(endings, stage.folder)
        for sentence in wrong:
            console.print(f"[red]{escape(sentence)}[/red]")
        if not wrong:
            console.print("The services' own counts, heald's record and heald's metrics agree.")
        if not once:
            with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how it ends
                await invite(stage, clock)
    if not once:
        console.print("ended; nothing is left")
    return 1 if wrong or any(ending.wrong for _, ending in endings) else 0


async def main(kind: type[Stage], *, once: bool) -> int:
    """Conduct until the end or until somebody asks to stop; stop once, and in order."""
    conducting = asyncio.create_task(conduct(kind, once=once))
    loop = asyncio.get_running_loop()
    asked: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not asked:
            asked.append(number)
            conducting.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    try:
        return await conducting
    except asyncio.CancelledError:
        console.print("ended before the end; nothing is left")
        return 128 + asked[0]
    except (StageError, EngineError) as error:
        console.print(f"[red]the demo cannot go on: {escape(str(error))}[/red]")
        return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Break three real services and watch heald heal them.")
    parser.add_argument(
        "--once", action="store_true", help="end after the last fault; exit 0 if all ended as it should"
    )
    parser.add_argument(
        "--host", action="store_true", help="containers under a Docker engine of its own instead of processes"
    )
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(Composed if arguments.host else Supervised, once=arguments.once)))
