"""Defaults and types of options, as an operator writes and reads them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from daemon.config.shapes import Shape, fields_of, kind_of, shapes_of, type_word
from daemon.model.rule import Limit
from daemon.model.units import format_duration, format_size


class Row(NamedTuple):
    """One key, for a table."""

    name: str  # of a key within an option: OPTION.KEY
    takes: str
    default: str  # "" where there is none to tell
    meaning: str
    is_required: bool = False


def rows_of(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Every key of a model, and below each the keys of the models within it."""
    for key, field in fields_of(model).items():
        default = "" if field.is_required() else flow(default_of(field))
        yield Row(f"{prefix}{key}", type_word(field), default, field.description or "", field.is_required())
        for inner, part in _within(shapes_of(field.annotation, field.metadata)):
            yield from rows_of(inner, f"{prefix}{key}{part}.")


def _within(shapes: list[Shape]) -> Iterator[tuple[type[BaseModel], str]]:
    """The models that a key holds, and how its path goes on to them."""
    for annotation, _ in shapes:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation, ""
        arguments = getattr(annotation, "__args__", ())
        if arguments:
            part = ".NAME" if len(arguments) == 2 and arguments[1] is not Ellipsis else "[]"
            yield from (
                (inner, part + rest) for inner, rest in _within(shapes_of(arguments[-1 if part != "[]" else 0]))
            )


def default_of(field: FieldInfo) -> Any:
    """A default as plain values that YAML has; None where nothing is the default."""
    return _written(field.get_default(call_default_factory=True), shapes_of(field.annotation, field.metadata))


def _written(value: Any, shapes: list[Shape]) -> Any:
    unit = kind_of(shapes)
    if unit and isinstance(value, int | float):
        written = {"duration": format_duration, "size": format_size}.get(unit[0])
        return written(value) if written else f"{value:g}%"
    if isinstance(value, BaseModel):
        return {key: default_of_value(value, key, field) for key, field in fields_of(type(value)).items()}
    if isinstance(value, SecretStr):
        return value.get_secret_value() and "**********"
    if isinstance(value, Limit):
        return str(value)
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(it, float) for it in value):  # a cooldown
        first, last = (format_duration(it) for it in value)
        return first if first == last else f"{first}..{last}"
    if isinstance(value, list | tuple | set | frozenset):
        return [_written(it, []) for it in value]
    return value if isinstance(value, str | int | float | bool | dict | None) else str(value)


def default_of_value(model: BaseModel, key: str, field: FieldInfo) -> Any:
    """The value of one key of a model that is itself a default."""
    name = next(name for name, it in type(model).model_fields.items() if (it.alias or name) == key)
    return _written(getattr(model, name), shapes_of(field.annotation, field.metadata))


def flow(value: Any) -> str:
    """A plain value on one line of YAML; "" for what is nothing."""
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, str):
        return value
    dumped: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return dumped.removesuffix("...\n").strip()
