"""`heald eval`: the verdict, because, and every way of asking wrongly."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from daemon.cli.eval import eval_command
from daemon.model.check import Dimension, SampleSpec

_DIMENSIONS = {
    "up": Dimension.NONE,
    "latency_seconds": Dimension.SECONDS,
    "status": Dimension.NONE,
    "body_bytes": Dimension.BYTES,
    "used_percent": Dimension.PERCENT,
    "io": Dimension.BYTES_PER_SECOND,
    "state": Dimension.STRING,
    "valid": Dimension.BOOLEAN,
}
_SPECS = {name: SampleSpec(name=name, dimension=unit, meaning=name) for name, unit in _DIMENSIONS.items()}


@pytest.fixture(autouse=True)
def _types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discovery that finds two types with samples of every dimension."""
    found = SimpleNamespace(checks={"web": SimpleNamespace(samples=_SPECS), "disk": SimpleNamespace(samples={})})
    discover = ModuleType("daemon.config.discover")
    discover.discover_types = lambda: found  # type: ignore[attr-defined]  # a module of the test's own
    monkeypatch.setitem(sys.modules, "daemon.config.discover", discover)


def ask(expression: str, *options: str, type_name: str = "web") -> Result:
    return CliRunner().invoke(eval_command, [expression, "--type", type_name, *options])


def sampled(expression: str, *samples: str) -> list[str]:
    result = ask(expression, *(part for sample in samples for part in ("--sample", sample)))
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_the_first_line_is_the_verdict_and_the_second_because() -> None:
    lines = sampled("up == 0 or latency_seconds > 5s", "latency_seconds=7.2s", "status=500")
    assert lines == ["BREACHED", "latency_seconds = 7.2s > 5s"]
    assert sampled("status >= 500", "status=200") == ["CLEAR", "status = 200 < 500"]


def test_what_is_not_given_is_missing() -> None:
    assert sampled("up == 0") == ["UNKNOWN", "up is missing: the reading has no such sample"]


def test_missing_says_so_aloud() -> None:
    result = ask("body_bytes > 1B", "--missing", "body_bytes")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "UNKNOWN")
    assert ask("not has(body_bytes)", "--missing", "body_bytes").stdout.startswith("BREACHED")


@pytest.mark.parametrize(
    ("sample", "condition"),
    [
        ("latency_seconds=7.2", "latency_seconds == 7200ms"),  # a bare number is in the sample's own unit
        ("latency_seconds=1m30s", "latency_seconds == 90s"),
        ("latency_seconds=-5", "latency_seconds == -5s"),
        ("body_bytes=1024", "body_bytes == 1KiB"),
        ("body_bytes=1KiB", "body_bytes == 1024B"),
        ("used_percent=85", "used_percent == 85%"),
        ("used_percent=85%", "used_percent == 85%"),
        ("io=1MB/s", "io == 1000kB/s"),
        ("io=5", "io == 5B/s"),
        ("up=1e0", "up == 1"),
        ("state=is down=really", "state == 'is down=really'"),
        ("state='down'", 'state == "down"'),
        ("state=", 'state == ""'),
        ("state=''", 'state == ""'),
        ("state='", 'state == "\'"'),
        ("state=XupX", "state == 'XupX'"),
        ("valid=true", "valid"),
        ("valid=false", "not valid"),
    ],
)
def test_a_sample_is_given_in_its_unit(sample: str, condition: str) -> None:
    assert sampled(condition, sample)[0] == "BREACHED"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN"])
def test_nan_and_infinities_are_missing(value: str) -> None:
    assert sampled("up >= 0", f"up={value}") == ["UNKNOWN", "up is missing: it is no finite number"]


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("avg(latency_seconds, 5m) == 2s", "BREACHED"),
        ("sum(latency_seconds, 5m) == 2s", "BREACHED"),
        ("delta(latency_seconds, 5m) > 0s", "UNKNOWN"),
        ("rate(latency_seconds, 5m) > 0s/s", "UNKNOWN"),
        ("trend(latency_seconds, 5m) > 0s/s", "UNKNOWN"),
        ("time_until(latency_seconds, 5s, 5m) > 0s", "UNKNOWN"),
        ("unchanged(latency_seconds) == 0s", "BREACHED"),
        ("age() == 0s", "BREACHED"),
        ("count_of(latency_seconds > 1s, 1, 1)", "BREACHED"),
        ("count_of(latency_seconds > 1s, 1, 5)", "BREACHED"),
        ("count_of(latency_seconds > 1s, 2, 5)", "UNKNOWN"),
    ],
)
def test_windows_see_this_one_run(expression: str, verdict: str) -> None:
    assert sampled(expression, "latency_seconds=2s")[0] == verdict


def test_a_wrong_expression_exits_2_with_a_caret_under_the_place() -> None:
    result = ask("latency_seconds > 5", "--sample", "latency_seconds=7.2s")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "latency_seconds > 5",
        "                  ^",
        "column 19: latency_seconds is seconds; write 5s",
    ]


def test_an_expression_may_begin_with_a_minus() -> None:
    assert sampled("-latency_seconds < 0s", "latency_seconds=2s")[0] == "BREACHED"
    assert sampled("-1 * up < 0", "up=1")[0] == "BREACHED"
    assert sampled("-(up) < 0", "up=-1")[0] == "CLEAR"


def test_a_mistyped_option_is_no_expression() -> None:
    result = CliRunner().invoke(eval_command, ["--smaple", "up=1", "up == 0", "--type", "web"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--smaple" in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--sample", "lateny_seconds=5"], "did you mean latency_seconds?"),
        (["--sample", "up"], "a sample is given as NAME=VALUE; write up=1"),
        (
            ["--sample", "up=x"],
            "x is not a number; write numbers as 5, 0.5 or 1e6, with a unit as 5s, 1m30s, 2GiB or 85%",
        ),
        (["--sample", "up=5x"], "5x has an unknown unit x; units are"),
        (["--sample", "up=y"], "; up is a plain number, such as 5"),
        (["--sample", "up="], "'' is not a number"),
        (["--sample", "up=5/x"], "'5/x' is not a number"),
        (["--sample", "up=5s"], "5s is seconds, and up is a plain number"),
        (["--sample", "latency_seconds=5GiB"], "5GiB is bytes, and latency_seconds is seconds, such as 5s"),
        (["--sample", "latency_seconds=5sec"], "write 5s"),
        (["--sample", "valid=1"], "valid is true or false; write valid=true"),
        (["--sample", "up=1", "--sample", "up=0"], "up is given twice"),
        (["--sample", "up=1", "--missing", "up"], "up is given by --sample as well"),
        (["--missing", "upp"], "--missing upp: there is no sample upp; samples are up"),
    ],
)
def test_a_wrong_sample_exits_2_and_says_what_is_allowed(options: list[str], says: str) -> None:
    result = ask("up == 0", *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr


def test_an_unknown_type_exits_2_with_what_was_meant() -> None:
    result = ask("up == 0", type_name="dsik")
    assert result.exit_code == 2
    assert "there is no check type dsik; types are disk, web; did you mean disk?" in result.stderr


def test_the_type_is_required() -> None:
    assert CliRunner().invoke(eval_command, ["up == 0"]).exit_code == 2


def test_other_checks_are_not_known_here() -> None:
    result = ask("db.connections > 5")
    assert result.exit_code == 2
    assert "there is no check db" in result.stderr
