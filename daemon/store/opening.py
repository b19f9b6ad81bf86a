"""Getting at the state directory: the lock, the file, its settings and its schema."""

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path

from daemon.errors import LockedError, StoreError, StoreRefusedError
from daemon.store.sentences import of_sqlite, of_system

MIGRATIONS = Path(__file__).parent / "migrations"
FILE = "heald.db"
LOG_SOON, LOG_LATEST = 1000, 4000  # pages of the log (4 KiB each) that history, and any other, puts into the file
BUSY_SECONDS = 1.0  # how long to wait for another program that has the file, a backup or a curious shell


def lock(directory: Path) -> int:
    """Make the state directory if need be and take its lock; returns the descriptor that holds it.

    Raises:
        LockedError: another daemon has it.
        OSError: the directory or its lock file cannot be made or opened.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        who = f"process {holder}" if holder.isdecimal() else "another process"
        raise LockedError(f"the state directory {directory} is in use by another heald: {who}") from None
    except BaseException:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, it only cannot say for whom
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def connect(path: Path, migrations: Path) -> sqlite3.Connection:
    """Open the state file, create or migrate it if need be.

    The connection has the file for itself (EXCLUSIVE): up to SQLite 3.51.2 two connections that write or checkpoint
    at one moment can corrupt a write-ahead log, and without a second one there is no shared memory beside the file.

    Raises:
        StoreRefusedError: the schema is newer than this program.
        StoreError: the copy before a migration cannot be made.
        sqlite3.Error, OSError: the file cannot be used.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would create it for all to read
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for setting in (
            "locking_mode = EXCLUSIVE",  # first: a log that was read without it has shared memory for good
            "auto_vacuum = INCREMENTAL",  # only heeded in a new file, before the first table
            "journal_mode = WAL",
            "synchronous = FULL",  # a commit that returned is on the disk
            f"wal_autocheckpoint = {LOG_LATEST}",
            "foreign_keys = ON",
            f"journal_size_limit = {16 * 2**20}",
        ):
            connection.execute(f"PRAGMA {setting}")
        migrate(connection, path, migrations)
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Look through every table that decisions are made from; the history is large, and found out when it is read.

    Raises:
        sqlite3.DatabaseError: it is damaged; with the first thing that is wrong.
    """
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'history'").fetchall()
    for (table,) in tables:
        (found,) = connection.execute("SELECT * FROM pragma_quick_check(?)", (table,)).fetchone()
        if found != "ok":
            raise _damage(str(found))


def _damage(text: str) -> sqlite3.DatabaseError:
    """What SQLite would raise, had it seen it by itself."""
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def scripts(migrations: Path) -> dict[int, Path]:
    """The numbered migrations, NNNN_name.sql, by number."""
    return {int(path.name[:4]): path for path in sorted(migrations.glob("[0-9][0-9][0-9][0-9]_*.sql"))}


def migrate(connection: sqlite3.Connection, path: Path, migrations: Path) -> None:
    """Bring the schema to the newest version, each migration in its own transaction, after a copy of the file.

    The copy, FILE.before-N, is as the file was before migration N; a new file needs none.

    Raises:
        sqlite3.DatabaseError: it is damaged, or another program's. StoreRefusedError, StoreError: as `connect`.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < 1 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise _damage(f"it has tables, and schema {version}, which no heald ever wrote")
    known = scripts(migrations)
    newest = max(known)
    if version > newest:
        raise StoreRefusedError(
            f"{path} has schema {version}, but this heald knows none after {newest}: run the heald that wrote it, "
            f"or put back the copy {path.name}.before-{newest + 1}"
        )
    pending = [number for number in sorted(known) if number > version]
    if pending and version > 0:
        _copy(connection, path, path.with_name(f"{path.name}.before-{pending[0]}"))
    for number in pending:
        script = known[number].read_text(encoding="utf-8")
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise


def _copy(connection: sqlite3.Connection, path: Path, copy: Path) -> None:
    """Copy the whole file, on the disk under its name only once it is complete. Raises StoreError."""
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(unfinished)) as target:
            connection.backup(target)
        _sync(unfinished)
        unfinished.replace(copy)
        _sync(copy.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):  # what is left of it is removed at the next try
            unfinished.unlink(missing_ok=True)
        why = of_system(error, unfinished) if isinstance(error, OSError) else of_sqlite(error, unfinished)
        raise StoreError(f"{path} must be migrated, and is not touched without a copy of it: {why}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
