"""The rules.yaml that heald ships: valid with nothing around it, and all of the daily health check."""

from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.setup import Setup
from daemon.model.settings import Mode

SHIPPED = Path(__file__).parents[2] / "rules.yaml"


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> Setup:
    import os

    for name in list(os.environ):
        if name != "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)
    return load(SHIPPED)


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


def test_every_check_has_a_service_and_dependants_come_after_what_they_need(setup: Setup) -> None:
    assert {check.service for check in setup.checks.values()} == set(setup.services)
    assert setup.upstream["dashboard"] == ("api", "postgres", "redis", "kafka")


def test_every_row_that_it_takes_over_is_named_in_it() -> None:
    text = SHIPPED.read_text()
    for row in ("H1", "H2", "H4", "S1", "SP1", "SP3", "M1", "MO1", "K1", "I4"):
        assert row in text, row
