"""From a file to its text: everything that keeps it from being text is said with its place."""

import os
import re
from pathlib import Path

from daemon.config.problems import ConfigError, Problem

LARGEST = 16 * 2**20
"""Bytes of the largest file that is read: 5 000 rules are about 2 MiB."""

_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]"
)  # YAML 1.2 section 5.1, and the breaks that YAML 1.1 alone knows
BREAK = re.compile(r"\r\n|\n|\r")
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_text(path: Path) -> str:
    """A file's text, without a byte order mark.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8 text.
    """
    data = _read(path)
    for mark, name in _OTHER_ENCODINGS.items():
        if data.startswith(mark):
            raise whole(path, f"the file is {name}; save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        said = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise at(path, before + _rest_of_line(data[error.start :]), len(before), said) from None
    found = _UNWANTED.search(text)
    if found:
        raise at(path, text, found.start(), _unwanted(found[0]))
    return text


def whole(path: Path, text: str) -> ConfigError:
    """An error of the file as a whole."""
    return ConfigError([Problem(file=str(path), line=1, column=1, path=".", text=text)])


def at(path: Path, text: str, index: int, said: str) -> ConfigError:
    """An error at a character of the text."""
    breaks = [found.end() for found in BREAK.finditer(text, 0, index)]
    start = breaks[-1] if breaks else 0
    end = BREAK.search(text, index)
    source = text[start : end.start() if end else len(text)]
    problem = Problem(
        file=str(path), line=len(breaks) + 1, column=index - start + 1, path=".", text=said, source=source
    )
    return ConfigError([problem])


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO nobody writes to: empty
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise whole(path, "there is no such file") from None
    except IsADirectoryError:
        raise whole(path, "this is a directory; name a file such as rules.yaml in it") from None
    except PermissionError:
        raise whole(path, "the file may not be read by this user; give it read permission") from None
    except OSError as error:
        raise whole(path, f"the file cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > LARGEST:
        raise whole(path, f"the file is larger than {LARGEST // 2**20} MiB, the most that is read")
    return data


def _rest_of_line(data: bytes) -> str:
    return data.split(b"\n", 1)[0][:200].decode(errors="replace")


def _unwanted(sign: str) -> str:
    name = f"U+{ord(sign):04X}"
    if sign == "\0":
        return "a NUL character; the file must be text, and this looks like something else"
    if sign == "\ufeff":
        return f"a byte order mark ({name}) inside the file; delete it"
    if sign in "\x85\u2028\u2029":
        return f"a line separator ({name}) that not every reader of YAML knows; write a plain line break"
    return f'the control character {name}; delete it, or write it as an escape in double quotes such as "\\x1b"'
