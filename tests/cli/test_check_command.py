"""`heald check` over real sockets: what it sees, what it finds, and how it exits."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main


class Listener:
    """A TCP server that counts who comes."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.came = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            with connection:
                if connection.recv(4) == b"stop":
                    return
                self.came += 1

    def stop(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"stop")
        self._thread.join()
        self.socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.stop()


@pytest.fixture
def shut() -> Iterator[int]:
    """A port that nobody listens on and nobody can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class Heald:
    """`heald check` on one rules file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, checks: str, rules: str = "", *arguments: str) -> Result:
        text = f"version: 1\nchecks:\n{_indented(checks)}"
        self.path.write_text(text + (f"rules:\n{_indented(rules)}" if rules else ""))
        return CliRunner().invoke(main, ["check", "--config", str(self.path), *arguments])


def _indented(lines: str) -> str:
    return "".join(f"  {line.strip()}\n" for line in lines.strip().splitlines())


@pytest.fixture
def heald(tmp_path: Path) -> Heald:
    return Heald(tmp_path / "rules.yaml")


def tcp(name: str, port: int) -> str:
    return f"{name}: {{tcp: {{host: 127.0.0.1, port: {port}}}}}\n"


def test_all_well_is_0_and_says_so_first(heald: Heald, listener: Listener) -> None:
    done = heald(tcp("web", listener.port), "web-down: {check: web, when: up == 0, severity: P1}")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "ok: 1 check looked"
    assert lines[2].split() == ["CHECK", "SUBJECT", "STATE", "SAMPLES"]
    assert lines[3].split()[:2] == ["web", "up"]
    assert "latency_seconds=" in lines[3]
    assert lines[6].split()[:4] == ["web-down", "P1", "web", "CLEAR"]


def test_a_check_without_a_rule_that_is_down_is_critical(heald: Heald, listener: Listener, shut: int) -> None:
    done = heald(tcp("web", listener.port) + tcp("db", shut))
    assert done.exit_code == 2, done.output
    assert done.stdout.startswith("critical: db: up = 0 (the connection was refused)\n")


@pytest.mark.parametrize(("severity", "code"), [("P0", 2), ("P1", 2), ("P2", 1), ("P3", 1)])
def test_the_severity_of_a_breached_rule_decides(heald: Heald, shut: int, severity: str, code: int) -> None:
    done = heald(tcp("db", shut), f"db-down: {{check: db, when: up == 0, severity: {severity}}}")
    assert done.exit_code == code, done.output
    assert "db-down (db): up = 0" in done.stdout.splitlines()[0]


def test_the_worst_of_several_decides(heald: Heald, listener: Listener, shut: int) -> None:
    rules = "db-down: {check: db, when: up == 0, severity: P3}\nweb-down: {check: web, when: up == 1, severity: P1}"
    done = heald(tcp("web", listener.port) + tcp("db", shut), rules)
    assert done.exit_code == 2, done.output
    assert done.stdout.startswith("critical: web-down (web): up = 1")


def test_what_could_not_look_is_unknown(heald: Heald) -> None:
    done = heald("gone: {command: {argv: [/nonexistent/heald-check]}}")
    assert done.exit_code == 3, done.output
    assert done.stdout.startswith("unknown: gone: ")
    assert "blind" in done.stdout


def test_a_warning_comes_before_unknown(heald: Heald, shut: int) -> None:
    checks = tcp("db", shut) + "gone: {command: {argv: [/nonexistent/heald-check]}}"
    done = heald(checks, "db-down: {check: db, when: up == 0, severity: P2}")
    assert done.exit_code == 1, done.output


def test_a_condition_that_needs_more_than_one_run_says_so_and_is_not_judged(heald: Heald, listener: Listener) -> None:
    done = heald(
        tcp("web", listener.port), "slower: {check: web, when: 'delta(latency_seconds, 5m) > 1s', severity: P1}"
    )
    assert done.exit_code == 0, done.output
    assert "needs more than one run: not judged" in done.stdout


def test_a_check_whose_rules_all_need_more_than_one_run_is_judged_by_up(heald: Heald, shut: int) -> None:
    done = heald(tcp("db", shut), "slower: {check: db, when: 'delta(latency_seconds, 5m) > 1s', severity: P3}")
    assert done.exit_code == 2, done.output
    assert done.stdout.startswith("critical: db: up = 0 (the connection was refused)\n")


def test_a_condition_with_a_window_that_one_run_decides_says_what_its_windows_saw(heald: Heald, shut: int) -> None:
    done = heald(tcp("db", shut), "db: {check: db, when: 'up == 0 or avg(latency_seconds, 5m) > 1s', severity: P1}")
    assert done.exit_code == 2, done.output
    assert "(its windows saw this one run)" in done.stdout


def test_only_what_is_named_is_run_and_what_its_rule_looks_at(heald: Heald, shut: int) -> None:
    one, two, three = Listener(), Listener(), Listener()
    try:
        checks = tcp("one", one.port) + tcp("two", two.port) + tcp("three", three.port)
        done = heald(checks, "both: {check: one, when: up == 0 and two.up == 1, severity: P1}", "one")
        assert done.exit_code == 0, done.output
        assert "\ntwo" not in done.stdout
    finally:
        for listener in (one, two, three):
            listener.stop()
    assert (one.came, two.came, three.came) == (1, 1, 0)


def test_an_unknown_name_is_a_wrong_usage_with_a_hint(heald: Heald, listener: Listener) -> None:
    done = heald(tcp("web", listener.port), "", "wep")
    assert done.exit_code == 3
    assert "there is no check wep; did you mean web?" in done.stderr


def test_a_thread_that_hangs_does_not_keep_it_from_exiting() -> None:
    code = (
        "import threading; from daemon.cli.check import _leave; before = set(threading.enumerate()); "
        "threading.Thread(target=threading.Event().wait).start(); print('said'); _leave(2, before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "said\n")


@pytest.mark.parametrize("arguments", [["--wrong"], ["--config"]])
def test_wrong_usage_is_unknown_as_2_is_critical(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, ["check", *arguments])
    assert done.exit_code == 3
    assert "Error: " in done.stderr


def test_a_file_that_is_not_valid_is_unknown_and_says_where(heald: Heald, listener: Listener) -> None:
    done = heald(tcp("web", listener.port), "web-down: {check: wep, when: up == 0}")
    assert (done.exit_code, done.stdout) == (3, "")
    assert f"{heald.path}:5:" in done.stderr
    assert "web" in done.stderr


def test_no_file_at_all_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEALD_CONFIG", raising=False)
    monkeypatch.setattr("daemon.cli.places.SYSTEM_CONFIG", tmp_path / "nowhere")
    done = CliRunner().invoke(main, ["check"])
    assert (done.exit_code, "no rules file" in done.stderr) == (3, True)


def test_json_has_all_that_was_seen_and_found(heald: Heald, shut: int) -> None:
    done = heald(tcp("db", shut), "db-down: {check: db, when: up == 0, severity: P1}", "--json")
    assert done.exit_code == 2
    said = json.loads(done.stdout)
    assert (said["result"], said["exit_code"]) == ("critical", 2)
    assert said["checks"][0]["readings"][0]["samples"]["up"] == 0
    assert said["findings"] == [
        {
            "check": "db",
            "subject": "",
            "rule": "db-down",
            "severity": "P1",
            "verdict": "BREACHED",
            "because": "up = 0 (the connection was refused)",
            "needs_window": False,
            "level": "critical",
        }
    ]


def test_the_first_line_says_what_the_check_says_of_what_is_wrong(heald: Heald, shut: int) -> None:
    done = heald(tcp("db", shut))
    assert done.stdout.splitlines()[0] == "critical: db: up = 0 (the connection was refused)"


def test_samples_are_shown_in_the_order_of_the_type_and_without_empty_ones(heald: Heald, listener: Listener) -> None:
    row = heald(tcp("web", listener.port)).stdout.splitlines()[3]
    assert [part.partition("=")[0] for part in row.split()[2:]] == ["latency_seconds", "dns_seconds", "connect_seconds"]


def test_a_check_that_hangs_is_cut_at_its_timeout(heald: Heald) -> None:
    argv = json.dumps([sys.executable, "-c", "import signal; signal.pause()"])
    done = heald(f"slow: {{command: {{argv: {argv}}}, timeout: 300ms, every: 1s}}")
    assert done.exit_code in (2, 3), done.output
    assert "slow" in done.stdout.splitlines()[0]
