"""Asking the running daemon: HTTP over its control socket, with the standard library alone, so that asking is quick."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import click

from daemon.cli.places import socket_places

ANSWER_SECONDS = 10.0  # for what the daemon knows or notes
RELOAD_SECONDS = 120.0  # for building a whole configuration anew
ANSWER_BYTES = 64 * 2**20  # of an answer; a thousand incidents are far below it
NO_DAEMON = 69  # sysexits.h EX_UNAVAILABLE
NOT_PERMITTED = 77  # sysexits.h EX_NOPERM


class NoDaemonError(click.ClickException):
    """No daemon answered."""

    exit_code = NO_DAEMON


class NotPermittedError(click.ClickException):
    """The control socket is there, and not for this user."""

    exit_code = NOT_PERMITTED


class RefusedError(click.ClickException):
    """The daemon answered no. `errors` are the located ones of a rules file, as `heald validate` says them."""

    exit_code = 1

    def __init__(self, sentence: str, errors: list[str]) -> None:
        super().__init__(sentence)
        self.errors = errors

    def show(self, file: Any = None) -> None:
        """Say the located errors first, then the sentence, all on stderr."""
        for error in self.errors:
            click.echo(error, err=True)
        super().show(file)


class _Connection(http.client.HTTPConnection):
    """HTTP to a unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(
    method: str,
    target: str,
    *,
    state_dir: Path | None,
    body: dict[str, object] | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """The daemon's answer. `target` is a path of `daemon.api.control` with its query, `seconds` how long it may take.

    Raises:
        NoDaemonError: none runs, or the one that has the socket does not answer.
        NotPermittedError: the socket is not for this user.
        RefusedError: the daemon said no.
    """
    path = _find(state_dir)
    connection = _Connection(path, seconds := ANSWER_SECONDS if seconds is None else seconds)
    try:
        text = json.dumps(body or {}) if method == "POST" else None
        connection.request(method, target, body=text, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        raw = response.read(ANSWER_BYTES + 1)
    except TimeoutError as error:
        doubt = "; what was asked may still be done" if method == "POST" else ""
        raise NoDaemonError(
            f"the daemon on {path} did not answer within {seconds:g} seconds{doubt}. "
            "It may be stopped or stuck: look at its log and at `systemctl status heald`."
        ) from error
    except PermissionError as error:
        raise NotPermittedError(f"{path} is not for this user. {_way_in(path)}") from error
    except ConnectionRefusedError as error:
        raise NoDaemonError(f"no daemon answers on {path}: the one that made it is gone. {_HOW}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoDaemonError(f"the daemon on {path} broke off: {reason}") from error
    finally:
        connection.close()
    return _read(path, response.status, raw)


_HOW = "Start one with `systemctl start heald` or `heald run`."


def _find(state_dir: Path | None) -> Path:
    """The first place that has a socket, alive or not: a dead one is not a reason to talk to somebody else's daemon."""
    places = socket_places(state_dir)
    for place in places:
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason = error.strerror or str(error)
            sentence = f"cannot look for the control socket {place}: {reason}. {_way_in(place.parent)}"
            raise NotPermittedError(sentence) from error
        return place
    tried = ", ".join(str(place) for place in places)
    raise NoDaemonError(f"no daemon runs: there is no control socket at {tried}. {_HOW}")


def _way_in(place: Path) -> str:
    """How to be let in to a file or folder that belongs to a group."""
    try:
        group = f"the group {place.group()}"
    except (OSError, KeyError):  # its folder is closed as well, or the group has no name
        group = "the socket's group"
    return f"Ask as root, or become a member of {group}."


def _read(path: Path, status: int, raw: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(raw) if len(raw) <= ANSWER_BYTES else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoDaemonError(f"what answers on {path} does not speak as heald does (status {status})")
    if status >= 400:
        errors = answer.get("errors", [])
        raise RefusedError(str(answer.get("error", f"status {status}")), [str(error) for error in errors])
    return answer
