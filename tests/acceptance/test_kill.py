"""Never more than N in any window, whatever crashes: kill -9 at random; the service's own count is the judge."""

import itertools
import random
import time
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_until

KILLS = 100
IN_FLIGHT = 60  # of them at least
LIMIT, WINDOW = 3, 5.0
TAKES = 0.3  # seconds that a restart takes

SERVICE = """#!/bin/sh
echo "begin $(date +%s.%N)" >> "$1"
sleep {takes}
echo "end $(date +%s.%N)" >> "$1"
"""
RULES = """version: 1
settings: {{mode: act, allow: [restart], startup_grace: 0s, shutdown_grace: 1s, budget: [1000/1h]}}
services:
  dying:
    run_by:
      command:
        start: [{script}, {log}]
        stop: ["true"]
        restart: [{script}, {log}]
        status: ["sh", "-c", "exit 3"]
    limit: [3/5s]
checks:
  dying: {{service: dying, process: {{pid_file: {folder}/none.pid}}, every: 200ms}}
rules:
  dead:
    check: dying
    when: up == 0
    for: 0s
    limit: [3/5s]
    steps:
      - restart: {{}}
        tries: 100000
        cooldown: 0s
        settle: 0s
        verify: 100ms
        timeout: 1s
"""


def moments(log: Path, word: str) -> list[float]:
    if not log.exists():
        return []
    return [float(line.split()[1]) for line in log.read_text().splitlines() if line.startswith(word + " ")]


@pytest.mark.timeout(900)
def test_no_window_holds_more_restarts_than_the_limit_whatever_is_killed(tmp_path: Path) -> None:
    script, log = tmp_path / "restart.sh", tmp_path / "starts"
    script.write_text(SERVICE.format(takes=TAKES))
    script.chmod(0o755)
    chance = random.Random(20261122)
    daemon = DaemonProcess(tmp_path, RULES.format(script=script, log=log, folder=tmp_path))
    up = 0.0  # seconds in which a daemon could act: starting takes as long as the machine is busy
    for kill in range(KILLS):
        daemon.start()
        before, began = len(moments(log, "begin")), time.monotonic()
        if kill % 10 < 7:  # in an attempt: at a random moment after the service itself said that one began
            daemon.ready()
            began = time.monotonic()
            wait_until(
                lambda before=before: len(moments(log, "begin")) > before, within=30.0, what=daemon.text()[-3000:]
            )
            pause = chance.uniform(0.0, TAKES * 0.8)
        else:
            pause = chance.uniform(0.3, 2.0)  # while it starts, or with nothing under way
        deadline = time.monotonic() + pause
        while time.monotonic() < deadline:
            time.sleep(0.005)
        daemon.kill()
        up += time.monotonic() - began
    counts = moments(log, "begin")
    windows = [last - first for first, last in zip(counts, itertools.islice(counts, LIMIT, None), strict=False)]
    assert min(windows) >= WINDOW, f"{LIMIT + 1} restarts within {min(windows):.3f}s"
    in_flight = len(counts) - len(moments(log, "end"))  # a restart that was killed with heald never said its end
    assert in_flight >= IN_FLIGHT, "too few kills with an attempt in flight to prove anything"
    assert len(counts) >= 0.5 * LIMIT * up / WINDOW, "a daemon that does nothing proves nothing"
