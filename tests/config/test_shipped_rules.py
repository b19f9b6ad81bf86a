"""The rules.yaml that heald ships: valid with nothing around it, and what it takes over from people."""

import os
import re
from pathlib import Path

import pytest

from daemon.clock import SystemClock
from daemon.config.lint import lint
from daemon.config.load import load
from daemon.config.setup import Setup
from daemon.model.rule import Verdict
from daemon.model.settings import Mode
from daemon.testing.once import Pass, run_once

SHIPPED = Path(__file__).parents[2] / "rules.yaml"
OF_THE_HOST = {"containers", "disk", "load", "memory", "units"}


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> Setup:
    for name in list(os.environ):
        if name != "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)
    return load(SHIPPED, node="node")


def look(setup: Setup, *names: str) -> Pass:
    return run_once(setup, names, clock=SystemClock(), node="node")


def test_it_is_valid_without_any_environment_and_only_observes(setup: Setup) -> None:
    assert setup.settings.mode is Mode.OBSERVE
    assert setup.settings.allow == frozenset()


def test_it_looks_at_every_port_of_the_daily_health_check(setup: Setup) -> None:
    ports = sorted(check.options.port for check in setup.checks.values() if check.type == "tcp")  # type: ignore[attr-defined]  # tcp's Options
    assert ports == [3000, 5432, 6379, 8000, 8080, 8081, 8082, 8501, 9000, 9090, 9092, 9093]


def test_every_check_has_a_rule_and_every_rule_a_sentence(setup: Setup) -> None:
    judged = {name for rule in setup.rules for name in rule.checks}
    assert judged == set(setup.checks)
    assert all(rule.summary for rule in setup.rules)


def test_every_check_but_those_of_the_host_has_a_service_and_they_know_what_they_need(setup: Setup) -> None:
    assert {name for name, check in setup.checks.items() if check.service is None} == OF_THE_HOST
    assert {check.service for check in setup.checks.values()} - {None} == set(setup.services)
    assert setup.upstream["dashboard"] == ("api", "postgres", "redis", "kafka")
    assert setup.upstream["streaming"] == ("spark-master", "kafka", "minio")


def test_a_rule_of_a_tier_judges_all_checks_of_its_services(setup: Setup) -> None:
    assert {service.labels["tier"] for service in setup.services.values()} == {
        "store",
        "stream",
        "spark",
        "web",
        "monitoring",
    }
    rule = next(rule for rule in setup.rules if rule.name == "monitoring-down")
    names = ("prometheus", "grafana", "alertmanager")
    assert set(rule.checks) == {f"{name}_{what}" for name in names for what in ("port", "health")}


def test_every_service_is_run_by_the_compose_project_under_its_own_name(setup: Setup) -> None:
    resources = {name: manager.resource for name, manager in setup.managers.items()}
    assert resources == {name: f"compose:ecap/{name}@node" for name in setup.services}


def test_its_steps_need_nothing_but_restart_and_what_keeps_state_asks_first(setup: Setup) -> None:
    steps = [(rule.name, step) for rule in setup.rules for step in rule.steps]
    assert {step.remediation for _, step in steps} == {"restart"}
    assert {name for name, step in steps if step.approval} == {
        "kafka-down",
        "minio-down",
        "postgres-down",
        "redis-down",
    }


def test_every_rule_that_says_that_a_service_is_down_heals_it(setup: Setup) -> None:
    down = {rule.name for rule in setup.rules if rule.name.endswith("-down") and rule.name != "container-down"}
    assert len(down) == 10
    assert {rule.name for rule in setup.rules if rule.steps} > down


def test_it_waits_after_a_restart_as_long_as_the_runbook(setup: Setup) -> None:
    settles = {rule.name: rule.steps[0].settle for rule in setup.rules if rule.steps}
    runbook = {"api-down": 10, "dashboard-down": 15, "spark-master-down": 15, "postgres-down": 20, "kafka-down": 30}
    assert {name: settles[name] for name in runbook} == runbook


def test_changing_mode_and_allow_is_all_that_healing_needs(tmp_path: Path) -> None:
    text = SHIPPED.read_text().replace("mode: observe", "mode: act").replace("allow: []", "allow: [restart]")
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    settings = load(file, node="node").settings
    assert (settings.mode, settings.allow) == (Mode.ACT, {"restart"})


@pytest.mark.parametrize(("name", "variable"), [("postgres", "ECAP_DATABASE_URL"), ("redis", "ECAP_REDIS_PASSWORD")])
def test_a_missing_secret_blinds_its_check_with_the_reason_and_its_rules_do_nothing(
    setup: Setup, name: str, variable: str
) -> None:
    seen = look(setup, name)
    assert [run.readings for run in seen.runs] == [()]
    assert f"the environment variable {variable} is not set" in (seen.runs[0].error or "")
    assert len(seen.findings) == 3
    assert {finding.verdict for finding in seen.findings} == {Verdict.UNKNOWN}


def test_the_host_is_looked_at_with_nothing_set(setup: Setup) -> None:
    seen = look(setup, "disk", "load", "memory")
    assert [run.error for run in seen.runs] == [None] * 3
    assert {run.check: bool(run.readings) for run in seen.runs} == {"disk": True, "load": True, "memory": True}
    assert {finding.rule for finding in seen.findings} >= {"disk-high", "disk-critical", "load-high", "memory-low"}


def test_it_fires_after_the_times_of_the_alerts_that_it_takes_over(setup: Setup) -> None:
    waits = {rule.name: set(rule.for_seconds.values()) for rule in setup.rules}
    assert (waits["api-down"], waits["postgres-down"], waits["disk-high"]) == ({60}, {30}, {300})


def test_with_all_that_not_every_ecap_has_it_is_as_complete(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    [command] = re.findall(r"sed -i '(.*)' rules.yaml", SHIPPED.read_text())
    assert command == "s/#: //"  # what the file itself says
    file.write_text(re.sub("#: ", "", SHIPPED.read_text()))
    setup = load(file, node="node")
    assert lint(file) == []
    assert {name for rule in setup.rules for name in rule.checks} == set(setup.checks)
    assert {check.service for check in setup.checks.values()} - {None} == set(setup.services)
    assert setup.upstream["kafka"] == ("zookeeper",)
    monitoring = next(rule for rule in setup.rules if rule.name == "monitoring-down")
    assert {"logstash_port", "kibana"} < set(monitoring.checks)
    steps = {rule.name: rule.steps[0] for rule in setup.rules if rule.steps}
    assert (steps["zookeeper-down"].settle, steps["zookeeper-down"].approval) == (30, True)
    assert "elasticsearch" not in setup.upstream["api"]


def test_every_row_that_it_takes_over_is_named_in_it() -> None:
    text = SHIPPED.read_text()
    rows = ["H1", "H2", "H3", "H4", "S1", "S2", "S3", "S7", "S8", "PG1", "PG11", "RD1", "SP1", "SP3", "M1", "MO1"]
    rows += ["MO2", "MO4", "K1", "N2", "N3", "HO1", "HO2", "HO4", "I4"]
    assert [row for row in rows if not re.search(rf"# .*\b{row}\b", text)] == []
