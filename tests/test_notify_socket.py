"""sd_notify, heard by a real datagram socket."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.notify_socket import NotifySocket


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str | bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def heard(self) -> list[str]:
        return self.socket.recv(65536).decode().split("\n")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


def notifier(manager: Manager, **environment: str) -> NotifySocket:
    return NotifySocket({"NOTIFY_SOCKET": manager.socket.getsockname(), **environment})


def test_readiness_is_told_with_a_status(manager: Manager) -> None:
    assert notifier(manager).ready("watching 3 checks")
    assert manager.heard() == ["READY=1", "STATUS=watching 3 checks"]


def test_a_reload_is_told_with_the_monotonic_time_that_systemd_wants(manager: Manager) -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
    assert notifier(manager).reloading()
    first, second = manager.heard()
    assert first == "RELOADING=1"
    name, microseconds = second.split("=")
    assert name == "MONOTONIC_USEC"
    assert before - 1 <= int(microseconds) <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6


def test_the_end_is_told(manager: Manager) -> None:
    assert notifier(manager).stopping()
    assert manager.heard() == ["STOPPING=1"]


def test_a_sign_of_life_is_told(manager: Manager) -> None:
    assert notifier(manager).watchdog()
    assert manager.heard() == ["WATCHDOG=1"]


def test_a_status_cannot_smuggle_in_another_assignment(manager: Manager) -> None:
    assert notifier(manager).status("all is\nMAINPID=1\nwell")
    assert manager.heard() == ["STATUS=all is MAINPID=1 well"]


def test_an_empty_status_clears_the_old_one(manager: Manager) -> None:
    assert notifier(manager).status("")
    assert manager.heard() == ["STATUS="]


def test_a_status_of_any_length_is_told_cut(manager: Manager) -> None:
    assert notifier(manager).status("x" * 10_000_000)
    assert 100 < len(manager.heard()[0]) < 5000


def test_an_abstract_socket_is_heard() -> None:
    name = f"heald-test-{uuid.uuid4()}"
    manager = Manager(b"\0" + name.encode())
    assert NotifySocket({"NOTIFY_SOCKET": f"@{name}"}).ready()
    assert manager.heard() == ["READY=1"]
    manager.socket.close()


def test_without_a_service_manager_nothing_happens() -> None:
    alone = NotifySocket({"WATCHDOG_USEC": "30000000"})
    assert not alone.is_heard
    assert alone.watchdog_interval is None
    assert [alone.ready(), alone.reloading(), alone.stopping(), alone.status("x"), alone.watchdog()] == [False] * 5


@pytest.mark.parametrize("address", ["vsock:2:1234", "relative/path", "@", ""])
def test_an_address_of_another_kind_is_left_alone(address: str) -> None:
    assert not NotifySocket({"NOTIFY_SOCKET": address}).is_heard


def test_a_manager_that_went_away_does_no_harm(tmp_path: Path) -> None:
    assert not NotifySocket({"NOTIFY_SOCKET": str(tmp_path / "gone")}).watchdog()


def test_a_manager_that_does_not_read_never_makes_us_wait(manager: Manager) -> None:
    telling = notifier(manager)
    begun = time.monotonic()
    told = [telling.status("x" * 1000) for _ in range(20_000)]
    assert not told[-1]
    assert time.monotonic() - begun < 20


def test_the_watchdog_interval_is_half_of_what_systemd_waits(manager: Manager) -> None:
    assert notifier(manager, WATCHDOG_USEC="30000000").watchdog_interval == 15.0
    assert notifier(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid())).watchdog_interval == 15.0


@pytest.mark.parametrize("microseconds", ["", "0", "-5", "soon"])
def test_a_watchdog_that_is_off_or_odd_is_none(manager: Manager, microseconds: str) -> None:
    assert notifier(manager, WATCHDOG_USEC=microseconds).watchdog_interval is None


def test_a_watchdog_meant_for_another_process_is_none(manager: Manager) -> None:
    assert notifier(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getppid())).watchdog_interval is None


def test_the_environment_of_the_process_is_the_default(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.socket.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    telling = NotifySocket()
    assert telling.watchdog_interval == 2.0
    assert telling.ready()
    assert manager.heard() == ["READY=1"]
