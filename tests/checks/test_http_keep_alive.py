"""`keep_alive`: one connection for many runs, on a real nginx and on servers that close, lie and chatter."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from local_servers import Talk, nginx, open_sockets, serving, until
from pydantic import ValidationError

from checks import http
from daemon.clock import SystemClock
from daemon.runtime.toolbox import Toolbox
from tests.lab.contexts import check_context, shared

SERVER = """
server { listen 127.0.0.1:PORT; keepalive_requests 5;
  location / { return 200 "$connection $connection_requests"; }
  location = /close { keepalive_timeout 0; return 200 "bye"; }
  location = /moved { return 302 /; }
}
"""
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STAGES = ("dns_seconds", "connect_seconds", "tls_seconds")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nginx(tmp_path_factory.mktemp("nginx"), lambda port: SERVER.replace("PORT", str(port))) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def context() -> AsyncIterator[Toolbox]:
    before = open_sockets()
    connections = shared()
    yield check_context(5.0, connections=connections)
    await connections.close()
    await until(lambda: len(open_sockets()) <= len(before))  # a loop may have made its own two anew


async def look(context: Toolbox, url: str, **options: Any) -> dict[str, Any]:
    return dict((await http.check(http.Options(url=url, keep_alive=True, **options), context))[0].samples)


def has_stages(samples: dict[str, Any]) -> bool:
    return any(name in samples for name in STAGES)


async def test_the_second_run_goes_over_the_connection_of_the_first(site: str, context: Toolbox) -> None:
    first = await look(context, site, expect_regex="^[0-9]+ 1$")
    second = await look(context, site, expect_regex="^[0-9]+ 2$")
    assert (first["up"], second["up"]) == (1.0, 1.0)
    assert has_stages(first)
    assert not has_stages(second)
    assert 0 < second["first_byte_seconds"] <= second["latency_seconds"] < first["latency_seconds"] + 1


async def test_without_it_every_run_has_a_connection_of_its_own(site: str, context: Toolbox) -> None:
    for _ in range(2):
        options = http.Options(url=site, expect_regex="^[0-9]+ 1$")
        assert dict((await http.check(options, context))[0].samples)["up"] == 1.0


async def test_runs_at_one_time_have_a_connection_each_and_both_are_kept(site: str, context: Toolbox) -> None:
    assert [it["up"] for it in await asyncio.gather(*(look(context, site) for _ in range(2)))] == [1.0, 1.0]
    again = await asyncio.gather(*(look(context, site, expect_regex=" 2$") for _ in range(2)))
    assert [(it["up"], has_stages(it)) for it in again] == [(1.0, False)] * 2


async def test_what_the_server_ends_after_an_answer_is_not_used_again(site: str, context: Toolbox) -> None:
    for _ in range(2):
        samples = await look(context, f"{site}/close")
        assert (samples["up"], has_stages(samples)) == (1.0, True)
    for number in (1, 2, 3, 4, 5, 1):  # nginx ends a connection after five
        assert (await look(context, site, expect_regex=f" {number}$"))["error"] == ""


async def test_head_keeps_the_connection_and_a_redirect_does_not(site: str, context: Toolbox) -> None:
    await look(context, site, method="HEAD")
    assert not has_stages(await look(context, site, expect_regex=" 2$"))
    samples = await look(context, f"{site}/moved")
    assert (samples["up"], samples["redirects"]) == (1.0, 1.0)


async def test_it_is_kept_through_tls_and_the_certificate_still_measured(tmp_path: Path, context: Toolbox) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    tls = f"ssl_certificate {tmp_path}/server.pem; ssl_certificate_key {tmp_path}/server.pem;"
    secured = SERVER.replace("PORT; ", f"PORT ssl; {tls} ")
    with nginx(tmp_path, lambda port: secured.replace("PORT", str(port))) as port:
        url, ca_file = f"https://127.0.0.1:{port}", str(tmp_path / "ca.pem")
        first = await look(context, url, ca_file=ca_file)
        second = await look(replace(context, clock=Tomorrow()), url, ca_file=ca_file)
        assert (has_stages(first), has_stages(second)) == (True, False)
        passed = first["certificate_expires_seconds"] - second["certificate_expires_seconds"]
        assert passed == pytest.approx(86400, abs=60)
        assert (await look(context, url))["error"] == "certificate"  # what others trust opens no door


class Tomorrow(SystemClock):
    """A wall clock that is a day ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=1)


class Server:
    """Answers the n-th request of a connection as it is told, and counts."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = answers  # None: hang up without a word
        self.connections = self.requests = 0

    @property
    def talk(self) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            for answer in self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or b"0"))
                self.requests += 1
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
            await asyncio.Event().wait()

        return talk


async def test_a_kept_connection_that_is_cut_before_it_answers_is_replaced_once(context: Toolbox) -> None:
    server = Server(FINE, None)
    async with serving(server.talk) as port:
        assert (await look(context, f"http://127.0.0.1:{port}/"))["up"] == 1.0
        samples = await look(context, f"http://127.0.0.1:{port}/")
        assert (samples["up"], has_stages(samples), server.connections, server.requests) == (1.0, True, 2, 3)


async def test_a_new_connection_that_is_cut_is_the_targets_fault(context: Toolbox) -> None:
    server = Server(None)
    async with serving(server.talk) as port:
        assert (await look(context, f"http://127.0.0.1:{port}/"))["error"] == "closed"
    assert (server.connections, server.requests) == (1, 1)


async def test_a_post_is_never_sent_on_a_connection_that_may_be_gone(context: Toolbox) -> None:
    server = Server(FINE, FINE)
    async with serving(server.talk) as port:
        for _ in range(2):
            assert (await look(context, f"http://127.0.0.1:{port}/", method="POST", body="x"))["up"] == 1.0
    assert (server.connections, server.requests) == (2, 2)


async def test_the_connection_of_a_post_is_closed_as_nobody_would_take_it(context: Toolbox) -> None:
    server = Server(FINE, FINE)
    async with serving(server.talk) as port:
        listening = open_sockets()
        for _ in range(5):
            assert (await look(context, f"http://127.0.0.1:{port}/", method="POST", body="x"))["up"] == 1.0
        await until(lambda: open_sockets() <= listening)
    assert server.connections == 5


async def test_a_cut_in_the_midst_of_a_kept_answer_is_no_reason_to_ask_again(context: Toolbox) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(FINE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(FINE[:20])
        await writer.drain()

    async with serving(talk) as port:
        await look(context, f"http://127.0.0.1:{port}/")
        assert (await look(context, f"http://127.0.0.1:{port}/"))["error"] == "closed"


@pytest.mark.parametrize("junk", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine", b"\x00\xff", b"x" * 200_000])
async def test_what_is_said_unasked_ends_the_connection_and_answers_nothing(junk: bytes, context: Toolbox) -> None:
    said = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(FINE)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(junk)
        await writer.drain()
        said.set()
        await asyncio.Event().wait()

    async with serving(talk) as port:
        assert (await look(context, f"http://127.0.0.1:{port}/", expect_body="ok"))["up"] == 1.0
        await said.wait()
        await asyncio.sleep(0.05)
        samples = await look(context, f"http://127.0.0.1:{port}/", expect_body="ok")
        assert (samples["up"], has_stages(samples)) == (1.0, True)


async def test_what_is_said_before_the_first_question_is_no_answer_to_the_second(context: Toolbox) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # its handshake ends with the server's word, and this comes with it
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = tls.wrap_bio(heard, said, server_side=True)
        while True:
            try:
                side.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(said.read())
                heard.write(await reader.read(65536))
        side.write(FINE)
        writer.write(said.read())  # in one piece with the end of the handshake
        await reader.read()

    async with serving(talk) as port:
        await look(context, f"https://127.0.0.1:{port}/", verify_tls=False)
        assert has_stages(await look(context, f"https://127.0.0.1:{port}/", verify_tls=False))


async def test_silence_on_a_kept_connection_costs_that_one_and_no_other(site: str) -> None:
    connections = shared()
    patient, hasty = check_context(5.0, connections=connections), check_context(0.3, connections=connections)
    async with serving(Server(FINE).talk) as port:
        await look(hasty, f"http://127.0.0.1:{port}/")
        await look(patient, site)
        assert (await look(hasty, f"http://127.0.0.1:{port}/"))["error"] == "timeout"
        assert not has_stages(await look(patient, site, expect_regex=" 2$"))
    await connections.close()


def test_it_is_for_the_methods_that_our_own_code_speaks() -> None:
    with pytest.raises(ValidationError, match="keep_alive is for GET, HEAD, POST; leave it out"):
        http.Options(url="http://x/", method="PUT", keep_alive=True)
    with pytest.raises(ValidationError, match="connection has no effect without keep_alive: true"):
        http.Options(url="http://x/", connection="few")
