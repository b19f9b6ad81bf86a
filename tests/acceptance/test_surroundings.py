"""Faults of heald's own surroundings, on a real daemon: files, sockets, ports, clocks, signals, plug-ins."""

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_until
from tests.acceptance.test_daemon import can_mount, did, metrics, rules  # noqa: F401  # a fixture among them

READ_ONLY = """
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=4M", "tmpfs", sys.argv[1]], check=True)
os.execv(sys.argv[2], sys.argv[2:])
"""


FROZEN = """
import os, subprocess, sys
subprocess.run(["mount", "--bind", sys.argv[1], sys.argv[1]], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", sys.argv[1]], check=True)
os.execv(sys.argv[2], sys.argv[2:])
"""


def is_up(daemon: DaemonProcess) -> bool:
    return bool(daemon.status()["checks"][0]["state"] == "up")


@pytest.mark.usefixtures("can_mount")
def test_a_state_directory_that_is_read_only_at_start_is_no_reason_not_to_watch(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, rules(tmp_path))
    daemon.state.mkdir()
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", READ_ONLY, daemon.state]
    command += [Path(sys.executable).parent / "heald", "run", "--config", daemon.rules, "--state-dir", daemon.state]
    with daemon.log.open("ab") as log:
        daemon.process = subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stdout=log, stderr=log)
    try:
        wait_until(lambda: daemon.lines("store_unreadable"), what=daemon.text())
        (tmp_path / "well").unlink()
        wait_until(lambda: daemon.lines("held"), what=daemon.text())
        assert daemon.lines("held")[0]["reason"] == "store_unavailable"
        assert len(daemon.lines("control_socket")) == 1  # said once, however often it is tried
        assert did(tmp_path) == 0
        inside = ["nsenter", "-m", "-t", str(daemon.process.pid), "mount", "-o", "remount,rw", str(daemon.state)]
        subprocess.run(inside, check=True)
        wait_until(lambda: did(tmp_path) == 1, what=daemon.text())
        wait_until(lambda: len(daemon.lines("control_socket")) == 2, what=daemon.text())
        assert [line["event"] for line in daemon.lines() if line["event"].startswith("store")] == [
            "store_unavailable",
            "store_unreadable",
            "store_writable",
            "store_readable",
        ]
        assert daemon.stop() == 0
    finally:
        daemon.__exit__()


@pytest.mark.usefixtures("can_mount")
def test_a_state_directory_that_became_read_only_after_a_crash_is_no_reason_not_to_watch(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        daemon.kill()  # its socket stays
        command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", FROZEN, daemon.state]
        command += [Path(sys.executable).parent / "heald", "run", "--config", daemon.rules, "--state-dir", daemon.state]
        with daemon.log.open("ab") as log:
            daemon.process = subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stdout=log, stderr=log)
        wait_until(lambda: daemon.lines("control_socket"), what=daemon.text())
        assert "of a dead heald: Read-only file system" in daemon.lines("control_socket")[0]["message"]
        (tmp_path / "well").unlink()
        wait_until(lambda: daemon.lines("held"), what=daemon.text())
        assert daemon.lines("held")[0]["reason"] == "store_unavailable"
        inside = ["nsenter", "-m", "-t", str(daemon.process.pid), "mount", "-o", "remount,bind,rw", str(daemon.state)]
        subprocess.run(inside, check=True)
        wait_until(lambda: did(tmp_path) == 1, what=daemon.text())
        assert daemon.status()["ready"] is None
        assert daemon.stop() == 0


def heals_and_ends(daemon: DaemonProcess) -> None:
    """One that was started otherwise than usual does all that it is for."""
    try:
        daemon.ready()
        wait_until(lambda: is_up(daemon))
        (daemon.folder / "well").unlink()
        wait_until(lambda: did(daemon.folder) == 1)
        assert daemon.stop() == 0
    finally:
        daemon.__exit__()


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_heald_lives_where_nobody_takes_its_log(tmp_path: Path, redirection: str) -> None:
    daemon = DaemonProcess(tmp_path, rules(tmp_path))
    heald = Path(sys.executable).parent / "heald"
    run = f'exec "{heald}" run --config "{daemon.rules}" --state-dir "{daemon.state}" --listen 127.0.0.1:0'
    daemon.process = subprocess.Popen(["sh", "-c", f"{run} {redirection}"])
    heals_and_ends(daemon)


def test_heald_heals_while_nobody_reads_its_log(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, rules(tmp_path))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 1024)
    os.set_blocking(writing, True)
    heald = Path(sys.executable).parent / "heald"
    command = [heald, "run", "--config", daemon.rules, "--state-dir", daemon.state, "--listen", "127.0.0.1:0"]
    daemon.process = subprocess.Popen(command, stderr=writing)
    os.close(writing)
    try:
        heals_and_ends(daemon)
    finally:
        os.close(reading)


def test_a_standing_task_that_returns_ends_the_daemon_and_that_is_said(tmp_path: Path) -> None:
    env = installed(tmp_path)
    with (tmp_path / "site" / "odd_check.py").open("a") as plugin:
        plugin.write(
            "\n\nfrom daemon.runtime.janitor import Janitor\n\nasync def end(self):\n    await asyncio.sleep(0.5)\n"
            "\nJanitor.run = end\n"
        )
    daemon = DaemonProcess(tmp_path, rules(tmp_path), env=env).start()
    try:
        assert daemon.process is not None
        assert daemon.process.wait(timeout=30) == 1
        (ended,) = daemon.lines("ended")
        assert "a standing task ended" in ended["message"]
        assert "Traceback" in ended["exception"]
        assert not (daemon.state / "heald.sock").exists()
    finally:
        daemon.__exit__()


def test_a_control_socket_that_was_removed_comes_back(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        (daemon.state / "heald.sock").unlink()  # it may be back before anybody could ask in vain
        wait_until(lambda: (daemon.state / "heald.sock").exists())
        assert daemon.status()["ready"] is None
        assert daemon.stop() == 0
        assert not (daemon.state / "heald.sock").exists()


def test_a_state_directory_that_was_removed_is_said_and_holds_all_acting(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        wait_until(lambda: is_up(daemon))
        shutil.rmtree(daemon.state)
        (tmp_path / "well").unlink()
        wait_until(lambda: daemon.lines("held"), what=daemon.text())
        assert daemon.lines("held")[-1]["reason"] == "store_unavailable"
        assert "was removed or replaced while heald ran" in daemon.lines("store_unavailable")[0]["message"]
        assert did(tmp_path) == 0
        assert daemon.stop() == 0
        daemon.start().ready()  # begins anew, as it said
        wait_until(lambda: did(tmp_path) == 1, what=daemon.text())


def test_a_record_that_cannot_be_understood_is_said_once_and_holds_all_acting(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path).replace("for: 0s", "for: 2s")) as daemon:
        wait_until(lambda: is_up(daemon))
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1 and daemon.incidents()[0]["state"] == "resolved")
        assert daemon.stop() == 0
        with contextlib.closing(sqlite3.connect(daemon.state / "heald.db")) as database, database:
            database.execute("UPDATE attempts SET state = 'of a later heald'")
        (tmp_path / "well").unlink()
        daemon.start()
        wait_until(lambda: daemon.lines("held"), what=daemon.text())  # it watches, and time counts
        (held,) = daemon.lines("held")
        assert held["reason"] == "store_unavailable"
        assert "'of a later heald' is not a valid AttemptState" in held["message"]
        assert len(daemon.lines("store_unreadable")) == 1
        assert daemon.lines("store_readable") == []
        assert did(tmp_path) == 1
        assert daemon.stop() == 0


def test_a_reload_onto_a_port_that_is_taken_is_refused_as_a_whole(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ports = [free.getsockname()[1], taken.getsockname()[1]]
        free.close()
        text = rules(tmp_path).replace("shutdown_grace: 2s", f'shutdown_grace: 2s, listen: "127.0.0.1:{ports[0]}"')
        daemon = DaemonProcess(tmp_path, text)
        command = [Path(sys.executable).parent / "heald", "run", "--config", daemon.rules, "--state-dir", daemon.state]
        with daemon.log.open("ab") as log:
            daemon.process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            daemon.ready()
            second = "  second: {check: web, when: up == 0}\n"
            daemon.rules.write_text(text.replace(str(ports[0]), str(ports[1])) + second)
            answer = daemon.ask("reload")
            assert answer.returncode == 1
            assert f"cannot listen on 127.0.0.1:{ports[1]}: the port is taken by another process" in answer.stderr
            assert daemon.status()["rules"] == 1
            assert metrics(daemon)["heald_config_last_reload_successful"] == 0  # where it always was
        finally:
            daemon.__exit__()


def test_heald_does_nothing_for_its_own_standstill(tmp_path: Path) -> None:
    slow = rules(tmp_path).replace("test -e {folder}/well &&", "").replace('"test -e', '"sleep 0.1; test -e')
    slow = slow.replace("when: up == 0\n", "when: up == 0 or latency_seconds > 3s or age() > 3s\n")
    with DaemonProcess(tmp_path, slow) as daemon:
        wait_until(lambda: is_up(daemon))
        assert daemon.process is not None
        for number in range(3):
            daemon.process.send_signal(signal.SIGSTOP)
            until = time.monotonic() + 4.0 + 0.07 * number  # at different moments of a run
            wait_until(lambda until=until: time.monotonic() > until)
            daemon.process.send_signal(signal.SIGCONT)
            ran = metrics(daemon)['heald_check_runs_total{check="web",result="ok"}']
            wait_until(lambda ran=ran: metrics(daemon)['heald_check_runs_total{check="web",result="ok"}'] > ran + 2)
        assert did(tmp_path) == 0
        assert daemon.incidents() == []


FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


@pytest.mark.skipif(FAKETIME is None, reason="needs Debian's libfaketime")
@pytest.mark.parametrize("jump", ["+3600", "-3600"])
def test_a_wall_clock_that_jumps_holds_all_acting_and_frees_no_limit(tmp_path: Path, jump: str) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    env = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    env["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
    text = rules(tmp_path).replace("limit: [100/1h]\n    steps", "limit: [1/1h]\n    steps")
    with DaemonProcess(tmp_path, text, env=env) as daemon:
        wait_until(lambda: is_up(daemon))
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1)
        wait_until(lambda: daemon.incidents()[0]["state"] == "resolved")
        clock.write_text(jump)
        (tmp_path / "well").unlink()
        wait_until(lambda: daemon.lines("clock_jumped"), what=daemon.text())
        wait_until(
            lambda: [it["hold"] for it in daemon.incidents(closed=False)] == ["clock_jumped"], what=daemon.text()
        )
        budgets = {(it["resource"], it["limit"]): it["remaining"] for it in daemon.status()["budgets"]}
        assert [left for (resource, _), left in budgets.items() if resource != "all"] == [99]
        assert did(tmp_path) == 1
        daemon.kill()  # the next daemon knows of no jump, and counts the same
        daemon.start().ready()
        wait_until(lambda: [it["hold"] for it in daemon.incidents(closed=False)] == ["limit_rule"], what=daemon.text())
        assert did(tmp_path) == 1


def test_a_remediation_that_takes_too_long_dies_with_all_its_children(tmp_path: Path) -> None:
    own = f"7{os.getpid():07}"  # seconds that nobody else sleeps
    text = rules(tmp_path, takes=float(own)).replace("timeout: 20s", "timeout: 4s").replace("tries: 50", "tries: 1")
    text = text.replace(f"sleep {float(own)}", f"(trap '' TERM; exec sleep {own}1) & sleep {own}0")
    with DaemonProcess(tmp_path, text) as daemon:
        wait_until(lambda: is_up(daemon))
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1)
        assert daemon.process is not None
        wait_until(lambda: daemon.incidents()[0]["attempts"][0]["state"] == "failed", what=daemon.text())
        summary = daemon.incidents()[0]["attempts"][0]["summary"]
        assert re.fullmatch(r"restart command sh failed: ended by heald after (3\.[89]|4\.0)s", summary)
        running = [line for it in psutil.process_iter(["cmdline"]) if (line := it.info["cmdline"])]  # zombies have none
        assert [line for line in running if line in (["sleep", f"{own}0"], ["sleep", f"{own}1"])] == []
        assert daemon.incidents()[0]["handed_over"] == "exhausted"


CHECK = """
import asyncio, time
from daemon.plugin import Dimension, Field, OptionsModel, Reading, sample


class Options(OptionsModel):
    how: str = Field(description="How it misbehaves.")


SAMPLES = (sample("up", Dimension.NONE, "1 or 0."),)
DISCOVERS = True


async def check(options, context):
    if options.how == "raises":
        raise ZeroDivisionError("of the plug-in")
    if options.how == "exits":
        raise SystemExit(3)
    if options.how == "hangs":
        await asyncio.Event().wait()
    while options.how == "ignores":
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    if options.how == "blocks":
        time.sleep(0.5)
    if options.how == "rubbish":
        return {"up": 1}
    if options.how == "many":
        return [Reading(subject=str(number), samples={"up": 1.0}) for number in range(100_000)]
    return [Reading(subject="", samples={"up": 1.0})]
"""
REMEDIATION = """
import asyncio
from daemon.plugin import Field, OptionsModel, Outcome


class Options(OptionsModel):
    how: str = Field(description="How it misbehaves.")


def resource(options, target):
    return f"odd:{options.how}"


async def plan(options, target, context):
    return "it would misbehave"


async def act(options, target, context):
    if options.how == "raises":
        raise ZeroDivisionError("of the plug-in")
    if options.how == "exits":
        raise SystemExit(3)
    if options.how == "hangs":
        await asyncio.Event().wait()
    while options.how == "ignores":
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    return "done"
"""
WAYS = ("raises", "exits", "hangs", "ignores", "rubbish")


def installed(folder: Path) -> dict[str, str]:
    """Plug-ins as a distribution brings them, and the environment in which they are found."""
    site = folder / "site"
    (site / "odd-1.0.dist-info").mkdir(parents=True)
    (site / "odd-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    points = "[heald.checks]\nodd = odd_check\n[heald.remediations]\nodd = odd_remediation\n"
    (site / "odd-1.0.dist-info" / "entry_points.txt").write_text(points)
    (site / "odd_check.py").write_text(CHECK)
    (site / "odd_remediation.py").write_text(REMEDIATION)
    return {"PYTHONPATH": str(site)}


def test_checks_that_misbehave_blind_themselves_alone_and_that_is_said(tmp_path: Path) -> None:
    ways = (*WAYS, "blocks", "many")
    checks = "".join(f"  {how}: {{odd: {{how: {how}}}, every: 2s, timeout: 500ms}}\n" for how in ways)
    text = rules(tmp_path).replace("checks:\n", f"checks:\n{checks}", 1).replace("every: 300ms", "every: 2s")
    with DaemonProcess(tmp_path, text, env=installed(tmp_path)) as daemon:

        def runs(check: str, result: str) -> float:
            return metrics(daemon).get(f'heald_check_runs_total{{check="{check}",result="{result}"}}', 0)

        wait_until(lambda: runs("web", "ok") >= 3, within=60, what=daemon.text())
        others = [how for how in ways if how != "blocks"]
        wait_until(lambda: all(runs(how, "blind") + runs(how, "timeout") >= 2 for how in others), within=60)
        why = {it["name"]: it["error"] or "" for it in daemon.status()["checks"]}
        assert "bug in check type odd: ZeroDivisionError: of the plug-in" in why["raises"]
        assert "bug in check type odd: SystemExit: 3" in why["exits"]
        assert "did not end within 0.5s" in why["hangs"]
        assert "ignored its cancellation" in why["ignores"]
        assert "not a list of readings" in why["rubbish"]
        assert "100000 subjects; at most 1000" in why["many"]
        said = "".join(line["message"] for line in daemon.lines() if line["level"] == "error")
        for sentence in ("Check blocks (type odd) held up all of heald", "Check ignores (type odd) ignores its"):
            assert said.count(sentence) == 1, said  # once, not at every run
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1, what=daemon.text())
        assert daemon.stop() == 0


def test_remediations_that_misbehave_fail_their_own_attempts_and_that_is_said(tmp_path: Path) -> None:
    text = rules(tmp_path).replace("allow: [restart]", "allow: [restart, odd]")
    for how in WAYS:
        step = f"odd: {{how: {how}}}, cooldown: 1h, settle: 0s, verify: 1s, timeout: 500ms"
        text += f"  {how}: {{check: web, when: up == 0, for: 0s, steps: [{{{step}}}]}}\n"
    with DaemonProcess(tmp_path, text, env=installed(tmp_path)) as daemon:
        wait_until(lambda: is_up(daemon))
        (tmp_path / "well").unlink()

        def ended() -> dict[str, str]:
            made = {at["resource"]: at for it in daemon.incidents() for at in it["attempts"]}
            return {name: it["summary"] for name, it in made.items() if it["state"] == "failed"}

        wait_until(lambda: len(ended()) == len(WAYS), what=daemon.text())
        said = ended()
        assert said["odd:raises"] == "bug in remediation odd: ZeroDivisionError: of the plug-in"
        assert said["odd:exits"] == "bug in remediation odd: SystemExit: 3"
        assert said["odd:hangs"] == "it did not end within 0.5s and was ended"
        assert "ignored its cancellation" in said["odd:ignores"]
        assert "it returned str, not an Outcome" in said["odd:rubbish"]
        assert did(tmp_path) == 1
        assert daemon.stop() == 0


def test_a_check_that_hangs_in_threads_takes_nobodys_place_and_keeps_nobody_from_ending(tmp_path: Path) -> None:
    env = installed(tmp_path)
    source = tmp_path / "site" / "odd_check.py"
    source.write_text(
        source.read_text().replace("await asyncio.Event().wait()", "await asyncio.to_thread(time.sleep, 600)")
    )
    text = rules(tmp_path).replace(
        "checks:\n", "checks:\n  stuck: {odd: {how: hangs}, every: 100ms}\n  self: {process: {name: heald}}\n", 1
    )
    with DaemonProcess(tmp_path, text, env=env) as daemon:
        stuck = lambda: next(it for it in daemon.status()["checks"] if it["name"] == "stuck")  # noqa: E731  # one line says it
        wait_until(lambda: "have not come back" in (stuck()["error"] or ""), what=daemon.text())
        assert metrics(daemon)["heald_config_last_reload_successful"] == 1  # the page is made in a thread
        assert daemon.ask("reload").returncode == 0  # the file is read in one
        assert daemon.stop() == 0
