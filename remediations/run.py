"""Runs a command of the operator: argv, no shell, its output and exit code kept in the record.

It gets what it is for in its environment: HEALD_INCIDENT, HEALD_ATTEMPT, HEALD_RULE, HEALD_CHECK, HEALD_SUBJECT,
HEALD_SERVICE and HEALD_BECAUSE.

It runs as the user that heald runs as, and needs what the command needs.
"""

import shlex
from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator

from daemon.plugin import (
    OWN_SHARE,
    ActContext,
    Argv,
    Environment,
    Field,
    Folder,
    OptionsModel,
    Outcome,
    RemediationError,
    Target,
)

EXAMPLE = """
checks:
  worker: {process: {pid_file: /run/worker.pid}}
rules:
  worker-stuck:
    check: worker
    when: up == 1 and avg(cpu_percent, 5m) > 95%
    steps:
      - run: {argv: [/usr/local/bin/drain-worker, --wait], env: {TOKEN: "${env:WORKER_TOKEN}"}, resource: worker}
        timeout: 5m
"""
_CANNOT_RUN = (126, 127)  # as shells say: found but not executable, not found


def _codes(value: list[int]) -> list[int]:
    if not value or any(not 0 <= code <= 255 for code in value):
        raise ValueError("is not a list of exit codes; write numbers from 0 to 255, such as [0, 2]")
    return value


def _resource(value: str) -> str:
    if not value.isprintable() or value.split() != [value]:
        raise ValueError(f"{value!r} is not a resource; write one word without blanks, such as disk:/var@web1")
    return value


class Options(OptionsModel):
    """A command, and what it touches."""

    argv: Argv = Field(description="The command and its arguments, as a list; no shell reads it.")
    env: Environment = Field(default_factory=dict, description="Variables added to heald's own environment.")
    cwd: Folder | None = Field(default=None, description="Folder it runs in, an absolute path; heald's own if not set.")
    resource: Annotated[str, AfterValidator(_resource)] | None = Field(
        default=None,
        description=(
            "What it touches, the key of all limits; local things end in @NODE. If not set: the check's own service as "
            "its manager calls it, or else run:COMMAND@NODE, with the command's name without its folder."
        ),
    )
    success: Annotated[list[int], AfterValidator(_codes)] = Field(
        default=[0], description="Exit codes that mean that it succeeded, 0 to 255."
    )


def resource(options: Options, target: Target) -> str:
    """What the options say it touches, or else the target's own service, or else what goes by the command's name."""
    if options.resource is not None:
        return options.resource
    if target.service is not None and target.service.name in target.managers:
        return target.manager().resource
    return f"run:{PurePath(options.argv[0]).name}@{target.node}"


async def act(options: Options, target: Target, context: ActContext) -> Outcome:
    """Run it to its end. Raises RemediationError, with its output and exit code."""
    command = options.argv[0]
    try:
        done = await context.run(
            options.argv,
            timeout=context.timeout * OWN_SHARE,
            env=_told(target, context) | {name: value.get_secret_value() for name, value in options.env.items()},
            cwd=options.cwd,
        )
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError | PermissionError) and error.filename == command
        place = "" if error.filename in (None, command) else f"{error.filename}: "
        sentence = f"cannot run {command}: {place}{error.strerror or error}"
        raise RemediationError(sentence, permanent=is_missing) from error
    said = f": {done.last_line}" if done.last_line else ""
    if done.exit_code in options.success:
        return Outcome(summary=f"ran {command}, {done.ending} after {done.seconds:.1f}s{said}", details=done.details)
    raise RemediationError(
        f"{command} failed, {done.ending}{said}",
        permanent=done.exit_code in _CANNOT_RUN,
        details=done.details,
    )


async def plan(options: Options, target: Target, context: ActContext) -> str:
    """The command, as one would type it."""
    where = f" in {options.cwd}" if options.cwd else ""
    return f"run {shlex.join(options.argv)}{where}, for at most {context.timeout:g}s"


def _told(target: Target, context: ActContext) -> dict[str, str]:
    """What the command may want to know; text that no variable can hold is made one that it can."""
    told = {
        "HEALD_INCIDENT": context.incident,
        "HEALD_ATTEMPT": context.attempt,
        "HEALD_RULE": context.rule,
        "HEALD_CHECK": target.check,
        "HEALD_SUBJECT": target.subject,
        "HEALD_SERVICE": target.service.name if target.service else "",
        "HEALD_BECAUSE": context.because,
    }
    return {name: value.replace("\0", "\u2400") for name, value in told.items()}
