"""Where things are when the command line does not say: the rules file, the state directory, the control socket."""

import os
from pathlib import Path

import click

from daemon.api.wire import SOCKET_NAME

SYSTEM_CONFIG = Path("/etc/heald/rules.yaml")
SYSTEM_RUNTIME = Path("/run/heald")  # RuntimeDirectory=heald of the systemd unit
BAD_CONFIG = 78  # sysexits.h EX_CONFIG

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    help="Rules file [$HEALD_CONFIG, ./rules.yaml, /etc/heald/rules.yaml].",
)
state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, readable=False),
    help="State directory [$STATE_DIRECTORY, $XDG_STATE_HOME/heald].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="The daemon's own words, as JSON.")


class ConfigNotFoundError(click.ClickException):
    """No rules file was named and none is where one may be."""

    exit_code = BAD_CONFIG


def find_config(named: Path | None) -> Path:
    """The rules file: the named one, `$HEALD_CONFIG`, `./rules.yaml`, `/etc/heald/rules.yaml`.

    A named one is returned even if it is not there: its absence is an error of its own, said by who reads it.

    Raises:
        ConfigNotFoundError: none is named, and neither of the two places has one.
    """
    if named is not None:
        return named
    if from_environment := os.environ.get("HEALD_CONFIG"):
        return Path(from_environment)
    places = (Path("rules.yaml"), SYSTEM_CONFIG)
    for place in places:
        if place.exists():
            return place
    looked = f"{places[0].absolute()} and {places[1]} are not there"
    raise ConfigNotFoundError(f"no rules file: {looked}; name one with --config or HEALD_CONFIG")


def find_state_dir(named: Path | None) -> Path:
    """The state directory: the named one, `$STATE_DIRECTORY`, `$XDG_STATE_HOME/heald`, `~/.local/state/heald`."""
    if named is not None:
        return named.absolute()
    if from_systemd := _first("STATE_DIRECTORY"):
        return from_systemd
    home = os.environ.get("XDG_STATE_HOME")
    # The XDG specification: a relative path is to be ignored.
    return (Path(home) if home and Path(home).is_absolute() else Path.home() / ".local" / "state") / "heald"


def find_runtime_dir() -> Path | None:
    """`$RUNTIME_DIRECTORY`, where the control socket is if systemd gives us one."""
    return _first("RUNTIME_DIRECTORY")


def socket_places(state_dir: Path | None) -> list[Path]:
    """Where a daemon's control socket may be, likeliest first: a named state directory comes before all else."""
    runtime_dir = find_runtime_dir()
    folders = [runtime_dir] if runtime_dir else []
    folders.insert(0 if state_dir else len(folders), find_state_dir(state_dir))
    if state_dir is None:
        folders.append(SYSTEM_RUNTIME)
    return [folder / SOCKET_NAME for folder in dict.fromkeys(folders)]


def _first(variable: str) -> Path | None:
    """The first of the folders that systemd names in a variable, separated by colons (systemd.exec(5))."""
    first = os.environ.get(variable, "").split(":")[0]
    return Path(first).absolute() if first else None
