"""Asks a process of its own, the launcher, to start commands, and hears from it how they began and ended.

Each loop that runs a command has one, begun with its first command. The loop alone holds it, by the reader of its
socket: who closes the loop ends it, and with it whatever it started. If it is lost before that, every command under way
is lost with it, and the next command begins another.
"""

import array
import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_AT_ONCE = 16  # requests without an answer; more would only fill the socket, and the kernel bounds what is in flight
_LAST_WORDS = 2000  # bytes at the end of its stderr that may hold its last line
_STAGES = ("fork", "chdir", "exec")
_WORDS = frozenset(("pid", "end", *_STAGES))

_starters: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Starter]]" = weakref.WeakKeyDictionary()


class Command:
    """What is told of one command that was asked for."""

    def __init__(self, starter: "Starter", *, status: int, request: int) -> None:
        self.starter = starter
        self.ended = asyncio.Event()  # nothing more will be told
        self.lost: str | None = None  # why its end is not known
        self._told: dict[str, int] = {}
        self._rest = b""
        self._status = status
        self._request = request
        self._is_unwanted = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(status, self._hear)

    @property
    def pid(self) -> int | None:
        """Of the process and its group, once both are there."""
        return self._told.get("pid")

    @property
    def exit_code(self) -> int | None:
        """What it ended with, or minus the signal that killed it."""
        return self._told.get("end")

    @property
    def failure(self) -> tuple[str, int] | None:
        """The stage that kept it from beginning and the errno of that, if one did."""
        return next(((stage, self._told[stage]) for stage in _STAGES if stage in self._told), None)

    def withdraw(self) -> None:
        """Nobody wants it any more: what was not read yet is not begun, and what was is killed at its birth."""
        self._is_unwanted = True
        if self._request >= 0:
            os.ftruncate(self._request, 0)

    def lose(self, why: str) -> None:
        """Nothing more can be told of it."""
        self.lost = why
        self._end()

    def close(self) -> None:
        """Hear no more; the loop may be closed already."""
        if self._status >= 0:
            self._loop.remove_reader(self._status)
            os.close(self._status)
            self._status = -1
        self._let_go_of_request()

    def _hear(self) -> None:
        piece = os.read(self._status, 512)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            word, _, number = line.decode(errors="replace").partition(" ")
            if word not in _WORDS or not number.removeprefix("-").isdecimal():
                self.starter.give_up(f"said {line[:80]!r}, which means nothing")
                return
            self._told[word] = int(number)
        if not piece:
            self.starter.give_up("ended without an answer")
            return
        self._let_go_of_request()
        self.starter.answered(self)
        if self.exit_code is not None or "fork" in self._told:
            self._end()
        elif self._is_unwanted and self.pid is not None:
            with contextlib.suppress(OSError):  # it has just ended, or changed its user and is not ours to end
                os.killpg(self.pid, signal.SIGKILL)

    def _let_go_of_request(self) -> None:
        if self._request >= 0:
            os.close(self._request)
            self._request = -1

    def _end(self) -> None:
        self.close()
        self.ended.set()
        self.starter.forget(self)


class Starter:
    """One launcher, and what was asked of it."""

    def __init__(self) -> None:
        self._launcher = _Launcher()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._unanswered: set[Command] = set()
        self._under_way: set[Command] = set()
        self._is_retired = False
        # The loop alone has this object, and drops it when it is closed, even while an error still has us in a frame.
        held = _Held()
        self._finish = weakref.finalize(held, _finish, self._launcher, self._under_way)
        asyncio.get_running_loop().add_reader(self._launcher.control, self._hang_up, held)

    @property
    def is_of_use(self) -> bool:
        """Whether it may be asked for more."""
        return self._finish.alive and not self._is_retired

    async def has_slot(self) -> bool:
        """Wait until one more request may be sent; false if it may not be asked any more by then."""
        await self._slots.acquire()
        if not self.is_of_use:
            self._slots.release()
        return self.is_of_use

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Ask in here, in the slot that was waited for: it is another's if that fails."""
        try:
            yield
        except BaseException:
            self._slots.release()
            raise

    def ask(self, request: bytes, stdout: int, stderr: int) -> Command:
        """Send a request. The write ends are still the caller's to close."""
        with contextlib.ExitStack() as undo:
            file = os.memfd_create("command")  # a message has a bound, the file has none
            undo.callback(os.close, file)
            if os.write(file, request) < len(request):  # a limit on files (setrlimit) holds for those in memory too
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            reading, status = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            undo.callback(os.close, reading)
            undo.callback(os.close, status)
            command = Command(self, status=reading, request=file)
            undo.callback(asyncio.get_running_loop().remove_reader, reading)
            descriptors = array.array("i", (status, stdout, stderr, file))
            try:
                self._launcher.control.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            except BrokenPipeError as error:  # sooner than by its reader, so that the next command begins another
                self.give_up("ended")
                raise OSError(f"the process that starts commands has just ended ({self._launcher.ending})") from error
            undo.pop_all()
        os.close(status)
        self._unanswered.add(command)
        self._under_way.add(command)
        return command

    def answered(self, command: Command) -> None:
        """Its request is no longer in the socket."""
        if command in self._unanswered:
            self._unanswered.discard(command)
            self._slots.release()

    def forget(self, command: Command) -> None:
        """It is over."""
        self.answered(command)
        self._under_way.discard(command)
        if self._is_retired and not self._under_way:
            self.give_up("is not needed any more")

    def retire(self) -> None:
        """It does not answer: what it has started may go on, and the next command begins another."""
        self._is_retired = True
        self._slots.release()  # one who waited for a slot sees that it is in vain, and lets the next one see it

    def give_up(self, why: str) -> None:
        """End it, and with it what it started."""
        if not self._finish.alive:
            return
        asyncio.get_running_loop().remove_reader(self._launcher.control)
        self._finish()
        how = self._launcher.ending
        for command in tuple(self._under_way):
            command.lose(f"the process that starts commands {why} ({how}), and what it had started died with it")

    def _hang_up(self, _: "_Held") -> None:
        self.give_up("ended")


class _Held:
    """Something to hold on to."""


def _finish(launcher: "_Launcher", under_way: Collection[Command]) -> None:
    launcher.end()
    for command in under_way:
        command.close()


class _Launcher:
    """The process, our end of its socket, and what it says on stderr."""

    def __init__(self) -> None:
        self.ending = ""  # how it ended, and its last line if it said any
        with contextlib.ExitStack() as undo:
            self._stderr = os.memfd_create("launcher")
            undo.callback(os.close, self._stderr)
            self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self.control.close)
            self.control.setblocking(False)
            libraries = {name: value for name, value in os.environ.items() if name.startswith("LD_")}  # where they are
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
                    [sys.executable, "-I", "-S", _LAUNCHER, str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._stderr,
                    env=libraries,
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                )
            self._close = undo.pop_all().close

    def end(self) -> None:
        """Kill it, if it has not ended, and reap it: it does nothing that could hold that off."""
        self._process.kill()
        code = self._process.wait()
        said = os.pread(self._stderr, _LAST_WORDS, max(0, os.fstat(self._stderr).st_size - _LAST_WORDS))
        self._close()
        how = f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        self.ending = f"{how}: {last[:300]}" if last else how


async def ready() -> Starter:
    """The starter of this loop, with a slot for one request."""
    loop = asyncio.get_running_loop()
    while True:
        held = _starters.get(loop)
        starter = held() if held is not None else None
        if starter is None or not starter.is_of_use:
            starter = _begin()
            _starters[loop] = weakref.ref(starter)
        if await starter.has_slot():
            return starter


def _begin() -> Starter:
    try:
        return Starter()
    except OSError as error:  # said so that it is not taken for the command's own
        why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        raise OSError(f"the process that starts commands cannot be started: {why}") from error


def encode(argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> bytes:
    """What the launcher reads of a command.

    Raises:
        ValueError: a NUL or a lone surrogate in it, or a variable's name that none can have.
    """
    if any(not name or "=" in name for name in env):
        raise ValueError("illegal environment variable name")
    words = [cwd or "", str(len(argv)), *argv, *[f"{name}={value}" for name, value in env.items()]]
    text = "\0".join(words)
    if text.count("\0") != len(words) - 1:
        raise ValueError("embedded null byte")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # which has all of the text in it, secrets too
        raise ValueError("embedded lone surrogate") from None
