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
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from daemon.protocols import Completed

WITHHELD = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY", "MAINPID", "INVOCATION_ID")
"""What no command gets: beginnings of names of variables by which systemd talks to heald alone."""

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
_DRAIN = 0.25  # seconds after its end in which a command's output may still arrive; a grandchild may hold the pipe
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
        FileNotFoundError, PermissionError, OSError: it could not be started.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    transport, ends, started = await _spawn(argv, env=_environment(env, withhold), cwd=cwd, output_limit=output_limit)
    try:
        said = await _end(transport.get_pid(), ends, started, timeout=timeout, grace=grace)
        seconds = loop.time() - began
        await ends.drain(_DRAIN if said is not None else min(_DRAIN, grace))
        if said is not None:
            _raise_unless_started(said, argv, cwd, ends)
    finally:
        started.cancel()
        transport.close()
    return _completed(argv, transport.get_returncode(), ends, timed_out=said is None, seconds=seconds)


async def _end(pid: int, ends: "_Ends", started: "asyncio.Future[str]", *, timeout: float, grace: float) -> str | None:
    """Wait for the end, or bring it about; what the launcher said, or None if it was a time-out."""
    try:
        async with asyncio.timeout(timeout):
            said = await started
            await ends.exited.wait()
    except TimeoutError:
        await _end_group(pid, ends, grace)
        return None
    except asyncio.CancelledError:
        await _end_group(pid, ends, grace)
        raise
    return said


def _completed(argv: Sequence[str], code: int | None, ends: "_Ends", *, timed_out: bool, seconds: float) -> Completed:
    return Completed(
        argv=tuple(argv),
        exit_code=None if timed_out or code is None or code < 0 else code,
        signal=-code if code is not None and code < 0 else None,
        stdout=ends.kept[1].text(),
        stderr=ends.kept[2].text(),
        timed_out=timed_out,
        seconds=seconds,
    )


def _environment(env: Mapping[str, str] | None, withhold: Collection[str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in withhold}
    return {name: value for name, value in ours.items() if not name.startswith(WITHHELD)} | dict(env or {})


async def _spawn(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: str | None, output_limit: int
) -> tuple[asyncio.SubprocessTransport, "_Ends", "asyncio.Future[str]"]:
    """Start the launcher. The future is all it said on its status pipe, once it has become the command or failed."""
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        transport, protocol = await loop.subprocess_exec(
            lambda: _Ends(output_limit),
            *(sys.executable, "-I", "-S", _LAUNCHER, str(writing), str(os.getpid()), cwd or "", *argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
            start_new_session=True,
            pass_fds=(writing,),
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return transport, protocol, _status(reading)


def _status(reading: int) -> "asyncio.Future[str]":
    """All of the status pipe; it is closed when the future is done, be it by cancellation."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()
    said = bytearray()

    def arrived() -> None:
        piece = os.read(reading, 64)
        said.extend(piece)
        if not piece and not future.done():
            future.set_result(said.decode())

    def done(_: object) -> None:
        loop.remove_reader(reading)
        os.close(reading)

    loop.add_reader(reading, arrived)
    future.add_done_callback(done)
    return future


def _raise_unless_started(said: str, argv: Sequence[str], cwd: str | None, ends: "_Ends") -> None:
    """Raise what kept the launcher from becoming the command."""
    *stages, last = said.split(" ")
    if not stages:
        why = ends.kept[2].text().strip().rpartition("\n")[2]
        raise OSError(f"cannot run {argv[0]}: the launcher failed before it: {why[:300]}")
    if last:
        raise OSError(int(last), os.strerror(int(last)), cwd if stages[-1] == "chdir" else argv[0])


async def _end_group(pid: int, ends: "_Ends", grace: float) -> None:
    """End the process group `pid`: SIGTERM, after `grace` seconds SIGKILL; at once if we are cancelled meanwhile."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace
    is_there = _signal_group(pid, signal.SIGTERM)
    _signal_group(pid, signal.SIGCONT)  # a stopped process would never hear of it
    pause = _FIRST_POLL
    try:
        while is_there and loop.time() < deadline:
            await asyncio.sleep(min(pause, max(0.0, deadline - loop.time())))
            pause = min(2 * pause, _POLL)
            is_there = _signal_group(pid, 0) and not (ends.exited.is_set() and _is_dead(pid))
    finally:
        if is_there:
            _signal_group(pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(_REAP):
            await ends.exited.wait()
    except TimeoutError:
        return  # it cannot be killed now; SIGKILL is pending, and the record says that it was ended


def _signal_group(pid: int, number: int) -> bool:
    """Send a signal to a process group; false if it is gone."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # only members that changed their user are left: they are there, and not ours to end
    return True


def _is_dead(group: int) -> bool:
    """Whether all that is left of a process group are zombies, which a lazy PID 1 (in a container) may never reap."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()  # state, parent, group, ...
        except OSError:  # it has ended meanwhile, or is not ours to see
            continue
        if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
            return False
    return True


class _Ends(asyncio.SubprocessProtocol):
    """Hears of a command's output and end. asyncio's own `Process.wait` may wait for pipes that a grandchild holds."""

    def __init__(self, output_limit: int) -> None:
        self.kept = {1: _Kept(output_limit), 2: _Kept(output_limit)}
        self.exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._open = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.kept[fd].add(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self._closed.set()

    def process_exited(self) -> None:
        self.exited.set()

    async def drain(self, within: float) -> None:
        """Wait for the end of the output, but not for one who holds the pipe."""
        try:
            async with asyncio.timeout(within):
                await self._closed.wait()
        except TimeoutError:
            return


class _Kept:
    """The beginning and the end of a stream of any length."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0  # bytes left out between the two

    def add(self, data: bytes) -> None:
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._tail_limit:  # not at every piece: trimming moves what is kept
            self._trim()

    def _trim(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_limit)
        del self._tail[:surplus]
        self._cut += surplus

    def text(self) -> str:
        """As UTF-8, with U+FFFD for what is not; NUL is shown as U+2400, since neither SQL nor C likes it in text."""
        self._trim()
        if not self._cut:
            return _decode(self._head + self._tail)
        return f"{_decode(self._head)}\n[... {self._cut} bytes left out ...]\n{_decode(self._tail)}"


def _decode(data: bytes | bytearray) -> str:
    return data.decode(errors="replace").replace("\0", "\u2400")
