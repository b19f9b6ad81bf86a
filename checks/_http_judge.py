"""What an HTTP answer is worth: the samples in its JSON, and what it lacks of what was expected."""

import encodings.aliases
import gc
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from checks._http_message import Answer
from checks._http_values import keys_of
from checks._net import Look
from checks._once import is_found
from checks._patterns import Search
from daemon.plugin import Sample, SickError

_CHARSETS = frozenset({"ascii", "cp1252", "latin_1", "iso8859_15", "utf_8", "utf_16"})  # decoders that cost no more
_LONGEST_CHARSET = 40  # characters; no name of one of these is longer
_LONGEST_TEXT = 256  # characters of a string sample
_HALF = re.compile("[\ud800-\udfff]")  # of a character: JSON may have one, which no log and no page can tell
_MISSING = object()


def judge_status(answer: Answer, allowed: Sequence[tuple[int, int]]) -> None:
    """Raises SickError if the status is in none of the ranges."""
    for low, high in allowed:
        if low <= answer.status <= high:
            return
    wanted = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in allowed)
    raise SickError("status", f"the status is {answer.status}, expected is {wanted}")


def judge_text(answer: Answer, contained: str | None) -> None:
    """Raises SickError if the body, as far as it was read, lacks what it should contain."""
    if contained is not None and contained not in _text(answer):
        raise SickError("body", f"{_where(answer)} does not contain expect_body")


async def judge_pattern(answer: Answer, pattern: str, look: Look) -> None:
    """Raises SickError if the pattern is not in the body, as far as it was read; CheckError if that took too long."""
    if not await is_found(Search(pattern), _text(answer), look):
        raise SickError("body", f"{_where(answer)} does not match expect_regex")


def _where(answer: Answer) -> str:
    return "the part of the body that was read" if answer.is_cut else "the body"


def parse_json(answer: Answer) -> Any:
    """The body as JSON. Raises SickError if it is none."""
    if answer.is_cut:
        raise SickError("json", "the body is longer than body_limit, so its JSON cannot be read")
    collects = gc.isenabled()
    gc.disable()  # it would look through what is read, again and again: two thirds of the time that nothing else runs
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise SickError("json", "the body is not JSON") from error
    finally:
        if collects:
            gc.enable()


def judge_json(document: Any, expected: Mapping[str, Any]) -> None:
    """Raises SickError for the first path whose value is not the expected one. true is not 1 here."""
    for path, wanted in expected.items():
        found = _at(document, path)
        if found is _MISSING:
            raise SickError("json", f"the answer has no {path}")
        if isinstance(found, bool) != isinstance(wanted, bool) or found != wanted:
            raise SickError("json", f"{path} is not {json.dumps(wanted)}")


def read_sample(document: Any, path: str, unit: str) -> Sample | None:
    """The value at `path` as a sample of this unit; None if it is missing or of another type."""
    found = _at(document, path)
    if unit == "string":
        return _HALF.sub("\ufffd", found[:_LONGEST_TEXT]) if isinstance(found, str) else None
    if unit == "boolean" or isinstance(found, bool):
        return found if unit == "boolean" and isinstance(found, bool) else None
    try:
        number = float(found) if isinstance(found, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _at(document: Any, path: str) -> Any:
    for key in keys_of(path):
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isascii() and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return _MISSING
    return document


def _text(answer: Answer) -> str:
    # Not codecs.lookup: it remembers every name for ever, those it does not know too, and the server chooses them.
    name = encodings.normalize_encoding((answer.charset or "utf-8")[:_LONGEST_CHARSET]).lower()
    charset = encodings.aliases.aliases.get(name, name)
    return answer.body.decode(charset if charset in _CHARSETS else "utf-8", errors="replace")
