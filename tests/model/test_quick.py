"""Frozen dataclasses with a cheaper constructor are what dataclasses makes of them, in all but the cost."""

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest

from daemon.model.quick import quick, replace


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One with every kind of field."""

    name: str
    at: float = 1.5
    tags: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default="s", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plain:
    """One that is no such class."""

    name: str


def test_its_fields_and_their_defaults_are_as_declared() -> None:
    place = Place(name="a")
    assert (place.name, place.at, place.tags, place.secret) == ("a", 1.5, {}, "s")
    assert Place(name="a", at=2.0, tags={"b": "c"}, secret="d").tags == {"b": "c"}
    assert Place(name="a").tags is not Place(name="a").tags
    assert repr(place) == "Place(name='a', at=1.5, tags={})"
    assert [it.name for it in dataclasses.fields(Place)] == ["name", "at", "tags", "secret"]


def test_it_is_of_its_own_class_and_frozen() -> None:
    place = Place(name="a")
    assert type(place) is Place
    with pytest.raises(FrozenInstanceError):
        place.name = "b"  # type: ignore[misc]  # what must not work
    with pytest.raises(FrozenInstanceError):
        del place.name


def test_it_equals_and_hashes_by_its_values() -> None:
    assert Place(name="a") == Place(name="a") != Place(name="b")
    assert hash(Place(name="a", tags=())) == hash(Place(name="a", tags=()))  # type: ignore[arg-type]  # one that hashes
    assert copy.deepcopy(Place(name="a")) == Place(name="a") == pickle.loads(pickle.dumps(Place(name="a")))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"Place.__init__\(\) missing 1 required keyword-only argument: 'name'"),
        ({"name": "a", "nmae": "b"}, r"Place.__init__\(\) got an unexpected keyword argument 'nmae'"),
    ],
)
def test_what_is_missing_or_unknown_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Place(**given)


def test_replace_changes_what_it_is_told_and_nothing_else() -> None:
    place = Place(name="a", tags={"b": "c"})
    changed = replace(place, name="b", at=3.0)
    assert (changed.name, changed.at, changed.tags) == ("b", 3.0, {"b": "c"})
    assert changed.tags is place.tags
    assert place.name == "a"
    assert replace(Plain(name="a"), name="b") == Plain(name="b")
    assert dataclasses.replace(place, name="b") == replace(place, name="b")
    with pytest.raises(TypeError, match="nmae"):
        replace(place, nmae="b")  # type: ignore[call-arg]  # what must not work
