"""Children of the tests: started in the foreground, spoken to by lines, always ended and waited for."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

CHILD = Path(__file__).with_name("store_child.py")


class Child:
    """One child and its lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def read(self) -> str:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            raise AssertionError(f"the child ended: {self.process.wait()}\n{self.process.stderr.read()}")
        return text.strip()

    def until(self, start: str) -> str:
        """The next line that begins so."""
        while not (text := self.read()).startswith(start):
            pass
        return text

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> list[str]:
        """kill -9; returns the whole lines that it had said until then."""
        self.process.kill()
        text = self.process.stdout.read()
        self.process.wait()
        return [part for part in text.splitlines(keepends=True) if part.endswith("\n")]


@contextlib.contextmanager
def child(name: str, directory: Path, *more: object, before: Sequence[str] = ()) -> Iterator[Child]:
    """Run one of the programs of `store_child.py`."""
    argv = [*before, sys.executable, str(CHILD), name, str(directory), *map(str, more)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Child(process)
        finally:
            process.kill()
            process.wait()


def bound_by_permissions() -> list[str]:
    """The command that makes a child heed permissions, as root does not."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
