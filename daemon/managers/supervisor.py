"""Services run by supervisord, asked over its unix socket.

`program` is `NAME`, `GROUP:NAME` or `GROUP:*`, as supervisorctl takes them. A program with `numprocs` above 1 is a
group of its own: name all of it with `NAME:*`, or one with `NAME:NAME_00`. A group runs if all of it runs.
What is done to a group is done to all of it, also to a program that a person stopped while another is down.
Starting waits until supervisord calls the program RUNNING (it stayed up for `startsecs`), through its own retries.

It needs the right to connect to the socket: be its owner or of its group (`chown` and `chmod` of
[unix_http_server]), and the password where one is set.
"""

import asyncio
import difflib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import AfterValidator

from daemon.managers._supervisor_program import STATES, Program, described, full_name, look
from daemon.managers._supervisor_rpc import (
    BAD_NAME,
    NO_FILE,
    NOT_EXECUTABLE,
    FaultError,
    Supervisord,
    UnreachableError,
)
from daemon.plugin import (
    OWN_SHARE,
    CheckContext,
    CheckError,
    Field,
    Folder,
    OptionsModel,
    RemediationError,
    SecretStr,
    Service,
    ServiceState,
    ServiceStatus,
)

EXAMPLE = """
services:
  worker: {run_by: {supervisor: {socket: /run/supervisor.sock, program: worker}}}
checks:
  worker_health: {service: worker, http: {url: "http://localhost:9000/health"}}
rules:
  worker-down: {check: worker_health, when: up == 0, for: 30s, steps: [restart: {}]}
"""
_ANSWER_WITHIN = 5.0  # seconds; supervisord answers in milliseconds, or hangs
_MOST_NAMES = 20  # programs named in an error
_WORST_FIRST = (ServiceState.BUSY, ServiceState.FAILED, ServiceState.STOPPED, ServiceState.UNKNOWN)


def _program(value: str) -> str:
    if not re.fullmatch(r"[^\s:*/]+(:([^\s:*/]+|\*))?", value):
        raise ValueError(f"{value!r} is not a program; write its NAME, GROUP:NAME or GROUP:*")
    group, _, name = value.partition(":")
    return group if name == group else value  # one program, one name: limits are counted by it


def _socket(value: str) -> str:
    if len(value.encode()) > 107:
        raise ValueError(f"{value!r} is longer than the 107 bytes that a unix socket's path may have")
    return value


class Options(OptionsModel):
    """A program of one supervisord."""

    socket: Annotated[Folder, AfterValidator(_socket)] = Field(
        description="Absolute path of supervisord's unix socket: `file` of its [unix_http_server]."
    )
    program: Annotated[str, AfterValidator(_program)] = Field(
        description="The program: NAME, GROUP:NAME, or GROUP:* for all of a group (of a program with numprocs)."
    )
    username: str = Field(default="", description="User name, where [unix_http_server] sets one.")
    password: SecretStr = Field(default=SecretStr(""), description="Password, where [unix_http_server] sets one.")


def resource(options: Options, service: Service, node: str) -> str:
    """The program on this node, whichever service or rule names it."""
    return f"supervisor:{options.socket}/{options.program}@{node}"


async def start(options: Options, context: CheckContext) -> str:
    """Start the program and wait until it runs. Raises RemediationError."""
    return await _act(options, context, Program.start)


async def stop(options: Options, context: CheckContext) -> str:
    """Stop the program and wait until it has ended. Raises RemediationError."""
    return await _act(options, context, Program.stop)


async def restart(options: Options, context: CheckContext) -> str:
    """Stop the program if it runs, start it, and wait until it runs. Raises RemediationError."""
    return await _act(options, context, Program.restart)


async def status(options: Options, context: CheckContext) -> ServiceStatus:
    """What supervisord says of the program; UNKNOWN if it knows none of that name, so that acting fails and says so.

    Raises:
        CheckError: supervisord cannot be asked.
    """
    try:
        async with _connect(options, context) as supervisord:
            try:
                infos = await look(supervisord, options.program)
            except FaultError as fault:
                if fault.code != BAD_NAME:
                    raise
                sentence = await _unknown_program(supervisord, options)
                return ServiceStatus(state=ServiceState.UNKNOWN, detail=sentence)
    except UnreachableError as error:
        raise CheckError(str(error)) from error
    except FaultError as fault:
        raise CheckError(f"supervisord at {options.socket} refuses to answer: {fault}") from fault
    states = {STATES.get(info["statename"], ServiceState.UNKNOWN) for info in infos}
    worst = next((state for state in _WORST_FIRST if state in states), ServiceState.RUNNING)
    # STOPPED is what supervisorctl leaves, or a program that nobody has started yet; what ends by itself is EXITED.
    is_stopped = worst is ServiceState.STOPPED
    stops = [info["now"] - info["stop"] for info in infos if info["statename"] == "STOPPED" and info["stop"]]
    stopped_for = float(min(stops)) if is_stopped and stops else None
    return ServiceStatus(state=worst, detail=described(infos), by_operator=is_stopped, stopped_for=stopped_for)


async def _act(options: Options, context: CheckContext, verb: Callable[[Program], Awaitable[str]]) -> str:
    deadline = asyncio.get_running_loop().time() + context.timeout * OWN_SHARE
    try:
        async with _connect(options, context) as supervisord:
            try:
                return await verb(Program(supervisord, options.program, deadline))
            except FaultError as fault:
                if fault.code != BAD_NAME:
                    raise
                raise RemediationError(await _unknown_program(supervisord, options), permanent=True) from fault
    except UnreachableError as error:
        raise RemediationError(str(error)) from error
    except FaultError as fault:
        sentence = f"supervisord at {options.socket} refuses for program {options.program}: {fault}"
        raise RemediationError(sentence, permanent=fault.code in (NO_FILE, NOT_EXECUTABLE)) from fault


def _connect(options: Options, context: CheckContext) -> Supervisord:
    return Supervisord(
        options.socket,
        username=options.username,
        password=options.password,
        answer_within=min(_ANSWER_WITHIN, context.timeout * OWN_SHARE),
    )


async def _unknown_program(supervisord: Supervisord, options: Options) -> str:
    infos = await supervisord.call("getAllProcessInfo")
    groups = [info["group"] for info in infos]
    names = sorted({f"{group}:*" for group in groups if groups.count(group) > 1} | {full_name(info) for info in infos})
    wanted = options.program.partition(":")[0]
    whole = [name for name in names if name == f"{wanted}:*"]
    member = [name for name in names if name.endswith(f":{options.program}")]
    near = whole or member or difflib.get_close_matches(options.program, names, n=1)
    listed = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    return (
        f"supervisord at {options.socket} knows no program {options.program}; "
        + (f"it has {listed}" if names else "it has none")
        + (f"; did you mean {near[0]}?" if near else "")
    )
