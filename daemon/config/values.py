"""What single values of rules.yaml may be: durations, limits, conditions, addresses, schedules."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, InstanceOf, WithJsonSchema

from daemon.model.address import parse_address
from daemon.model.rule import Limit
from daemon.model.units import format_duration, parse_duration, parse_percent
from daemon.plugin import DURATION_PATTERN, Duration

PERCENT_SCHEMA = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"}

_LONGEST = 10 * 365 * 86400.0  # seconds; a longer wait is a mistake, and no clock is that steady
_SHORTEST_INTERVAL = 0.01  # seconds: the scheduler would do nothing else
_MOST_ATTEMPTS = 1_000_000_000  # more than any window will ever see
_LIMIT = re.compile(r"([0-9]{1,7})/(\S+)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def _wait(seconds: float) -> float:
    if not seconds <= _LONGEST:
        raise ValueError(f"a duration is at most ten years ({format_duration(_LONGEST)})")
    return seconds


def _interval(seconds: float) -> float:
    if seconds < _SHORTEST_INTERVAL:
        least = format_duration(_SHORTEST_INTERVAL)
        raise ValueError(f"{format_duration(seconds)} is no interval; write {least} or more, such as 30s")
    return seconds


def parse_limit(text: Any) -> Limit:
    """A limit such as `3/1h`. Raises ValueError with what is allowed."""
    found = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        shown = f"{text!r} is" if isinstance(text, str | int | float) else "this is"
        raise ValueError(f"{shown} not a limit; write COUNT/WINDOW such as 3/1h (0/1h never acts)")
    window = _wait(parse_duration(found[2]))
    if window <= 0:
        raise ValueError(f"the window of {text!r} is empty; write one such as 3/1h")
    if int(found[1]) > _MOST_ATTEMPTS:
        raise ValueError(f"{text!r} allows more than {_MOST_ATTEMPTS} attempts, which is no limit; write 3/1h")
    return Limit(count=int(found[1]), window=window)


def _limits(limits: list[Limit]) -> list[Limit]:
    """Refuse none at all. One that a stricter one beside it makes needless is valid: it is kept all the same."""
    if not limits:
        raise ValueError("an empty list is no limit; write [3/1h], or leave it out for the default")
    return limits


def _cooldown(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a cooldown is a duration such as 5m, or a range such as 1m..30m")
    least, dots, most = value.partition("..")
    first = _wait(parse_duration(least))
    last = _wait(parse_duration(most)) if dots else first
    if last < first:
        raise ValueError(f"the range {value} is upside down; write {most}..{least}")
    if dots and first == 0:
        raise ValueError(f"the range {value} begins at 0s, which stays 0s however often it doubles; write 1s..{most}")
    return first, last


def _listen(value: Any) -> str:
    if not isinstance(value, str | int):
        raise ValueError("this is no address; write HOST:PORT such as 127.0.0.1:9797")
    return str(parse_address(str(value)))


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError(f"{value!r} is not a URL; write one such as https://wiki.example/runbooks/api")
    return value


def _condition(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a condition is a text such as up == 0; put it in quotes if YAML takes it for something else")
    return value


def _members(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return str(value)
    if isinstance(value, str) and value.endswith("%") and 0 < parse_percent(value) <= 100:
        return value
    raise ValueError("this is no number of members; write 1 or more such as 2, or a share such as 51%")


def _cron(value: str) -> str:
    try:
        CronSim(value, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f'{value!r} is no schedule: {error}; write five fields such as "0 3 * * SUN"') from error
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is no time zone that this host knows; write one such as Europe/Berlin") from error
    return value


def _conflict(value: str) -> str:
    if not (value.startswith("/") or re.fullmatch(r"[\w@:.\\-]+\.(service|timer|target|mount|scope|slice)", value)):
        raise ValueError(f"{value!r} is neither a file nor a unit; write /run/deploy.lock or deploy.service")
    return value


Listen = Annotated[str, BeforeValidator(_listen), WithJsonSchema({"type": "string", "title": "address"})]
"""HOST:PORT."""
Members = Annotated[
    str, BeforeValidator(_members), WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, PERCENT_SCHEMA]})
]
"""How many members, or which share of them."""
Cron = Annotated[str, AfterValidator(_cron)]
"""A schedule of starts, as crontab(5) has it."""
Zone = Annotated[str, AfterValidator(_zone)]
"""A time zone by its IANA name."""
Conflicts = list[Annotated[str, AfterValidator(_conflict)]]
"""Files by their absolute path, and systemd units."""
Wait = Annotated[Duration, AfterValidator(_wait)]
"""A duration that may be 0s."""
Interval = Annotated[Duration, AfterValidator(_wait), AfterValidator(_interval)]
"""A duration that may not be 0s."""
Limits = Annotated[
    list[
        Annotated[
            InstanceOf[Limit],
            BeforeValidator(parse_limit),
            WithJsonSchema(
                {
                    "type": "string",
                    "title": "limit",
                    "pattern": rf"^[0-9]{{1,7}}/{DURATION_PATTERN}$",
                    "examples": ["3/1h"],
                }
            ),
        ]
    ],
    AfterValidator(_limits),
]
"""Most attempts in each window, all at once."""
Cooldown = Annotated[
    tuple[float, float],
    BeforeValidator(_cooldown),
    WithJsonSchema(
        {
            "type": "string",
            "title": "duration, or a range such as 1m..30m",
            "pattern": rf"^{DURATION_PATTERN}(\.\.{DURATION_PATTERN})?$",
        }
    ),
]
"""Least and most quiet time after an attempt, in seconds."""
ConditionText = Annotated[
    str, BeforeValidator(_condition), WithJsonSchema({"type": "string", "title": "condition", "minLength": 1})
]
"""A condition, which is compiled once the checks are known."""
Url = Annotated[
    str, AfterValidator(_url), WithJsonSchema({"type": "string", "title": "URL", "pattern": f"^{_URL.pattern}$"})
]
"""An address for people."""
Labels = dict[str, str]
"""Free words by free names."""
