"""Where a server listens, as operators write it: `HOST:PORT`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A TCP address."""

    host: str  # a name or an address; "" is every interface
    port: int  # 0: any free one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`127.0.0.1:9797`, `localhost:9797`, `[::1]:9797` or `:9797` (every interface); port 0 is any free one.

    Raises:
        ValueError: with a sentence that says what is allowed.
    """
    host, colon, port = text.rpartition(":")
    allowed = "write HOST:PORT such as 127.0.0.1:9797, or [::1]:9797 for IPv6"
    if text.isascii() and text.isdigit():
        raise ValueError(f"{text} is a port without a host; {allowed}")
    if not colon or not port.isascii() or not port.isdigit():
        raise ValueError(f"{text!r} has no port; {allowed}")
    if int(port) > 65535:
        raise ValueError(f"{text!r}: port {port} is above 65535")
    if host.startswith("[") and host.endswith("]") and len(host) > 2:
        host = host[1:-1]
    elif any(sign in host for sign in ":[]"):
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets; {allowed}")
    if any(sign.isspace() or not sign.isprintable() for sign in host):
        raise ValueError(f"{text!r} has a blank or a control character in the host; {allowed}")
    return Address(host=host, port=int(port))
