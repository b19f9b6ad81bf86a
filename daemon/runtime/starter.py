"""Asks a process of its own, the launcher, to start commands, and hears from it how they began and ended.

Each loop that runs a command has one, begun with its first command. The loop alone holds it, by the reader of its
socket: who closes the loop ends it, and with it whatever it started. If it is lost before that, every command under way
is lost with it. If it does not answer it is left to what it has started, and killed once that is nothing. Either way
the next command begins another, and what was not begun yet is handed back to be asked of that.
"""

import asyncio
import contextlib
import os
import signal
import weakref
from collections.abc import Collection, Iterator

from daemon.logs import log
from daemon.runtime.groups import Standing, standing_of
from daemon.runtime.launcher_process import LauncherProcess
from daemon.runtime.request import Request
from daemon.runtime.threads import MOST, caller

_AT_ONCE = 16  # requests without an answer; more would only fill the socket, and the kernel bounds what is in flight
_LOOK = 1.0  # seconds between two looks whether it answers; several, so that a pause of heald's own counts as one
_PATIENCE = 5  # looks without a word until it does not answer
_STAGES = ("fork", "chdir", "exec")
_WORDS = frozenset(("pid", "end", *_STAGES))

_starters: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Starter]]" = weakref.WeakKeyDictionary()


class Command:
    """What is told of one command that was asked for."""

    def __init__(self, starter: "Starter", *, status: int, request: Request) -> None:
        self.starter = starter
        self.ended = asyncio.Event()  # nothing more will be told
        self.lost: str | None = None  # why its end is not known
        self.is_handed_back = False  # lost before it was begun: another launcher may be asked for it
        self.is_killed = False  # lost with its launcher: what it had started may be left
        self.caller = caller.get()
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

    def withdraw(self) -> bool:
        """Nobody wants it any more: true if it will never be begun; one that was just taken is killed at its birth."""
        self._is_unwanted = True
        return self._request.withdraw()

    def hand_back(self, why: str) -> bool:
        """Its launcher will not begin it; false if that may have taken it."""
        self.is_handed_back = self._request.withdraw()
        if self.is_handed_back:
            self.lose(why)
        return self.is_handed_back

    def lose(self, why: str, *, is_killed: bool = False) -> None:
        """Nothing more can be told of it."""
        self.lost, self.is_killed = why, is_killed
        self._end()

    def close(self) -> None:
        """Hear no more; the loop may be closed already."""
        if self._status >= 0:
            self._loop.remove_reader(self._status)
            os.close(self._status)
            self._status = -1
        self._request.close()

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
        self._request.close()
        self.starter.answered(self)
        if self.exit_code is not None or "fork" in self._told:
            self._end()
        elif self._is_unwanted and self.pid is not None:
            with contextlib.suppress(OSError):  # it has just ended, or changed its user and is not ours to end
                os.killpg(self.pid, signal.SIGKILL)

    def _end(self) -> None:
        self.close()
        self.ended.set()
        self.starter.forget(self)


class Starter:
    """One launcher, and what was asked of it."""

    def __init__(self, *, is_first: bool) -> None:
        self._launcher = LauncherProcess()
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._unanswered: set[Command] = set()
        self._under_way: set[Command] = set()
        self._stuck: set[Command] = set()  # killed, and not ended
        self._over: set[Command] = set()  # whose process had ended at the last look, unknown to the launcher
        self._is_news = is_first  # that it is lost: one of many that never answered is not, as each command says it
        self._retired: str | None = None  # why it is not asked any more
        self._silent = 0  # looks since its last word
        self._watch: asyncio.TimerHandle | None = None  # while an answer is due
        # The loop alone has this object, and drops it when it is closed, even while an error still has us in a frame.
        held = _Held()
        self._finish = weakref.finalize(held, _finish, self._launcher, self._under_way)
        self._loop.add_reader(self._launcher.control, self._hang_up, held)

    @property
    def is_of_use(self) -> bool:
        """Whether it may be asked for more."""
        return self._finish.alive and self._retired is None

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

    def ask(self, content: bytes, stdout: int, stderr: int) -> Command:
        """Send a request. The write ends are still the caller's to close."""
        self._refuse_if_many_are_stuck()
        with contextlib.ExitStack() as undo:
            request = Request(content)
            undo.callback(request.close)
            reading, status = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            undo.callback(os.close, reading)
            undo.callback(os.close, status)
            command = Command(self, status=reading, request=request)
            undo.callback(self._loop.remove_reader, reading)
            is_there = True
            try:
                self._launcher.ask(status, stdout, stderr, request.file)
            except BrokenPipeError:  # it has just died
                is_there = False
            undo.pop_all()
        os.close(status)
        self._unanswered.add(command)
        self._under_way.add(command)
        if not is_there:  # sooner than by its reader
            self.give_up("ended")
        elif self._watch is None:
            self._silent = 0
            self._watch = self._loop.call_later(_LOOK, self._look)
        return command

    def answered(self, command: Command) -> None:
        """There was a word of it: its request is no longer in the socket."""
        self._silent = 0
        self._is_news = True
        if command in self._unanswered:
            self._unanswered.discard(command)
            self._slots.release()

    def forget(self, command: Command) -> None:
        """It is over."""
        if command in self._unanswered:
            self._unanswered.discard(command)
            self._slots.release()
        self._under_way.discard(command)
        self._stuck.discard(command)
        if self._retired is not None and not self._under_way:
            self._launcher.kill()

    def count_stuck(self, command: Command) -> None:
        """It was killed, and has not ended: it waits for what does not answer, and holds its process until then."""
        if command in self._under_way:
            self._stuck.add(command)

    def _refuse_if_many_are_stuck(self) -> None:
        name = caller.get()
        if name is not None and sum(command.caller == name for command in self._stuck) >= MOST:
            raise OSError(f"{MOST} of its earlier commands were killed and have not ended yet")

    def give_up(self, why: str) -> None:
        """End it, and with it what it started."""
        if not self._finish.alive:
            return
        for command in self._under_way:
            command.withdraw()  # before its request is closed
        self._loop.remove_reader(self._launcher.control)  # which may let go of `held`, and so finish it
        self._finish()
        if self._watch is not None:
            self._watch.cancel()
        if self._retired is None:
            self._say(why, self._launcher.ending)
        what = f"the process that starts commands {self._retired or why} ({self._launcher.ending})"
        for command in tuple(self._under_way):
            if not command.hand_back(what):
                command.lose(f"{what}, and what it had started died with it", is_killed=True)

    def _look(self) -> None:
        """See whether it answers; and once it is left, whether what it has started goes on."""
        self._watch = None
        if self._retired is not None:
            self._look_after()
        elif self._unanswered:
            self._silent += 1
            if self._silent >= _PATIENCE:
                self._leave(f"did not answer for {_PATIENCE * _LOOK:.3g}s")
        if self._unanswered or (self._retired is not None and self._under_way):
            self._watch = self._loop.call_later(_LOOK, self._look)

    def _leave(self, why: str) -> None:
        """Ask it for no more: the next one does what it has not begun, and it is killed once it is of no use."""
        self._retired = why
        self._say(why, "stopped or busy")
        for command in tuple(self._unanswered):
            command.hand_back(f"the process that starts commands {why}")
        self._slots.release()  # one who waited for a slot sees that it is in vain, and lets the next one see it
        if not any(command.pid for command in self._under_way):  # else it may be an hour's backup
            self._launcher.kill()

    def _look_after(self) -> None:
        """Let go of commands that have ended without its word: it would have had it since the last look."""
        before = self._over
        self._over = {it for it in self._under_way if it.pid and standing_of(it.pid) is Standing.OVER}
        for command in before & self._over:
            command.lose(f"it ended, and the process that starts commands, which {self._retired}, did not say how")

    def _say(self, why: str, how: str) -> None:
        if self._is_news:
            said = f"The process that starts commands {why} ({how}): the next command begins another."
            log.warning("launcher_lost", said, pid=self._launcher.pid)

    def _hang_up(self, _: "_Held") -> None:
        self.give_up("ended")


class _Held:
    """Something to hold on to."""


def _finish(launcher: LauncherProcess, under_way: Collection[Command]) -> None:
    launcher.end()
    for command in under_way:
        command.close()


async def ready() -> Starter:
    """The starter of this loop, with a slot for one request."""
    loop = asyncio.get_running_loop()
    while True:
        held = _starters.get(loop)
        starter = held() if held is not None else None
        if starter is None or not starter.is_of_use:
            starter = _begin(is_first=held is None)
            _starters[loop] = weakref.ref(starter)
        if await starter.has_slot():
            return starter


def _begin(*, is_first: bool) -> Starter:
    try:
        return Starter(is_first=is_first)
    except OSError as error:  # said so that it is not taken for the command's own
        why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        raise OSError(f"the process that starts commands cannot be started: {why}") from error
