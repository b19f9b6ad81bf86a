"""What SQLite and the system say of a state file, in sentences for an operator."""

import json
import os
import sqlite3
from pathlib import Path


def of_system(error: OSError, path: Path) -> str:
    """Why the system does not let us have a path."""
    return f"{error.filename or path}: {os.strerror(error.errno) if error.errno else error}"


def of_sqlite(error: sqlite3.Error, path: Path) -> str:
    """Why SQLite cannot use the state file, and what would end that where it is known."""
    name = getattr(error, "sqlite_errorname", "")  # absent where the module itself complains
    if name == "SQLITE_FULL":
        return f"{path}: the disk is full, or a quota or file size limit is reached"
    if name.startswith("SQLITE_READONLY"):
        return f"{path} is read-only"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"{path} is open in another program; heald needs it for itself alone"
    if is_damage(error):
        return f"{path} is damaged or not a database of heald ({error})"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return f"{path} or a file beside it cannot be opened ({error})"
    if name.startswith("SQLITE_IOERR"):
        return f"{path}: reading or writing failed ({error}, {name})"
    return f"{path}: {error}"


def is_passing(error: sqlite3.Error) -> bool:
    """Whether the open connection will do again once the cause is gone; otherwise the file must be opened anew."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_BUSY"))


def is_damaged_row(fault: Exception | None) -> bool:
    """Whether a row that cannot be understood is damaged for certain: a later heald would write UTF-8 and JSON too."""
    is_no_text = isinstance(fault, sqlite3.OperationalError)
    return is_no_text or (fault is not None and isinstance(fault.__cause__, json.JSONDecodeError | UnicodeDecodeError))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether what is in the file can never be read again."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))
