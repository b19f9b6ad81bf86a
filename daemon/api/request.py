"""What every request of the control socket has: who asks, a text, a refusal."""

import json
import pwd
import socket
import struct

from daemon.api import web
from daemon.api.wire import error_to_json

TEXT_LENGTH = 1000  # characters of a reason
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)


def refuse(status: int, sentence: str) -> web.Response:
    """A no, with a sentence for people."""
    return web.json_response(error_to_json(sentence), status=status)


async def text(request: web.Request, key: str) -> str:
    """The one text that a request carries: not empty, of one line and bounded. Raises HTTPBadRequest."""
    try:
        body = await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(reason="the body is not JSON") from error
    value = body.get(key) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise web.HTTPBadRequest(reason=f"the body must be {json.dumps({key: 'TEXT'})}, and the text not empty")
    if len(value) > TEXT_LENGTH:
        raise web.HTTPBadRequest(reason=f"{key} has {len(value)} characters; at most {TEXT_LENGTH} are kept")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())


def who(request: web.Request) -> str:
    """The user at the other end, by name, as the kernel knows it."""
    peer = request.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
