"""What a command says: a Nagios plug-in with its performance data, or any command with `exit_codes: plain`.

Nagios exit codes: 0 ok and 1 warning are `up` 1, as Nagios counts a host in warning as up; 2 critical is `up` 0, and so
is a command that does not end in time. With 3 unknown, any other code, death by a signal or a command that is not
there or cannot be begun, the plug-in could not look, so neither could we: the run is UNKNOWN. With `exit_codes: plain`
0 is up and all else is down, but for 126 and 127, by which shells say that they could not run something.
Source of codes and output: Monitoring Plugins Development Guidelines, "Plugin Return Codes".

The command runs as the user that heald runs as, and needs what it needs itself.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator

from checks._perfdata import Item, parse_perfdata, split_output
from daemon.plugin import (
    OWN_SHARE,
    Argv,
    CheckContext,
    CheckError,
    Completed,
    Dimension,
    Environment,
    Field,
    Folder,
    OptionsModel,
    Reading,
    Sample,
    SampleSpec,
    sample,
)

EXAMPLE = """
checks:
  mail_queue: {command: {argv: [/usr/lib/nagios/plugins/check_mailq, -w, "50", -c, "200"], samples: {unsent: none}}}
  backup_mounted: {command: {argv: [mountpoint, -q, /backup], exit_codes: plain}, every: 1m}
rules:
  mail-stuck: {check: mail_queue, when: up == 0, for: 5m}
  mail-piles-up: {check: mail_queue, when: "avg(unsent, 10m) > 30", severity: P3}
  backup-gone: {check: backup_mounted, when: up == 0}
"""
SAMPLES = (
    sample("up", Dimension.NONE, "1 for the states ok and warning, 0 for critical."),
    sample("state", Dimension.STRING, "ok, warning or critical; with plain exit codes ok or critical."),
    sample("exit_code", Dimension.NONE, "The command's exit code."),
    sample("output", Dimension.STRING, "The first line it wrote, without performance data; at most 300 characters."),
    sample("latency_seconds", Dimension.SECONDS, "How long the command ran."),
)

_TO_END_IT = 0.25  # seconds that ending a command may take, of a short time-out at most half
_STATES = {0: "ok", 1: "warning", 2: "critical"}
_UNKNOWN = 3
_CANNOT_RUN = (126, 127)  # POSIX shells: found but not executable, not found
_MOST_OUTPUT = 300  # characters


def sample_name(label: str) -> str:
    """The sample that a label of performance data becomes: what cannot stand in a name is `_`, as in `_var`."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", label)
    return f"_{name}" if name[:1].isdigit() else name


def _named(value: dict[str, str]) -> dict[str, str]:
    taken = {spec.name: "a sample that every command has" for spec in SAMPLES}
    for label in value:
        name = sample_name(label)
        if not name or name in ("and", "or", "not", "in", "contains", "true", "false"):
            raise ValueError(f"label {label!r} cannot be named in a condition")
        if name in taken:
            raise ValueError(f"label {label!r} would be the sample {name}, which is {taken[name]}")
        taken[name] = f"label {label!r} already"
    return value


Samples = Annotated[dict[str, Literal["none", "seconds", "bytes", "percent"]], AfterValidator(_named)]


class Options(OptionsModel):
    """A command, and what its answer means."""

    argv: Argv = Field(description="The command and its arguments, as a list; no shell reads it.")
    env: Environment = Field(default_factory=dict, description="Variables added to heald's own environment.")
    cwd: Folder | None = Field(default=None, description="Folder it runs in, an absolute path; heald's own if not set.")
    exit_codes: Literal["nagios", "plain"] = Field(
        default="nagios",
        description="nagios: 0 ok, 1 warning, 2 critical, else unknown. plain: 0 is up, all else is down.",
    )
    samples: Samples = Field(
        default_factory=dict,
        description=(
            "Labels of performance data to take as samples, each with what it measures: none, seconds, bytes or "
            "percent. A sign that cannot stand in a name becomes _, so the label /var is the sample _var."
        ),
    )


def samples(options: Options) -> Sequence[SampleSpec]:
    """The samples that the options name, besides `SAMPLES`."""
    return [
        sample(sample_name(label), Dimension(dimension), f"Performance data {label!r} of the command.")
        for label, dimension in options.samples.items()
    ]


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Run the command and read its answer.

    Raises:
        CheckError: it could not be run, could not look itself, or answered in another unit than the options say.
    """
    within = max(context.timeout / 2, min(context.timeout * OWN_SHARE, context.timeout - _TO_END_IT))
    try:
        done = await context.run(
            options.argv,
            timeout=within,
            env={name: value.get_secret_value() for name, value in options.env.items()},
            cwd=options.cwd,
        )
    except OSError as error:
        place = f"{error.filename}: " if error.filename and error.filename != options.argv[0] else ""
        raise CheckError(f"cannot run {options.argv[0]}: {place}{error.strerror or error}") from error
    text, data = split_output(done.stdout)
    output = text.partition("\n")[0][:_MOST_OUTPUT]
    if done.timed_out:  # what hangs is sick: a time-out is a reading, and critical as Nagios has it
        said = f": {output or done.last_line}" if output or done.last_line else ""
        late = f"{options.argv[0]} did not end within {within:.3g}s and was ended{said}"
        hung: dict[str, Sample] = {"up": 0.0, "state": "critical", "output": late[:_MOST_OUTPUT]}
        return [Reading(samples=hung | {"latency_seconds": done.seconds})]
    state = _state(options, done, output)
    values: dict[str, Sample] = {
        "up": 0.0 if state == "critical" else 1.0,
        "state": state,
        "exit_code": float(done.exit_code or 0),
        "output": output,
        "latency_seconds": done.seconds,
    }
    return [Reading(samples=values | _measured(options.samples, parse_perfdata(data)))]


def _state(options: Options, done: Completed, output: str) -> str:
    said = output or done.last_line
    because = f": {said}" if said else ""
    if done.exit_code is None:
        raise CheckError(f"{options.argv[0]} was {done.ending}{because}")
    if options.exit_codes == "plain" and done.exit_code not in _CANNOT_RUN:
        return "critical" if done.exit_code else "ok"
    if done.exit_code not in _STATES:
        meaning = "unknown" if done.exit_code == _UNKNOWN else f"exit code {done.exit_code}, which means nothing"
        raise CheckError(f"{options.argv[0]} says {meaning}{because}")
    return _STATES[done.exit_code]


def _measured(wanted: Mapping[str, str], items: Sequence[Item]) -> dict[str, Sample]:
    """The wanted labels' values; one that is not there, or not known to the plug-in, is missing."""
    found: dict[str, Sample] = {}
    for item in items:
        dimension = wanted.get(item.label)
        if dimension is None or item.value is None or not math.isfinite(item.value):
            continue
        if item.dimension is not None and item.dimension != dimension:
            raise CheckError(
                f"performance data {item.label!r} comes in {item.unit}, which measures {item.dimension}; "
                f"the check's samples say {dimension}"
            )
        if item.dimension is None and item.unit not in ("", "c"):
            raise CheckError(f"performance data {item.label!r} comes in {item.unit}, a unit that nothing is known of")
        found[sample_name(item.label)] = item.value
    return found
