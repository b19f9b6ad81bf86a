"""Samples as people write them: on the command line and in scenarios."""

import re

from daemon.engine.values import named, read_literal, with_unit
from daemon.model.check import Dimension, Sample, SampleSpec

_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def read_sample(spec: SampleSpec, text: str) -> Sample:
    """A sample's value: a number in its own unit or with a unit of its dimension, true or false, or the text itself.

    Raises:
        ValueError: with what it is and how it is written.
    """
    if spec.dimension is Dimension.STRING:
        is_quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
        return text[1:-1] if is_quoted else text
    if spec.dimension is Dimension.BOOLEAN:
        if text not in ("true", "false"):
            raise ValueError(f"{spec.name} is true or false; write {spec.name}=true")
        return text == "true"
    if _NOT_FINITE.fullmatch(text):
        return float(text)  # counts as missing, as it would in a run
    example = with_unit("5", spec.dimension)
    try:
        number, dimension = read_literal(text.removeprefix("-"))
    except (ValueError, KeyError, IndexError) as error:
        why = str(error) if isinstance(error, ValueError) else f"{text!r} is not a number"
        raise ValueError(f"{why}; {spec.name} is {named(spec.dimension)}, such as {example}") from None
    if dimension not in (spec.dimension, Dimension.NONE):
        raise ValueError(f"{text} is {named(dimension)}, and {spec.name} is {named(spec.dimension)}, such as {example}")
    return -number if text.startswith("-") else number
