"""What depends on what."""

from daemon.engine.topology import circles, upstream_of


def test_upstream_is_everything_that_is_needed_nearest_first() -> None:
    upstream = upstream_of({"web": ["api"], "api": ["db", "cache"], "db": ["disk"], "cache": [], "disk": []})
    assert upstream["web"] == ("api", "db", "cache", "disk")
    assert upstream["api"] == ("db", "cache", "disk")
    assert upstream["disk"] == ()


def test_what_is_needed_by_two_ways_is_there_once() -> None:
    upstream = upstream_of({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []})
    assert upstream["a"] == ("b", "c", "d")


def test_without_a_circle_there_is_none() -> None:
    assert circles({"a": ["b", "c"], "b": ["c"], "c": []}) == ()


def test_a_circle_is_named_from_its_first_service() -> None:
    assert circles({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}) == (("a", "b", "c", "a"),)


def test_a_service_that_needs_itself_is_a_circle() -> None:
    assert circles({"a": ["a"]}) == (("a", "a"),)


def test_every_service_in_a_circle_is_in_one_that_is_named() -> None:
    found = circles({"a": ["b"], "b": ["a", "c"], "c": ["b"], "d": ["e"], "e": ["d"]})
    assert {name for circle in found for name in circle} == {"a", "b", "c", "d", "e"}
    for circle in found:
        assert circle[0] == circle[-1]


def test_a_service_in_a_circle_is_not_its_own_upstream() -> None:
    assert upstream_of({"a": ["b"], "b": ["a"]})["a"] == ("b",)


def test_a_chain_of_thousands_needs_no_stack() -> None:
    chain = {str(number): [str(number + 1)] for number in range(5000)} | {"5000": ["0"]}
    assert len(circles(chain)[0]) == 5002


def test_what_is_needed_and_declared_nowhere_needs_nothing() -> None:
    assert upstream_of({"web": ["api"]}) == {"web": ("api",)}
    assert circles({"web": ["api"]}) == ()
