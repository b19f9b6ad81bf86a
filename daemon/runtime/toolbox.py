"""What plug-ins get in their hands: the context of a check and of a remediation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.protocols import Clock, Completed
from daemon.runtime.connections import Connections, Use
from daemon.runtime.process import GRACE, run_command


@dataclass(kw_only=True, slots=True)
class Toolbox:
    """The context of one check."""

    node: str
    clock: Clock
    timeout: float  # seconds the run may take
    connections: Connections
    withhold: frozenset[str] = frozenset()  # variables that no command gets: `Setup.secret_variables`
    own_stops: Sequence[tuple[float, float]] = ()

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        output_limit: int = 65536,
    ) -> Completed:
        """As `CheckContext.run`."""
        return await run_command(
            argv,
            timeout=timeout,
            env=env,
            cwd=cwd,
            output_limit=output_limit,
            grace=self._grace(timeout),
            withhold=self.withhold,
        )

    def _grace(self, timeout: float) -> float:
        """Who ends a command before the daemon ends the run wants to say so.

        So its end may take a third of what is left, what it still writes another, and saying so has the last.
        """
        left = self.timeout - timeout
        return min(GRACE, left / 3) if left > 0 else GRACE

    def connection(self, kind: str, name: str | None) -> Use:
        """As `CheckContext.connection`."""
        return self.connections.use(kind, name, self)


@dataclass(kw_only=True, slots=True)
class ActToolbox(Toolbox):
    """The context of one attempt."""

    incident: str
    rule: str
    because: str
    attempt: str
