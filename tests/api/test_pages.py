"""Metrics and health pages, over real sockets."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics

from daemon.api import bounds
from daemon.api.server import ListenError, PageServer
from daemon.metrics import Metrics, RunResult, Sources
from daemon.model.settings import Mode


class Daemon:
    """What the pages see of a daemon."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.metrics = Metrics(version="1.2.3")
        self.pages = PageServer(metrics=self.metrics, readiness=lambda: self.reason)
        self.metrics.check("web").observe(RunResult.OK, 0.01)


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    daemon = Daemon()
    yield daemon
    await daemon.pages.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def get(http: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, str, str]:
    async with http.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


async def test_metrics_are_served_as_promtool_likes_them(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    status, text, content_type = await get(http, f"http://{address}/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'heald_check_runs_total{check="web",result="ok"} 1.0' in text
    done = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=text.encode(), capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


async def test_open_metrics_come_when_asked_for(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    status, text, content_type = await get(http, f"http://{address}/metrics", Accept=asked)
    assert (status, content_type.split(";")[0]) == (200, "application/openmetrics-text")
    assert "heald_check_runs" in {family.name for family in parse_open_metrics(text)}


async def test_process_metrics_are_there(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    _, text, _ = await get(http, f"http://{address}/metrics")
    assert "process_resident_memory_bytes " in text
    assert "process_open_fds " in text


async def test_many_scrapes_at_once_are_answered_and_the_loop_goes_on(
    daemon: Daemon, http: aiohttp.ClientSession
) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    answers = await asyncio.gather(*(get(http, f"http://{address}/metrics") for _ in range(bounds.IN_FLIGHT)))
    assert {status for status, _, _ in answers} == {200}


async def test_healthy_while_the_loop_lives(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    daemon.reason = "stopping"
    address = await daemon.pages.listen("127.0.0.1:0")
    assert (await get(http, f"http://{address}/-/healthy"))[:2] == (200, "heald lives\n")


async def test_ready_says_why_not(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    daemon.reason = "the first runs have not ended"
    assert (await get(http, f"http://{address}/-/ready"))[:2] == (503, "the first runs have not ended\n")
    daemon.reason = None
    assert (await get(http, f"http://{address}/-/ready"))[:2] == (200, "ready\n")


async def test_the_index_names_the_pages(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    status, text, _ = await get(http, f"http://{address}/")
    assert status == 200
    assert "/metrics" in text


async def test_other_paths_and_methods_are_refused_in_words(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    assert (await get(http, f"http://{address}/nothing"))[:2] == (404, "GET /nothing: Not Found\n")
    async with http.post(f"http://{address}/metrics") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")
    async with http.head(f"http://{address}/-/healthy") as response:
        assert response.status == 200


async def test_a_body_that_is_too_long_is_refused(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen("127.0.0.1:0")
    async with http.get(f"http://{address}/metrics", data=b"x" * (bounds.REQUEST_BYTES + 1)) as response:
        assert response.status == 413


async def test_a_source_that_fails_costs_one_scrape_and_tells_no_secret(
    daemon: Daemon, http: aiohttp.ClientSession
) -> None:
    def broken() -> bool:
        raise RuntimeError("password=hunter2")

    address = await daemon.pages.listen("127.0.0.1:0")
    daemon.metrics.read_from(
        Sources(
            readings=lambda: (),
            incidents=lambda: (),
            handed_over=lambda: 0,
            rules=lambda: (),
            budgets=lambda: (),
            mode=lambda: Mode.ACT,
            is_paused=broken,
            is_store_writable=lambda: True,
            store_writes=dict,
        )
    )
    status, text, _ = await get(http, f"http://{address}/metrics")
    assert (status, "hunter2" in text) == (500, False)
    assert (await get(http, f"http://{address}/-/healthy"))[0] == 200


async def test_ipv6_is_listened_on(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6 loopback")
    address = await daemon.pages.listen("[::1]:0")
    assert address.startswith("[::1]:")
    assert (await get(http, f"http://{address}/-/healthy"))[0] == 200


async def test_localhost_is_listened_on_also_where_ipv6_is_off(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    address = await daemon.pages.listen(f"localhost:{free_port()}")
    assert (await get(http, f"http://{address}/-/healthy"))[0] == 200


async def test_a_taken_port_is_said_and_is_no_crash(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match=f"{address}: the port is taken by another process"):
            await daemon.pages.listen(address)
    assert daemon.pages.address is None


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("nowhere", "has no port"),
        ("192.0.2.1:0", "this host has no such address"),
        ("[::1%nosuch]:0", "Name or service not known"),
        ("a..b:0", "no name that can be"),
    ],
)
async def test_an_address_that_cannot_be_is_said(daemon: Daemon, listen: str, why: str) -> None:
    with pytest.raises(ListenError, match=why):
        await daemon.pages.listen(listen)


async def test_a_reload_moves_to_the_new_address_and_leaves_the_old(
    daemon: Daemon, http: aiohttp.ClientSession
) -> None:
    old = await daemon.pages.listen("127.0.0.1:0")
    new = await daemon.pages.listen(f"127.0.0.1:{free_port()}")
    assert (await get(http, f"http://{new}/-/healthy"))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(http, f"http://{old}/-/healthy")


async def test_the_same_address_again_changes_nothing(daemon: Daemon) -> None:
    assert await daemon.pages.listen("127.0.0.1:0") == await daemon.pages.listen("127.0.0.1:0")


async def test_a_reload_to_a_taken_port_keeps_the_old_address(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    old = await daemon.pages.listen("127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError):
        await daemon.pages.listen(f"127.0.0.1:{taken.getsockname()[1]}")
    assert daemon.pages.address == old
    assert (await get(http, f"http://{old}/-/healthy"))[0] == 200


async def test_one_port_moves_to_another_host_and_back(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    port = free_port()
    await daemon.pages.listen(f"127.0.0.1:{port}")
    assert await daemon.pages.listen(f"0.0.0.0:{port}") == f"0.0.0.0:{port}"
    assert (await get(http, f"http://127.0.0.1:{port}/-/healthy"))[0] == 200
    with pytest.raises(ListenError):
        await daemon.pages.listen(f"192.0.2.1:{port}")
    assert daemon.pages.address == f"0.0.0.0:{port}"
    async with aiohttp.ClientSession() as fresh:
        assert (await get(fresh, f"http://127.0.0.1:{port}/-/healthy"))[0] == 200


async def test_silent_connections_make_room(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CONNECTIONS", 4)
    host, port = (await daemon.pages.listen("127.0.0.1:0")).split(":")
    silent = [await asyncio.open_connection(host, int(port)) for _ in range(12)]
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        assert await silent[0][0].read() == b""  # the oldest was closed by us
    for _, left in [*silent, (reader, writer)]:
        left.close()
        with contextlib.suppress(ConnectionError):
            await left.wait_closed()


async def test_a_request_that_never_ends_is_given_up(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "REQUEST_SECONDS", 0.05)
    host, port = (await daemon.pages.listen("127.0.0.1:0")).split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
    writer.close()
    await writer.wait_closed()


async def test_stopping_twice_is_fine_and_ends_connections(http: aiohttp.ClientSession) -> None:
    daemon = Daemon()
    address = await daemon.pages.listen("127.0.0.1:0")
    assert (await get(http, f"http://{address}/-/healthy"))[0] == 200
    await daemon.pages.stop()
    await daemon.pages.stop()
    assert daemon.pages.address is None
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(http, f"http://{address}/-/healthy")
