"""A good file, linked: defaults, names, what belongs together."""

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.config.setup import Setup
from daemon.engine.condition import Condition
from daemon.model.rule import Limit, Severity
from daemon.model.service import RunBy
from daemon.model.settings import Mode, Settings

Load = Callable[[str], Setup]
WHOLE = """version: 1
settings:
  mode: act
  allow: [restart, run]
  budget: [20/1h, 50/1d]
  startup_grace: 0s
  shutdown_grace: 5s
  escalate_after: 15m
  concurrency: 100
  history: {for: 2d, size: 64MiB}
  listen: "[::1]:9000"
  uvloop: true
services:
  disk: {}
  postgres: {depends_on: [disk], run_by: {command: {restart: [restart-db]}}, limit: [1/6h]}
  redis: {run_by: {supervisor: {socket: /run/supervisor.sock, program: redis}}}
  api:
    depends_on: [postgres, redis]
    run_by: {supervisor: {socket: /run/supervisor.sock, program: api}}
    runbook: https://wiki.example/api
    labels: {tier: web}
checks:
  gateway: {tcp: {host: 10.0.0.1, port: 22}}
  api_health:
    service: api
    http: {url: "http://localhost:8000/health", expect_status: [200]}
    every: 12s
    timeout: 5s
    labels: {tier: web, team: shop}
  db_port: {service: postgres, tcp: {host: localhost, port: 5432}, labels: {tier: store}}
rules:
  api-down:
    check: api_health
    when: up == 0 or avg(latency_seconds, 1m) > 5s
    clear_when: up == 1 and avg(latency_seconds, 1m) < 1s
    for: 0s
    clear_for: 30s
    severity: P1
    steps:
      - restart: {}
        tries: 2
        cooldown: 1m..30m
        settle: 0s
        verify: 1m
        timeout: 90s
        approval: true
      - run: {argv: [notify, api]}
    limit: [3/1h, 7/1d]
    relapse: 20m
    escalate_after: 5m
    runbook: https://wiki.example/api-down
    summary: The API is down.
  anything-down:
    checks: [db_port, gateway]
    when: up == 0
  web-slow:
    checks: {labels: {tier: web}}
    when: latency_seconds > 2s and db_port.up == 1
"""


@pytest.fixture
def read(tmp_path: Path) -> Load:
    def read(text: str) -> Setup:
        file = tmp_path / "rules.yaml"
        file.write_text(text)
        return load(file, node="node")

    return read


def refused(read: Load, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return [f"{problem.path}: {problem.text}" for problem in raised.value.problems]


def test_settings_are_as_they_are_written(read: Load) -> None:
    assert read(WHOLE).settings == Settings(
        mode=Mode.ACT,
        allow=frozenset({"restart", "run"}),
        budget=(Limit(count=20, window=3600.0), Limit(count=50, window=86400.0)),
        startup_grace=0.0,
        shutdown_grace=5.0,
        escalate_after=900.0,
        concurrency=100,
        history_for=2 * 86400.0,
        history_size=64 * 2**20,
        listen="[::1]:9000",
        uvloop=True,
    )


@pytest.mark.parametrize("text", ["version: 1\n", "version: 1\nsettings: {}\nrules: {}\n"])
def test_without_settings_heald_observes_with_the_defaults(read: Load, text: str) -> None:
    setup = read(text)
    assert setup.settings == Settings()
    assert setup.settings.mode is Mode.OBSERVE
    assert (dict(setup.checks), setup.rules, dict(setup.services)) == ({}, (), {})


def test_services_know_who_runs_them_and_what_they_need(read: Load) -> None:
    setup = read(WHOLE)
    api = setup.services["api"]
    assert api.depends_on == ("postgres", "redis")
    assert isinstance(api.run_by, RunBy)
    assert api.run_by.manager == "supervisor"
    assert api.runbook == "https://wiki.example/api"
    assert setup.services["postgres"].limit == (Limit(count=1, window=21600.0),)
    assert api.limit is None
    assert setup.upstream["api"] == ("postgres", "redis", "disk")
    assert setup.managers["api"].resource == "supervisor:/run/supervisor.sock/api@node"
    assert setup.managers["postgres"].resource == "command:postgres@node"
    assert "disk" not in setup.managers


def test_a_check_has_the_defaults_of_its_interval(read: Load) -> None:
    check = read(WHOLE).checks["gateway"]
    assert (check.every, check.timeout, check.retry_every, check.vanish_after) == (30.0, 10.0, 10.0, 300.0)
    assert (check.type, check.service, check.discovers, check.max_subjects) == ("tcp", None, False, 1000)


@pytest.mark.parametrize(
    ("every", "timeout", "retry_every", "vanish_after"),
    [("3s", 3.0, 1.0, 300.0), ("1m", 10.0, 20.0, 600.0), ("10s", 10.0, 10 / 3, 300.0)],
)
def test_short_and_long_intervals_have_others(
    read: Load, every: str, timeout: float, retry_every: float, vanish_after: float
) -> None:
    check = read(f"version: 1\nchecks: {{a: {{tcp: {{host: x, port: 1}}, every: {every}}}}}\n").checks["a"]
    assert (check.timeout, check.retry_every, check.vanish_after) == (timeout, retry_every, vanish_after)


def test_a_rule_is_as_it_is_written(read: Load) -> None:
    rule = read(WHOLE).rules[0]
    assert (rule.name, rule.order, rule.checks, rule.severity) == ("api-down", 0, ("api_health",), Severity.P1)
    assert rule.for_seconds == {"api_health": 0.0}
    assert (rule.clear_for, rule.relapse, rule.escalate_after) == (30.0, 1200.0, 300.0)
    assert rule.limit == (Limit(count=3, window=3600.0), Limit(count=7, window=604800.0 / 7))
    assert (rule.runbook, rule.summary) == ("https://wiki.example/api-down", "The API is down.")
    assert isinstance(rule.when["api_health"], Condition)
    assert rule.clear_when is not None
    assert rule.clear_when["api_health"].text == "up == 1 and avg(latency_seconds, 1m) < 1s"
    step, last = rule.steps
    assert (step.remediation, step.tries, step.cooldown, step.settle) == ("restart", 2, (60.0, 1800.0), 0.0)
    assert (step.verify, step.timeout, step.approval, step.asks) == (60.0, 90.0, True, False)
    assert (last.tries, last.cooldown, last.settle, last.verify) == (1, (60.0, 60.0), 10.0, 60.0)
    assert (last.timeout, last.approval, last.needs_approval) == (120.0, None, False)


def test_a_rule_has_defaults(read: Load) -> None:
    rule = read(WHOLE).rules[1]
    assert rule.checks == ("gateway", "db_port")  # in the file's order
    assert rule.for_seconds == {"gateway": 60.0, "db_port": 60.0}
    assert (rule.severity, rule.clear_for, rule.relapse, rule.escalate_after) == (Severity.P2, 0.0, 600.0, 900.0)
    assert rule.limit == (Limit(count=3, window=3600.0), Limit(count=6, window=86400.0))
    assert rule.steps == ()


def test_labels_select_checks_and_for_is_by_check(read: Load) -> None:
    rule = read(WHOLE).rules[2]
    assert rule.checks == ("api_health",)
    assert rule.for_seconds == {"api_health": 24.0}


def test_a_check_that_no_rule_names_is_measured(read: Load) -> None:
    setup = read("version: 1\nchecks: {a: {tcp: {host: x, port: 1}}}\n")
    assert list(setup.checks) == ["a"]
    assert setup.rules == ()


def test_names_that_yaml_takes_for_something_else_are_names(read: Load) -> None:
    setup = read(
        "version: 1\nservices: {on: {}, 404: {}, no: {depends_on: [on, '404']}}\n"
        "checks: {y: {service: on, tcp: {host: x, port: 1}}}\nrules: {off: {check: y, when: up == 0}}\n"
    )
    assert setup.upstream["no"] == ("on", "404")
    assert setup.rules[0].name == "off"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("run: {argv: [a], success: [0, 3]}", "run: {success: [0, 3], argv: [a]}"),
        ("restart: {}", "restart: {service: null}"),
    ],
)
def test_a_step_has_one_key_however_it_is_written(read: Load, one: str, other: str) -> None:
    keys = [
        read(WHOLE.replace("run: {argv: [notify, api]}", written)).rules[0].steps[1].key for written in (one, other)
    ]
    assert keys[0] == keys[1]


def test_two_different_steps_have_two_keys(read: Load) -> None:
    one, two = read(WHOLE).rules[0].steps
    assert one.key == "restart {}"
    assert two.key == 'run {"argv":["notify","api"]}'


@pytest.mark.parametrize("limit", ["3/1h", "0/1h"])
def test_a_limit_of_none_never_acts_and_is_legal(read: Load, limit: str) -> None:
    assert read(f"version: 1\nsettings: {{budget: [{limit}]}}\n").settings.budget == (
        Limit(count=int(limit[0]), window=3600.0),
    )


def test_zero_is_a_legal_wait_but_no_interval(read: Load) -> None:
    step = "{restart: {}, cooldown: 0s, settle: 0s}"
    rule = read(WHOLE.replace("- run: {argv: [notify, api]}", f"- {step}").replace("for: 30s", "for: 0s")).rules[0]
    assert (rule.steps[1].cooldown, rule.steps[1].settle, rule.clear_for) == ((0.0, 0.0), 0.0, 0.0)
    for wrong in ("verify: 0s", "timeout: 0s"):
        said = refused(read, WHOLE.replace("{argv: [notify, api]}", "{argv: [notify, api]}\n        " + wrong))
        assert said == [f"rules.api-down.steps[1].{wrong[:-4]}: 0s is no interval; write 10ms or more, such as 30s"]


def test_observing_with_an_allow_list_and_acting_without_steps_are_fine(read: Load) -> None:
    assert read("version: 1\nsettings: {mode: observe, allow: [restart]}\n").settings.allow == {"restart"}
    assert read("version: 1\nsettings: {mode: act}\n").settings.mode is Mode.ACT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cooldown: 0s..5m", "the range 0s..5m begins at 0s"),
        ("cooldown: 5", "a cooldown is a duration such as 5m"),
        ("cooldown: 5m..x", "'x' is not a duration"),
        ("settle: 1000d11w", "the units of a duration go from large to small"),
        ("settle: 999w", "a duration is at most ten years"),
        ("tries: 1.5", "found the number 1.5; expected a whole number"),
        ("tries: true", "found the truth value true; expected a whole number"),
        ("approval: 1", "found the number 1; expected true or false"),
        ("timeout: 120", "120 has no unit"),
        ("verify:", "found nothing; expected a duration such as 30s or 1m30s"),
    ],
)
def test_a_wrong_time_of_a_step_is_said(read: Load, text: str, said: str) -> None:
    (found,) = refused(read, WHOLE.replace("{argv: [notify, api]}", "{argv: [notify, api]}\n        " + text))
    assert said in found


def test_what_is_wrong_with_a_check_is_not_said_again_of_its_rules(read: Load) -> None:
    said = refused(read, WHOLE.replace("expect_status: [200]", "expect_status: [2000]"))
    assert [it.split(":")[0] for it in said] == ["checks.api_health.http.expect_status[0]"]


def test_what_is_wrong_with_a_service_is_not_said_again_of_steps_that_touch_it(read: Load) -> None:
    said = refused(read, WHOLE.replace("program: api}", "progam: api}"))
    assert [it.split(":")[0] for it in said] == [
        "services.api.run_by.supervisor.program",
        "services.api.run_by.supervisor.progam",
    ]


def test_the_keys_that_are_right_are_checked_beside_those_that_are_wrong(read: Load) -> None:
    said = refused(
        read,
        "version: 1\nsettings: {mode: x, allow: [nothing]}\n"
        "checks: {a: {every: 5s, retry_every: 9s, tcp: {host: x, port: 1}, labels: 5, service: none}}\n"
        "rules: {r: {check: a, when: upp == 0, for: 5, steps: [{restart: {}, tries: 0}, {run: {}}]}}\n",
    )
    assert {it.split(":")[0] for it in said} == {
        "settings.mode",
        "settings.allow[0]",
        "checks.a.retry_every",
        "checks.a.labels",
        "checks.a.service",
        "rules.r.when",
        "rules.r.for",
        "rules.r.steps[0].tries",
        "rules.r.steps[1].run.argv",
    }


def test_the_later_sections_of_the_design_are_unknown_keys(read: Load) -> None:
    for section in ("tasks", "notify"):
        (said,) = refused(read, f"version: 1\n{section}: {{}}\n")
        assert said.startswith(f"{section}: the key {section} is not known; allowed are version, include")


def test_a_condition_on_the_right_of_a_colon_may_name_any_other_check(read: Load) -> None:
    (said,) = refused(read, WHOLE.replace("db_port.up == 1", "db_prot.up == 1"))
    assert "there is no check db_prot; checks are api_health, gateway, db_port; did you mean db_port?" in said


@pytest.mark.parametrize(
    ("when", "is_shared"),
    [
        ("up == 0", True),
        ("latency_seconds > 2s or not has(up)", True),
        ("up == 0 or age() > 1m", True),
        ("a.up == 0", False),
        ("up == 0 and a.up == 0", False),
        ("avg(latency_seconds, 1m) > 1s", False),
        ("unchanged(up) > 1m", False),
        ("count_of(up == 0, 2, 3)", False),
    ],
)
def test_checks_of_one_kind_share_a_condition_that_names_none_of_them(read: Load, when: str, is_shared: bool) -> None:
    tcp = "tcp: {host: localhost, port: 1}"
    setup = read(
        f"version: 1\nchecks:\n  a: {{{tcp}}}\n  b: {{{tcp}}}\n  c: {{http: {{url: http://localhost/}}}}\n"
        f'rules:\n  r: {{check: a, when: "{when}"}}\n  s: {{checks: [b, c], when: "{when}"}}\n'
    )
    on = {check: rule.when[check] for rule in setup.rules for check in rule.checks}
    assert (on["a"] is on["b"], on["a"] is on["c"]) == (is_shared, False)
    others = {check: condition.others for check, condition in on.items() if isinstance(condition, Condition)}
    assert others["b"] == (frozenset({"a"}) if "a." in when else frozenset())


def test_the_collector_is_as_it_was_before_whatever_comes_of_it(read: Load) -> None:
    import gc

    read("version: 1\n")
    assert gc.isenabled()
    refused(read, "version: 2\n")
    assert gc.isenabled()


@pytest.mark.parametrize(
    "rest",
    [
        "checks: {a: {every: 1s, timeout: 5s, tcp: {host: x, port: 1}}}\n",
        "checks: {a: {every: 1m, tcp: {host: x, port: 1}}}\nrules: {r: {check: a, when: up == 0, for: 5s}}\n",
        "settings: {budget: [3/5s, 100000/1d, 20/1h, 30/1h]}\n",
        (
            "settings: {mode: act}\nservices: {s: {run_by: {command: {start: [a], stop: [b]}}}}\n"
            "checks: {a: {service: s, every: 1m, tcp: {host: x, port: 1}}}\n"
            "rules: {r: {check: a, when: up == 0, steps: [{restart: {}, tries: 1000000, verify: 1s}]}}\n"
        ),
    ],
)
def test_what_is_merely_unwise_is_valid(read: Load, rest: str) -> None:
    assert read("version: 1\n" + rest).settings is not None
