"""A session of one PostgreSQL database, shared by all that use the connection, one statement at a time.

Its server is at fault with refused, reset, timeout, unreachable, name_not_found or tls where it cannot be reached, with
too_many_clients, not_ready (it starts, stops or recovers), out_of_resources (disk or memory) or server_error where it
says so, and with protocol where something else answers. A unix socket that is not there is refused. We are blind with a
wrong user or password, no line for us in pg_hba.conf, a database that is not there, a missing right, a file of
certificates that cannot be used, or no way there from here.

The session calls itself heald and keeps nothing on the server, so PgBouncer may stand between. A session that was ended
is opened anew by the next statement; one that is silent costs a reading, and is opened anew then.
"""

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from pydantic import field_validator

from daemon.connections._reaching import cause_of, check_authorities, check_certificate, not_reached
from daemon.plugin import CheckContext, CheckError, Field, OptionsModel, SecretStr, SickError

if TYPE_CHECKING:
    import asyncpg

EXAMPLE = """
connections:
  shop_db: {postgres: {dsn: "${env:SHOP_DATABASE_URL}"}, optional: true}
checks:
  shop_database: {postgres: {connection: shop_db}}
"""
_OWN_SHARE = 0.9  # of the time-out: silence is told before whoever waits loses patience
_LONGEST = 60.0  # seconds until a connection is open; every use has a shorter time-out of its own
_HOW = (
    "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with ?sslmode=verify-full to have the server proven; in a "
    "password / is %2F, ? is %3F, # is %23 and @ is %40"
)
_SCHEMES = ("postgres", "postgresql")
_DEMANDS_TLS = ("require", "verify-ca", "verify-full")


class Options(OptionsModel):
    """Where the database is, and who heald is there."""

    dsn: SecretStr = Field(
        description=(
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with libpq's parameters after a ?: sslmode=verify-full and "
            "sslrootcert=FILE prove the server; without an sslmode, TLS is used if it is offered and proves nothing."
        )
    )

    @field_validator("dsn")
    @classmethod
    def _is_dsn(cls, value: SecretStr) -> SecretStr:
        try:  # it is never repeated, as it may hold a password
            url = urlsplit(value.get_secret_value())
            is_good = url.scheme.partition("+")[0] in _SCHEMES and (url.port or 1) > 0
            # A password that is not escaped ends the part before the @ early, and what follows would be told as a name.
            is_good = is_good and not url.fragment and "@" not in url.path
            parse_qsl(url.query, strict_parsing=True)
        except ValueError:
            is_good = False
        if not is_good:
            raise ValueError(f"is not the address of a PostgreSQL database; {_HOW}")
        return value


class Client:
    """The shared session. It is used as it is, by several at once."""

    def __init__(self, dsn: str, place: str) -> None:
        self._dsn = dsn
        self._lock = asyncio.Lock()
        self._session: asyncpg.Connection[Any] | None = None
        self.place = place  # for sentences

    async def open(self) -> None:
        """Open the session if it is not. Raises SickError, CheckError."""
        async with self._lock:
            await self._opened()

    async def fetch(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """The rows of a statement.

        Raises:
            SickError: the server is at fault. CheckError: we are, or may not ask.
        """
        import asyncpg

        async with self._lock:
            session = await self._opened()
            try:
                return [dict(row) for row in await session.fetch(statement, *values)]
            except asyncio.CancelledError:  # its answer is still to come, so nobody else can use the session
                self.end()
                raise
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                raise _meaning(error, self.place) from error

    async def _opened(self) -> "asyncpg.Connection[Any]":
        import asyncpg  # only where a connection is used

        if self._session is None or self._session.is_closed():
            await _check_files(self._dsn)
            try:
                self._session = await asyncpg.connect(
                    self._dsn,
                    timeout=_LONGEST,
                    statement_cache_size=0,  # PgBouncer may give the next statement to another session
                    server_settings={"application_name": "heald"},
                )
            except ValueError as error:  # asyncpg's ClientConfigurationError is one
                raise CheckError(f"the dsn cannot be used: {_without_password(str(error), self._dsn)}") from None
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                raise _tls_refused(error, self._dsn, self.place) or _meaning(error, self.place) from error
        return self._session

    def end(self) -> None:
        """Let the session go without a word: a silent server would not take it."""
        if self._session is not None:
            self._session.terminate()
            self._session = None


async def connect(options: Options, context: CheckContext) -> Client:
    """A client with an open session. Raises SickError, CheckError."""
    try:
        import asyncpg  # noqa: F401  # late, as only who uses a connection needs it; and before anything is opened
    except ImportError as error:
        raise CheckError(f"a PostgreSQL cannot be asked without {error.name}: install heald[postgres]") from error
    dsn = options.dsn.get_secret_value()
    scheme, _, rest = dsn.partition("://")
    client = Client(f"{scheme.partition('+')[0]}://{rest}", _place(dsn))  # SQLAlchemy writes postgresql+asyncpg://
    within = context.timeout * _OWN_SHARE
    try:
        async with asyncio.timeout(within):
            await client.open()
    except TimeoutError as error:
        raise SickError("timeout", f"nothing within {within:.3g}s from {client.place}") from error
    return client


async def close(client: Client) -> None:
    """End the session."""
    client.end()


def _place(dsn: str) -> str:
    """Host, port and database for sentences, or the folder of a socket."""
    url = urlsplit(dsn)
    host = url.netloc.rpartition("@")[2] or next(iter(parse_qs(url.query).get("host", [])), "localhost")
    if host.startswith("/"):
        return host
    return f"database {url.path.lstrip('/')} at {host}" if url.path.strip("/") else host


def _parameter(dsn: str, name: str) -> str:
    """One of libpq's parameters after the ?; empty if it is not there."""
    return parse_qs(urlsplit(dsn).query).get(name, [""])[-1]


async def _check_files(dsn: str) -> None:
    """Raise CheckError if a file that it names cannot be used: asyncpg's error would look like the server's own."""
    for name in ("sslrootcert", "sslcrl"):
        file = _parameter(dsn, name)
        if file and _parameter(dsn, "sslmode") in _DEMANDS_TLS:  # they are not looked at otherwise
            await check_authorities(file, name)
    certificate, key = _parameter(dsn, "sslcert"), _parameter(dsn, "sslkey")
    if certificate and key:
        await check_certificate(certificate, key, _parameter(dsn, "sslpassword"))


def _without_password(text: str, dsn: str) -> str:
    """What is wrong with a dsn, if it can be said without its password."""
    written = (urlsplit(dsn).password, *(_parameter(dsn, name) for name in ("password", "sslpassword")))
    is_told = any(it in text for word in written if word for it in (word, unquote(word)))
    return _HOW if is_told else text[:300]


def _tls_refused(error: Exception, dsn: str, place: str) -> SickError | None:
    """What it says where a server was asked for TLS and answered neither yes nor no, or no where TLS is demanded."""
    text = str(error)
    if not isinstance(error, ConnectionError) or "SSL" not in text:
        return None
    if "rejected SSL upgrade" not in text:  # it answered with an error, which proves nothing before TLS
        return SickError("server_error", f"{place} has an error of its own before TLS")
    if _parameter(dsn, "sslmode") in _DEMANDS_TLS:
        return SickError("tls", f"{place} does not offer TLS, which sslmode demands")
    return SickError("protocol", f"what answers is no PostgreSQL, {place}: it cannot be asked for TLS")


def _meaning(error: Exception, place: str) -> SickError | CheckError:
    """What asyncpg's error says; codes are those of PostgreSQL's appendix A."""
    import asyncpg

    text = str(error)[:300]
    code = getattr(error, "sqlstate", None) or ""
    if isinstance(error, asyncpg.ConnectionDoesNotExistError | asyncpg.ConnectionFailureError):
        return SickError("reset", f"{place} closed the connection: {text}")
    if code == "53300":
        return SickError("too_many_clients", f"{place} takes no more clients: {text}")
    if code == "57P03":
        return SickError("not_ready", f"{place} is not ready: {text}")
    if code.startswith("57P"):  # an administrator, a crash or a time-out of idle sessions ended ours
        return SickError("reset", f"{place} ended the session: {text}")
    if code == "57014":
        return SickError("timeout", f"{place} cancelled the statement: {text}")
    if code.startswith("53"):
        return SickError("out_of_resources", f"{place} lacks disk or memory: {text}")
    if code.startswith(("58", "XX")):
        return SickError("server_error", f"{place} has an error of its own: {text}")
    if isinstance(error, TimeoutError):
        return SickError("timeout", f"nothing within {_LONGEST:g}s from {place}")
    cause = cause_of(error)
    if cause is not None:
        return not_reached(cause, place)
    if isinstance(error, asyncpg.InternalClientError):
        return SickError("protocol", f"what answers is no PostgreSQL, {place}: {text}")
    return CheckError(f"{place} does not let us ask: {text}")
