"""heald's metrics: every name is there, Prometheus' own tools accept them, and counting costs next to nothing."""

import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from daemon.metrics import Metrics, RunResult, Sources
from daemon.model.check import Reading
from daemon.model.incident import HoldReason, Incident, IncidentState
from daemon.model.moment import Stamp
from daemon.model.remediation import AttemptState, Verification
from daemon.model.rule import Limit, Rule, Severity
from daemon.model.settings import Mode

OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
STAMP = Stamp(wall=1_700_000_000.0, boot="b", boottime=100.0, host="node", synchronised=True)
NAMES = """check_runs_total check_duration_seconds check_up sample schedule_lag_seconds incidents holds_total
attempts_total attempts_verified_total mode paused check_blind store_writable handed_over time_to_detect_seconds
time_to_heal_seconds budget_remaining config_last_reload_successful config_last_reload_success_timestamp_seconds
store_writes_total build_info"""


def incident(number: int, *, state: IncidentState = IncidentState.FIRING) -> Incident:
    return Incident(
        id=f"INC-{number}",
        rule="api-down",
        check="api_health",
        subject="",
        service="api",
        severity=Severity.P1,
        state=state,
        opened=STAMP,
        because="up == 0",
    )


def rule(name: str) -> Rule:
    return Rule(name=name, order=0, checks=("api_health",), when={}, for_seconds={}, severity=Severity.P1)


def sources(
    readings: Iterable[tuple[str, Iterable[Reading]]] = (),
    incidents: Iterable[Incident] = (),
    rules: Iterable[Rule] = (),
    budgets: Iterable[tuple[str, Limit, int]] = (),
) -> Sources:
    return Sources(
        readings=lambda: readings,
        incidents=lambda: incidents,
        handed_over=lambda: 1,
        rules=lambda: rules,
        budgets=lambda: budgets,
        mode=lambda: Mode.ACT,
        is_paused=lambda: True,
        is_store_writable=lambda: False,
        store_writes=lambda: {"ok": 1, "error": 2},
    )


def full() -> Metrics:
    metrics = Metrics(version="1.2.3")
    metrics.check("api_health").observe(RunResult.OK, 0.02)
    metrics.schedule_lag.observe(0.1)
    metrics.time_to_detect.observe(60.0)
    metrics.time_to_heal.observe(7200.0)
    metrics.held("api-down", HoldReason.COOLDOWN)
    metrics.attempted("restart", AttemptState.SUCCEEDED)
    metrics.verified("restart", Verification.EFFECTIVE)
    metrics.reloaded(ok=True, at=1_700_000_000.0)
    metrics.read_from(
        sources(
            readings=[
                ("api_health", [Reading(samples={"up": 1, "latency_seconds": 0.25, "state": "well", "fresh": True})])
            ],
            incidents=[incident(1), incident(2, state=IncidentState.RECOVERING)],
            rules=[rule("api-down"), rule("quiet")],
            budgets=[("all", Limit(count=20, window=3600.0), 19)],
        )
    )
    return metrics


def text_of(metrics: Metrics, accept: str = "") -> str:
    page = metrics.page(accept)
    return page.host() + "".join(page.rows())


def values(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return parsed(text_of(metrics))


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    return values(metrics).get((f"heald_{name}", tuple(sorted((labels or {}).items()))))


def test_every_promised_name_is_shown() -> None:
    text = text_of(full())
    for name in NAMES.split():
        assert f"# TYPE heald_{name} " in text, name


def test_checks_and_rules_that_go_while_a_page_is_made_do_not_break_it() -> None:
    metrics = full()
    rows = metrics.page().rows()
    text = next(rows)
    for name in ("api_health", "other"):
        metrics.check(name).observe(RunResult.BLIND, 3.0)
        metrics.forget(name)
        text += next(rows)
    metrics.forget_rules({"api-down"})
    metrics.check("new").skipped()
    metrics.read_from(sources())
    found = parsed(text + "".join(rows))
    assert {dict(labels)["check"] for _, labels in found if "check" in dict(labels)} == {"api_health"}


def test_a_row_says_what_is_counted_when_it_is_taken_and_all_of_it_at_once() -> None:
    metrics = full()
    rows = metrics.page().rows()
    text = "".join(next(rows) for _ in range(3))
    assert text.endswith("# TYPE heald_check_blind gauge\n")
    metrics.check("api_health").observe(RunResult.OK, 40.0)
    found = parsed(text + "".join(rows))
    labels = (("check", "api_health"),)
    assert found["heald_check_runs_total", (*labels, ("result", "ok"))] == 1
    assert found["heald_check_duration_seconds_bucket", (*labels, ("le", "+Inf"))] == 2
    assert found["heald_check_duration_seconds_count", labels] == 2
    assert found["heald_check_duration_seconds_sum", labels] == pytest.approx(40.02)


def test_promtool_finds_nothing_to_say() -> None:
    text = text_of(full()).encode()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_open_metrics_is_what_its_own_parser_reads() -> None:
    text = text_of(full(), OPEN_METRICS)
    assert full().page(OPEN_METRICS).content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_open_metrics(text)}
    assert families["heald_check_runs"].type == "counter"
    assert families["heald_build"].samples[0].labels == {"version": "1.2.3"}


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/openmetrics-text; version=rubbish"])
def test_anything_else_gets_prometheus_own_format(accept: str) -> None:
    assert full().page(accept).content_type.startswith("text/plain; version=0.0.4")
    assert "# EOF" not in text_of(full(), accept)


def test_runs_are_counted_by_how_they_ended() -> None:
    metrics = Metrics(version="0")
    check = metrics.check("web")
    check.observe(RunResult.OK, 0.004)
    check.observe(RunResult.OK, 0.005)
    check.observe(RunResult.TIMEOUT, 40.0)
    check.skipped()
    assert value(metrics, "check_runs_total", {"check": "web", "result": "ok"}) == 2
    assert value(metrics, "check_runs_total", {"check": "web", "result": "timeout"}) == 1
    assert value(metrics, "check_runs_total", {"check": "web", "result": "skipped"}) == 1
    assert value(metrics, "check_runs_total", {"check": "web", "result": "blind"}) == 0
    assert value(metrics, "check_duration_seconds_bucket", {"check": "web", "le": "0.005"}) == 2
    assert value(metrics, "check_duration_seconds_bucket", {"check": "web", "le": "30.0"}) == 2
    assert value(metrics, "check_duration_seconds_count", {"check": "web"}) == 3
    assert value(metrics, "check_duration_seconds_sum", {"check": "web"}) == pytest.approx(40.009)


def test_a_check_is_blind_until_a_run_can_look_and_a_skip_changes_nothing() -> None:
    metrics = Metrics(version="0")
    check = metrics.check("web")
    check.observe(RunResult.BLIND, 0.1)
    check.skipped()
    assert value(metrics, "check_blind", {"check": "web"}) == 1
    check.observe(RunResult.OK, 0.1)
    assert value(metrics, "check_blind", {"check": "web"}) == 0


def test_the_same_check_keeps_its_numbers_and_a_forgotten_one_leaves_no_label() -> None:
    metrics = Metrics(version="0")
    metrics.check("web").observe(RunResult.OK, 0.1)
    metrics.held("web-down", HoldReason.MODE)
    assert metrics.check("web").runs[RunResult.OK] == 1
    metrics.forget("web")
    metrics.forget_rules({"web-down"})
    metrics.forget("never heard of")
    assert not [labels for _, labels in values(metrics) if ("check", "web") in labels or ("rule", "web-down") in labels]


def test_strings_and_missing_values_are_no_samples() -> None:
    metrics = full()
    nan = Reading(subject="/a", samples={"up": 1, "used_percent": float("nan"), "free_bytes": float("inf")})
    metrics.read_from(sources(readings=[("disk", [nan])]))
    assert [key for key in values(metrics) if key[0] == "heald_sample"] == []
    assert value(metrics, "check_up", {"check": "disk", "subject": "/a"}) == 1
    assert value(full(), "sample", {"check": "api_health", "subject": "", "sample": "fresh"}) == 1
    assert value(full(), "sample", {"check": "api_health", "subject": "", "sample": "latency_seconds"}) == 0.25


def test_doubled_subjects_and_names_that_are_not_utf8_do_not_spoil_the_scrape() -> None:
    metrics = Metrics(version="0")
    twice = Reading(subject="/x\udcff", samples={"up": 1})
    metrics.read_from(sources(readings=[("disk", [twice, twice])]))
    text = text_of(metrics)
    assert text.count("heald_check_up{") == 1
    assert value(metrics, "check_up", {"check": "disk", "subject": "/x?"}) == 1


def test_label_values_with_quotes_and_line_breaks_are_escaped() -> None:
    metrics = Metrics(version="0")
    metrics.read_from(sources(readings=[("disk", [Reading(subject='a"b\\c\nd', samples={"up": 0})])]))
    assert value(metrics, "check_up", {"check": "disk", "subject": 'a"b\\c\nd'}) == 0


def test_a_rule_without_an_incident_shows_zero() -> None:
    metrics = full()
    assert value(metrics, "incidents", {"rule": "api-down", "severity": "P1", "state": "firing"}) == 1
    assert value(metrics, "incidents", {"rule": "api-down", "severity": "P1", "state": "recovering"}) == 1
    assert value(metrics, "incidents", {"rule": "quiet", "severity": "P1", "state": "firing"}) == 0
    assert value(metrics, "handed_over") == 1


def test_mode_pause_and_store_are_read_at_the_scrape() -> None:
    metrics = full()
    assert (value(metrics, "mode", {"mode": "act"}), value(metrics, "mode", {"mode": "observe"})) == (1, 0)
    assert (value(metrics, "paused"), value(metrics, "store_writable")) == (1, 0)


def test_of_two_limits_over_one_window_the_nearer_is_shown() -> None:
    metrics = Metrics(version="0")
    limit = Limit(count=3, window=5400.0)
    metrics.read_from(sources(budgets=[("command:web@node", limit, 2), ("command:web@node", limit, 1)]))
    assert value(metrics, "budget_remaining", {"resource": "command:web@node", "window": "1h30m"}) == 1


def test_a_failed_reload_keeps_the_time_of_the_last_good_one() -> None:
    metrics = Metrics(version="0")
    assert value(metrics, "config_last_reload_successful") is None
    metrics.reloaded(ok=True, at=50.0)
    metrics.reloaded(ok=False, at=60.0)
    assert value(metrics, "config_last_reload_successful") == 0
    assert value(metrics, "config_last_reload_success_timestamp_seconds") == 50.0


def test_writes_that_failed_are_counted_apart() -> None:
    metrics = full()
    assert value(metrics, "store_writes_total", {"result": "ok"}) == 1
    assert value(metrics, "store_writes_total", {"result": "error"}) == 2


def test_two_daemons_in_one_process_share_nothing() -> None:
    one, other = Metrics(version="1"), Metrics(version="2")
    one.check("web").observe(RunResult.OK, 0.1)
    assert "web" not in text_of(other)


def test_observing_a_run_costs_microseconds() -> None:
    check = Metrics(version="0").check("web")
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(10_000):
            check.observe(RunResult.OK, 0.02)
        rounds.append((time.process_time() - began) / 10_000)
    assert min(rounds) < 3e-6


def test_the_page_for_operators_names_what_is_shown_and_nothing_else() -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "metrics.md").read_text()
    named = set(re.findall(r"^\| `(heald_\w+)`", page, re.MULTILINE))
    exposed = text_of(full())
    shown = set(re.findall(r"^# TYPE (heald_\w+) ", exposed, re.MULTILINE))
    assert named == shown


def test_the_page_for_operators_names_the_labels_that_are_shown() -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(heald_\w+)` \| \w+ \| ([^|]*) \|", page, re.MULTILINE)
    named = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    shown: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(heald_\w+?)(?:_bucket)?\{(.*)\} ", text_of(full()), re.MULTILINE):
        shown.setdefault(name, set()).update(set(re.findall(r'(\w+)="', labels)) - {"le"})
    assert {name: labels for name, labels in named.items() if labels} == {
        name: labels for name, labels in shown.items() if labels and name in named
    }
