"""What a pydantic model allows at each place of it: read from annotations, for sentences and for secrets."""

from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, WithJsonSchema
from pydantic.fields import FieldInfo

from daemon.plugin import Duration, Percent, Size

Shape = tuple[Any, tuple[object, ...]]
"""An annotation that is neither Annotated nor a union, and the metadata around it."""

_KINDS = (
    (Duration, "duration", "a duration such as 30s or 1m30s"),
    (Size, "size", "a size such as 512MiB"),
    (Percent, "share", "a share such as 85%"),
)
_JSON_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def shapes_of(annotation: Any, metadata: Iterable[object] = ()) -> list[Shape]:
    """Every alternative that an annotation allows."""
    return list(_spread(annotation, tuple(metadata)))


def _spread(annotation: Any, metadata: tuple[object, ...]) -> Iterator[Shape]:
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        inner, *own = get_args(annotation)
        yield from _spread(inner, (*metadata, *own))
    elif origin in (Union, UnionType):
        for alternative in get_args(annotation):
            yield from _spread(alternative, metadata)
    else:
        yield annotation, metadata


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the keys that a file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def below(shapes: Iterable[Shape], part: str | int) -> list[Shape]:
    """What is allowed under a key or at a place of a list; nothing where the key is not known."""
    found: list[Shape] = []
    for annotation, _ in shapes:
        origin: Any = get_origin(annotation)
        arguments = get_args(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = fields_of(annotation).get(str(part))
            if field is not None:
                found += shapes_of(field.annotation, field.metadata)
        elif isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            found += shapes_of(arguments[1]) if isinstance(part, str) else []
        elif isinstance(origin, type) and issubclass(origin, tuple) and isinstance(part, int):
            at = 0 if arguments[-1:] == (Ellipsis,) else part
            found += shapes_of(arguments[at]) if at < len(arguments) else []
        elif isinstance(origin, type) and issubclass(origin, Iterable) and arguments and isinstance(part, int):
            found += shapes_of(arguments[0])
    return found


def is_secret(shapes: Iterable[Shape]) -> bool:
    """Whether a secret may stand here."""
    return any(isinstance(annotation, type) and issubclass(annotation, SecretStr) for annotation, _ in shapes)


def known_keys(shapes: Iterable[Shape]) -> list[str]:
    """The keys that a mapping here may have; nothing if any."""
    return [
        key
        for annotation, _ in shapes
        if isinstance(annotation, type) and issubclass(annotation, BaseModel)
        for key in fields_of(annotation)
    ]


def kind_of(shapes: Iterable[Shape]) -> tuple[str, str] | None:
    """The word and the phrase for what is written with a unit: a duration, a size or a share."""
    for _, metadata in shapes:
        for unit, word, phrase in _KINDS:
            if get_args(unit)[1] in metadata:
                return word, phrase
    return None


def type_word(field: FieldInfo) -> str:
    """What a field takes, in a few words for a table."""
    words = [_word(shape) for shape in shapes_of(field.annotation, field.metadata) if shape[0] is not type(None)]
    return " or ".join(dict.fromkeys(words))


def _word(shape: Shape) -> str:
    annotation = shape[0]
    kind = kind_of([shape])
    if kind:
        return kind[0]
    written = next((it.json_schema for it in shape[1] if isinstance(it, WithJsonSchema)), None) or {}
    if "title" in written:
        return str(written["title"])
    names = [str(it.get("type")) for it in written.get("anyOf", [written])]
    if all(name in _JSON_WORDS for name in names):
        return " or ".join(_JSON_WORDS[name] for name in names)
    origin: Any = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Literal:
        return " | ".join(str(argument) for argument in arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping to {_words(arguments[1])}" if len(arguments) == 2 else "mapping"
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return f"list of {_words(arguments[0])}" if arguments else "list"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"mapping of {', '.join(fields_of(annotation))}"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false", SecretStr: "secret text"}
    return plain.get(annotation, getattr(annotation, "__name__", "value"))


def _words(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(_word(shape) for shape in shapes_of(annotation) if shape[0] is not type(None)))
