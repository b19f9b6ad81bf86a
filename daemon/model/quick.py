"""A cheaper constructor, and a cheaper `replace`, for frozen dataclasses of which several are made at every run.

What `dataclass(frozen=True)` writes sets each field through `object.__setattr__`, which is a sixth of what a run costs.
Here an instance is of an unfrozen twin of its class while its fields are set, and of its own class from then on.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["quick", "replace"]

T = TypeVar("T")
_UNSET = object()
_Values = tuple[list[str], Callable[[Any], tuple[Any, ...]]]
_values: dict[type, _Values] = {}  # of such classes: the names of their fields, and what reads them all


def quick(cls: type[T]) -> type[T]:
    """Give a dataclass with `frozen=True, kw_only=True, slots=True` and no `__post_init__` such a constructor."""
    dataclass: Any = cls
    twin = type(cls.__name__, (), {"__slots__": dataclass.__slots__})
    names: dict[str, Any] = {"_become": object.__setattr__, "_twin": twin, "_own": cls, "_unset": _UNSET}
    takes, sets = ["self", "*"], []
    for it in fields(dataclass):
        made = it.default_factory is not MISSING
        names[f"_default_{it.name}"] = it.default_factory if made else it.default
        default = "_unset" if made else f"_default_{it.name}"
        takes.append(it.name if it.default is MISSING and not made else f"{it.name}={default}")
        sets.append(f"self.{it.name} = " + (f"_default_{it.name}() if {it.name} is _unset else " * made) + it.name)
    body = ["_become(self, '__class__', _twin)", *sets, "self.__class__ = _own"]
    exec(f"def __init__({', '.join(takes)}):\n  " + "\n  ".join(body), names)  # noqa: S102  # as dataclass does: of names in our own source
    init = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    dataclass.__init__ = init
    known = [it.name for it in fields(dataclass)]
    _values[cls] = (known, attrgetter(*known))
    return cls


if TYPE_CHECKING:  # what it takes and returns, the type checker knows of dataclasses' own alone
    from dataclasses import replace
else:

    def replace(value, /, **changes):
        """As `dataclasses.replace`."""
        known = _values.get(value.__class__)
        if known is None:
            return dataclasses.replace(value, **changes)
        names, read = known
        return value.__class__(**dict(zip(names, read(value), strict=True), **changes))
