"""What depends on what: everything upstream of a service, and circles, which have no upstream end."""

from collections import deque
from collections.abc import Mapping, Sequence


def upstream_of(depends_on: Mapping[str, Sequence[str]]) -> Mapping[str, tuple[str, ...]]:
    """By service, all that it depends on, directly or not, nearest first; never the service itself."""
    return {name: _nearest_first(name, depends_on) for name in depends_on}


def _nearest_first(name: str, depends_on: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    waiting = deque(depends_on[name])
    while waiting:
        needed = waiting.popleft()
        if needed not in found and needed != name:
            found[needed] = None
            waiting.extend(depends_on.get(needed, ()))
    return tuple(found)


def circles(depends_on: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Circles as `(a, b, a)`, each from its first service in the order given.

    Of those that share services not every one is listed, but every service that is in a circle is in one of these.
    """
    found: list[tuple[str, ...]] = []
    covered: set[str] = set()
    for name in depends_on:
        if name in covered:
            continue
        way = _way_back(name, depends_on)
        if way:
            found.append(way)
            covered.update(way)
    return tuple(found)


def _way_back(name: str, depends_on: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The shortest way from a service to itself, empty if there is none."""
    before: dict[str, str] = {}
    waiting = deque([name])
    while waiting:
        at = waiting.popleft()
        for needed in depends_on.get(at, ()):
            if needed == name:
                way = [name, at]
                while way[-1] != name:
                    way.append(before[way[-1]])
                return tuple(reversed(way))
            if needed not in before:
                before[needed] = at
                waiting.append(needed)
    return ()
