"""The http check and TLS: a private authority, wrong and expired certificates, slow and broken handshakes."""

import asyncio
import contextlib
import datetime as dt
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from blockbuster import blockbuster_ctx
from context import LocalContext
from local_servers import Talk, answering, nginx, open_sockets, serving, silent, until

from checks import http
from daemon.errors import CheckError
from daemon.loop import loop_name

pytestmark = pytest.mark.usefixtures("either_speaker")
FINE = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def server_side(authority: trustme.CA, *names: str, **dates: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **dates).configure_cert(context)
    return context


async def look(port: int, *, timeout: float = 5.0, **options: Any) -> dict[str, Any]:
    url = f"https://127.0.0.1:{port}/"
    return dict((await http.check(http.Options(url=url, **options), LocalContext(timeout=timeout)))[0].samples)


async def test_a_certificate_of_the_given_authority_is_accepted(authority: trustme.CA, ca_file: str) -> None:
    async with serving(FINE, tls=server_side(authority, "127.0.0.1")) as port:
        samples = await look(port, ca_file=ca_file)
    assert (samples["up"], samples["status"]) == (1.0, 200.0)
    assert 0 < samples["tls_seconds"] < 1
    stages = ("dns_seconds", "connect_seconds", "tls_seconds", "first_byte_seconds")
    assert sum(samples[stage] for stage in stages) <= samples["latency_seconds"]


async def test_the_time_that_a_certificate_has_left_is_measured(authority: trustme.CA, ca_file: str) -> None:
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    async with serving(FINE, tls=server_side(authority, "127.0.0.1", not_after=ends)) as port:
        left = (await look(port, ca_file=ca_file))["certificate_expires_seconds"]
    assert left == pytest.approx(3 * 86400, abs=60)


async def test_an_unknown_authority_is_down(authority: trustme.CA) -> None:
    async with serving(FINE, tls=server_side(authority, "127.0.0.1")) as port:
        samples = await look(port)
    assert (samples["up"], samples["error"]) == (0.0, "certificate")
    assert "unable to get local issuer" in samples["detail"]
    assert "tls_seconds" not in samples


async def test_an_expired_certificate_is_down(authority: trustme.CA, ca_file: str) -> None:
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    async with serving(FINE, tls=server_side(authority, "127.0.0.1", not_after=ended)) as port:
        samples = await look(port, ca_file=ca_file)
    assert (samples["up"], samples["error"]) == (0.0, "certificate")
    assert "expired" in samples["detail"]


async def test_a_certificate_for_another_name_is_down(authority: trustme.CA, ca_file: str) -> None:
    async with serving(FINE, tls=server_side(authority, "shop.example")) as port:
        samples = await look(port, ca_file=ca_file)
    assert (samples["up"], samples["error"]) == (0.0, "certificate")
    assert "mismatch" in samples["detail"]


async def test_verification_can_be_switched_off(authority: trustme.CA) -> None:
    async with serving(FINE, tls=server_side(authority, "shop.example")) as port:
        samples = await look(port, verify_tls=False)
    assert samples["up"] == 1.0
    assert "certificate_expires_seconds" not in samples


async def test_the_host_option_is_the_name_in_tls(authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    certificate = authority.issue_cert("shop.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    server = f"""server {{ listen 127.0.0.1:PORT ssl; ssl_certificate {tmp_path}/server.pem;
        ssl_certificate_key {tmp_path}/server.pem; return 200 "sni=$ssl_server_name host=$http_host"; }}"""
    with nginx(tmp_path, lambda port: server.replace("PORT", str(port))) as port:
        wanted = f"sni=shop.example host=shop.example:{port}"
        samples = await look(port, ca_file=ca_file, host=f"shop.example:{port}", expect_body=wanted)
        plain = await http.check(http.Options(url=f"http://127.0.0.1:{port}/"), LocalContext())
    assert samples["up"] == 1.0
    assert plain[0].samples["status"] == 400.0  # nginx: plain HTTP on a TLS port


async def test_a_plain_server_on_the_port_is_a_tls_fault() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serving(talk) as port:
        samples = await look(port)
    assert (samples["up"], samples["error"]) == (0.0, "tls")
    assert samples["connect_seconds"] > 0


async def test_a_server_that_wants_a_certificate_of_ours_is_a_fault_of_the_target(
    authority: trustme.CA, ca_file: str
) -> None:
    context = server_side(authority, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)

    def refuse() -> None:  # a blocking server: it sends the reason before it hangs up, asyncio's does not
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            with pytest.raises(ssl.SSLError):
                secured.do_handshake()
            with contextlib.suppress(ConnectionError):
                while os.read(secured.fileno(), 4096):  # what was not read would turn the goodbye into a reset
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        samples, _ = await asyncio.gather(look(listener.getsockname()[1], ca_file=ca_file), asyncio.to_thread(refuse))
    if loop_name() == "asyncio":
        assert (samples["up"], samples["error"]) == (0.0, "tls")
        assert "CERTIFICATE_REQUIRED" in samples["detail"]
    else:  # which may find the connection gone before it reads why
        assert samples["up"] == 0.0
        assert samples["error"] in ("tls", "reset")


async def test_a_connection_cut_in_the_handshake_is_down() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with serving(talk) as port:
        samples = await look(port)
    assert samples["up"] == 0.0
    assert samples["error"] in ("reset", "tls")


async def test_silence_in_the_handshake_is_a_timeout_and_leaves_nothing_open() -> None:
    before = open_sockets()
    async with serving(silent) as port:
        samples = await look(port, timeout=0.3)
    assert (samples["up"], samples["error"]) == (0.0, "timeout")
    assert samples["detail"].endswith("in the TLS handshake")
    await until(lambda: open_sockets() <= before)


async def test_a_slow_handshake_is_measured_as_such_and_not_as_connecting(authority: trustme.CA, ca_file: str) -> None:
    async with (
        serving(FINE, tls=server_side(authority, "127.0.0.1")) as inner,
        serving(_late_relay(inner, 0.3)) as port,
    ):
        samples = await look(port, ca_file=ca_file)
    assert samples["up"] == 1.0
    assert 0.29 <= samples["tls_seconds"] < 1
    assert samples["connect_seconds"] < 0.25
    assert samples["first_byte_seconds"] < 0.25


def _late_relay(port: int, seconds: float) -> Talk:
    """Passes bytes on to `port`, from `seconds` after the connection on: the handshake waits, the rest does not."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        to_server = await asyncio.open_connection("127.0.0.1", port)

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)

        try:
            await asyncio.gather(pass_on(reader, to_server[1]), pass_on(to_server[0], writer))
        finally:
            to_server[1].transport.abort()

    return talk


async def test_a_cancelled_handshake_leaves_no_socket_open() -> None:
    async with serving(silent) as port:
        before = open_sockets()
        for wait in (0.0, 0.001, 0.002, 0.005, 0.05):
            task = asyncio.create_task(look(port, verify_tls=False))
            await asyncio.sleep(wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await until(lambda: len(open_sockets() - before) <= 5)
    await until(lambda: open_sockets() <= before)


@pytest.mark.parametrize("content", [None, "this is no PEM file", ""])
async def test_authorities_that_cannot_be_read_make_us_blind(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CheckError, match=r"cannot read the authorities in .*ca\.pem"):
        await look(9, ca_file=str(file))


async def test_authorities_on_a_disk_that_does_not_answer_make_us_blind(
    ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr("checks._http_connect._known", lambda *_: answers.wait(10))
    try:
        with pytest.raises(CheckError, match=r"the authorities to trust were not read within 0\.19s"):
            await look(9, ca_file=ca_file, timeout=0.2)
    finally:
        answers.set()


async def test_a_new_authority_in_the_same_file_is_seen(authority: trustme.CA, ca_file: str) -> None:
    other = trustme.CA(organization_name="another one")
    async with serving(FINE, tls=server_side(other, "127.0.0.1")) as port:
        assert (await look(port, ca_file=ca_file))["error"] == "certificate"
        other.cert_pem.write_to_path(ca_file)
        assert (await look(port, ca_file=ca_file))["up"] == 1.0


async def test_reading_the_authorities_does_not_count_as_latency(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ssl.create_default_context

    def slow(*args: Any, **options: Any) -> ssl.SSLContext:
        threading.Event().wait(0.3)
        return real(*args, **options)

    monkeypatch.setattr(ssl, "create_default_context", slow)
    async with serving(FINE, tls=server_side(authority, "127.0.0.1")) as port:
        samples = await look(port, ca_file=ca_file)
    assert samples["up"] == 1.0
    assert samples["latency_seconds"] < 0.3


async def test_a_run_blocks_the_loop_nowhere(authority: trustme.CA, ca_file: str) -> None:
    async with serving(FINE, tls=server_side(authority, "localhost")) as port:
        with blockbuster_ctx():
            readings = await http.check(http.Options(url=f"https://localhost:{port}/", ca_file=ca_file), LocalContext())
    assert readings[0].samples["up"] == 1.0
