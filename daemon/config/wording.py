"""What pydantic found, in plain words: what stands there, what is allowed, what was probably meant."""

import re
from collections.abc import Mapping
from typing import Any

from daemon.config.document import Node
from daemon.config.shapes import Shape, kind_of
from daemon.engine.condition_error import did_you_mean
from daemon.model.units import format_duration, format_size

_LONGEST = 60  # characters of a value that a sentence repeats
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS = {
    "string_too_short": ("min_length", "a text of at least {} characters"),
    "string_too_long": ("max_length", "a text of at most {} characters"),
    "too_short": ("min_length", "at least {} of them"),
    "too_long": ("max_length", "at most {} of them"),
}
_ONE_OF = {"literal_error", "enum"}


def found(node: Node, *, is_secret: bool) -> str:
    """What stands in the file. A secret is never repeated."""
    value = node.value
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if is_secret:
        return "a value that is not shown"
    if isinstance(value, bool):
        return f"the truth value {node.text}"
    if isinstance(value, int | float):
        return f"the number {node.text}"
    return (
        f'the text "{value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"}"' if value else "an empty text"
    )


def expected(error: Mapping[str, Any], shapes: list[Shape], node: Node) -> str | None:
    """What is allowed where another type or size was found; None if the error is of another sort."""
    kind, context = str(error["type"]), error.get("ctx", {})
    unit = kind_of(shapes)
    if kind in ("float_type", "float_parsing") and unit:
        return unit[1]
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {_measure(context[key], unit[0] if unit else '')}"
    if kind in _LENGTHS:
        key, words = _LENGTHS[kind]
        return "some text" if kind == "string_too_short" and context[key] == 1 else words.format(context[key])
    if kind in _ONE_OF:
        names = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        hint = did_you_mean(str(node.text), names)
        return f"one of {', '.join(names)}" + (f"; {hint}" if hint else "")
    if kind == "string_pattern_mismatch":
        return f"text of the form {context['pattern']}"
    return None


def hint(node: Node, wanted: str, *, is_secret: bool) -> str:
    """How to write what stands here as what is wanted; empty if that is not plain."""
    if isinstance(node.value, dict | list) or node.value is None or is_secret:
        return ""
    if wanted == "text" and not isinstance(node.value, str):
        return f'; write "{node.text}"'
    if wanted == "a list" and len(node.text) <= _LONGEST:
        is_words = re.fullmatch(r"[\w./:=@%+-]+( [\w./:=@%+-]+)+", node.text)  # such as a command line
        return f"; write [{', '.join(node.text.split()) if is_words else node.text}]"
    if "number" in wanted and node.style in ("'", '"') and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", node.text):
        return f"; write {node.text} without quotes"
    if "number" in wanted and re.fullmatch(r"[0-9]+(_[0-9]+)+", node.text):
        return f"; write {node.text.replace('_', '')}"
    return ""


def other(error: Mapping[str, Any]) -> str:
    """The sentence of a validator, or pydantic's own."""
    raised = error.get("ctx", {}).get("error")
    text = str(raised) if isinstance(raised, Exception) else str(error["msg"])
    return text if isinstance(raised, Exception) else text[:1].lower() + text[1:]


def unknown_key(key: str, allowed: list[str]) -> str:
    """A key that is not known."""
    near = did_you_mean(key, allowed)
    listed = f"allowed are {', '.join(allowed)}" if allowed else "none is allowed here"
    return f"the key {key} is not known; {listed}" + (f"; {near}" if near else "")


def missing_key(key: str, description: str | None) -> str:
    """A key that has to be there."""
    return f"the key {key} is missing" + (f"; it is: {description.rstrip('.')}" if description else "")


def _measure(value: float, unit: str) -> str:
    if unit == "duration":
        return format_duration(value)
    if unit == "size":
        return format_size(value)
    return f"{value:g}%" if unit == "share" else f"{value:g}"
