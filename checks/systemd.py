"""Whether units of systemd do their work, and which units of the host have failed.

`up` is 1 while a unit is active, reloading or refreshing; else it is 0 with `error` inactive, activating, deactivating,
auto_restart (systemd waits to restart it: a crash loop, if it stays so), failed, maintenance, masked or bad_setting
(its file cannot be loaded). A oneshot service that ran well is inactive, and so `up` 0: ask its `result` and `state`,
or set RemainAfterExit=yes. A service that a timer starts is inactive between its runs; the timer is active.

With `unit` the subject is empty; with `units` each is a subject by its full name. With `failed: true` every unit that
has failed is a subject, and the empty subject is the host, with `failed_units`: `failed_units > 0` opens one incident
that names them and is resolved when none is left, `state == "failed"` one for each, which closes as vanished.

We are blind where D-Bus has no socket, does not listen, or does not let us in, where systemd is not on that bus or does
not answer, and where systemd knows no unit of a name, as nothing says that it should be here: one unknown name makes
the whole run blind, so write units that come and go into checks of their own. A unit that runs on or has failed after
its file was removed is a reading still. Looking needs no rights, only the bus' socket.
"""

import asyncio
import difflib
import fnmatch
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import model_validator

from daemon.plugin import (
    CheckContext,
    CheckError,
    ConnectionOf,
    Dimension,
    Field,
    OptionsModel,
    Reading,
    Sample,
    UnitName,
    sample,
)

EXAMPLE = """
services:
  web: {run_by: {systemd: {unit: nginx.service}}}
checks:
  web_unit: {service: web, systemd: {unit: nginx.service}}
  units: {systemd: {failed: true}, every: 1m}
rules:
  web-down: {check: web_unit, when: up == 0, for: 30s, steps: [restart: {}]}
  units-failed: {check: units, when: failed_units > 0, for: 2m, severity: P3}
"""
DISCOVERS = True
SAMPLES = (
    sample("up", Dimension.NONE, "1 if the unit does its work, 0 if not; of the host: if none has failed."),
    sample(
        "error",
        Dimension.STRING,
        "Why up is 0: inactive, activating, deactivating, auto_restart, failed, maintenance, masked or bad_setting.",
    ),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample("latency_seconds", Dimension.SECONDS, "Until systemd had answered."),
    sample(
        "state",
        Dimension.STRING,
        "ActiveState: active, inactive, failed, activating, deactivating, reloading; of the host running or degraded.",
    ),
    sample("sub_state", Dimension.STRING, "SubState: running, exited, dead, auto-restart, start-pre, listening, ..."),
    sample(
        "result",
        Dimension.STRING,
        "How the unit ended: success, exit-code, signal, core-dump, oom-kill, timeout, watchdog, start-limit-hit, "
        "...; missing for kinds of units that do not end.",
    ),
    sample("exit_code", Dimension.NONE, "Exit code of the last main process; missing unless it exited by itself."),
    sample(
        "restarts",
        Dimension.NONE,
        "How often systemd restarted the service by itself; 0 again after somebody started it. "
        "delta(restarts, 10m) > 3 is a crash loop.",
    ),
    sample("memory_bytes", Dimension.BYTES, "Memory of all its processes; missing without memory accounting."),
    sample("active_seconds", Dimension.SECONDS, "Since the unit became active; missing while it is not."),
    sample("unit_file_state", Dimension.STRING, "Whether it starts with the host: enabled, disabled, static, ..."),
    sample("failed_units", Dimension.NONE, "How many units of the host have failed; only with failed: true."),
)
_MOST_NAMES = 20  # failed units that are named in one sentence
_NUMBERS = ("exit_code", "restarts", "memory_bytes", "active_seconds")


class Options(OptionsModel):
    """Which units: exactly one of unit, units and failed."""

    unit: UnitName | None = Field(
        default=None, description="Full name of a unit; .service is added where no kind of unit is written."
    )
    units: list[UnitName] = Field(default=[], description="Full names of units, each a subject.")
    failed: bool = Field(default=False, description="Whether to look for every unit that has failed.")
    ignore: list[str] = Field(
        default=[], description="With failed: units that may have failed, by name or pattern, such as user@*.service."
    )
    connection: Annotated[str | None, ConnectionOf("systemd")] = Field(
        default=None, description="Name of a systemd connection; the system's own bus if not set."
    )

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        given = [name for name in ("unit", "units", "failed") if getattr(self, name)]
        if len(given) != 1:
            found = f"{' and '.join(given)} are given" if given else "none is given"
            raise ValueError(f"{found}; write exactly one of unit, units and failed: true")
        doubled = sorted({name for name in self.units if self.units.count(name) > 1})
        if doubled:
            raise ValueError(f"{doubled[0]} is in units twice; leave one out")
        if self.ignore and not self.failed:
            raise ValueError("ignore has no effect without failed: true; leave it out")
        return self


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Ask systemd once for each unit, or once for all that have failed.

    Raises:
        CheckError: we could not look.
    """
    async with context.connection("systemd", options.connection) as systemd:
        if options.failed:
            return await _failed(options, context, systemd)
        names = [options.unit] if options.unit else options.units
        found = await asyncio.gather(*(_timed(systemd, name, context) for name in names))
        unknown = [unit.name for unit, _ in found if unit.is_unknown]
        near = await _near(systemd, unknown[0], context) if unknown else ""
    if unknown:
        raise CheckError(f"systemd knows no unit {', '.join(unknown)}{near}")
    return [
        Reading(subject="" if options.unit else unit.name, samples=_samples(unit, seconds)) for unit, seconds in found
    ]


async def _timed(systemd: Any, name: str, context: CheckContext) -> tuple[Any, float]:
    """The unit, and how many seconds the answer took."""
    began = context.clock.steady()
    unit = await systemd.unit(name, within=context.timeout)
    return unit, context.clock.steady() - began


def _samples(unit: Any, seconds: float) -> dict[str, Sample]:
    samples: dict[str, Sample] = {
        "up": float(unit.is_up),
        "error": "" if unit.is_up else _error(unit),
        "detail": "" if unit.is_up else f"{unit.name} is {unit.described}",
        "latency_seconds": seconds,
        "state": unit.state,
        "sub_state": unit.sub_state,
        **{name: float(value) for name in _NUMBERS if (value := getattr(unit, name)) is not None},
    }
    if unit.result:
        samples["result"] = unit.result
    if unit.unit_file_state:
        samples["unit_file_state"] = unit.unit_file_state
    return samples


def _error(unit: Any) -> str:
    if unit.state == "inactive" and unit.load_state == "masked":
        return "masked"
    if unit.state == "inactive" and unit.load_state in ("bad-setting", "error"):
        return "bad_setting"
    return "auto_restart" if unit.is_restarting else str(unit.state)


async def _failed(options: Options, context: CheckContext, systemd: Any) -> list[Reading]:
    """The empty subject, and each unit that has failed."""
    began = context.clock.steady()
    found = await systemd.failed(within=context.timeout)
    seconds = context.clock.steady() - began
    units = [unit for unit in found if not any(fnmatch.fnmatchcase(unit[0], pattern) for pattern in options.ignore)]
    names = " ".join(name for name, _, _ in units[:_MOST_NAMES])
    more = f" and {len(units) - _MOST_NAMES} more" if len(units) > _MOST_NAMES else ""
    whole: dict[str, Sample] = {
        "up": float(not units),
        "error": "failed" if units else "",
        "detail": f"failed: {names}{more}" if units else "",
        "latency_seconds": seconds,
        "failed_units": float(len(units)),
        "state": "degraded" if units else "running",
    }
    return [
        Reading(samples=whole),
        *(
            Reading(
                subject=name,
                samples={
                    "up": 0.0,
                    "error": "failed",
                    "detail": f"{name} has failed ({description})",
                    "state": "failed",
                    "sub_state": sub_state,
                },
            )
            for name, sub_state, description in units
        ),
    ]


async def _near(systemd: Any, name: str, context: CheckContext) -> str:
    """A hint at the loaded unit that may have been meant."""
    stem, dot, kind = name.rpartition(".")
    names = [known.removesuffix(dot + kind) for known in await systemd.names(dot + kind, within=context.timeout)]
    near = difflib.get_close_matches(stem, names, n=1)
    return f"; did you mean {near[0]}{dot}{kind}?" if near else ""
