"""What `${env:NAME}`, `${file:PATH}` and `${credential:NAME}` stand for; `$${` is a `${` that stands for itself.

A value that was put in for a reference never appears in an error: `Secrets.without` takes it out of a sentence.
"""

import difflib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LARGEST = 2**16
"""Bytes of the largest file that a reference may name."""
_HOW = "write ${env:NAME}, ${file:PATH} or ${credential:NAME}, or $${ for a plain ${"
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_NEVER_SECRET = re.compile(r"PATH|HOME|USER|LOGNAME|SHELL|PWD|TMPDIR|TZ|TERM|HOSTNAME|LANG|LANGUAGE|(?:LC|XDG)_.*")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9_@:=.-]{1,255}")  # systemd.exec(5): a name that is valid as a file name
_GIVEN_AWAY = 5  # characters in a row of a secret that a sentence may not have


class SecretError(ValueError):
    """A reference that cannot be resolved; `offset` is its place in the text. The text never holds a value.

    `is_missing`: it is well written, but there is no value where it points.
    """

    def __init__(self, message: str, offset: int, *, is_missing: bool) -> None:
        super().__init__(message)
        self.offset = offset
        self.is_missing = is_missing


class _MissingError(ValueError):
    """There is no value where a reference points."""


def has_reference(text: str) -> bool:
    """Whether a text holds a reference or the start of one."""
    return "${" in text


@dataclass(slots=True, kw_only=True)
class Secrets:
    """Resolves the references of one file, each from where it is kept."""

    folder: Path  # of the file: paths are relative to it
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    withheld: set[str] = field(default_factory=set)  # variables that no command gets, unless its options say so
    guarded: set[str] = field(default_factory=set, repr=False)  # values that nothing which is recorded may repeat
    _known: dict[str, str] = field(default_factory=dict, repr=False)  # by reference, as each is read once

    def beside(self, folder: Path) -> "Secrets":
        """Of a file that is read with this one, in its own folder."""
        return Secrets(folder=folder, environ=self.environ, withheld=self.withheld, guarded=self.guarded)

    def resolve(self, text: str) -> str:
        """The text with every reference replaced.

        Raises:
            SecretError: with the reference, what is wrong with it and how to write it; never with a value.
        """
        parts, end = [], 0
        for found in _REFERENCE.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            parts.append("${" if found[1] is None else self._value(found))
        return "".join([*parts, text[end:]])

    def withhold_from_commands(self, text: str) -> None:
        """Note the variables that a secret option's text names: they are for that option and nobody else."""
        for found in _REFERENCE.finditer(text):
            kind, _, name = (found[1] or "").partition(":")
            if kind == "env" and not _NEVER_SECRET.fullmatch(name):
                self.withheld.add(name)

    def has_others(self, texts: Iterable[str]) -> bool:
        """Whether what the references of these texts stand for was refused, and they stand for another value now."""
        return False

    def values_in(self, text: str) -> dict[str, str]:
        """The values that the references of a text stand for, by reference."""
        references = (found[0] for found in _REFERENCE.finditer(text))
        return {reference: self._known[reference] for reference in references if reference in self._known}

    def without(self, sentence: str, texts: Iterable[str]) -> str | None:
        """A sentence with the references instead of the values that stood for them in `texts`.

        None if it would still give a part of one away.
        """
        for text in texts:
            for reference, value in sorted(self.values_in(text).items(), key=lambda pair: -len(pair[1])):
                for shape in (value, repr(value)[1:-1], value.lower(), repr(value.lower())[1:-1]):
                    sentence = sentence.replace(shape, reference) if shape else sentence
                if value and _shares(sentence.replace(reference, ""), value):
                    return None
        return sentence

    def _value(self, found: re.Match[str]) -> str:
        reference, offset = found[0], found.start()
        if reference not in self._known:
            try:
                self._known[reference] = self._read(found)
            except ValueError as error:
                raise SecretError(str(error), offset, is_missing=isinstance(error, _MissingError)) from None
        return self._known[reference]

    def _read(self, found: re.Match[str]) -> str:
        if not found[2]:
            raise ValueError(f"${{ is not closed; {_HOW}")
        kind, colon, name = found[1].partition(":")
        if not colon or kind not in ("env", "file", "credential"):
            raise ValueError(f"{found[0]} is not a reference; {_HOW}")
        if kind == "env":
            return self._environment(found[0], name)
        if kind == "file":
            return self._file(found[0], name)
        return self._credential(found[0], name)

    def _environment(self, reference: str, name: str) -> str:
        if not _ENV_NAME.fullmatch(name):
            raise ValueError(f"{reference} names no variable; names are letters, digits and _")
        value = self.environ.get(name)
        if value is None:
            near = difflib.get_close_matches(name, self.environ, n=1, cutoff=0.8)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _MissingError(
                f"{reference}: the environment variable {name} is not set; set it before heald starts{hint}"
            )
        if not value:
            raise _MissingError(f"{reference}: the environment variable {name} is empty; give it a value")
        return value

    def _file(self, reference: str, name: str) -> str:
        if not name.strip():
            raise ValueError(f"{reference} names no file; write a path, from the folder of this file on or from /")
        return _read_file(reference, self.folder / name)

    def _credential(self, reference: str, name: str) -> str:
        if not _CREDENTIAL_NAME.fullmatch(name) or name in (".", ".."):
            raise ValueError(f"{reference} names no credential; a name has no slashes and blanks")
        folder = self.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise _MissingError(
                f"{reference}: systemd gave heald no credentials ($CREDENTIALS_DIRECTORY is not set); "
                f"write LoadCredential={name}:PATH in its unit"
            )
        return _read_file(reference, Path(folder) / name)


def _shares(sentence: str, value: str) -> bool:
    """Whether the sentence has as many characters in a row of the value as would give it away."""
    match = difflib.SequenceMatcher(None, sentence, value, autojunk=False).find_longest_match()
    return match.size >= min(_GIVEN_AWAY, len(value))


def _read_file(reference: str, path: Path) -> str:
    """A file's text without the line break at its end. Raises ValueError without a part of the text."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would block for ever
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ValueError(f"{reference}: this is no regular file")
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _MissingError(f"{reference}: there is no such file") from None
    except OSError as error:
        raise _MissingError(f"{reference}: the file cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > LARGEST:
        raise ValueError(f"{reference}: the file is larger than {LARGEST // 1024} KiB")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{reference}: the file is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _MissingError(f"{reference}: the file is empty")
    return text
