"""Runs one command: no shell, no stdin, a process group of its own, bounded output, and an end that is certain.

A command inherits heald's environment without what belongs to heald alone (`WITHHELD`, and what the caller withholds).
On a time-out or a cancellation its whole process group gets SIGTERM, and after a grace SIGKILL. If heald itself is
killed, the command dies with it (PR_SET_PDEATHSIG, `daemon.runtime.launcher`); what it started in turn dies where heald
runs under systemd, which ends the whole control group. What a command leaves behind in the background after its own
end lives on; it should have closed or redirected its output, because nobody reads it any more.
"""

import asyncio
import os
import signal
from collections.abc import Collection, Mapping, Sequence

from daemon.protocols import Completed
from daemon.runtime.groups import Standing, is_dead, signal_group, standing_of
from daemon.runtime.output import STDERR, STDOUT, Output
from daemon.runtime.request import encode
from daemon.runtime.starter import Command, ready

WITHHELD = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY", "MAINPID", "INVOCATION_ID")
"""What no command gets: beginnings of names of variables by which systemd talks to heald alone."""

GRACE = 2.0  # seconds between SIGTERM and SIGKILL
_DRAIN = 0.25  # seconds after its end in which a command's output may still arrive; a grandchild may hold the pipe
_LAUNCHERS = 2  # that are asked for one command, the second if the first is lost before it began it
_REAP = 5.0  # seconds after SIGKILL until we stop waiting: a process in an uninterruptible sleep dies when it can
_FIRST_POLL, _POLL = 0.01, 0.2  # seconds between looks at a process group that was asked to end, doubling


async def run_command(
    argv: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    output_limit: int = 65536,
    grace: float = GRACE,
    withhold: Collection[str] = (),
) -> Completed:
    """Run `argv` to its end, or for `timeout` seconds.

    `env` is added to heald's own environment, of which `withhold` names variables (secrets) that are left out.
    `output_limit` is the most bytes kept of each of stdout and stderr, half of it from the beginning and half from the
    end; all is read. `grace` is how many seconds lie between SIGTERM and SIGKILL.

    Raises:
        FileNotFoundError, PermissionError, OSError: it could not be started, or nobody knows how it ended.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    request = encode(argv, _environment(env, withhold), cwd)
    with Output(output_limit) as output:
        command, timed_out = await _by_a_launcher(request, output, timeout=timeout, grace=grace)
        seconds = loop.time() - began
        await output.drain(min(_DRAIN, grace) if timed_out else _DRAIN)
    if not timed_out:
        _raise_unless_run(command, argv, cwd)
    code = command.exit_code
    return Completed(
        argv=tuple(argv),
        exit_code=None if timed_out or code is None or code < 0 else code,
        signal=-code if code is not None and code < 0 else None,
        stdout=output.text(STDOUT),
        stderr=output.text(STDERR),
        timed_out=timed_out,
        seconds=seconds,
    )


async def _by_a_launcher(request: bytes, output: Output, *, timeout: float, grace: float) -> tuple[Command, bool]:
    """As `_to_its_end`, by another launcher where one is lost before it began it."""
    until = asyncio.get_running_loop().time() + timeout
    for _ in range(_LAUNCHERS):
        command, timed_out = await _to_its_end(request, output, until=until, timeout=timeout, grace=grace)
        if not command.is_handed_back:
            break
    return command, timed_out


async def _to_its_end(
    request: bytes, output: Output, *, until: float, timeout: float, grace: float
) -> tuple[Command, bool]:
    """Have it begun, and wait for its end or bring that about; true if it was for a time-out."""
    command: Command | None = None
    try:
        async with asyncio.timeout_at(until):
            starter = await ready()
            with starter.slot(), output.writing() as ends:
                command = starter.ask(request, *ends)
            await command.ended.wait()
    except TimeoutError:
        if command is not None and command.ended.is_set():  # in the same moment
            return command, False
        standing = Standing.NOT_YET if command is None else await _end(command, grace)
    except asyncio.CancelledError:
        if command is not None:
            await _end(command, grace)
        raise
    except GeneratorExit:  # we are closed by force, and may wait for nothing any more
        if command is not None:
            _kill(command)
        raise
    else:
        if command.is_killed and command.pid is not None:
            signal_group(command.pid, signal.SIGKILL)  # it was, with its launcher; this is for its children
        return command, False
    if command is None or standing is Standing.NOT_YET:  # says nothing of what the command is about, so is no time-out
        raise OSError(f"it was not begun within {timeout:.3g}s")
    if standing is Standing.OVER and not command.ended.is_set():  # nor does this
        raise OSError("it ended, and the process that starts commands did not say how")
    return command, standing is Standing.RUNS


def _environment(env: Mapping[str, str] | None, withhold: Collection[str]) -> dict[str, str]:
    ours = ((name, value) for name, value in os.environ.items() if name)  # what has none is for nobody, and refused
    kept = {name: value for name, value in ours if name not in withhold and not name.startswith(WITHHELD)}
    return kept | dict(env or {})


def _raise_unless_run(command: Command, argv: Sequence[str], cwd: str | None) -> None:
    """Raise what kept it from being run to its end."""
    if command.failure is not None:
        stage, number = command.failure
        raise OSError(number, os.strerror(number), cwd if stage == "chdir" else argv[0])
    if command.lost is not None:
        raise OSError(command.lost)
    if command.pid is None:
        raise OSError("it was ended before it began")


async def _end(command: Command, grace: float) -> Standing:
    """End its process group: SIGTERM, after `grace` seconds SIGKILL; at once if we are cancelled meanwhile.

    Returns how far it had come by itself.
    """
    if command.ended.is_set():
        return Standing.OVER  # what has its number now may be another's
    standing = Standing.NOT_YET if command.pid is None else standing_of(command.pid)
    if command.pid is None:
        if command.withdraw():
            return standing
    elif standing is not Standing.OVER:
        await _ask_to_end(command, command.pid, grace)
    try:
        async with asyncio.timeout(_REAP):
            await command.ended.wait()
    except TimeoutError:  # it cannot be killed now; SIGKILL is pending, and the record says that it was ended
        command.starter.count_stuck(command)
    return standing


def _kill(command: Command) -> None:
    if not command.ended.is_set():
        command.withdraw()
        if command.pid is not None:
            signal_group(command.pid, signal.SIGKILL)


async def _ask_to_end(command: Command, group: int, grace: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace
    is_there = signal_group(group, signal.SIGTERM)
    signal_group(group, signal.SIGCONT)  # a stopped process would never hear of it
    pause = _FIRST_POLL
    try:
        while is_there and loop.time() < deadline:
            await asyncio.sleep(min(pause, max(0.0, deadline - loop.time())))
            pause = min(2 * pause, _POLL)
            is_there = signal_group(group, 0) and not (command.ended.is_set() and is_dead(group))
    finally:
        if is_there:
            signal_group(group, signal.SIGKILL)
