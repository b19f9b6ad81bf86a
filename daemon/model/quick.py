"""A cheaper constructor, and a cheaper `replace`, for frozen dataclasses of which several are made at every run.

What `dataclass(frozen=True)` writes sets each field through `object.__setattr__`, which is a sixth of what a run costs.
Here an instance is of an unfrozen twin of its class while its fields are set, and of its own class from then on.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["quick", "replace"]

T = TypeVar("T")
_UNSET = object()
_replace: dict[type, Callable[[Any, Mapping[str, Any]], Any]] = {}  # of such classes: a copy, some values changed


def quick(cls: type[T]) -> type[T]:
    """Give a dataclass with `frozen=True, kw_only=True, slots=True` and no `__post_init__` such a constructor."""
    dataclass: Any = cls
    twin = type(cls.__name__, (), {"__slots__": dataclass.__slots__})
    names: dict[str, Any] = {"_become": object.__setattr__, "_twin": twin, "_own": cls, "_unset": _UNSET}
    names |= {"_new": object.__new__, "_set": setattr}
    takes, sets, copies = ["self", "*"], [], []
    for it in fields(dataclass):
        made = it.default_factory is not MISSING
        names[f"_default_{it.name}"] = it.default_factory if made else it.default
        default = "_unset" if made else f"_default_{it.name}"
        takes.append(it.name if it.default is MISSING and not made else f"{it.name}={default}")
        sets.append(f"self.{it.name} = " + (f"_default_{it.name}() if {it.name} is _unset else " * made) + it.name)
        copies.append(f"copy.{it.name} = value.{it.name}")
    changes = ["for name in changes: _set(copy, name, changes[name])", "copy.__class__ = _own", "return copy"]
    sets = ["_become(self, '__class__', _twin)", *sets, "self.__class__ = _own"]
    _write(f"__init__({', '.join(takes)})", sets, names)
    _write("_replace(value, changes)", ["copy = _new(_twin)", *copies, *changes], names)
    init = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    dataclass.__init__ = init
    _replace[cls] = names["_replace"]
    return cls


def _write(head: str, lines: list[str], names: dict[str, Any]) -> None:
    exec(f"def {head}:\n  " + "\n  ".join(lines), names)  # noqa: S102  # as dataclass does: of names in our own source


if TYPE_CHECKING:  # what it takes and returns, the type checker knows of dataclasses' own alone
    from dataclasses import replace
else:

    def replace(value, /, **changes):
        """As `dataclasses.replace`."""
        quickly = _replace.get(value.__class__)
        try:
            return dataclasses.replace(value, **changes) if quickly is None else quickly(value, changes)
        except AttributeError:  # there is no such field, which dataclasses says as it should be said
            return dataclasses.replace(value, **changes)
