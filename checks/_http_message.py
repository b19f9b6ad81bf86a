"""What is asked over HTTP and what comes back, whoever speaks it, and where a redirect leads."""

import socket
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from yarl import URL

from checks._names import check_host
from daemon.plugin import SickError

MOST_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EVERYBODY = ip_address("255.255.255.255")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked. A check has it made once, so what follows from it is worked out once too."""

    method: str
    url: URL
    headers: tuple[tuple[str, str], ...]  # the operator's own, credentials included
    host: str | None  # for the Host header and the name in TLS, instead of the URL's
    body: bytes | None
    body_limit: int  # bytes of an answer's body that are read
    follow_redirects: bool
    verify_tls: bool
    ca_file: str | None  # trusted instead of the system's authorities

    @cached_property
    def place(self) -> str:
        """Host and port, for people."""
        return f"{self.url.raw_host} port {self.url.port}"

    @cached_property
    def line(self) -> Hashable:
        """What another request must share to be sent on the same connection."""
        return str(self.url.origin()), self.host, self.verify_tls, self.ca_file

    @cached_property
    def closing(self) -> bytes:
        """As it is sent on a connection that nothing follows on."""
        return _wire(self, "close")

    @cached_property
    def keeping(self) -> bytes:
        """As it is sent on a connection that others may follow on."""
        return _wire(self, "keep-alive")


def _wire(request: Request, connection: str) -> bytes:
    url = request.url
    headers = {
        "host": ("Host", request.host or url.host_port_subcomponent or ""),
        "user-agent": ("User-Agent", "heald"),
        "accept": ("Accept", "*/*"),
        "accept-encoding": ("Accept-Encoding", "identity"),
        **{name.lower(): (name, value) for name, value in request.headers},
    }
    if request.body is not None:
        headers.setdefault("content-type", ("Content-Type", "application/octet-stream"))
    if request.body is not None or request.method == "POST":
        headers["content-length"] = ("Content-Length", str(len(request.body or b"")))
    headers["connection"] = ("Connection", connection)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.values())
    return f"{request.method} {url.raw_path_qs} HTTP/1.1\r\n{lines}\r\n".encode() + (request.body or b"")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back from the last hop."""

    status: int
    body: bytes
    is_cut: bool  # the body went on behind `body_limit`
    charset: str | None


def _is_nobodys(host: str) -> bool:
    """Whether it is an address that no server answers at, or none without the name of an interface of ours."""
    address = _address(host)
    if isinstance(address, IPv6Address):
        if address.is_link_local and "%" not in host:
            return True
        address = address.ipv4_mapped or address
    return address is not None and (address.is_multicast or address == _EVERYBODY)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that `host` is, also in the forms that only the resolver takes: 0xe0000001, 3758096385, 224.1."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def redirected(request: Request, status: int, location: str) -> Request:
    """The next request. To another origin go no headers, credentials, body or host name of the operator's."""
    try:
        url = request.url.join(URL(location)).with_fragment(None)
        if url.scheme not in ("http", "https"):
            raise ValueError("neither http nor https")
        check_host(url.raw_host or "")
        url = url.with_user(None)
    except ValueError as error:
        raise SickError("redirects", "a redirect leads to what is no http or https URL") from error
    if _is_nobodys(url.raw_host or ""):  # to try it would say "no route from here", as if we could not look
        raise SickError("redirects", "a redirect leads to an address that is no server's")
    method, body = request.method, request.body
    # RFC 9110 section 15.4: 303 turns into GET; 301 and 302 turn POST into GET, as every client does.
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
    if url.origin() == request.url.origin():
        return replace(request, url=url, method=method, body=body)
    if body is not None:
        raise SickError("redirects", "a redirect would carry the request's body to another origin")
    return replace(request, url=url, method=method, body=None, headers=(), host=None)
