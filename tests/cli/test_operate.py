"""Telling a daemon over its real socket: reload, pause, resume, retry; and when there is none to tell."""

import asyncio
import getpass
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.cli import client
from tests.api.fake_control import FakeControl
from tests.cli.conftest import Heald

ME = getpass.getuser()


async def test_reload_says_when_it_is_done(heald: Heald, control: FakeControl) -> None:
    done = await heald("reload")
    assert (done.exit_code, done.output) == (0, "reloaded\n")


async def test_a_refused_reload_says_every_error_and_exits_1(heald: Heald, control: FakeControl) -> None:
    control.errors = ["rules.yaml:3:1: rules: no such key", "rules.yaml:9:2: checks: twice"]
    done = await heald("reload")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        *control.errors,
        "Error: the file was refused with 2 errors; the configuration in use stays",
    ]


async def test_pause_and_resume_carry_the_reason_and_the_user(heald: Heald, control: FakeControl) -> None:
    assert (await heald("pause", "--why", "moving house")).exit_code == 0
    assert (await heald("resume")).output == "resumed\n"
    assert (await heald("resume")).output == "it was not paused\n"
    assert control.calls == [("pause", "moving house", ME), ("resume", ME), ("resume", ME)]


async def test_a_pause_needs_a_reason(heald: Heald, control: FakeControl) -> None:
    assert (await heald("pause")).exit_code == 2
    assert (await heald("pause", "--why", " ")).exit_code == 2
    assert control.calls == []


async def test_retry_says_what_was_done_or_that_there_is_no_such_incident(heald: Heald, control: FakeControl) -> None:
    done = await heald("retry", "INC-1")
    assert (done.exit_code, done.output) == (0, "the ladder of api-down starts anew\n")
    done = await heald("retry", "INC-9")
    assert (done.exit_code, done.stderr) == (1, "Error: there is no open incident INC-9\n")


async def test_a_named_state_directory_is_asked_first(
    heald: Heald, control: FakeControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "other"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "other"))
    assert (await heald("reload")).exit_code == 69
    assert (await heald("reload", "--state-dir", str(tmp_path))).exit_code == 0


async def test_without_a_daemon_the_places_and_the_way_to_start_one_are_said(heald: Heald, tmp_path: Path) -> None:
    done = await heald("resume")
    assert (done.exit_code, done.stdout) == (69, "")
    assert f"no daemon runs: there is no control socket at {tmp_path}/heald.sock" in done.stderr
    assert "heald run" in done.stderr


async def test_a_dead_daemons_socket_is_said_to_be_dead(heald: Heald, tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "heald.sock"))
    dead.close()
    done = await heald("resume")
    assert done.exit_code == 69
    assert f"no daemon answers on {tmp_path}/heald.sock: the one that made it is gone" in done.stderr


async def test_a_daemon_that_hangs_is_given_up_with_a_sentence(
    heald: Heald, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "heald.sock"))
        silent.listen()
        done = await heald("pause", "--why", "x")
        assert (done.exit_code, "did not answer within 0.1 seconds" in done.stderr) == (69, True)
        assert "what was asked may still be done" in done.stderr
        assert "may still be done" not in (await heald("status")).stderr


async def _answer(tmp_path: Path, answer: bytes) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, str(tmp_path / "heald.sock"))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "broke off"),
        (b"SSH-2.0-OpenSSH\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "does not speak as heald does"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "does not speak as heald does"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "does not speak as heald does"),
    ],
)
async def test_what_is_no_heald_is_said(heald: Heald, tmp_path: Path, answer: bytes, sentence: str) -> None:
    server = await _answer(tmp_path, answer)
    done = await heald("status")
    server.close()
    await server.wait_closed()
    assert (done.exit_code, sentence in done.stderr) == (69, True), done.stderr


@contextmanager
def _somebody_else() -> Iterator[None]:
    """Another user, where this is root, whom no mode of a file keeps out."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def _seal(path: Path) -> None:
    path.chmod(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


async def test_a_socket_that_is_not_for_this_user_is_said(heald: Heald, open_folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(open_folder / "heald.sock"))
        other.listen()
        _seal(open_folder / "heald.sock")
        with _somebody_else():
            done = await heald("status", "--state-dir", str(open_folder))
    assert (done.exit_code, "is not for this user" in done.stderr) == (77, True), done.stderr


async def test_a_folder_that_is_not_for_this_user_is_said(heald: Heald, open_folder: Path) -> None:
    _seal(open_folder)
    with _somebody_else():
        done = await heald("status", "--state-dir", str(open_folder))
    assert (done.exit_code, "cannot look for the control socket" in done.stderr) == (77, True), done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("silence", "add", "rule=a", "--for", "0s", "--why", "x"),
            "0s is too short; write more than 0s and at most 400d",
        ),
        (("maintenance", "start", "401d", "--rule", "a", "--why", "x"), "401d is too long; write more than 0s"),
        (("silence", "add", "rule=a", "--for", "1h", "--why", " "), "Invalid value for '--why': say why"),
        (("reject", "approval-1", "--why", ""), "Invalid value for '--why': say why"),
    ],
)
async def test_an_order_that_cannot_be_is_a_wrong_usage(
    heald: Heald, control: FakeControl, arguments: tuple[str, ...], said: str
) -> None:
    done = await heald(*arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert control.calls == []
