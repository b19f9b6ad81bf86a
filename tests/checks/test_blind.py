"""Where tcp and http cannot look, they are blind; where the target is sick, they say so; in networks of our own."""

import asyncio
import errno
import functools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from context import LocalContext
from local_servers import need, until

from checks import _names, tcp
from daemon.errors import CheckError, SickError, translate

CHILD = Path(__file__).with_name("look_elsewhere.py")
ROOT = CHILD.parents[2]


def lookups_under_way() -> int:
    """How many threads wait for the resolver; one that has its answer takes a moment to end."""
    return sum(thread.name == "heald-dns" for thread in threading.enumerate())


@functools.cache
def namespaces() -> list[str]:
    """The command before a child that gives it a network and mounts of its own."""
    command = [need("unshare"), "--net", "--mount"]
    need("ip")
    tried = subprocess.run([*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    if tried.returncode:
        assert os.environ.get("CI") != "true", tried.stderr.decode()
        pytest.skip(f"no namespaces here: {tried.stderr.decode()}")
    return command


def look(kind: str, *words: str, before: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    done = subprocess.run(
        [*before, sys.executable, str(CHILD), kind, json.dumps(options), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


ENVIRONMENT: dict[str, str] = {}


@pytest.fixture(autouse=True)
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "FOLDER", str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("tcp", {"host": "192.0.2.9", "port": 80}),
        ("http", {"url": "http://192.0.2.9/"}),
        ("http", {"url": "https://[2001:db8::9]/"}),
    ],
)
def test_no_route_from_here_is_blind(kind: str, options: dict[str, Any]) -> None:
    blind = look(kind, before=tuple(namespaces()), **options)["blind"]
    assert "ENETUNREACH" in blind or "EADDRNOTAVAIL" in blind  # the latter where IPv6 has no address at all


def test_an_unreachable_host_is_sick() -> None:
    found = look("tcp", "loopback", before=tuple(namespaces()), host="192.0.2.1", port=80)
    assert (found["up"], found["error"]) == (0.0, "unreachable")


def test_a_prohibited_host_is_blind() -> None:
    assert "EACCES" in look("tcp", "loopback", before=tuple(namespaces()), host="192.0.2.2", port=80)["blind"]


def test_no_local_port_left_is_blind() -> None:
    found = look("tcp", "loopback", "no_ports", before=tuple(namespaces()), host="127.0.0.1", port=40000)
    assert "EADDRNOTAVAIL" in found["blind"]


@pytest.mark.parametrize("kind", ["tcp", "http", "https"])
def test_no_descriptor_left_is_blind(kind: str) -> None:
    options = {"host": "127.0.0.1", "port": 9} if kind == "tcp" else {"url": f"{kind}://127.0.0.1:9/"}
    found = look("tcp" if kind == "tcp" else "http", "no_descriptors", **options)
    assert "EMFILE" in found["blind"] or "authorities" in found["blind"]


@pytest.mark.parametrize("name", ["nx.example", "empty.example"])
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_a_name_that_does_not_exist_is_sick(kind: str, name: str) -> None:
    options = {"host": name, "port": 80} if kind == "tcp" else {"url": f"http://{name}/"}
    found = look(kind, "loopback", "resolver", before=tuple(namespaces()), **options)
    assert (found["up"], found["error"]) == (0.0, "name_not_found")
    assert name in found["detail"]


def test_a_resolver_that_cannot_tell_is_blind() -> None:
    found = look("tcp", "loopback", "resolver", before=tuple(namespaces()), host="fail.example", port=80)
    assert found["blind"].startswith("cannot look up fail.example: ")


def test_a_resolver_that_is_silent_is_blind_at_its_own_time_out() -> None:
    found = look("tcp", "loopback", "resolver", before=tuple(namespaces()), host="silent.example", port=80)
    assert found["blind"].startswith("cannot look up silent.example: ")


def test_a_resolver_that_is_silent_is_blind_at_the_end_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "TIMEOUT", "0.5")
    found = look("http", "loopback", "resolver", before=tuple(namespaces()), url="http://silent.example/")
    assert found["blind"] == "no answer from the resolver within 0.475s"


def test_one_address_that_refuses_outweighs_one_without_a_route() -> None:
    found = look("tcp", "loopback", "resolver", before=tuple(namespaces()), host="two.example", port=9)
    assert (found["up"], found["error"]) == (0.0, "refused")
    found = look("tcp", "loopback", "resolver", before=tuple(namespaces()), host="far.example", port=9)
    assert "ENETUNREACH" in found["blind"]


async def test_runs_that_give_up_leave_one_look_up_a_name_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answered = threading.Event()

    def getaddrinfo(host: str, *rest: Any) -> Any:
        if rest[-1]:
            raise _names.socket.gaierror(_names.socket.EAI_NONAME, "no address")
        asked.append(host)
        answered.wait(10)
        raise _names.socket.gaierror(_names.socket.EAI_NONAME, "no such name")

    monkeypatch.setattr("checks._names.socket.getaddrinfo", getaddrinfo)
    options = tcp.Options(host="slow.example", port=80)
    try:
        for _ in range(5):
            with pytest.raises(CheckError, match="no answer from the resolver"):
                await tcp.check(options, LocalContext(timeout=0.05))
        assert asked == ["slow.example"]
        await until(lambda: lookups_under_way() == 1)
        waiting = asyncio.create_task(tcp.check(options, LocalContext()))  # joins the one that is left
        await asyncio.sleep(0.01)
    finally:
        answered.set()
    assert (await waiting)[0].samples["error"] == "name_not_found"
    await until(lambda: lookups_under_way() == 0)
    assert asked == ["slow.example"]


async def test_a_dead_resolver_holds_a_bounded_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    lookups = _names._Lookups()

    def slow(host: str, *, flags: int = 0) -> list[Any]:
        answered.wait(10)
        return []

    monkeypatch.setattr(_names, "_addresses", slow)
    try:
        for number in range(_names._MOST_LOOKUPS):
            lookups.join(f"host{number}.example")
        with pytest.raises(CheckError, match="64 names are waiting for the resolver"):
            lookups.join("one-more.example")
        lookups.join("host7.example")  # one that is under way can always be joined
    finally:
        answered.set()
    await until(lambda: lookups_under_way() == 0)
    lookups.join("one-more.example").result(5)


@pytest.mark.parametrize(
    ("number", "word"),
    [("ECONNREFUSED", "refused"), ("ECONNRESET", "reset"), ("ETIMEDOUT", "timeout"), ("EHOSTUNREACH", "unreachable")],
)
def test_what_the_target_answers_is_a_reading(number: str, word: str) -> None:
    verdict = translate(OSError(getattr(errno, number), "x"), "a port 1")
    assert isinstance(verdict, SickError)
    assert verdict.word == word


@pytest.mark.parametrize(
    "number", ["ENETUNREACH", "ENETDOWN", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EADDRNOTAVAIL", "EPERM", "EACCES"]
)
def test_what_keeps_us_from_looking_is_blind(number: str) -> None:
    verdict = translate(OSError(getattr(errno, number), "x"), "a port 1")
    assert isinstance(verdict, CheckError)
    assert number in str(verdict)
