"""supervisord's XML-RPC over its unix socket: one call after another, each with a time-out and a bounded answer.

Source: https://supervisord.org/api.html; fault codes from supervisor/xmlrpc.py.
"""

import base64
import re
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from daemon.plugin import SecretStr

if TYPE_CHECKING:
    import aiohttp

BAD_NAME = 10
NO_FILE = 20
NOT_EXECUTABLE = 21
SPAWN_ERROR = 50
ALREADY_STARTED = 60
NOT_RUNNING = 70
SUCCESS = 80

_MOST_ANSWER = 16 * 2**20  # bytes; a program is some 2 KiB of it
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")  # supervisord passes on what programs write to their logs


class UnreachableError(Exception):
    """supervisord could not be asked; the text is for people."""


class FaultError(Exception):
    """supervisord said no. `code` is one of supervisor's faults."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Supervisord:
    """A supervisord, asked over one connection; an async context manager."""

    def __init__(self, socket: str, *, username: str, password: SecretStr, answer_within: float) -> None:
        self._socket = socket
        self._answer_within = answer_within  # seconds for one whole call
        self._headers = {"Content-Type": "text/xml"}
        if username:
            secret = base64.b64encode(f"{username}:{password.get_secret_value()}".encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(self._socket),
            timeout=aiohttp.ClientTimeout(total=self._answer_within),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, *parameters: str | int | bool) -> Any:
        """What `supervisor.METHOD` answers.

        Raises:
            UnreachableError: it could not be asked. FaultError: it said no.
        """
        import xmlrpc.client

        import aiohttp

        assert self._session is not None, "used outside of `async with`"  # noqa: S101  # a bug of ours
        body = xmlrpc.client.dumps(parameters, f"supervisor.{method}").encode()
        try:
            async with self._session.post("http://localhost/RPC2", data=body) as response:
                answer = await _read(response)
                status = response.status
        except TimeoutError as error:
            raise UnreachableError(
                f"supervisord at {self._socket} did not answer within {self._answer_within:g}s"
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(self._not_connected(error.os_error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"supervisord at {self._socket} broke the connection off: {error!r}") from error
        if status != 200:
            raise UnreachableError(self._refused(status))
        return self._parse(answer)

    def _not_connected(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError):
            return f"there is no socket {self._socket}: supervisord is not running, or its socket is elsewhere"
        if isinstance(error, ConnectionRefusedError):
            return f"nobody listens at {self._socket}: supervisord is not running"
        if isinstance(error, PermissionError):
            return f"we may not use the socket {self._socket} (see chmod and chown in [unix_http_server])"
        return f"cannot connect to {self._socket}: {error}"

    def _refused(self, status: int) -> str:
        if status == 401:
            return f"supervisord at {self._socket} wants another username and password"
        if status == 404:
            return (
                f"{self._socket} has no /RPC2: supervisord's [rpcinterface:supervisor] is not set, or it is another's"
            )
        return f"supervisord at {self._socket} answered with HTTP status {status}"

    def _parse(self, answer: bytes) -> Any:
        import xmlrpc.client  # of a bounded answer without DOCTYPE, so that no entity expands
        from xml.parsers.expat import ExpatError

        text = _NOT_XML.sub("\ufffd", answer.decode(errors="replace"))
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise UnreachableError(f"{self._socket} answers with a document type: it is no supervisord")
        try:
            [result], _ = xmlrpc.client.loads(text, use_builtin_types=True)
        except xmlrpc.client.Fault as fault:
            raise FaultError(int(fault.faultCode), str(fault.faultString)) from fault
        except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError) as error:
            raise UnreachableError(f"{self._socket} does not answer in XML-RPC: {error}") from error
        return result


async def _read(response: "aiohttp.ClientResponse") -> bytes:
    import aiohttp

    answer = bytearray()
    async for piece in response.content.iter_any():
        answer += piece
        if len(answer) > _MOST_ANSWER:
            raise aiohttp.ClientPayloadError(f"an answer of more than {_MOST_ANSWER} bytes")
    return bytes(answer)
