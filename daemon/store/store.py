"""The store: the verbs by which heald remembers. It knows SQL, its callers do not."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Never, TypeVar

from daemon.errors import LockedError, StoreError
from daemon.model.incident import Hold
from daemon.model.remediation import Attempt
from daemon.model.track import HistoryRow
from daemon.protocols import Clock
from daemon.store.batches import Batches
from daemon.store.groups import Groups
from daemon.store.opening import MIGRATIONS
from daemon.store.reading import Reading
from daemon.store.rows import Row
from daemon.store.trimming import AT_ONCE
from daemon.store.worker import Worker, settle, when_done
from daemon.store.writer import Permits, Writer

__all__ = ["LockedError", "Permits", "Row", "Store"]

DAY = 86400.0
HISTORY_EVERY = 60.0  # seconds that history waits for its batch: a transaction costs as much as fifty of its rows
RECORD_FOR = 90 * DAY  # seconds that closed incidents and what belongs to them are kept
CLOSE_WITHIN = 10.0  # seconds that a disk may take to take what is left
ATTEMPTS_FOR = 400 * DAY  # seconds that attempts are kept: longer than any limit that a person would write
T = TypeVar("T")


class Store(Reading):
    """What heald remembers, on disk. Open it with `Store.open`, and run `keep` as a standing task.

    All methods are called on the loop. They never block it; the work is done by one thread, in the order asked.
    """

    def __init__(self, worker: Worker, writer: Writer, clock: Clock, retry_every: float, history_every: float) -> None:
        self.on_change: Callable[[bool, str | None], None] | None = None  # called with is_writable and why
        self.on_damage: Callable[[str], None] | None = None  # called with `damage` when it changes
        self.why: str | None = writer.why  # a sentence: why it takes no writes
        self._worker = worker
        self._writer = writer
        self._clock = clock
        self._retry_every = retry_every
        self._history_every = history_every
        self._groups = Groups(worker, self._call, writer.write)
        self._batches = Batches(self._append)
        self._claiming: asyncio.Future[Any] | None = None
        self._is_troubled = asyncio.Event()
        self._is_closed = False
        self._damage: str | None = None

    # ---- opening and keeping ------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        directory: Path,
        clock: Clock,
        *,
        retry_every: float = 5.0,
        history_every: float = HISTORY_EVERY,
        threaded: bool = True,
        migrations: Path = MIGRATIONS,
    ) -> "Store":
        """Open the state directory; make it, create or migrate its database if need be.

        A store that cannot be used now (full disk, read-only) opens all the same, takes no writes, and is tried again
        every `retry_every` seconds by `keep`. A damaged one is moved aside, all acting paused, and a new one begun.
        `threaded=False` does all work at once in the caller, for runs in virtual time: no future is ever waited for,
        and no loop needs to run.

        Raises:
            LockedError: another daemon has the directory.
            StoreRefusedError: the database was written by a newer heald.
        """
        worker = Worker(threaded=threaded)
        writer = Writer(directory, clock, migrations)
        store = cls(worker, writer, clock, retry_every, history_every)
        try:
            await store._call(writer.open)
        except BaseException:
            worker.stop()
            raise
        return store

    async def keep(self) -> Never:
        """The standing task: writes history in batches, and tries again what failed until it succeeds.

        Raises:
            ExceptionGroup: of StoreRefusedError, where the store turns out to be another's when it can be opened.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_history())
            group.create_task(self._keep_trying())
        raise AssertionError("neither of the two returns")

    async def _keep_history(self) -> Never:
        while True:
            await self._batches.is_waiting.wait()
            await asyncio.sleep(self._history_every)
            self._batches.is_waiting.clear()
            await self._write_history()

    def _append(self, rows: list[HistoryRow]) -> "asyncio.Future[int]":
        """Write a batch; one that a claim waits for is cut short, but the last one, whose rest nobody would write."""

        def is_wanted() -> bool:
            return self.claiming is not None and not self._is_closed

        return self._call(lambda: self._writer.append_history(rows, is_wanted))

    async def _write_history(self) -> None:
        await self._batches.settle()  # one after the other: the rest of what is cut short must not follow a newer batch
        if len(self._batches) and self.is_writable:
            self._batches.write()  # not awaited itself: who is cancelled here must not cancel it
            await self._batches.settle()  # if it fails the rows wait, and `on_change` said it

    async def _keep_trying(self) -> Never:
        while True:
            await self._is_troubled.wait()
            await asyncio.sleep(self._retry_every)
            with contextlib.suppress(StoreError):  # `why` has it, and `on_change` said it
                await self._call(self._writer.recover)

    async def close(self) -> int:
        """Write what is queued and let go of file and lock; returns how many rows could not be written in time."""
        if self._is_closed:
            return 0
        until = self._clock.steady() + CLOSE_WITHIN
        await self._batches.settle(CLOSE_WITHIN)
        self._is_closed = True
        if len(self._batches) and self.is_writable:
            self._batches.write()
        self._groups.ask()
        closing = self._worker.call(self._writer.close)
        if not closing.done():
            await asyncio.wait({closing}, timeout=max(0.0, until - self._clock.steady()))  # a disk may never answer
        self._worker.stop()
        return self.queued

    async def abandon(self) -> None:
        """Let go of file and lock and write nothing more, not even what is queued in memory: a crash in a test."""
        self._is_closed = True
        self._groups.forget()
        await self._worker.call(self._writer.abandon)
        self._worker.stop()

    # ---- state --------------------------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """Whether everything submitted so far is, or soon will be, on the disk. Without that nothing is acted on."""
        return self.why is None

    @property
    def damage(self) -> str | None:
        """A sentence where a file was damaged: what was wrong, and where it is now."""
        return self._damage

    @property
    def pending(self) -> int:
        """Calls that the thread has not answered yet; a virtual-time loop must not jump while there are any."""
        return self._worker.pending

    @property
    def claiming(self) -> "asyncio.Future[Any] | None":
        """The newest claim, while the thread has not answered it. It is not to be cancelled."""
        return None if self._claiming is None or self._claiming.done() else self._claiming

    @property
    def writes(self) -> Mapping[str, int]:
        """Transactions so far, by result: `ok` and `error`."""
        return self._writer.transactions

    @property
    def queued(self) -> int:
        """Rows that are not in the file yet."""
        return len(self._batches) + self._batches.writing + len(self._writer.backlog) + len(self._groups)

    @property
    def dropped(self) -> int:
        """Rows that were never written: there was no room to keep them, or they were not what their type says."""
        return self._batches.dropped + self._groups.dropped + self._writer.backlog.dropped + self._writer.unfit

    async def ping(self) -> float:
        """Seconds that the store's thread takes to answer, whatever the state of the disk."""
        began = self._clock.steady()
        await self._worker.call(lambda: None)
        return self._clock.steady() - began

    def _call(self, work: Callable[[], T], *also: "asyncio.Future[T]") -> "asyncio.Future[T]":
        future = self._worker.call(work, *also)
        when_done(future, self._note)
        return future

    def _note(self) -> None:
        """Take over what the thread found out, and say it."""
        before, self.why = self.why, self._writer.why
        if self.why is not None:
            self._is_troubled.set()
        else:
            self._is_troubled.clear()
        if len(self._batches):
            self._batches.is_waiting.set()
        damage, self._damage = self._damage, self._writer.damage
        if self.on_damage is not None and self._damage is not None and self._damage != damage:
            self.on_damage(self._damage)
        if (before is None) != (self.why is None) and self.on_change is not None:
            self.on_change(self.is_writable, self.why)

    # ---- writing ------------------------------------------------------------------------------------------------

    def submit(self, *rows: Row, may_wait: bool = False) -> "asyncio.Future[None]":
        """Queue rows; the future is done when they are on the disk. Rows queued together go in one transaction.

        `may_wait` says that a claim is about to come: it takes them along, and need not wait for a transaction of their
        own. Without a claim they are written after 0.05 s, or with the next rows that may not wait.

        If that fails the future raises StoreError, and the rows are kept in bounds and written first when the store
        works again (`Buffer`): nobody needs to submit them again.
        """
        if self._is_closed:
            waiter: asyncio.Future[None] = self._worker.future()
            settle(waiter, None, StoreError("the store is closed"))
            return waiter
        return self._groups.add(rows, may_wait=may_wait)

    async def claim(
        self, attempt: Attempt, rows: Sequence[Row], permits: Permits, *, longest: float = math.inf
    ) -> Hold | None:
        """Claim an attempt: one transaction that writes all that is queued, counts, and writes attempt and rows.

        `permits` gets every attempt under way or that a window of at most `longest` seconds, or a cooldown, could still
        count, oldest first, and runs on the store's thread. If it names a hold, nothing of the claim is written and
        the hold is returned. None means that the claim is on the disk. Who is cancelled here has to take the attempt
        for claimed; a later start finds it running.

        Raises:
            StoreError: it cannot be written now; nothing of it is left, now or later.
        """
        if self._is_closed:
            raise StoreError("the store is closed")
        before, now = self._groups.take(), self._clock.stamp()
        queued = before.rows if before else ()
        waiter: asyncio.Future[tuple[Hold | None, Exception | None]] = self._worker.future()  # its caller may cancel it
        future = self._call(lambda: self._writer.claim(queued, attempt, rows, permits, now, longest), waiter)
        self._claiming = future
        if before is not None:
            taken = before
            when_done(future, lambda: self._groups.answer(taken, future.exception()))
        hold, fault = await waiter
        if fault is not None:
            raise fault
        return hold

    def append_history(self, rows: Iterable[HistoryRow]) -> None:
        """Keep rows of history for the next batch: within `history_every` seconds, or sooner if they are many.

        A crash loses what is not written yet. While the store takes no writes the newest rows wait in memory.
        """
        self._batches.add(rows)
        if self._batches.is_due and self.is_writable:
            self._batches.write()

    def set_history(self, *, keep_for: float, keep_bytes: float) -> None:
        """Bound the history: rows older than `keep_for` seconds go, and the oldest beyond `keep_bytes` bytes."""
        self._writer.keep_history = (keep_for, int(keep_bytes))

    async def trim(self, *, longest: float = ATTEMPTS_FOR, record_for: float = RECORD_FOR) -> int:
        """Drop what is old: closed incidents and what belongs to them after `record_for` seconds, attempts that no
        limit of at most `longest` seconds can count any more, history out of bounds. Returns how many rows of the
        record went. Raises StoreError.
        """
        total = 0
        while True:
            gone = await self._call(lambda: self._writer.trim(record_for=record_for, attempts_for=longest))
            total += gone
            if gone < AT_ONCE:
                return total
