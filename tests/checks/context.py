"""The context that tests of checks pass: the real clock, the real time-out, and a given way to run commands."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from daemon.clock import SystemClock
from daemon.protocols import Clock, Completed

RunCommand = Callable[..., Awaitable[Completed]]


@dataclass(kw_only=True)
class LocalContext:
    """A CheckContext on this machine. `run_command` is what `run` calls: tests that need no command leave it out."""

    timeout: float = 5.0
    node: str = "node"
    clock: Clock = field(default_factory=SystemClock)
    run_command: RunCommand | None = None

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        output_limit: int = 65536,
    ) -> Completed:
        assert self.run_command is not None, "this test gave no way to run commands"
        return await self.run_command(argv, timeout=timeout, env=env, cwd=cwd, output_limit=output_limit)

    def connection(self, kind: str, name: str | None) -> AbstractAsyncContextManager[Any]:
        raise AssertionError(f"this test has no connections, and was asked for {kind} {name}")
