"""Where in the file a character of a YAML scalar's value stands (YAML 1.2 sections 6.5, 7.3 and 8.1)."""

import re

_FOLD = re.compile(r"[ \t]*((?:(?:\r\n|\n|\r)[ \t]*)+)")  # what line folding makes a blank, or breaks, of
_BREAK = re.compile(r"\r\n|\n|\r")
_CONTINUED = re.compile(r"\\(?:\r\n|\n|\r)[ \t]*")
_ESCAPE = re.compile(r"\\(?:x.{2}|u.{4}|U.{8}|(?:\r\n|\n|\r)[ \t]*|.)", re.DOTALL)


def source_index(source: str, style: str | None, value: str, offset: int) -> int:
    """The index in `source`, the scalar as it is written, of the character at `offset` of its value."""
    if style == "|":
        return _literal(source, value, offset)
    if style == ">":
        header = _BREAK.search(source)
        start = header.end() if header else len(source)
        body = source[start:].lstrip(" \r\n")
        blank = len(_BREAK.findall(source[start : len(source) - len(body)]))  # each is a break of the value
        return len(source) - len(body) + _folded(body, None, max(0, offset - blank))
    if style in ("'", '"'):
        return 1 + _folded(source[1:], style, offset)
    return _folded(source, None, offset)


def _folded(source: str, style: str | None, offset: int) -> int:
    """Walk the source and count what each part of it yields."""
    index = yielded = 0
    while yielded < offset and index < len(source):
        fold = _FOLD.match(source, index)
        if fold:
            breaks = len(_BREAK.findall(fold[1]))
            yielded += max(1, breaks - 1)
            index = fold.end()
        elif style == '"' and source[index] == "\\" and (escape := _ESCAPE.match(source, index)):
            yielded += not _BREAK.match(escape[0], 1)
            index = escape.end()
        else:
            index += 2 if style == "'" and source.startswith("''", index) else 1
            yielded += 1
    while style == '"' and (continued := _CONTINUED.match(source, index)):
        index = continued.end()
    return index


def _literal(source: str, value: str, offset: int) -> int:
    """Each line of the value is a line of the source behind its indentation."""
    starts = [found.end() for found in _BREAK.finditer(source)] or [len(source)]
    line = value.count("\n", 0, offset)
    column = offset - (value.rfind("\n", 0, offset) + 1)
    if line >= len(starts):
        return len(source)
    start = starts[line]
    found = _BREAK.search(source, start)
    written = source[start : found.start() if found else len(source)]
    indent = max(0, len(written) - len(value.split("\n")[line]))
    return min(start + indent + column, len(source))
