"""The parser's errors in plain words: libyaml says what it did not find, people want to know what to write."""

import re

from yaml import MarkedYAMLError

_NO_BEGINNING = "found character that cannot start any token"
_WORDS = {
    "found unexpected end of stream": "the quote that opens here is never closed; close it on its line",
    "found unknown escape character": r"this escape is not known; write \\ for a backslash, or use single quotes",
    "did not expect expected hexdecimal number": r"an escape such as \x41 needs hexadecimal digits",
    "found undefined alias": "this alias names no anchor before it; write the value out",
    "did not find expected ',' or ']'": "the list that opens here is not closed, or lacks a comma; close it with ]",
    "did not find expected ',' or '}'": "the mapping that opens here is not closed, or lacks a comma; close it with }",
    "but found another document": "a second document begins here; a file holds one, so leave --- out",
    "did not find expected <document start>": "something follows the end of the document; a file holds one document",
    "exceeded maximum nesting depth": "nested far too deep",
    "could not find expected ':'": "this line has no `:`; write key: value, with a space behind the colon",
    "mapping values are not allowed in this context": (
        "a `:` is not allowed here; put a text that holds `: ` in quotes, and start keys of one mapping in one column"
    ),
    "did not find expected key": (
        "expected a key here; the keys of one mapping start in one column, and nothing follows a closing quote"
    ),
    "did not find expected '-' indicator": "expected `- ` here; the items of one list start in one column",
    "did not find expected node content": "expected a value here; close what is open with ] or }",
    "block sequence entries are not allowed in this context": (
        "a `- ` is not allowed here; a list begins on a line of its own"
    ),
    "found a tab character where an indentation space is expected": "a tab in the indentation; write spaces",
    "found a tab character that violates indentation": "a tab in the indentation; write spaces",
    "found undefined tag handle": "tags (!…) are not allowed; leave it out",
    "found incompatible YAML document": "the %YAML line names an unknown version; leave it out",
}
_AT_CONTEXT = frozenset(
    {
        "found unexpected end of stream",
        "could not find expected ':'",
        "did not find expected ',' or ']'",
        "did not find expected ',' or '}'",
    }
)
"""Problems whose place is where the thing began, not where the parser gave up."""


def explain(error: MarkedYAMLError, text: str) -> tuple[int, str]:
    """The 0-based index of what is wrong, and a sentence."""
    problem = error.problem or "this is not YAML"
    mark = error.problem_mark or error.context_mark
    if problem in _AT_CONTEXT and error.context_mark is not None:
        mark = error.context_mark
    index = min(mark.index if mark else 0, len(text))
    tab = _tab_before(text, index)
    if tab is not None:
        return tab, "a tab in the indentation; write spaces"
    if problem == "but found another document" and error.problem_mark is not None:
        index = min(error.problem_mark.index, len(text))
    if problem == _NO_BEGINNING:
        return index, _token(text[index : index + 1])
    return index, _WORDS.get(problem, f"{problem}; a text with special characters stands in quotes")


def _tab_before(text: str, index: int) -> int | None:
    """A tab in the white space that begins the line of this place."""
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    lead = re.compile(r"[ ]*\t").match(text, start)
    return lead.end() - 1 if lead else None


def _token(sign: str) -> str:
    if sign == "\t":
        return "a tab in the indentation; write spaces"
    return f"a text cannot begin with {sign}; put it in quotes"
