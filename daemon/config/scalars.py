"""What a plain word of YAML stands for: the core schema of YAML 1.2 (section 10.3.2), and nothing that surprises.

`on`, `no`, `10:30`, `1_000` and dates are texts. What one reader of YAML takes for octal and another for decimal
(`012`, `0o17`), hexadecimal numbers, infinities and NaN are refused with how to write them.
"""

import math
import re

Value = str | int | float | bool | None

_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_FIRST = frozenset("+-.0123456789")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"([-+]?)0[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_NUMBER = 40  # digits; more are a mistake, and cost time to read


class ScalarError(ValueError):
    """A word that is refused, with how to write it."""


def read_plain(text: str) -> Value:
    """The value of a plain (unquoted) scalar.

    Raises:
        ScalarError: with a sentence that says what is allowed.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _FIRST:
        return text
    if _LEADING_ZERO.fullmatch(text):
        sign = "-" if text.startswith("-") else ""
        decimal = f"write {sign}{text.lstrip('+-').lstrip('0') or '0'}"
        raise ScalarError(
            f'{text} is octal to some readers of YAML and decimal to others; {decimal}, or "{text}" as text'
        )
    if _OTHER_BASE.fullmatch(text):
        raise ScalarError(
            f'{text} is a number to some readers of YAML and text to others; write {int(text, 0)}, or "{text}" as text'
        )
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f'{text} is no number that a setting can have; write a finite one, or "{text}" as text')
    return _number(text)


def _number(text: str) -> Value:
    is_whole = _WHOLE.fullmatch(text) is not None
    if not is_whole and not _FLOAT.fullmatch(text):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ScalarError(f"a number of {len(text)} characters; at most {_LONGEST_NUMBER} are allowed")
    if is_whole:
        return int(text)
    value = float(text)
    if math.isinf(value):
        raise ScalarError(f'{text} is larger than any number; write a smaller one, or "{text}" as text')
    return value
