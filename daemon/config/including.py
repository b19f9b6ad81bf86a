"""`include`: the files that are read with the main one, in one order for everybody."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from daemon.config.document import Document, Node, parse_document
from daemon.config.problems import ConfigError
from daemon.config.reading import read_text
from daemon.config.report import Report

_MAGIC = frozenset("*?[")


def read_files(path: Path, text: str | None = None) -> Sequence[Document]:
    """The main file, then what it includes: as the list says, and of one glob by the bytes of their paths.

    A file that is found twice counts once, and the main one is never included. `text` is what stands in the main one,
    where it is not to be read from there.

    Raises:
        ConfigError: a file cannot be read, or is no YAML. What that would name is not known then, and so nothing
            is linked.
    """
    report = Report()
    main = parse_document(path, read_text(path) if text is None else text, report)
    documents, is_whole = [main], True
    for found in _included(main):
        try:
            if found is None:
                is_whole = False
            else:
                documents.append(parse_document(found, read_text(found), report))
        except ConfigError as error:
            report.add_unreadable(error)
            is_whole = False
    if not is_whole:
        report.finish()
    return documents


def _included(main: Document) -> Iterator[Path | None]:
    """The files of `include`; None for what was reported. Other types than text are reported with the other keys."""
    node = main.root.entries.get("include")
    seen = {Path(os.path.realpath(main.path))}
    for place, item in enumerate(node.items if node else ()):
        if not isinstance(item.value, str) or not item.value or "${" in item.value:
            continue
        said, paths = _expand(main.path.parent, item)
        if said:
            main.report.add(item.place, f"include[{place}]", said)
            yield None
        for path in paths:
            real = Path(os.path.realpath(path))  # where resolve() raises of links that go in a circle
            if real not in seen:
                seen.add(real)
                yield path


def _expand(folder: Path, item: Node) -> tuple[str, list[Path]]:
    """What is wrong with an item of `include`, and the files that it stands for."""
    text = item.text
    if "\0" in text:
        return "a NUL character, which no file's name has; write a path such as rules.d/*.yaml", []
    if "**" in text:
        return "** is not offered; name each level, such as [rules.d/*.yaml, rules.d/*/*.yaml]", []
    is_glob = bool(_MAGIC & set(text))
    try:
        found = _matching(folder, text)
        if is_glob:
            found = [path for path in found if os.path.lexists(path) and not path.is_dir()]
        odd = next((path for path in found if path.exists() and not path.is_file() and not path.is_dir()), None)
        missing = None if is_glob or found[0].exists() else found[0]
    except OSError as error:
        return f"{error.filename} cannot be looked into: {(error.strerror or str(error)).lower()}", []
    if odd is not None:
        return f"{odd} is no regular file; leave it out", []
    if missing is not None:
        said = f"there is no file {missing}; a path is relative to the folder of this file"
        return f"{said}, and only a glob such as rules.d/*.yaml may match nothing", []
    return "", sorted(found, key=lambda path: os.fsencode(path))


def _matching(folder: Path, pattern: str) -> list[Path]:
    """What a glob matches, be it there or not where no sign of it is a glob's. Raises OSError."""
    found = [folder]
    for part in PurePath(pattern).parts:
        if _MAGIC & set(part):
            found = [place / name for place in found for name in _names(place, part)]
        else:
            found = [place / part for place in found]  # a first part `/` begins anew there
    return found


def _names(folder: Path, part: str) -> list[str]:
    """Names in a folder that match; a hidden one only if the glob begins with a dot. Raises OSError."""
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if fnmatchcase(name, part) and (part[0] == "." or name[0] != ".")]
