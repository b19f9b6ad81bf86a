"""What holds for every proposal at once: start, pauses, clock jumps, shutdown, the store."""

from collections.abc import Callable
from pathlib import Path

from daemon.errors import HealdError
from daemon.logs import log
from daemon.model.moment import Stamp
from daemon.model.pause import Pause, parse_pause
from daemon.model.settings import Settings
from daemon.protocols import Clock

JUMP_SECONDS = 30.0  # a wall clock that moves further than this against the steady one has jumped
JUMP_HOLD = 60.0  # seconds of holding after a jump
BOOT_GRACE = 300.0  # seconds after the host's boot until which the startup grace lasts at least


class Circumstances:
    """The daemon's own state, as far as guards ask for it. Times are steady seconds."""

    def __init__(self, clock: Clock, settings: Settings, pause_file: Path | None) -> None:
        self.shutting_down = False
        self.store_why: Callable[[], str | None] = lambda: None
        self.jumped_until = 0.0
        self.readings_from = 0.0
        self.is_pause_said = False  # whether the log's newest word on it is that acting is paused
        self._clock = clock
        self._pause_file = pause_file
        self._was_paused = self.paused_why() is not None
        stamp = clock.stamp()
        self._offset = stamp.wall - stamp.boottime
        grace = settings.startup_grace
        self.grace_until = max(stamp.boottime + grace, BOOT_GRACE) if grace > 0 else 0.0
        self._not_clear_yet: set[tuple[str, str]] | None = None
        self._pairs: frozenset[tuple[str, str]] = frozenset()

    def wait_for_clear(self, pairs: frozenset[tuple[str, str]]) -> None:
        """Say which rule x check must have been CLEAR before the startup grace ends early."""
        self._not_clear_yet = set(pairs)
        self._pairs = pairs

    def wait_for_others(self, pairs: frozenset[tuple[str, str]]) -> None:
        """A reload changed which they are: what is gone is not waited for, what is new is."""
        if self._not_clear_yet is not None and pairs != self._pairs:
            was_waiting = bool(self._not_clear_yet)
            self._not_clear_yet = (self._not_clear_yet & pairs) | (pairs - self._pairs)
            self._pairs = pairs
            if was_waiting and not self._not_clear_yet:
                self.grace_until = 0.0

    @property
    def is_graced(self) -> bool:
        """Whether the startup grace still runs."""
        return self.grace_until > 0

    def was_clear(self, rule: str, check: str) -> None:
        """Note that a rule found a check CLEAR; the last one ends the startup grace."""
        if self._not_clear_yet is None:
            return
        self._not_clear_yet.discard((rule, check))
        if not self._not_clear_yet:
            self.grace_until = 0.0

    def watch_clock(self, stamp: Stamp | None = None) -> bool:
        """Compare the wall clock with the steady one, now or at `stamp`; true if it has jumped since the last call."""
        stamp = stamp or self._clock.stamp()
        if self.grace_until and stamp.boottime >= self.grace_until:
            self.grace_until = 0.0
        moved = stamp.wall - stamp.boottime - self._offset
        self._offset += moved
        if abs(moved) <= JUMP_SECONDS:
            return False
        self.jumped_until = stamp.boottime + JUMP_HOLD
        self.readings_from = stamp.boottime
        log.warning(
            "clock_jumped", f"The wall clock jumped by {moved:+.0f} s; nothing is done for a minute.", seconds=moved
        )
        return True

    def pause_facts(self) -> Pause | None:
        """Who paused heald, and why; None if it is not paused. What cannot be read pauses too."""
        if self._pause_file is None:
            return None
        try:
            self._pause_file.stat()  # mostly there is none, and `read_text` is slow to say so
            return parse_pause(self._pause_file.read_text(errors="replace"))
        except FileNotFoundError:
            return None
        except OSError as error:
            why = f"the file {self._pause_file} is there but cannot be read ({error.strerror})"
            return Pause(why=why, who="somebody")

    def paused_why(self) -> str | None:
        """Who paused heald and why, in a sentence; None if it is not paused."""
        facts = self.pause_facts()
        return f"{facts.why} (by {facts.who})" if facts else None

    def watch_pause(self) -> str | None:
        """As `paused_why`; notes when a pause ended: runs that began before that decide nothing."""
        why = self.paused_why()
        if self._was_paused and why is None:
            self.readings_from = max(self.readings_from, self._clock.steady())
        self._was_paused = why is not None
        return why

    def acting_resumed(self) -> None:
        """Somebody ended what held acting: runs that began before that decide nothing."""
        self.readings_from = max(self.readings_from, self._clock.steady())

    def pause(self, *, why: str, who: str) -> None:
        """Write the kill switch. Raises HealdError if it cannot be written: then nothing is paused."""
        if self._pause_file is None:
            raise HealdError("this daemon has no state directory to pause in")
        at = self._clock.now().isoformat(timespec="seconds")
        try:
            self._pause_file.write_text(Pause(why=why, who=who, at=at).text())
        except OSError as error:
            state = "acting is paused all the same" if self._pause_file.exists() else "acting is NOT paused"
            raise HealdError(f"{self._pause_file} cannot be written: {error.strerror}; {state}") from error
        self._was_paused = self.is_pause_said = True  # who asked for it says so

    def resume(self) -> bool:
        """Remove the kill switch; false if there was none. Raises HealdError if it stays."""
        if self._pause_file is None or not self._pause_file.exists():
            return False
        try:
            self._pause_file.unlink(missing_ok=True)
        except OSError as error:
            said = f"{self._pause_file} cannot be removed: {error.strerror}; acting stays paused until it is gone"
            raise HealdError(said) from error
        self.watch_pause()
        self.is_pause_said = False
        return True
