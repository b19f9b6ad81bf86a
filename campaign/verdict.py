"""What the services' own count says of the daemons that were killed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SERVICE_LIMIT, BUDGET, WINDOW = 3, 5, 6.0  # effects on a service, on both of them, in how many seconds
LEAST_IN_FLIGHT = 0.6  # of the kills
LEAST_DONE = 0.5  # of what is permitted over the time a daemon was up


@dataclass(frozen=True, slots=True)
class Effect:
    """What a service wrote down as it was restarted."""

    service: str
    at: float  # seconds since the host's boot, which no clock that is set can change
    attempt: str | None  # the id that heald said, where it does


@dataclass(slots=True)
class Lane:
    """All that was seen of one state directory and its two services."""

    effects: list[Effect] = field(default_factory=list)
    up: float = 0.0  # seconds in which a daemon was up, and could act
    recorded: set[str] = field(default_factory=set)  # ids of attempts that heald's record had at the kills
    kills: Counter[str] = field(default_factory=Counter)  # by kind of round
    in_flight: Counter[str] = field(default_factory=Counter)  # of these, with an attempt that the record calls running
    torn: int = 0  # of the kills, those in the midst of a write
    missed: Counter[str] = field(default_factory=Counter)  # rounds in which the point was not passed
    faults: list[str] = field(default_factory=list)  # what no daemon may do, in sentences


def most_in_a_window(moments: Iterable[float], window: float = WINDOW) -> int:
    """The most moments that any window [t, t + window) holds."""
    ordered = sorted(moments)
    first = most = 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures, and what is wrong with them."""

    kills: int
    in_flight: int
    torn: int
    effects: int
    permitted: float  # effects, over the time that daemons were up
    most_of_service: int
    most_of_all: int
    wrong: tuple[str, ...]

    def line(self) -> str:
        """One line for people."""
        return (
            f"{self.kills} kills, {self.in_flight} ({self.in_flight / max(1, self.kills):.0%}) with an attempt in "
            f"flight, {self.torn} in the midst of a write; {self.effects} effects, "
            f"{self.effects / max(1e-9, self.permitted):.2f} times what the budget permits in the time daemons were "
            f"up; most in any {WINDOW:g} s: {self.most_of_service} of {SERVICE_LIMIT} on a service, "
            f"{self.most_of_all} of {BUDGET} on both"
        )


def judge(lanes: Sequence[Lane], *, least_in_flight: float = LEAST_IN_FLIGHT) -> Verdict:
    """The service's own count is the judge."""
    wrong = [fault for lane in lanes for fault in lane.faults]
    of_services, of_all = [0], [0]
    for number, lane in enumerate(lanes):
        names = sorted({effect.service for effect in lane.effects})
        for name in names:
            most = most_in_a_window(effect.at for effect in lane.effects if effect.service == name)
            of_services.append(most)
            if most > SERVICE_LIMIT:
                wrong.append(f"lane {number}: service {name} was restarted {most} times within {WINDOW:g} s")
        of_all.append(most_in_a_window(effect.at for effect in lane.effects))
        if of_all[-1] > BUDGET:
            wrong.append(f"lane {number}: {of_all[-1]} restarts within {WINDOW:g} s, with a budget of {BUDGET}")
        ids = Counter(effect.attempt for effect in lane.effects if effect.attempt is not None)
        wrong += [f"lane {number}: attempt {it} was made {times} times" for it, times in ids.items() if times > 1]
        wrong += [f"lane {number}: attempt {it} is not in the record" for it in ids if it not in lane.recorded]
    kills = sum(lane.kills.total() for lane in lanes)
    in_flight = sum(lane.in_flight.total() for lane in lanes)
    effects = sum(len(lane.effects) for lane in lanes)
    permitted = sum(lane.up for lane in lanes) * BUDGET / WINDOW
    if effects < LEAST_DONE * permitted:
        wrong.append(
            f"{effects} effects where {permitted:.0f} are permitted: a daemon that does nothing proves nothing"
        )
    if in_flight < least_in_flight * kills:
        wrong.append(f"only {in_flight} of {kills} kills with an attempt in flight")
    for kind, times in sum((lane.missed for lane in lanes), Counter[str]()).items():
        wrong.append(f"{times} rounds of {kind} did not come to the point at which heald was to die")
    return Verdict(
        kills=kills,
        in_flight=in_flight,
        torn=sum(lane.torn for lane in lanes),
        effects=effects,
        permitted=permitted,
        most_of_service=max(of_services),
        most_of_all=max(of_all),
        wrong=tuple(wrong),
    )
