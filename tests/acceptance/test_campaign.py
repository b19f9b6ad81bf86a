"""The crash campaign, in short; what its judge says of counts that are wrong; and that it finds a broken memory."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from campaign.__main__ import missing
from campaign.lane import TRIES, Settings, Street
from campaign.plan import KINDS, Round, plan
from campaign.verdict import BUDGET, SERVICE_LIMIT, WINDOW, Effect, Lane, judge, most_in_a_window

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def can_crash() -> None:
    lacks = missing()
    if lacks is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the campaign needs {lacks}")
        pytest.skip(f"the campaign needs {lacks}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's may have 107 bytes, and pytest's own folders leave too few of them."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def campaign(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "campaign", *arguments]
    env = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("can_crash")
def test_no_window_holds_more_than_the_limit_however_heald_dies(folder: Path) -> None:
    # Of so few kills, one of each kind, fewer have an attempt in flight than of many.
    short = ("--lanes", "5", "--stop-for", "2", "--in-flight", "0.4")
    done = campaign(folder, "--rounds", str(len(KINDS)), "--seed", "1", *short)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"campaign: {len(KINDS)} kills" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("can_crash")
def test_a_daemon_that_forgets_over_a_crash_is_found(folder: Path) -> None:
    done = campaign(folder, "--forget", "--only", "effect", "--rounds", "5", "--seed", "1", "--lanes", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f" within {WINDOW:g} s" in done.stderr


# ---- a lane ---------------------------------------------------------------------------------------------------------

ROUND = Round(kind="effect", nth=1, share=0.5, jump=60)


class Slow(Street):
    """A lane whose daemons are too slow so many times."""

    def __init__(self, folder: Path, misses: int) -> None:
        super().__init__(folder, Settings(stop_for=1.0, faketime=None, forgets=False), threading.Event())
        self.lives = 0
        self._misses = misses

    def _effect(self, it: Round) -> None:
        self.lives += 1
        self._is_missed = self.lives <= self._misses


@pytest.mark.parametrize(("misses", "lives", "said"), [(0, 1, 0), (TRIES - 1, TRIES, 0), (99, TRIES, 1)])
def test_a_round_that_missed_its_point_comes_again_before_that_is_held_against_heald(
    tmp_path: Path, misses: int, lives: int, said: int
) -> None:
    lane = Slow(tmp_path, misses)
    lane._live_to_its_point(ROUND)
    assert (lane.lives, lane.seen.missed["effect"]) == (lives, said)


def test_a_record_that_lost_an_attempt_is_found(tmp_path: Path) -> None:
    lane = Slow(tmp_path, 0)
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / "heald.db")) as database:
        database.execute("CREATE TABLE attempts (id, state)")
        database.execute("INSERT INTO attempts VALUES ('kept', 'running')")
        database.commit()
    lane._is_killed(ROUND)
    assert (lane.seen.in_flight["effect"], lane.seen.faults) == (1, [])
    lane.seen.recorded.add("gone")
    lane._is_killed(ROUND)
    assert lane.seen.faults == ["the record lost gone in a round of effect"]
    assert (lane.seen.kills["effect"], lane.seen.in_flight["effect"]) == (2, 1)


def begun(lane: Slow, *lines: str) -> None:
    lane._count.write_text("".join(f"begin {line}\nend\n" for line in lines))


def test_an_attempt_of_this_life_that_was_claimed_too_late_is_found_by_its_id(tmp_path: Path) -> None:
    lane = Slow(tmp_path, 0)
    begun(lane, "1.0 one 0000000009000-of-another-life", "2.0 one 0000000003000-aa", "3.0 two 0000000005000-bb")
    lane._done = 1
    lane._never(ROUND, "after all", lambda claimed: claimed > 5.0)
    assert lane.seen.faults == []
    lane._never(ROUND, "after all", lambda claimed: claimed > 4.0)
    (fault,) = lane.seen.faults
    assert fault.startswith("attempt 0000000005000-bb was made after all, in a round of effect: see ")


def test_an_effect_that_names_no_attempt_is_none_that_can_be_counted(tmp_path: Path) -> None:
    lane = Slow(tmp_path, 0)
    begun(lane, "1.0 one -", "2.0 two 0000000003000-aa")
    assert [it.attempt for it in lane._effects()] == [None, "0000000003000-aa"]


@pytest.mark.parametrize(
    ("logged", "lines"),
    [
        (("one",), []),
        ((), ["1.0 two 0000000003000-aa"]),  # one acts all the same
    ],
)
def test_a_hold_is_waited_for_until_a_rule_has_it_or_one_acts(
    tmp_path: Path, logged: tuple[str, ...], lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Slow(tmp_path, 0)
    begun(lane)
    said = [f'{{"event": "held", "rule": "{name}-dead", "reason": "clock_jumped"}}\n' for name in logged]
    looked: list[bool] = []

    def wait(happened: Callable[[], bool], within: float = 0.0) -> bool:
        lane._log.write_text("")
        looked.append(happened())
        lane._log.write_text("".join(said))
        begun(lane, *lines)
        return happened()

    monkeypatch.setattr(lane, "_wait", wait)
    assert lane._holds("clock_jumped")
    assert looked == [False]


# ---- the plan and the judge -----------------------------------------------------------------------------------------


def test_the_same_seed_plans_the_same_rounds_and_every_kind_comes() -> None:
    assert plan(500, 7) == plan(500, 7) != plan(500, 8)
    assert {it.kind for it in plan(len(KINDS), 7)} == set(KINDS)
    assert len(plan(3, 7)) == 3


def test_a_window_ends_before_the_moment_that_is_its_length_later() -> None:
    assert most_in_a_window([]) == 0
    assert most_in_a_window([0.0, 1.0, WINDOW]) == 2
    assert most_in_a_window([3.0, WINDOW - 0.01, 0.0]) == 3


def effects(*at: float, service: str = "one", attempt: str | None = None) -> list[Effect]:
    return [Effect(service=service, at=moment, attempt=attempt) for moment in at]


def lane(*made: Effect, up: float = 1.0) -> Lane:
    found = Lane(effects=list(made), up=up, recorded={"known"})
    found.kills["effect"] = found.in_flight["effect"] = 1
    return found


def test_what_is_within_the_limits_is_right() -> None:
    assert judge([lane(*effects(0.0, 1.0, 2.0), *effects(3.0, attempt="known", service="two"))]).wrong == ()


def test_one_more_than_a_service_may_have_is_found() -> None:
    (wrong,) = judge([lane(*effects(*range(SERVICE_LIMIT + 1)))]).wrong
    assert wrong == f"lane 0: service one was restarted {SERVICE_LIMIT + 1} times within {WINDOW:g} s"


def test_one_more_than_all_may_have_together_is_found() -> None:
    both = [*effects(0.0, 1.0, 2.0), *effects(0.0, 1.0, 2.0, service="two")]
    (wrong,) = judge([lane(*both)]).wrong
    assert wrong == f"lane 0: {BUDGET + 1} restarts within {WINDOW:g} s, with a budget of {BUDGET}"


def test_an_attempt_that_was_not_recorded_or_was_made_twice_is_found() -> None:
    assert judge([lane(*effects(0.0, attempt="lost"))]).wrong == ("lane 0: attempt lost is not in the record",)
    assert judge([lane(*effects(0.0, 1.0, attempt="known"))]).wrong == ("lane 0: attempt known was made 2 times",)


def test_a_daemon_that_does_nothing_proves_nothing() -> None:
    (wrong,) = judge([lane(*effects(0.0), up=10 * WINDOW)]).wrong
    assert "a daemon that does nothing proves nothing" in wrong


def test_kills_of_an_idle_daemon_prove_little() -> None:
    idle = lane(*effects(0.0))
    idle.kills["any_moment"] = 1
    assert judge([idle]).wrong == ("only 1 of 2 kills with an attempt in flight",)


def test_a_point_that_was_not_passed_is_said() -> None:
    missed = lane(*effects(0.0))
    missed.missed["reload"] = 1
    assert judge([missed]).wrong == ("1 rounds of reload did not come to the point at which heald was to die",)
