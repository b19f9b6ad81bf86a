"""A real `heald` that dies as it passes a named point: kill -9 by its own hand, or in the midst of a write.

Run as `python child.py SETTINGS`, in JSON: `point`, `nth`, `tear`, `migrations`, `forgets`, and heald's command line as
`arguments`. The daemon's code knows nothing of this: its functions are wrapped before it starts. `python child.py serve
RULES` has the imports done once, and forks daemons (`serve`).

A write is torn by the kernel: a limit on the size of files is set just before the commit, so that the write that goes
beyond it is cut off there, and SIGXFSZ ends the process before the rest.
"""

import ctypes
import functools
import json
import os
import resource
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import daemon.app  # noqa: F401  # a command imports it late; a forked daemon finds it here
from daemon.cli import main
from daemon.config.load import load
from daemon.runtime.aftercare import Aftercare
from daemon.runtime.assembly import Assembly
from daemon.runtime.executor import Executor
from daemon.runtime.toolbox import ActToolbox
from daemon.store import opening
from daemon.store.sqlite import Database
from daemon.store.store import Store
from daemon.store.writer import Writer

PR_SET_PDEATHSIG = 1  # linux/prctl.h
FRAME = 4096 + 24  # bytes of a page in SQLite's write-ahead log


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_parent() -> None:
    """A campaign that is killed leaves no daemon behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


class Point:
    """Where this daemon dies: at the n-th passing of one point."""

    def __init__(self, name: str, nth: int, tear: float) -> None:
        self.name = name
        self._left = nth
        self._tear = tear
        self._lock = threading.Lock()
        self.tears_next_commit = False

    def passed(self) -> bool:
        """Count a passing; true for the one that counts."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def limit(self, file: Path, size: float) -> None:
        """Let no file grow beyond a random part of the next `size` bytes of this one."""
        there = file.stat().st_size if file.exists() else 0
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (there + int(self._tear * size), hard))


class Connection:
    """A connection of SQLite's, of which one commit is torn."""

    def __init__(self, connection: sqlite3.Connection, point: Point) -> None:
        self._connection = connection
        self._point = point
        self._log = Path(connection.execute("PRAGMA database_list").fetchone()[2] + "-wal")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
        if query != "COMMIT" or not self._point.tears_next_commit:
            return self._connection.execute(query, *values)
        self._point.limit(self._log, 8 * FRAME)
        self._connection.execute(query, *values)
        die()  # it wrote less than that
        raise AssertionError("nobody is here any more")


def nothing(_: object) -> None:
    """What is done where nothing is."""


def wrap(owner: Any, name: str, *, before: Callable[[object], None] = nothing, after: Any = nothing) -> None:
    """Have a function call `before` with nothing before it, and `after` with its result after it."""
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        before(None)
        result = inner(*arguments, **named)
        after(result)
        return result

    setattr(owner, name, wrapped)


def arm(point: Point) -> None:
    """Wrap what the point names."""

    def dies(_: object) -> None:
        if point.passed():
            die()

    def dies_if_claimed(result: object) -> None:
        if result == (None, None):
            dies(result)

    def tears(_: object) -> None:
        if point.passed():
            point.tears_next_commit = True

    points: dict[str, tuple[Any, str, str, Callable[[object], None]]] = {
        "before_claim": (Writer, "claim", "before", dies),
        "in_claim": (Database, "insert_attempt", "after", dies),
        "claim_commit": (Database, "insert_attempt", "after", tears),
        "after_claim": (Writer, "claim", "after", dies_if_claimed),
        "before_effect": (Executor, "_effect", "before", dies),
        "before_outcome": (Aftercare, "finish", "before", dies),
        "after_outcome": (Aftercare, "finish", "after", dies),
        "outcome_commit": (Aftercare, "finish", "before", tears),
        "reload": (Assembly, "replace", "before", dies),
        "reload_swap": (Executor, "replace", "before", dies),
    }
    if point.name in points:
        owner, name, when, does = points[point.name]
        wrap(owner, name, **{when: does})
    elif point.name and not point.name.startswith("migration"):
        raise SystemExit(f"there is no point {point.name}")
    inner = Database.__init__

    def opened(database: Database, connection: sqlite3.Connection) -> None:
        inner(database, connection)
        database._connection = Connection(connection, point)

    if point.name in ("claim_commit", "outcome_commit"):
        Database.__init__ = opened


def migrates(point: Point, migrations: Path) -> None:
    """Have the store take the campaign's migrations: each passes the point twice, between what it changes."""
    inner_migrate, inner_copy = opening.migrate, opening._copy
    files: list[Path] = []

    def passing() -> int:
        if point.name == "migration" and point.passed():
            die()
        if point.name == "migration_commit":
            point.limit(files[0].with_name(f"{files[0].name}-wal"), 8 * FRAME)
        return 0

    def migrate(connection: sqlite3.Connection, path: Path, known: Path) -> None:
        files.append(path)
        connection.create_function("campaign_point", 0, passing)
        inner_migrate(connection, path, known)
        if point.name == "migration_commit":
            die()

    def copy(connection: sqlite3.Connection, path: Path, to: Path) -> None:
        if point.name == "migration_copy":
            point.limit(to, path.stat().st_size)
        inner_copy(connection, path, to)
        if point.name == "migration_copy":
            die()

    opening.migrate, opening._copy = migrate, copy
    Store.open.__func__.__kwdefaults__["migrations"] = migrations


def says_attempts() -> None:
    """Tell a command of a service's manager too which attempt it is run for, as `run` tells its own."""
    inner = ActToolbox.run

    async def run(self: ActToolbox, argv: Any, *, env: Any = None, **named: Any) -> Any:
        return await inner(self, argv, env={**(env or {}), "HEALD_ATTEMPT": self.attempt}, **named)

    ActToolbox.run = run


def forgets() -> None:
    """Break the daemon: what was claimed before a crash is not counted after it. The campaign must find that."""
    Database.attempts_counting = lambda *_, **__: []


def run(settings: dict[str, Any]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    point = Point(settings["point"], settings["nth"], settings["tear"])
    arm(point)
    migrates(point, Path(settings["migrations"]))
    says_attempts()
    if settings["forgets"]:
        forgets()
    main(settings["arguments"], prog_name="heald")


def fork_off(settings: dict[str, Any]) -> int:
    """Fork a daemon, which dies with this process; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent()
        log = os.open(settings["log"], os.O_WRONLY | os.O_APPEND)
        for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
            os.dup2(file, number)
        run(settings)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  # it is said, and nothing of this process may go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Fork one daemon after the other, as standard input asks: says its pid, and when it has died how.

    What is dead stays a zombie until the next one is asked for, so that its pid means nobody else until then.
    """
    load(Path(sys.argv[2]))  # with all that takes most of a start: its imports
    for line in sys.stdin:
        pid = fork_off(json.loads(line))
        print(pid, flush=True)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        print("ended", flush=True)
        if sys.stdin.readline() != "reap\n":
            return
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1] == "serve":
        serve()
    else:
        run(json.loads(sys.argv[1]))
