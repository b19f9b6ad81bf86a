"""What systemd hears of a real daemon (sd_notify(3)): one datagram socket of the test's own."""

import itertools
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_until

WATCHDOG = 1.0  # seconds
RULES = """version: 1
checks:
  rare: {command: {argv: ["true"]}, every: 1h}
"""


class Systemd:
    """Every message with the time of its arrival, oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))
        self._heard: list[tuple[float, dict[str, str]]] = []

    def heard(self, key: str) -> list[tuple[float, str]]:
        """When a key was said, and its value."""
        while True:
            try:
                text = self.socket.recv(65536).decode()
            except BlockingIOError:
                break
            self._heard.append((time.monotonic(), dict(line.split("=", 1) for line in text.splitlines())))
        return [(at, said[key]) for at, said in self._heard if key in said]

    def keys(self) -> list[str]:
        """All keys in order but those of rounds."""
        self.heard("READY")
        return [key for _, said in self._heard for key in said if key not in ("STATUS", "WATCHDOG")]


@pytest.fixture
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    listening = Systemd(tmp_path_factory.mktemp("n") / "notify")
    yield listening
    listening.socket.close()


@pytest.fixture
def daemon(tmp_path: Path, systemd: Systemd) -> Iterator[DaemonProcess]:
    usec = str(int(WATCHDOG * 1e6))
    made = DaemonProcess(tmp_path, RULES, env={"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": usec})
    with made:
        yield made


def test_systemd_hears_of_the_start_of_a_reload_and_of_the_end(daemon: DaemonProcess, systemd: Systemd) -> None:
    wait_until(lambda: systemd.heard("READY"))
    status = [text for _, text in systemd.heard("STATUS")]
    assert "observes and does nothing; 1 check, 0 rules" in status[0]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert daemon.ask("reload").returncode == 0
    assert systemd.keys() == ["READY", "RELOADING", "MONOTONIC_USEC", "READY"]
    ((_, usec),) = systemd.heard("MONOTONIC_USEC")
    assert before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.rules.write_text("version: 2\n")
    assert daemon.ask("reload").returncode == 1
    assert systemd.keys()[-3:] == ["RELOADING", "MONOTONIC_USEC", "READY"]  # a refused reload is over too
    assert daemon.stop() == 0
    assert systemd.keys()[-1] == "STOPPING"


def test_the_watchdog_is_told_at_least_twice_in_its_time_even_if_checks_are_rare(
    daemon: DaemonProcess, systemd: Systemd
) -> None:
    wait_until(lambda: len(systemd.heard("WATCHDOG")) >= 8)
    times = [at for at, _ in systemd.heard("WATCHDOG")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert sorted(gaps)[len(gaps) // 2] <= WATCHDOG / 2


def test_nothing_is_told_by_a_daemon_that_stands_still(daemon: DaemonProcess, systemd: Systemd) -> None:
    wait_until(lambda: systemd.heard("WATCHDOG"))
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    stopped = len(systemd.heard("WATCHDOG"))
    deadline = time.monotonic() + 2 * WATCHDOG
    while time.monotonic() < deadline:
        assert len(systemd.heard("WATCHDOG")) <= stopped + 1  # one may have been on its way
        time.sleep(0.05)
    daemon.process.send_signal(signal.SIGCONT)
    wait_until(lambda: len(systemd.heard("WATCHDOG")) > stopped + 1)
