"""How a Redis is named, and what becomes of it: URLs and parts, unix sockets, TLS, and no secret in any error."""

import contextlib
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from daemon.connections import redis as redis_connection
from daemon.connections._reaching import not_reached
from daemon.errors import CheckError, SickError
from tests.lab.contexts import check_context
from tests.lab.redis import LabRedis, free_port, redis


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(authority: trustme.CA) -> Iterator[Path]:
    """The certificates: `ca.pem`, and `server.pem` with its key for localhost."""
    made = Path(tempfile.mkdtemp(prefix="heald-c-"))
    authority.cert_pem.write_to_path(str(made / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(made / "server.pem"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def lab(folder: Path, tls_port: int) -> Iterator[LabRedis]:
    server = str(folder / "server.pem")
    certificates = ["--tls-cert-file", server, "--tls-key-file", server, "--tls-ca-cert-file", str(folder / "ca.pem")]
    with redis("--tls-port", str(tls_port), "--tls-auth-clients", "no", *certificates) as started:
        started.say("ACL", "SETUSER", "heald", "on", ">p@ss/w:rd", "+ping", "+info", "+select")
        yield started


@contextlib.asynccontextmanager
async def opened(**given: Any) -> AsyncIterator[redis_connection.Client]:
    options = redis_connection.Options.model_validate(given, strict=False)
    client = await redis_connection.connect(options, check_context())
    try:
        yield client
    finally:
        await redis_connection.close(client)


async def test_parts_a_url_and_a_socket_lead_to_the_same_server(lab: LabRedis) -> None:
    for given in (
        {"port": lab.port},
        {"url": f"redis://localhost:{lab.port}"},
        {"url": f"redis://heald:p%40ss%2Fw%3Ard@127.0.0.1:{lab.port}/3"},
        {"host": "127.0.0.1", "port": lab.port, "username": "heald", "password": "p@ss/w:rd"},
        {"socket": lab.socket},
        {"url": f"unix://{lab.socket}"},
        {"url": f"unix://heald:p%40ss%2Fw%3Ard@{lab.socket}"},
    ):
        async with opened(**given) as client:
            assert (await client.ask("INFO", "server"))["tcp_port"] == lab.port


async def test_tls_is_verified_unless_the_operator_says_otherwise(lab: LabRedis, folder: Path, tls_port: int) -> None:
    authority = str(folder / "ca.pem")
    for given in (
        {"url": f"rediss://localhost:{tls_port}", "ca_file": authority},
        {"port": tls_port, "tls": True, "ca_file": authority},
        {"host": "127.0.0.1", "port": tls_port, "tls": True, "verify_tls": False},
    ):
        async with opened(**given) as client:
            assert (await client.ask("INFO", "server"))["tcp_port"] == lab.port
    for given in (
        {"url": f"rediss://localhost:{tls_port}"},  # an authority that nobody knows
        {"url": f"rediss://127.0.0.1:{tls_port}", "ca_file": authority},  # a certificate of another name
    ):
        with pytest.raises(SickError, match="TLS failed") as caught:
            async with opened(**given):
                pass
        assert caught.value.word == "tls"


async def test_a_database_that_is_not_there_and_an_authority_that_cannot_be_read_make_us_blind(lab: LabRedis) -> None:
    with pytest.raises(CheckError, match="DB index is out of range"):
        async with opened(url=f"redis://localhost:{lab.port}/999"):
            pass
    for file in ("/nowhere/ca.pem", __file__):
        with pytest.raises(CheckError, match=f"the ca_file {file} cannot be used"):
            async with opened(port=lab.port, tls=True, ca_file=file):
                pass


async def test_an_error_of_an_answer_that_nobody_expects_makes_us_blind(lab: LabRedis) -> None:
    async with opened(port=lab.port) as client:
        with pytest.raises(CheckError, match=r"port [0-9]+ answers: unknown command 'NONSENSE'"):
            await client.ask("NONSENSE")
        assert await client.ask("PING")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"url": "http://s3cret@localhost"}, "is not the URL of a Redis; write redis://USER"),
        ({"url": "s3cret"}, "is not the URL of a Redis"),
        ({"url": "redis://:s3cret@"}, "is not the URL of a Redis"),
        ({"url": "redis://:s3cret@localhost:port"}, "is not a URL"),
        ({"url": "redis://:s3cret@[::1"}, "is not a URL"),
        ({"url": "unix://s3cret"}, "is not the URL of a Redis"),
        ({"url": "redis://:s3cret@localhost/0?ssl_cert_reqs=none"}, "has something after a"),
        ({"url": "redis://:s3cret@localhost/cache"}, "names a database that is no number"),
        ({"url": "redis://localhost", "password": "s3cret"}, "url and password are both given"),
        ({"socket": "/run/s", "port": 1}, "a socket has no host, port or tls"),
        ({"username": "heald"}, "a username needs a password"),
        ({"ca_file": "/ca.pem", "verify_tls": False}, "ca_file has no effect"),
        ({"password": "s3cret", "port": 70000}, "less than or equal to 65535"),
    ],
)
def test_wrong_options_are_refused_and_no_secret_is_repeated(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text) as caught:
        redis_connection.Options.model_validate(given, strict=False)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError("Multiple exceptions: [Errno 101] Connect call failed, [Errno 111] Connect call failed"), "refused"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "refused"),
        (ConnectionResetError(), "reset"),
        (FileNotFoundError(2, "No such file or directory"), "refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name_not_found"),
    ],
)
def test_what_a_server_is_at_fault_with(error: OSError, word: str) -> None:
    verdict = not_reached(error, "/run/db" if isinstance(error, FileNotFoundError) else "db port 1")
    assert isinstance(verdict, SickError)
    assert verdict.word == word


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("Multiple exceptions: [Errno 101] a, [Errno 101] b"), "ENETUNREACH"),
        (OSError("something else"), "cannot reach db port 1 from here"),
        (PermissionError(13, "Permission denied"), "EACCES"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "cannot look up db port 1"),
    ],
)
def test_what_keeps_us_from_looking(error: OSError, text: str) -> None:
    verdict = not_reached(error, "db port 1")
    assert isinstance(verdict, CheckError)
    assert text in str(verdict)


async def test_without_its_package_we_are_blind_and_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(CheckError, match=r"without redis.*: install heald\[redis\]"):
        await redis_connection.connect(redis_connection.Options(), check_context())
