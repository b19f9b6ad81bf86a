"""A clock that only its simulation moves."""

from datetime import UTC, datetime

from daemon.model.moment import Stamp


class SimulatedClock:
    """The host's clocks. `wall_offset` is what the wall clock is off by, in seconds."""

    def __init__(self, start: datetime, *, boottime: float = 100_000.0) -> None:
        self._start = start.timestamp()
        self._steady = boottime
        self._first = boottime
        self.wall_offset = 0.0
        self.boot = 1
        self.synchronised = True
        self._stamp: tuple[tuple[float, float, int, bool], Stamp] | None = None  # it is asked for again and again

    def steady(self) -> float:
        """Seconds since boot."""
        return self._steady

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.fromtimestamp(self.stamp().wall, UTC)

    def stamp(self) -> Stamp:
        """This moment as rows keep it."""
        now = (self._steady, self.wall_offset, self.boot, self.synchronised)
        if self._stamp is None or self._stamp[0] != now:
            stamp = Stamp(
                wall=self._start + self._steady - self._first + self.wall_offset,
                boot=f"boot-{self.boot}",
                boottime=self._steady,
                host="node",
                synchronised=self.synchronised,
            )
            self._stamp = (now, stamp)
        return self._stamp[1]

    def move(self, steady: float) -> None:
        """Go on to a later instant."""
        self._steady = steady

    def reboot(self, down: float) -> None:
        """Boot anew after `down` seconds: the steady clock starts at 0."""
        self._start += self._steady - self._first + down
        self._steady = self._first = 0.0
        self.boot += 1
