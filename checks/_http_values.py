"""The values that http's options are made of, each with a sentence for what is not one."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from yarl import URL

from checks._names import check_host

_STATUS = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _url(value: str) -> str:
    if value.split() != [value] or not value.isprintable():
        raise ValueError("a URL has no blanks and no control characters; write them as %20 and so on")
    try:
        url = URL(value)
        has_host = bool(url.host and url.port)
        if has_host:
            check_host(url.raw_host or "")
    except ValueError:
        raise ValueError("the host or the port of this URL cannot be; write http://HOST:PORT/PATH") from None
    if url.user is not None or url.password is not None:
        raise ValueError("credentials do not belong in a URL; write them as basic: {user: ..., password: ...}")
    if url.scheme not in ("http", "https") or not has_host:
        raise ValueError("a URL starts with http:// or https:// and a host, such as http://localhost:8000/health")
    return value


def _status(value: Any) -> Any:
    is_text = isinstance(value, int | str) and not isinstance(value, bool)
    found = _STATUS.fullmatch(str(value)) if is_text else None
    if found is None or int(found[1]) > int(found[2] or found[1]):
        raise ValueError(f"{value!r} is not a status; write a number from 100 to 599 or a range such as 200-299")
    return int(found[1]), int(found[2] or found[1])


def keys_of(path: str) -> list[str]:
    """The keys of a JSON path, outermost first."""
    return [key.replace("\\.", ".") for key in re.split(r"(?<!\\)\.", path)]


def _path(value: str) -> str:
    if not all(keys_of(value)):
        raise ValueError(f"{value!r} is not a path; write keys with dots between, such as queue.length or items.0.name")
    return value


def _header_host(value: str) -> str:
    try:
        host = URL.build(scheme="http", authority=value).raw_host
        check_host(host or "")
    except ValueError:
        raise ValueError(f"{value!r} is not a host name; write shop.example or shop.example:8443") from None
    return value


def check_header(name: str, value: str) -> None:
    """Whether this can be sent as a header. Raises ValueError without telling the value."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header; write letters, digits and dashes")
    if _CONTROL.search(value) or value != value.strip():
        raise ValueError(f"the value of the header {name} has control characters or blanks around it")


Url = Annotated[str, AfterValidator(_url)]
"""An http or https URL without credentials."""
HeaderHost = Annotated[str, AfterValidator(_header_host)]
"""A host name with or without a port."""
JsonPath = Annotated[str, AfterValidator(_path)]
"""Keys into JSON with dots between; a number is a place in a list."""
StatusRange = Annotated[
    tuple[int, int],
    BeforeValidator(_status),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"}]}
    ),
]
"""The lowest and the highest status, written `200` or `200-299`."""
