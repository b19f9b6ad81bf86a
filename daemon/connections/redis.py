"""A client of one Redis server (or Valkey), shared by all that use the connection.

Its server is at fault with refused, reset, closed, timeout, unreachable, name_not_found or tls where it cannot be
reached, with too_many_clients, loading, cannot_save (MISCONF) or busy (a script runs) where it says so, and with
protocol where something else answers. A unix socket that is not there is refused. We are blind with a wrong user or
password, a command that the user may not run, a database that the server does not have or any other error that it
answers with, a ca_file that cannot be used, or no way there from here.

"max number of clients reached" is only said to who connects: while the connection is open, heald has its place and
does not see it. Compare the samples clients and max_clients of the check instead.

Rights: none without an ACL; with one, those of the checks that use it.
"""

import asyncio
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import field_validator, model_validator

from daemon.connections._reaching import cause_of, check_authorities, not_reached
from daemon.plugin import CheckContext, CheckError, Field, Folder, OptionsModel, SecretStr, SickError

EXAMPLE = """
connections:
  shop_cache: {redis: {host: cache.example, tls: true, password: "${env:SHOP_REDIS_PASSWORD}"}}
checks:
  cache: {redis: {connection: shop_cache}}
"""
_OWN_SHARE = 0.9  # of the time-out: silence is told before whoever waits loses patience
_LONGEST = 60.0  # seconds; every use has a shorter time-out of its own, and this one ends what has none
_SCHEMES = {"redis": False, "rediss": True, "unix": False}  # and whether it is TLS
_WORDS = {"LOADING": "loading", "MISCONF": "cannot_save", "BUSY": "busy"}
_HOW = "write redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH"


class Options(OptionsModel):
    """Where the server is, and who heald is there: a URL, or the parts of one."""

    url: SecretStr | None = Field(
        default=None,
        description="redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS, or unix://USER:PASSWORD@/PATH.",
    )
    host: str = Field(default="localhost", min_length=1, description="Host name or address; not together with url.")
    port: int = Field(default=6379, ge=1, le=65535, description="TCP port, 1 to 65535; not together with url.")
    socket: Folder | None = Field(
        default=None, description="Absolute path of a unix socket, instead of host and port; not together with url."
    )
    username: str | None = Field(default=None, min_length=1, description="User of the server's ACL (Redis 6).")
    password: SecretStr | None = Field(default=None, description="Password of the user, or of the server.")
    tls: bool = Field(default=False, description="Whether to speak TLS; rediss:// says the same.")
    verify_tls: bool = Field(default=True, description="Whether the certificate has to be valid.")
    ca_file: str | None = Field(
        default=None, min_length=1, description="PEM file of the authorities to trust instead of the system's."
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        parts = [name for name in ("host", "port", "socket", "username", "password") if name in self.model_fields_set]
        if self.url is not None and parts:
            raise ValueError(f"url and {', '.join(parts)} are both given; a url has all of them in it")
        if self.socket is not None and {"host", "port", "tls"} & self.model_fields_set:
            raise ValueError("a socket has no host, port or tls; leave them out")
        if self.username is not None and self.password is None:
            raise ValueError("a username needs a password")
        if self.ca_file is not None and not self.verify_tls:
            raise ValueError("ca_file has no effect with verify_tls: false; leave one of them out")
        return self


class Client:
    """The open client. It is used as it is, by several at once."""

    def __init__(self, redis: Any, place: str) -> None:
        self._redis = redis
        self.place = place  # for sentences

    async def ask(self, *words: str) -> Any:
        """The server's answer to a command, as redis-py gives it: INFO is a mapping.

        Raises:
            SickError: the server is at fault. CheckError: we are, or may not ask.
        """
        import redis.exceptions as errors

        try:
            return await self._redis.execute_command(*words)
        except (errors.RedisError, OSError) as error:
            raise _meaning(error, self.place) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # redis-py's parsers, of an odd answer
            raise SickError("protocol", f"what answers at {self.place} is no Redis: {error}") from error


async def connect(options: Options, context: CheckContext) -> Client:
    """A client that has been answered. Raises SickError, CheckError."""
    try:
        import redis.asyncio as library  # slow and large: only where a connection is used
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise CheckError(f"a Redis cannot be asked without {error.name}: install heald[redis]") from error
    settings, place = _settings(options)
    if options.ca_file is not None:
        await check_authorities(options.ca_file)
    redis = library.Redis(
        **settings,
        socket_timeout=_LONGEST,
        socket_connect_timeout=_LONGEST,
        retry=Retry(NoBackoff(), 0),  # a retry would hide the fault that we look for
        protocol=2,  # Redis before 6 refuses HELLO
        legacy_responses=False,
        driver_info=None,  # a user of few rights may not call CLIENT SETINFO
        decode_responses=True,
        encoding_errors="replace",
    )
    client = Client(redis, place)
    within = context.timeout * _OWN_SHARE
    try:
        async with asyncio.timeout(within):
            await client.ask("PING")
    except BaseException as error:
        await close(client)
        if isinstance(error, TimeoutError):
            raise SickError("timeout", f"nothing within {within:.3g}s from {place}") from error
        raise
    return client


async def close(client: Client) -> None:
    """Close every socket."""
    await client._redis.aclose()


def _check(text: str) -> None:
    """Raise ValueError if a text is no URL of a Redis; it is never repeated, as it may hold a password."""
    try:
        url = urlsplit(text)
        has_port = url.port is not None
        names_place = bool(url.path.strip("/") and not has_port) if url.scheme == "unix" else bool(url.hostname)
    except ValueError:
        raise ValueError(f"is not a URL; {_HOW}") from None
    if url.scheme not in _SCHEMES or not names_place:
        raise ValueError(f"is not the URL of a Redis; {_HOW}")
    if url.query or url.fragment:
        raise ValueError(f"has something after a ? or #, which heald does not read; {_HOW}")
    if url.scheme != "unix" and not (url.path.strip("/") or "0").isdecimal():
        raise ValueError(f"names a database that is no number; {_HOW}")


def _settings(options: Options) -> tuple[dict[str, Any], str]:
    """What redis-py is given, and the place for sentences."""
    url = urlsplit(options.url.get_secret_value()) if options.url else SplitResult("", "", "", "", "")
    password = options.password.get_secret_value() if options.password else None
    settings: dict[str, Any] = {"username": options.username, "password": password, "db": 0}
    host, port, path = options.host, options.port, options.socket
    if url.scheme:
        settings = {"username": unquote(url.username or "") or None, "password": unquote(url.password or "") or None}
        path = unquote(url.path) if url.scheme == "unix" else None
        host, port = url.hostname or host, url.port or 6379
        settings["db"] = int(url.path.strip("/") or 0) if path is None else 0
    if path is not None:
        return {**settings, "unix_socket_path": path}, path
    settings |= {"host": host, "port": port}
    if options.tls or _SCHEMES.get(url.scheme):
        settings |= {"ssl": True, "ssl_ca_certs": options.ca_file}
        settings |= {} if options.verify_tls else {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return settings, f"{host} port {port}"


def _meaning(error: Exception, place: str) -> SickError | CheckError:
    """What redis-py's error says."""
    import redis.exceptions as errors

    text = str(error)[:300]
    if isinstance(error, errors.AuthenticationError | errors.AuthorizationError | errors.NoPermissionError):
        return CheckError(f"{place} does not let us in: {text}")
    if "max number of clients" in text:
        return SickError("too_many_clients", f"{place} takes no more clients: {text}")
    if isinstance(error, errors.TimeoutError):
        return SickError("timeout", f"nothing within {_LONGEST:g}s from {place}")
    code = getattr(error, "status_code", None) or text.partition(" ")[0]
    if code in _WORDS:
        return SickError(_WORDS[code], f"{place} answers: {text}")
    cause = cause_of(error)
    if cause is not None:
        return not_reached(cause, place)
    if isinstance(error, errors.InvalidResponse):
        return SickError("protocol", f"what answers at {place} is no Redis: {text}")
    if isinstance(error, errors.ConnectionError):
        return SickError("closed", f"{place} closed the connection: {text}")
    return CheckError(f"{place} answers: {text}")
