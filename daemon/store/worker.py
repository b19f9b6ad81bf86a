"""One thread that does things in order, and answers on the loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from daemon.errors import StoreError

T = TypeVar("T")


class _Nowhere:
    """The loop of futures that are done before anybody sees them, where no loop runs."""

    def get_debug(self) -> bool:
        """What a future asks of its loop."""
        return False


class Worker:
    """Runs calls one after the other in a thread of its own; with `threaded=False` at once, in the caller.

    The thread is a daemon thread: a disk that never answers must not keep heald from ending.
    """

    def __init__(self, *, threaded: bool) -> None:
        self.pending = 0  # calls not answered yet; a virtual-time loop must not jump while there are any
        self._loop = asyncio.get_running_loop() if threaded else cast("asyncio.AbstractEventLoop", _Nowhere())
        self._is_stopped = False
        self._calls: SimpleQueue[tuple[Callable[[], Any], list[asyncio.Future[Any]]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="heald-store", daemon=True) if threaded else None
        if self._thread:
            self._thread.start()

    @property
    def has_thread(self) -> bool:
        """Whether anything is ever waited for."""
        return self._thread is not None

    def future(self) -> "asyncio.Future[Any]":
        """A future that `settle` will end."""
        return asyncio.Future(loop=self._loop)

    def call(self, work: Callable[[], T], *also: "asyncio.Future[T]") -> "asyncio.Future[T]":
        """Do `work` after all that was asked before. Never blocks, unless there is no thread.

        Futures given `also` get the same answer, after the one returned: each can be cancelled without the others.
        """
        future: asyncio.Future[T] = self.future()
        if self._is_stopped:
            _settle_all([future, *also], None, StoreError("the store is closed"))
        elif self._thread is None:
            _settle_all([future, *also], *_done(work))
        else:
            self.pending += 1
            self._calls.put((work, [future, *also]))
        return future

    def stop(self) -> None:
        """End the thread after what it has to do; wait for it no longer than a second."""
        self._is_stopped = True
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(1.0)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            work, futures = call
            result, error = _done(work)
            try:
                self._loop.call_soon_threadsafe(self._answer, futures, result, error)
            except RuntimeError:
                continue  # the loop is closed: nobody waits for answers, but the work goes on to its end

    def _answer(self, futures: "list[asyncio.Future[Any]]", result: object, error: BaseException | None) -> None:
        self.pending -= 1
        _settle_all(futures, result, error)


def _done(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001  # whatever it is belongs to the caller; the thread goes on
        return None, error


def settle(future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    """Give an answer to whoever still waits for it."""
    if future.done():
        return  # the caller was cancelled and does not wait any more
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        future.exception()  # counts as looked at: not everybody waits, and the store's state says the same


def _settle_all(futures: "Iterable[asyncio.Future[Any]]", result: object, error: BaseException | None) -> None:
    for future in futures:
        settle(future, result, error)


def when_done(future: "asyncio.Future[Any]", then: Callable[[], None]) -> None:
    """Call `then` on the loop once there is an answer; at once if there is one."""
    if future.done():
        then()
    else:
        future.add_done_callback(lambda _: then())


def at_once(verb: Coroutine[Any, Any, T]) -> T:
    """The answer of a verb of a store without a thread: it never waits, and a loop for each would take far longer."""
    try:
        verb.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    verb.close()
    raise RuntimeError("a store that does all work at once was waited for")
