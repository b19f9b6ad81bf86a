"""What is asked over HTTP and what comes back, whoever speaks it, and where a redirect leads."""

from dataclasses import dataclass, replace

from yarl import URL

from checks._net import check_host
from daemon.plugin import SickError

MOST_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked."""

    method: str
    url: URL
    headers: tuple[tuple[str, str], ...]  # the operator's own, credentials included
    host: str | None  # for the Host header and the name in TLS, instead of the URL's
    body: bytes | None
    body_limit: int  # bytes of an answer's body that are read
    follow_redirects: bool
    verify_tls: bool
    ca_file: str | None  # trusted instead of the system's authorities


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back from the last hop."""

    status: int
    body: bytes
    is_cut: bool  # the body went on behind `body_limit`
    charset: str | None


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
    method, body = request.method, request.body
    # RFC 9110 section 15.4: 303 turns into GET; 301 and 302 turn POST into GET, as every client does.
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
    if url.origin() == request.url.origin():
        return replace(request, url=url, method=method, body=body)
    if body is not None:
        raise SickError("redirects", "a redirect would carry the request's body to another origin")
    return replace(request, url=url, method=method, body=None, headers=(), host=None)
