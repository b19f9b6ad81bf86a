"""Services run by commands of the operator: start, stop, restart and status scripts, with the exit codes of LSB.

Source: Linux Standard Base, "Init Script Actions". Status: 0 runs, 3 is stopped, 1 and 2 are dead with a pid or lock
file left; 4 and all else is unknown. Actions: 0 is done; 5 (not installed), 6 (not configured), 126 and 127 (cannot be
run) will not be better at the next try.

What `start` leaves behind should run in a session of its own with its output redirected; under systemd, what stays in
heald's control group ends with heald.

The commands run as the user that heald runs as, and need what they need themselves.
"""

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from daemon.plugin import (
    OWN_SHARE,
    Argv,
    CheckContext,
    CheckError,
    Completed,
    Field,
    OptionsModel,
    RemediationError,
    Service,
    ServiceState,
    ServiceStatus,
)

EXAMPLE = """
services:
  legacy:
    run_by:
      command:
        start: [/etc/init.d/legacy, start]
        stop: [/etc/init.d/legacy, stop]
        status: [/etc/init.d/legacy, status]
checks:
  legacy_port: {service: legacy, tcp: {host: localhost, port: 7000}}
rules:
  legacy-down: {check: legacy_port, when: up == 0, for: 1m, steps: [restart: {}]}
"""
_STATES = {0: ServiceState.RUNNING, 1: ServiceState.FAILED, 2: ServiceState.FAILED, 3: ServiceState.STOPPED}
_MEANINGS = {
    0: "running",
    1: "dead, its pid file left",
    2: "dead, its lock file left",
    3: "stopped",
}
_PERMANENT = (5, 6, 126, 127)
_NOT_RUNNING = 7  # of an action
_STATUS_WITHIN = 5.0  # seconds that `status` may take while it is asked in the course of an action


class Options(OptionsModel):
    """The commands, each an argv list that no shell reads."""

    start: Argv | None = Field(default=None, description="Starts the service and returns once it is started.")
    stop: Argv | None = Field(default=None, description="Stops the service and returns once it has ended.")
    restart: Argv | None = Field(
        default=None,
        description="Restarts the service, or starts it if it is stopped; if not set: stop, if set, and start.",
    )
    reload: Argv | None = Field(
        default=None, description="Has the service read its settings anew; if not set, it cannot be reloaded."
    )
    status: Argv | None = Field(
        default=None, description="Exits 0 if the service runs, 3 if it is stopped, 1 or 2 if it is dead (LSB)."
    )

    @model_validator(mode="after")
    def _can_restart(self) -> Self:
        if self.restart is None and self.start is None:
            raise ValueError("there is no way to restart the service; write restart, or start and stop")
        return self


def resource(options: Options, service: Service, node: str) -> str:
    """The service by its name: two services are two resources, even if they share a script."""
    return f"command:{service.name}@{node}"


async def start(options: Options, context: CheckContext) -> str:
    """Run `start`. Raises RemediationError."""
    done = await _act("start", options.start, context)
    return f"started by {_spoken(done)}"


async def stop(options: Options, context: CheckContext) -> str:
    """Run `stop`. Raises RemediationError."""
    done = await _act("stop", options.stop, context, also_fine=(_NOT_RUNNING,))
    return f"stopped by {_spoken(done)}"


async def restart(options: Options, context: CheckContext) -> str:
    """Run `restart`, or `stop` and then `start`, or `start` alone. Raises RemediationError."""
    if options.restart is not None:
        done = await _act("restart", options.restart, context)
        return f"restarted by {_spoken(done)}"
    if options.stop is None:
        return await _start_dead(options, context)
    began = context.clock.steady()
    try:
        await _act("stop", options.stop, context, also_fine=(_NOT_RUNNING,))
    except RemediationError as error:
        if error.permanent or not await _is_down(options, context):
            raise  # it may still run: a second one beside it would be worse than none restarted
    done = await _act("start", options.start, context, spent=context.clock.steady() - began)
    return f"stopped, and started by {_spoken(done)}"


async def reload(options: Options, context: CheckContext) -> str:
    """Run `reload`. Raises RemediationError."""
    done = await _act("reload", options.reload, context)
    return f"reloaded by {_spoken(done)}"


async def _start_dead(options: Options, context: CheckContext) -> str:
    """Start what cannot be stopped, unless it runs: by LSB a second `start` is harmless, but it would heal nothing."""
    began = context.clock.steady()
    if options.status is not None:
        try:
            found = await _status(options.status, context, _STATUS_WITHIN)
        except CheckError as error:  # it may still run: a second one beside it would be worse
            raise RemediationError(f"not started: {error}") from error
        if found.state is ServiceState.RUNNING:
            raise RemediationError(f"it is {found.detail}, and no stop or restart command is set")
    done = await _act("start", options.start, context, spent=context.clock.steady() - began)
    return f"started by {_spoken(done)}"


async def status(options: Options, context: CheckContext) -> ServiceStatus:
    """Run `status`; UNKNOWN if none is set.

    Raises:
        CheckError: it cannot be run, does not end, or says that it does not know.
    """
    if options.status is None:
        return ServiceStatus(state=ServiceState.UNKNOWN, detail="no status command is set")
    return await _status(options.status, context, context.timeout * OWN_SHARE)


async def _status(argv: Sequence[str], context: CheckContext, within: float) -> ServiceStatus:
    try:
        done = await context.run(argv, timeout=within)
    except OSError as error:
        raise CheckError(f"cannot run status command {argv[0]}: {error.strerror or error}") from error
    if done.exit_code not in _STATES:
        raise CheckError(f"status command {argv[0]} does not know: {_ended(done)}")
    code = done.exit_code
    return ServiceStatus(state=_STATES[code], detail=f"{_MEANINGS[code]} (exit code {code})")


async def _is_down(options: Options, context: CheckContext) -> bool:
    if options.status is None:
        return False
    try:
        found = await _status(options.status, context, _STATUS_WITHIN)
    except CheckError:  # then we do not know, and the failed stop is what is told
        return False
    return found.state in (ServiceState.STOPPED, ServiceState.FAILED)


async def _act(
    verb: str, argv: Sequence[str] | None, context: CheckContext, *, also_fine: Sequence[int] = (), spent: float = 0.0
) -> Completed:
    if argv is None:
        raise RemediationError(f"no {verb} command is set", permanent=True)
    within = context.timeout * OWN_SHARE - spent
    if within <= 0:
        raise RemediationError(f"no time is left for the {verb} command {argv[0]}")
    try:
        done = await context.run(argv, timeout=within)
    except (FileNotFoundError, PermissionError) as error:
        sentence = f"cannot run {verb} command {argv[0]}: {error.strerror or error}"
        raise RemediationError(sentence, permanent=True) from error
    except OSError as error:
        raise RemediationError(f"cannot run {verb} command {argv[0]}: {error.strerror or error}") from error
    if done.exit_code == 0 or done.exit_code in also_fine:
        return done
    raise RemediationError(
        f"{verb} command {argv[0]} failed: {_ended(done)}",
        permanent=done.exit_code in _PERMANENT,
        details=done.details,
    )


def _ended(done: Completed) -> str:
    return f"{done.ending}: {done.last_line}" if done.last_line else done.ending


def _spoken(done: Completed) -> str:
    said = f", which said: {done.last_line}" if done.last_line else ""
    return f"{' '.join(done.argv)[:200]} in {done.seconds:.1f}s{said}"
