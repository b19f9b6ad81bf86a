"""The arithmetic of the bench: CPU and memory of process trees, ratios, tables."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.peers.compare import Sample, figures
from bench.peers.heald import count
from bench.peers.processes import alive, child, cpu_seconds, members, memory, parse_stat, read_stats, wait_until
from bench.peers.report import Figure, closing, number, percentile, table

BURN = """
import time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""
FAMILY = f"""
import subprocess, sys
burn(0.1)
def start(script):
    return subprocess.Popen([sys.executable, "-S", "-c", {BURN!r} + script], stdout=subprocess.PIPE)
start("burn(0.3)").wait()
living = start("burn(0.3); print('done', flush=True); time.sleep(60)")
living.stdout.readline()
"""


@contextmanager
def python(script: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that says `done` when its work is done, and stays until its input ends."""
    script = BURN + script + "\nprint('done', flush=True)\ninput()\n"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"done\n"
            yield process
        finally:
            process.kill()


def test_the_cpu_of_a_process_is_all_that_it_used() -> None:
    with python("burn(0.2)") as process:
        used = cpu_seconds([process.pid])
    assert 0.2 <= used < 0.6


def test_the_cpu_of_a_tree_has_the_living_and_the_reaped_once_each() -> None:
    with python(FAMILY) as process:
        used = cpu_seconds([process.pid])
        children = members([process.pid], read_stats()) - {process.pid}
        assert len(children) == 1
        held, alone = memory([process.pid]), memory([*children])
        for pid in children:
            os.kill(pid, 9)
    assert 0.7 <= used < 1.3
    assert held.resident > alone.resident > 1_000_000
    assert 0 < held.proportional <= held.resident


def test_a_process_that_is_not_there_uses_nothing() -> None:
    with python("") as process:
        pid = process.pid
    assert cpu_seconds([pid]) == 0.0
    assert memory([pid]).resident == 0


def test_a_name_with_parentheses_and_spaces_does_not_move_the_fields() -> None:
    rest = "S 7 1 1 0 -1 0 0 0 0 0 100 20 3 4 20 0 1 0 5"
    stat = parse_stat(f"42 (a) b (c) {rest}")
    assert (stat.parent, stat.reaped) == (7, 7)


def test_a_child_that_ends_too_soon_is_said_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        child([sys.executable, "-c", "raise SystemExit('no such port')"], log=log) as process,
        pytest.raises(RuntimeError, match="no such port"),
    ):
        wait_until(lambda: not alive(process, log), within=20, what="never")


def test_a_child_is_ended_with_its_block(tmp_path: Path) -> None:
    began = time.monotonic()
    with child(["sleep", "60"], log=tmp_path / "log") as process:
        assert process.poll() is None
    assert process.returncode == -15
    assert time.monotonic() - began < 20


def samples(*micros: float) -> Sequence[Sample]:
    return [Sample(micros=it, done=1.0, resident=1, proportional=1, connections=1.0) for it in micros]


def test_ratios_are_of_the_medians_of_the_rounds() -> None:
    found = {"heald": samples(400, 100, 200), "Prometheus": samples(900, 1200, 5000), "Monit": samples(50, 50, 60)}
    rows = {row.name: row for row in figures("tcp", found, {"Prometheus": 1 / 6, "Monit": 4.0})}
    assert rows["tcp: heald to Prometheus"].value == pytest.approx(1 / 6)
    assert rows["tcp: heald to Prometheus"].is_reached
    assert rows["tcp: heald to Monit"].is_reached
    found["Monit"] = samples(40, 40, 40)
    missed = figures("tcp", found, {"Monit": 4.0})[-1]
    assert (missed.value, missed.is_reached, missed.shortfall) == (5.0, False, 1.25)


def test_a_figure_that_could_not_be_measured_reaches_nothing() -> None:
    assert Figure(name="x", value=math.nan, most=1.0).is_reached is False
    assert Figure(name="x", value=math.nan, least=1.0).is_reached is False
    assert Figure(name="x", value=math.nan).is_reached is None


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([1.0], 0.99) == 1.0
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.16666, "0.167"), (4.0, "4.00"), (426.3, "426"), (2283.0, "2 283"), (-0.5, "-0.500")],
)
def test_numbers_have_three_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_table_says_what_is_reached_and_how_far_off_the_rest_is() -> None:
    rows = [
        Figure(name="a", value=1.0, unit="s", most=2.0),
        Figure(name="b", value=3.0, most=2.0),
        Figure(name="c", value=0.5, least=0.99),
        Figure(name="d", value=7.0),
    ]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(rows).splitlines()]
    assert lines[2:] == [
        ["a", "1.00 s", "≤ 2.00 s", "yes"],
        ["b", "3.00", "≤ 2.00", "no, 1.50 times"],
        ["c", "0.500", "≥ 0.990", "no, 1.98 times"],
        ["d", "7.00", "", ""],
    ]


def test_series_of_a_metrics_page_are_summed_by_their_labels() -> None:
    page = """\
# TYPE heald_runs_total counter
heald_runs_total{check="a",result="ok"} 3.0
heald_runs_total{check="b",result="ok"} 4.0
heald_runs_total{check="b",result="skipped"} 5.0
heald_runs_totally 7.0
heald_paused 1.0
"""
    assert count(page, "heald_runs_total", result="ok") == 7.0
    assert count(page, "heald_runs_total") == 12.0
    assert count(page, "heald_paused") == 1.0


@pytest.mark.parametrize(
    ("values", "status"), [([1.0], 0), ([2.0], 0), ([2.1], 1), ([1.0, 2.1], 1), ([math.nan], 1), ([], 0)]
)
def test_a_missed_target_is_printed_and_fails_the_bench(
    values: list[float], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    explains = Figure(name="explains the others", value=9.0)
    assert closing(explains, *(Figure(name="x", value=value, most=2.0) for value in values)) == status
    assert capsys.readouterr().out.count("≤ 2.00") == len(values)
