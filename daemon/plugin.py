"""ALL that a plug-in author imports.

A check is a module with `Options`, `SAMPLES` and `async def check(options, context)`; it may set `DISCOVERS = True`
where it finds its subjects at run time, and offer `samples(options)` for samples that its options name.
A remediation is a module with `Options`, `resource(options, target)` and `async def act(options, target, context)`; it
may set `asks = True` or `harmless = True`, and offer `async def plan(options, target, context)`: what it would do, as
a sentence, or as a `Plan` with the facts that it rests on.
A service manager is a module with `Options`, `resource(options, service, node)` and `async def start, stop, restart,
status (options, context)`; it may offer `reload`, where its services can read their settings anew without a restart.
A connection is a module with `Options`, `async def connect(options, context)`, which returns a client that runs share,
and `async def close(client)`.
Each may have `EXAMPLE`, the parts of a rules file that use it (without `version`). Its reference page is made of its
docstring, `Options`, `SAMPLES` and `EXAMPLE`: `heald explain-type NAME` shows it.
The file's name is the plug-in's name. Nothing is registered anywhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema

from daemon.deadlines import Within
from daemon.errors import CheckError, RemediationError, SickError, translate
from daemon.model.check import Dimension, Reading, Sample, SampleSpec
from daemon.model.remediation import Outcome, Plan
from daemon.model.service import Service, ServiceState, ServiceStatus
from daemon.model.target import Target
from daemon.model.units import format_duration, parse_duration, parse_percent, parse_size
from daemon.protocols import ActContext, CheckContext, Completed, ServiceManager

__all__ = [
    "DURATION_PATTERN",
    "OWN_SHARE",
    "ActContext",
    "Argv",
    "CheckContext",
    "CheckError",
    "Completed",
    "ConnectionOf",
    "Dimension",
    "Duration",
    "Environment",
    "Field",
    "Folder",
    "OptionsModel",
    "Outcome",
    "Percent",
    "Plan",
    "Reading",
    "RemediationError",
    "Sample",
    "SampleSpec",
    "SecretStr",
    "Service",
    "ServiceManager",
    "ServiceState",
    "ServiceStatus",
    "SickError",
    "Size",
    "Target",
    "UnitName",
    "Within",
    "format_duration",
    "sample",
    "translate",
]

OWN_SHARE = 0.95
"""Share of `context.timeout` to wait for an answer: who waits tells of silence, before the daemon ends the waiting."""


class OptionsModel(BaseModel):
    """What every `Options` is: frozen, strict, no unknown keys, no secret in an error's text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True)

    def __repr_args__(self) -> Iterator[tuple[None, str]]:
        """The names of the options alone: any text may be what `${env:...}` stood for."""
        return ((None, name) for name in type(self).model_fields if name in self.model_fields_set)


@dataclass(frozen=True, slots=True)
class ConnectionOf:
    """Marks an option as the name of a connection: `connection: Annotated[str, ConnectionOf("postgres")]`.

    The loader refuses a name that the file does not have, or that is of another kind. Where every option of the kind
    has a default, the option may be `None`: the connection with the defaults.
    """

    kind: str  # a module of daemon.connections


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write {value}s or another duration such as 1m30s")
    return value


def _size(value: Any) -> Any:
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write {value}B or another size such as 512MiB")
    return value


def _percent(value: Any) -> Any:
    if isinstance(value, str):
        return parse_percent(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write {value}% or another share such as 85%")
    return value


DURATION_PATTERN = r"([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+"
"""What a duration looks like to an editor; that its units go from large to small is said by the loader."""
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$"}),
]
"""Seconds as float, written `30s` or `1m30s` in the file; a bare number is an error there."""
Size = Annotated[
    float,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"}),
]
"""Bytes as float, written `2GiB` in the file; a bare number is an error there."""
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"}),
]
"""A share as 0-100, written `85%` in the file; a bare number is an error there."""


def _argv(value: list[str]) -> list[str]:
    if not value or not value[0]:
        raise ValueError("names no command; write a list such as [/usr/bin/systemctl, restart, web], no shell reads it")
    if any("\0" in part for part in value):
        raise ValueError("has a NUL character, which no command can be given")
    return value


Argv = Annotated[list[str], AfterValidator(_argv)]
"""A command and its arguments. No shell reads it: no `|`, `>`, `$NAME` or `~` in it means anything."""


def _environment(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, text in value.items():
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r} is not a name of a variable: it may not be empty or have = in it")
        if "\0" in text.get_secret_value():
            raise ValueError(f"the value of {name} has a NUL character, which no command can be given")
    return value


Environment = Annotated[dict[str, SecretStr], AfterValidator(_environment)]
"""Variables for a command, added to heald's own environment; a secret may be among them."""


def _folder(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise ValueError(f"{value!r} is not an absolute path; write one such as /var/lib/shop")
    return value


Folder = Annotated[str, AfterValidator(_folder)]
"""The folder a command runs in."""

_UNIT_KINDS = "service|socket|target|device|mount|automount|swap|timer|path|slice|scope"


def _unit_name(value: str) -> str:
    name = value if re.search(rf"\.({_UNIT_KINDS})$", value) else f"{value}.service"
    if len(name) > 255 or not re.fullmatch(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]*)?\.[a-z]+", name):
        raise ValueError(f"{value!r} is not the name of a systemd unit; write one such as nginx.service")
    if "@." in name:
        raise ValueError(f"{value!r} is a template; name an instance of it, such as {name.replace('@.', '@one.')}")
    return name


UnitName = Annotated[str, AfterValidator(_unit_name)]
"""A systemd unit by its full name; `.service` is added where no kind of unit is written, as systemctl does."""


def sample(name: str, dimension: Dimension, meaning: str) -> SampleSpec:
    """A sample that a check may yield; the short form for `SAMPLES`."""
    return SampleSpec(name=name, dimension=dimension, meaning=meaning)
