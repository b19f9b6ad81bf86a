"""Virtual time: an asyncio loop whose clock jumps to the next timer as soon as nobody is at work.

A day of operation takes as long as its work takes, and every run falls on the very same instants. Real sockets and
real threads work in it: time stands still while I/O is ready, while `run_in_executor` or `to_thread` is under way, and
while something registered with `busy_when` says so. Whatever else happens outside (a server in another process, a
thread of one's own) is not seen: register it, or use a real loop.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any, TypeVar, TypeVarTuple

from daemon.model.moment import Stamp

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BOOTTIME = 100_000.0  # steady seconds at the start: a host that has been up for a day, so no boot grace
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday noon, far from every change of the clocks
_WORK_POLL = 0.01  # real seconds between looks at who is at work; a thread that ends wakes the loop by itself
_PATIENCE = 10.0  # real seconds to wait for the world outside where no timer is set; then it is called a deadlock
Events = list[tuple[selectors.SelectorKey, int]]


class _JumpingSelector(selectors.DefaultSelector):
    """Waits as the real one while somebody is at work; otherwise moves the loop's time and returns at once."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> Events:
        """Events that are ready. None of them: time has moved by `timeout`, or work under way was waited for."""
        if timeout is not None and timeout <= 0:
            # Callbacks wait. The loop's own wake-up pipe, always registered, tells nothing that they do not know.
            return super().select(0) if len(self.get_map()) > 1 else []
        events = super().select(0)
        if events:
            return events
        if self.loop.is_busy:
            return super().select(_WORK_POLL)
        if timeout is None:
            events = super().select(_PATIENCE)
            if not events:
                raise RuntimeError("virtual time stands still: nobody is at work and no timer is set")
            return events
        self.loop.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time; `boottime` is what its clock starts at, in seconds."""

    def __init__(self, *, boottime: float = BOOTTIME) -> None:
        self._virtual_now = boottime
        self._in_threads = 0
        self._busy: list[Callable[[], bool]] = []
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Let time pass at once. Inside a callback: as if that callback had blocked the loop for so long."""
        # The sum may miss the next timer by a rounding error, which would give instants such as 29.999999999985.
        when: float = self._scheduled[0]._when if self._scheduled else 0.0  # type: ignore[attr-defined]  # not in typeshed, the same since Python 3.4
        then = self._virtual_now + seconds
        self._virtual_now = when if abs(when - then) < 1e-9 else then

    def busy_when(self, is_busy: Callable[[], bool]) -> None:
        """Let time stand still whenever `is_busy` says that something outside the loop is at work."""
        self._busy.append(is_busy)

    @property
    def is_busy(self) -> bool:
        """Whether something outside the loop is at work."""
        return self._in_threads > 0 or any(is_busy() for is_busy in self._busy)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As asyncio has it; time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1


class VirtualClock:
    """heald's clock on a virtual loop. The wall clock, the boot and the synchronised flag are the test's to set."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, start: datetime = START, host: str = "node") -> None:
        self.synchronised = True
        self._loop = loop
        self._host = host
        self._boot = 1
        self._booted = 0.0  # the loop's time at which the steady clock was 0
        self._epoch = start.timestamp() - loop.time()  # what the wall clock is ahead of the loop's time

    def steady(self) -> float:
        """Seconds since boot."""
        return self._loop.time() - self._booted

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        return datetime.fromtimestamp(self._epoch + self._loop.time(), UTC)

    def stamp(self) -> Stamp:
        """This moment as rows keep it."""
        now = self._loop.time()
        return Stamp(
            wall=self._epoch + now,
            boot=f"boot-{self._boot}",
            boottime=now - self._booted,
            host=self._host,
            synchronised=self.synchronised,
        )

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back if negative; the steady clock knows nothing of it."""
        self._epoch += seconds

    def reboot(self) -> None:
        """A new boot id, and the steady clock starts at 0; the wall clock goes on."""
        self._boot += 1
        self._booted = self._loop.time()


async def pass_time(seconds: float) -> None:
    """Let so much virtual time pass: what sleeping is to a real loop, where this refuses to work.

    Raises:
        RuntimeError: the running loop is a real one.
    """
    if not isinstance(asyncio.get_running_loop(), VirtualLoop):
        raise RuntimeError("only virtual time can be passed; this loop is a real one")
    await asyncio.sleep(seconds)


def run_virtual(
    scenario: Callable[[VirtualClock], Coroutine[Any, Any, T]], *, start: datetime = START, lasts: float = 7 * 86400.0
) -> T:
    """What `scenario` returns, run on a virtual loop of its own.

    Raises:
        TimeoutError: it had not ended after `lasts` virtual seconds, so that what would run for ever fails instead.
    """

    async def bounded() -> T:
        async with asyncio.timeout(lasts):
            return await scenario(VirtualClock(asyncio.get_running_loop(), start=start))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(bounded())
