"""What heald uses of aiohttp: its low-level server, and nothing else.

aiohttp imports its client with its first name, and its server for applications brings routing, static files and web
sockets: 7 MB that heald's dozen of fixed paths never touch. Here aiohttp is a package of which only the modules are
there. Whoever asks it for a name, as the clients of Docker and supervisord do, gets it: all of it is imported then.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class _Late(ModuleType):
    """A package that is imported when something of it is asked for that is no module."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if spec is None or spec.loader is None or name.startswith("__"):
            raise AttributeError(f"module {self.__name__} has no attribute {name}")
        if find_spec(f"{self.__name__}.{name}"):  # what all of it would have imported: alone, it is to be had for less
            return import_module(f"{self.__name__}.{name}")
        self.__class__ = ModuleType  # type: ignore[assignment]  # first: what is imported now asks for names too
        spec.loader.exec_module(self)
        return getattr(self, name)


def _import_late(name: str) -> None:
    """Have a package imported late, unless it is there."""
    spec = find_spec(name)
    if name in sys.modules or spec is None:
        return
    package = module_from_spec(spec)
    package.__class__ = _Late
    package.__dict__["__version__"] = version(name)  # its server asks for it
    sys.modules[name] = package


_import_late("aiohttp")

from aiohttp.web_exceptions import (  # noqa: E402  # aiohttp itself is to be there in name only, as here and below
    HTTPBadRequest,
    HTTPException,
    HTTPMethodNotAllowed,
    HTTPNotFound,
)
from aiohttp.web_request import BaseRequest as Request  # noqa: E402  # as above
from aiohttp.web_response import Response, StreamResponse, json_response  # noqa: E402  # as above
from aiohttp.web_server import Server  # noqa: E402  # as above

__all__ = [
    "HTTPBadRequest",
    "HTTPException",
    "HTTPMethodNotAllowed",
    "HTTPNotFound",
    "Request",
    "Response",
    "Server",
    "StreamResponse",
    "json_response",
]
