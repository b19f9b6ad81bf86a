"""The control socket: what people at this host may ask and tell the daemon, as JSON over HTTP.

    GET  /status                          StatusJson
    GET  /incidents?limit=N&closed=1      {"incidents": [IncidentJson, ...]}, newest first
    GET  /explain?name=NAME               ExplanationJson; 404 for an unknown name
    GET  /plan                            {"plan": [PlanEntryJson, ...]}, in the order in which heald would
    GET  /would?seconds=N                 WouldReportJson
    POST /reload                          {"reloaded": true}; 422 with `errors` if the file was refused
    POST /pause   {"why": TEXT}           {"paused": true}
    POST /resume                          {"resumed": true}; false if nothing was paused
    POST /retry   {"incident": ID}        {"said": TEXT}; 404 for an unknown incident

and what `people.py` has. Who asks is who the kernel says is at the other end. Who may ask is decided by the socket's
mode, 0660.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import Never

from daemon.api import web
from daemon.api.bounds import Bounds
from daemon.api.people import PeopleRoutes
from daemon.api.request import refuse, text, who
from daemon.api.wire import SOCKET_NAME, error_to_json
from daemon.errors import HealdError
from daemon.logs import log
from daemon.protocols import Control

MODE = 0o660
PATH_BYTES = 107  # sockaddr_un's sun_path, less its final zero (unix(7))
INCIDENTS_AT_MOST = 1000
SECONDS_AT_MOST = 400 * 86400  # that a report looks back: attempts are kept no longer
KEEP_EVERY = 2.0  # seconds between two looks whether the socket's file is still there


class ControlSocketError(HealdError):
    """The control socket cannot be opened. `is_passing`: what is in the way may be gone later, as a full disk."""

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class ControlServer:
    """The control socket of one daemon. `directory` is $RUNTIME_DIRECTORY, else the state directory."""

    def __init__(self, control: Control, *, directory: Path) -> None:
        self.path = directory / SOCKET_NAME
        self._control = control
        self._bounds = Bounds(
            {
                "/status": {"GET": self._status},
                "/incidents": {"GET": self._incidents},
                "/explain": {"GET": self._explain},
                "/plan": {"GET": self._plan},
                "/would": {"GET": self._would},
                "/reload": {"POST": self._reload},
                "/pause": {"POST": self._pause},
                "/resume": {"POST": self._resume},
                "/retry": {"POST": self._retry},
                **PeopleRoutes(control).routes,
            },
            refuse=lambda status, sentence: refuse(status, sentence),
        )
        self._server: asyncio.Server | None = None
        self._inode: tuple[int, int] | None = None

    async def start(self) -> None:
        """Listen; a dead daemon's socket file is replaced.

        Raises:
            ControlSocketError: a live daemon listens there, something else has the name, or the folder is not ours.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        bound = _bind(self.path)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._bounds.protocol, sock=bound)
        except BaseException:
            bound.close()
            raise
        found = self.path.stat()
        self._inode = (found.st_dev, found.st_ino)

    async def keep(self) -> Never:
        """The standing task: open the socket anew where its file went away, or could not be made."""
        said = ""
        while True:
            if self._server is None or not self._is_there():
                said = await self._try_again(said)
            await asyncio.sleep(KEEP_EVERY)

    async def _try_again(self, said: str) -> str:
        """Open it, or say why not unless that was `said`; returns what was."""
        try:
            await self.start()
        except ControlSocketError as error:
            if str(error) != said:
                log.error("control_socket", f"{error}. heald goes on without it, and tries again.")
            return str(error)
        log.info("control_socket", f"The control socket {self.path} is there again.")
        return ""

    def _is_there(self) -> bool:
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._inode

    async def stop(self) -> None:
        """Stop listening, remove the socket file if it is still ours, end every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
            if self._is_there():  # systemd removes the runtime directory, people remove files
                with contextlib.suppress(OSError):  # a folder that became read-only: the next start replaces it
                    self.path.unlink()
        await self._bounds.stop()

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(self._control.status())

    async def _incidents(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "50")
        if not (limit.isascii() and limit.isdigit()) or not 1 <= int(limit) <= INCIDENTS_AT_MOST:
            return refuse(400, f"limit is {limit!r}; it must be a whole number from 1 to {INCIDENTS_AT_MOST}")
        closed = request.query.get("closed", "0")
        if closed not in ("0", "1"):
            return refuse(400, f"closed is {closed!r}; it must be 0 or 1")
        found = await self._control.incidents(limit=int(limit), closed=closed == "1")
        return web.json_response({"incidents": found})

    async def _explain(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        try:
            return web.json_response(await self._control.explain(name))
        except LookupError as error:
            if type(error) is not LookupError:  # a KeyError is a bug of ours, and its text no sentence
                raise
            return refuse(404, str(error))

    async def _plan(self, request: web.Request) -> web.Response:
        return web.json_response({"plan": await self._control.plan()})

    async def _would(self, request: web.Request) -> web.Response:
        seconds = request.query.get("seconds", "86400")
        if not (seconds.isascii() and seconds.isdigit()) or not 1 <= int(seconds) <= SECONDS_AT_MOST:
            return refuse(400, f"seconds is {seconds!r}; it must be a whole number from 1 to {SECONDS_AT_MOST}")
        return web.json_response(await self._control.would(seconds=float(seconds)))

    async def _reload(self, request: web.Request) -> web.Response:
        errors = await self._control.reload()
        if not errors:
            return web.json_response({"reloaded": True})
        many = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        sentence = f"the file was refused with {many}; the configuration in use stays"
        return web.json_response(error_to_json(sentence, errors), status=422)

    async def _pause(self, request: web.Request) -> web.Response:
        why = await text(request, "why")
        await self._control.pause(why=why, who=who(request))
        return web.json_response({"paused": True})

    async def _resume(self, request: web.Request) -> web.Response:
        return web.json_response({"resumed": await self._control.resume(who=who(request))})

    async def _retry(self, request: web.Request) -> web.Response:
        incident = await text(request, "incident")
        try:
            said = await self._control.retry(incident, who=who(request))
        except LookupError as error:
            sentence = str(error.args[0]) if error.args else f"there is no incident {incident}"
            return refuse(404, sentence)
        return web.json_response({"said": said})


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > PATH_BYTES:
        raise ControlSocketError(
            f"{path}: a unix socket's path has at most {PATH_BYTES} bytes, this has {len(os.fsencode(path))}; "
            "choose a shorter state directory, or set RUNTIME_DIRECTORY"
        )
    _remove_dead(path)
    before = os.umask(0o777 & ~MODE)  # the file must never be open to others, not even for a moment
    try:
        with contextlib.ExitStack() as opened:
            bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            opened.enter_context(bound)
            bound.bind(str(path))
            opened.pop_all()
    except OSError as error:
        raise ControlSocketError(f"cannot open the control socket {path}: {error.strerror}", is_passing=True) from error
    finally:
        os.umask(before)
    return bound


def _remove_dead(path: Path) -> None:
    """Remove the socket file that a dead daemon left; a live one's, or what is no socket, is left alone."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlSocketError(f"{path} is there and is no socket; move it away")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as asked:
            asked.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        _unlink_dead(path)
        return
    except OSError as error:
        if error.errno != errno.EAGAIN:  # its queue is full: alive, and busy
            sentence = f"cannot look at the control socket {path}: {error.strerror}"
            raise ControlSocketError(sentence, is_passing=True) from error
    raise ControlSocketError(f"another heald answers on {path}; stop it first")


def _unlink_dead(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # a folder that became read-only since
        sentence = f"cannot remove the control socket {path} of a dead heald: {error.strerror}"
        raise ControlSocketError(sentence, is_passing=True) from error
