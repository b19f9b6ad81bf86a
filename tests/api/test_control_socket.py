"""The control socket, as a real unix socket with a real HTTP client."""

import asyncio
import getpass
import os
import resource
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from daemon.api import bounds
from daemon.api.control import ControlServer, ControlSocketError
from tests.api.fake_control import SECRET, FakeControl


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
async def server(control: FakeControl, tmp_path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(control, directory=tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(server: ControlServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        "http://heald", connector=aiohttp.UnixConnector(str(server.path)), timeout=aiohttp.ClientTimeout(total=10)
    ) as session:
        yield session


async def ask(
    http: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> tuple[int, dict[str, object]]:
    async with http.request(method, path, json=body) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


def me() -> str:
    return getpass.getuser()


async def test_the_socket_is_for_its_user_and_group_alone(server: ControlServer) -> None:
    mode = server.path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


async def test_status_is_what_the_daemon_says(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "GET", "/status")
    assert (status, answer["version"], answer["mode"]) == (200, "1.2.3", "act")


async def test_incidents_are_asked_for_with_a_limit(http: aiohttp.ClientSession, control: FakeControl) -> None:
    status, answer = await ask(http, "GET", "/incidents?limit=7&closed=1")
    assert status == 200
    assert isinstance(answer["incidents"], list)
    assert answer["incidents"][0]["id"] == "INC-1"
    await ask(http, "GET", "/incidents")
    assert control.calls == [("incidents", "7", "True"), ("incidents", "50", "False")]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=٣", "closed=yes"])
async def test_a_query_that_means_nothing_is_refused(http: aiohttp.ClientSession, query: str) -> None:
    status, answer = await ask(http, "GET", f"/incidents?{query}")
    assert status == 400
    assert "must be" in str(answer["error"])


async def test_who_paused_is_who_the_kernel_says(http: aiohttp.ClientSession, control: FakeControl) -> None:
    assert await ask(http, "POST", "/pause", {"why": "moving\nhouse\x1b[0m", "who": "somebody else"}) == (
        200,
        {"paused": True},
    )
    assert await ask(http, "POST", "/resume") == (200, {"resumed": True})
    assert await ask(http, "POST", "/resume") == (200, {"resumed": False})
    assert control.calls == [("pause", "moving house [0m", me()), ("resume", me()), ("resume", me())]


@pytest.mark.parametrize("body", [{}, {"why": ""}, {"why": "  "}, {"why": 3}, ["why"], {"why": "x" * 1001}, None])
async def test_a_pause_needs_a_reason(http: aiohttp.ClientSession, control: FakeControl, body: object) -> None:
    status, answer = await ask(http, "POST", "/pause", body)
    assert status == 400
    assert answer["error"]
    assert control.calls == []


async def test_a_reload_is_done_or_refused_with_every_error(http: aiohttp.ClientSession, control: FakeControl) -> None:
    assert await ask(http, "POST", "/reload") == (200, {"reloaded": True})
    control.errors = ["rules.yaml:3:1: rules: no such key", "rules.yaml:9:2: checks: twice"]
    status, answer = await ask(http, "POST", "/reload")
    assert (status, answer["errors"]) == (422, control.errors)
    assert "2 errors" in str(answer["error"])


async def test_retry_of_an_unknown_incident_is_not_found(http: aiohttp.ClientSession, control: FakeControl) -> None:
    assert await ask(http, "POST", "/retry", {"incident": "INC-1"}) == (
        200,
        {"said": "the ladder of api-down starts anew"},
    )
    assert await ask(http, "POST", "/retry", {"incident": "INC-9"}) == (
        404,
        {"error": "there is no open incident INC-9"},
    )


async def test_a_store_that_fails_is_said(http: aiohttp.ClientSession, control: FakeControl) -> None:
    control.is_store_broken = True
    assert await ask(http, "POST", "/pause", {"why": "x"}) == (503, {"error": "the disk is full"})


async def test_a_bug_of_ours_tells_no_secret(http: aiohttp.ClientSession, control: FakeControl) -> None:
    control.has_bug = True
    status, answer = await ask(http, "GET", "/status")
    assert status == 500
    assert SECRET not in str(answer)
    assert "KeyError" in str(answer["error"])


async def test_unknown_paths_and_methods_are_refused(http: aiohttp.ClientSession) -> None:
    assert await ask(http, "GET", "/nothing") == (404, {"error": "GET /nothing: Not Found"})
    assert (await ask(http, "GET", "/pause"))[0] == 405
    assert (await ask(http, "POST", "/status"))[0] == 405


async def test_too_many_requests_at_once_are_refused(
    http: aiohttp.ClientSession, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "IN_FLIGHT", 2)
    control.is_hanging = True
    hanging = [asyncio.create_task(ask(http, "POST", "/reload")) for _ in range(2)]
    async with asyncio.timeout(10):
        await control.begun.acquire()
        await control.begun.acquire()
    status, answer = await ask(http, "GET", "/status")
    assert (status, "too many" in str(answer["error"])) == (503, True)
    control.end.set()
    assert {status for status, _ in await asyncio.gather(*hanging)} == {200}


async def test_a_question_that_finds_no_answer_ends(
    http: aiohttp.ClientSession, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "REQUEST_SECONDS", 0.05)
    control.is_hanging = True
    assert (await ask(http, "GET", "/incidents"))[0] == 503


async def test_a_dead_daemons_socket_is_replaced(control: FakeControl, tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "heald.sock"))
    dead.close()
    server = ControlServer(control, directory=tmp_path)
    await server.start()
    _, writer = await asyncio.open_unix_connection(str(server.path))
    writer.close()
    await writer.wait_closed()
    await server.stop()


async def test_a_living_daemons_socket_is_left_alone(server: ControlServer, http: aiohttp.ClientSession) -> None:
    with pytest.raises(ControlSocketError, match="another heald answers"):
        await ControlServer(FakeControl(), directory=server.path.parent).start()
    assert (await ask(http, "GET", "/status"))[0] == 200


async def test_what_is_no_socket_is_not_removed(control: FakeControl, tmp_path: Path) -> None:
    (tmp_path / "heald.sock").write_text("mine")
    with pytest.raises(ControlSocketError, match="is no socket"):
        await ControlServer(control, directory=tmp_path).start()
    assert (tmp_path / "heald.sock").read_text() == "mine"


async def test_a_path_that_is_too_long_is_said(control: FakeControl, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    with pytest.raises(ControlSocketError, match="at most 107 bytes"):
        await ControlServer(control, directory=folder).start()


async def test_a_folder_that_is_not_there_is_said(control: FakeControl, tmp_path: Path) -> None:
    with pytest.raises(ControlSocketError, match=r"No such file or directory"):
        await ControlServer(control, directory=tmp_path / "gone").start()


async def test_a_host_that_has_no_more_descriptors_is_no_reason_to_end(control: FakeControl, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        with pytest.raises(ControlSocketError, match="Too many open files") as raised:
            await ControlServer(control, directory=tmp_path).start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert raised.value.is_passing


async def test_stopping_removes_our_socket_and_never_anothers(control: FakeControl, tmp_path: Path) -> None:
    server = ControlServer(control, directory=tmp_path)
    await server.start()
    server.path.unlink()
    other = ControlServer(control, directory=tmp_path)
    await other.start()
    await server.stop()
    assert other.path.exists()
    await other.stop()
    assert not other.path.exists()
    await other.stop()


def to(path: Path) -> aiohttp.UnixConnector:
    return aiohttp.UnixConnector(str(path))


async def test_a_socket_that_could_not_be_made_or_went_away_is_opened_anew(
    control: FakeControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("daemon.api.control.KEEP_EVERY", 0.01)
    folder = tmp_path / "later"
    server = ControlServer(control, directory=folder)
    keeping = asyncio.create_task(server.keep())

    async def answers() -> None:
        async with asyncio.timeout(10), aiohttp.ClientSession("http://heald", connector=to(server.path)) as http:
            while True:
                try:
                    assert (await ask(http, "GET", "/status"))[0] == 200
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.01)
                else:
                    return

    try:
        async with asyncio.timeout(10):
            while not caplog.records:  # noqa: ASYNC110  # what a person reads is what is waited for
                await asyncio.sleep(0.01)
        for _ in range(5):  # it tries again, and says nothing new
            await asyncio.sleep(0.01)
        assert [line.levelname for line in caplog.records] == ["ERROR"]  # once, however often it is tried
        folder.mkdir()
        await answers()
        server.path.unlink()
        await answers()
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await server.stop()
    assert list(folder.iterdir()) == []
