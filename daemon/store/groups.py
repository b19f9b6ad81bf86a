"""Rows on their way to the file, those that are queued together in one transaction, and who waits for them."""

import asyncio
import threading
from collections.abc import Callable, Iterable

from daemon.store.buffer import Buffer
from daemon.store.rows import Row
from daemon.store.worker import Worker, settle, when_done

MAY_WAIT = 0.05  # seconds that rows wait for a claim which is about to come, and takes them along


class Group:
    """Rows of one transaction."""

    def __init__(self) -> None:
        self.rows = Buffer()
        self.waiters: list[asyncio.Future[None]] = []
        self.is_asked = False  # the thread was asked to write it
        self.timer: asyncio.TimerHandle | None = None  # asks it, if nothing has by then

    def stop_waiting(self) -> None:
        """Somebody writes it now, or nobody will."""
        if self.timer is not None:
            self.timer.cancel()


class Groups:
    """The rows that wait. `write` runs on the store's thread, `call` has that done."""

    def __init__(
        self,
        worker: Worker,
        call: Callable[[Callable[[], bool]], "asyncio.Future[bool]"],
        write: Callable[[Iterable[Row]], None],
    ) -> None:
        self.dropped = 0  # rows for which there was no room
        self._worker = worker
        self._call = call
        self._write = write
        self._lock = threading.Lock()
        self._group: Group | None = None  # what the next transaction takes

    def __len__(self) -> int:
        return len(self._group.rows) if self._group else 0

    def add(self, rows: Iterable[Row], *, may_wait: bool) -> "asyncio.Future[None]":
        """Queue rows; the future tells when they are written (`Store.submit`)."""
        waiter: asyncio.Future[None] = self._worker.future()
        with self._lock:
            group = self._group = self._group or Group()
            group.rows.extend(rows)
            group.waiters.append(waiter)
        if not may_wait or not self._worker.has_thread:
            self._ask(group)
        elif group.timer is None:
            group.timer = asyncio.get_running_loop().call_later(MAY_WAIT, self._ask, group)
        return waiter

    def ask(self) -> None:
        """Have all that waits written now."""
        if (group := self._group) is not None:
            self._ask(group)

    def forget(self) -> None:
        """Have nothing written that waits still."""
        if (group := self._group) is not None:
            group.stop_waiting()

    def take(self) -> Group | None:
        """What waits, for a claim that writes it and answers for it."""
        with self._lock:
            group, self._group = self._group, None
        if group is not None:
            group.stop_waiting()
        return group

    def answer(self, group: Group, error: BaseException | None) -> None:
        """Tell those who wait for a group how it went."""
        self.dropped += group.rows.dropped
        for waiter in group.waiters:
            settle(waiter, None, error)

    def _ask(self, group: Group) -> None:
        """Have the thread write a group, unless it was asked to."""
        if group.is_asked:
            return
        group.is_asked = True
        group.stop_waiting()
        future = self._call(lambda: self._write_group(group))
        when_done(future, lambda: self._written(group, future))

    def _write_group(self, group: Group) -> bool:
        """In the thread: write a group, unless a claim has taken it along; false if it has."""
        with self._lock:
            if self._group is not group:
                return False
            self._group = None
        self._write(group.rows)
        return True

    def _written(self, group: Group, done: "asyncio.Future[bool]") -> None:
        error = done.exception()
        if error is not None or done.result():  # otherwise the claim that took the group along answers
            self.answer(group, error)
