"""`defaults` and labels: what a check, a rule or a step has that does not say it itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.config.setup import Setup
from daemon.model.rule import Limit, Severity

Read = Callable[..., Setup]
PARTS = """
services:
  web: {run_by: {command: {restart: [restart-web]}}, labels: {tier: web, team: shop}}
checks:
  plain: {tcp: {host: h, port: 1}}
  own: {tcp: {host: h, port: 1}, every: 40s, timeout: 20s, labels: {tier: own}}
  served: {service: web, tcp: {host: h, port: 1}}
rules:
  plain: {check: served, when: up == 0, steps: [{restart: {}}]}
  own:
    check: served
    when: up == 0
    for: 5s
    severity: P0
    limit: [1/1h]
    steps: [{restart: {}, tries: 5, settle: 0s}]
  idle: {check: plain, when: up == 0}
"""
DEFAULTS = """version: 1
defaults:
  checks: {every: 15s, timeout: 3s, retry_every: 5s, labels: {tier: any, site: main}}
  rules: {for: 1m, clear_for: 30s, severity: P1, limit: [2/1h], relapse: 5m, runbook: "https://wiki.example/"}
  steps: {tries: 2, cooldown: 1m..10m, settle: 20s, verify: 30s, timeout: 1m}
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    monkeypatch.chdir(tmp_path)

    def read(text: str, included: str = "") -> Setup:
        Path("rules.yaml").write_text(text)
        Path("more.yaml").write_text(included)
        return load(Path("rules.yaml"), node="node")

    return read


def refused(read: Read, text: str, included: str = "") -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text, included)
    return [str(problem) for problem in raised.value.problems]


def test_checks_that_do_not_say_it_have_the_default(read: Read) -> None:
    checks = read(DEFAULTS + PARTS).checks
    assert (checks["plain"].every, checks["plain"].timeout, checks["plain"].retry_every) == (15.0, 3.0, 5.0)
    assert (checks["own"].every, checks["own"].timeout, checks["own"].retry_every) == (40.0, 20.0, 5.0)


@pytest.mark.parametrize(
    ("settings", "defaults", "own", "seconds"),
    [
        ("", "", "", 600.0),
        ("settings: {escalate_after: 2m}", "", "", 120.0),
        ("settings: {escalate_after: 2m}", "defaults: {rules: {escalate_after: 3m}}", "", 180.0),
        ("settings: {escalate_after: 2m}", "defaults: {rules: {escalate_after: 3m}}", "escalate_after: 4m, ", 240.0),
    ],
)
def test_people_are_told_as_the_rule_its_defaults_or_the_settings_say(
    read: Read, settings: str, defaults: str, own: str, seconds: float
) -> None:
    text = f"version: 1\n{settings}\n{defaults}\nchecks: {{c: {{tcp: {{host: h, port: 1}}}}}}\n"
    text += f"rules: {{r: {{check: c, when: up == 0, {own}steps: [{{run: {{argv: [x]}}}}]}}}}\n"
    (rule,) = read(text).rules
    assert rule.escalate_after == seconds


def test_rules_that_do_not_say_it_have_the_default(read: Read) -> None:
    plain, own, idle = read(DEFAULTS + PARTS).rules
    assert (plain.for_seconds, idle.for_seconds) == ({"served": 60.0}, {"plain": 60.0})
    assert (plain.clear_for, plain.severity, plain.relapse) == (30.0, Severity.P1, 300.0)
    assert (plain.limit, plain.runbook) == ((Limit(count=2, window=3600.0),), "https://wiki.example/")
    assert (own.for_seconds, own.severity, own.limit) == (
        {"served": 5.0},
        Severity.P0,
        (Limit(count=1, window=3600.0),),
    )
    assert own.clear_for == 30.0


def test_steps_that_do_not_say_it_have_the_default(read: Read) -> None:
    plain, own, _ = read(DEFAULTS + PARTS).rules
    (step,) = plain.steps
    assert (step.tries, step.cooldown, step.settle, step.verify, step.timeout) == (2, (60.0, 600.0), 20.0, 30.0, 60.0)
    (step,) = own.steps
    assert (step.tries, step.cooldown, step.settle) == (5, (60.0, 600.0), 0.0)


def test_a_step_is_the_same_step_whatever_its_defaults(read: Read) -> None:
    assert read(DEFAULTS + PARTS).rules[0].steps[0].key == read("version: 1\n" + PARTS).rules[0].steps[0].key


def test_without_defaults_all_is_as_the_daemon_has_it(read: Read) -> None:
    setup = read("version: 1\ndefaults: {checks: {}, rules: {}, steps: {}}\n" + PARTS)
    assert setup.checks == read("version: 1\n" + PARTS).checks
    assert (setup.checks["plain"].every, setup.rules[0].steps[0].tries) == (30.0, 1)


def test_defaults_hold_in_included_files_too(read: Read) -> None:
    setup = read(DEFAULTS + "include: [more.yaml]\n", "version: 1" + PARTS)
    assert setup.checks["plain"].every == 15.0
    assert setup.rules[0].severity is Severity.P1


def test_a_default_that_can_have_no_effect_somewhere_is_no_error(read: Read) -> None:
    text = "version: 1\ndefaults: {checks: {vanish_after: 1s, max_subjects: 5}, rules: {limit: [1/1h], relapse: 1m}}\n"
    setup = read(text + "checks: {c: {tcp: {host: h, port: 1}}}\nrules: {r: {check: c, when: up == 0}}\n")
    assert setup.rules[0].steps == ()


def test_what_is_wrong_with_defaults_is_said_once_and_there(read: Read) -> None:
    text = """version: 1
defaults:
  checks: {every: 5, http: {}, lables: {}}
  rules: {when: up == 0, severity: P9, limit: []}
  steps: {restart: {}, tries: 0}
  services: {}
"""
    said = refused(read, text + PARTS)
    assert [it.split(": ")[1] for it in said] == [
        "defaults.checks.every",
        "defaults.checks.http",
        "defaults.checks.lables",
        "defaults.rules.when",
        "defaults.rules.severity",
        "defaults.rules.limit",
        "defaults.steps.restart",
        "defaults.steps.tries",
        "defaults.services",
    ]
    assert (
        said[0] == "rules.yaml:3:19: defaults.checks.every: 5 has no unit; write 5s or another duration such as 1m30s"
    )
    assert (
        "allowed are every, timeout, retry_every, vanish_after, max_subjects, labels; did you mean labels?" in said[2]
    )
    assert "allowed are for, clear_for, severity, limit, relapse, escalate_after, runbook" in said[3]
    assert said[8].endswith("the key services is not known; allowed are checks, rules, steps")


@pytest.mark.parametrize("defaults", ["1", "[checks]", "{checks: 1}", "", "{rules: }"])
def test_defaults_are_mappings(read: Read, defaults: str) -> None:
    (said,) = refused(read, f"version: 1\ndefaults: {defaults}\n")
    assert "expected a mapping" in said


def test_a_default_that_contradicts_a_check_is_said_at_the_check_with_its_place(read: Read) -> None:
    text = "version: 1\ndefaults:\n  checks: {retry_every: 20s}\nchecks:\n"
    assert refused(read, text + "  c: {tcp: {host: h, port: 1}, every: 10s}\n") == [
        (
            "rules.yaml:5:39: checks.c.every: retry_every, by default 20s (rules.yaml:3), is longer than every (10s), "
            "and is to be sooner; write another every or retry_every here"
        )
    ]
    text = "version: 1\ndefaults:\n  checks: {retry_every: 1m}\nchecks:\n"
    (said,) = refused(read, text + "  c: {tcp: {host: h, port: 1}}\n")
    assert said.startswith(
        "rules.yaml:5:3: checks.c: retry_every, by default 1m (rules.yaml:3), is longer than every (30s)"
    )


def test_a_check_that_contradicts_a_default_interval_is_told_where_that_is(read: Read) -> None:
    text = "version: 1\ndefaults: {checks: {every: 10s}}\nchecks: {c: {tcp: {host: h, port: 1}, retry_every: 20s}}\n"
    assert refused(read, text) == [
        (
            "rules.yaml:3:52: checks.c.retry_every: 20s is longer than every (10s, by default, rules.yaml:2), "
            "and is to be sooner; write at most 10s"
        )
    ]


def test_defaults_that_contradict_each_other_are_said_once(read: Read) -> None:
    text = "version: 1\ndefaults:\n  checks: {every: 10s, retry_every: 20s}\nchecks:\n"
    checks = "".join(f"  c{place}: {{tcp: {{host: h, port: 1}}}}\n" for place in range(5))
    (said,) = refused(read, text + checks)
    assert said.startswith("rules.yaml:3:37: defaults.checks.retry_every: 20s is longer than every (10s")


# ---- labels ---------------------------------------------------------------------------------------------------------


def test_labels_add_up_and_of_one_name_the_nearest_counts(read: Read) -> None:
    checks = read(DEFAULTS + PARTS).checks
    assert checks["plain"].labels == {"tier": "any", "site": "main"}
    assert checks["own"].labels == {"tier": "own", "site": "main"}
    assert checks["served"].labels == {"tier": "web", "team": "shop", "site": "main"}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ("{tier: web}", ("served",)),
        ("{site: main}", ("plain", "own", "served")),
        ("{site: main, team: shop}", ("served",)),
        ("{tier: own}", ("own",)),
    ],
)
def test_a_rule_selects_by_own_inherited_and_default_labels(read: Read, labels: str, names: tuple[str, ...]) -> None:
    rules = f"version: 1\nrules: {{selected: {{checks: {{labels: {labels}}}, when: up == 0}}}}\n"
    setup = read(DEFAULTS + "include: [more.yaml]\n" + PARTS, rules)
    assert setup.rules[-1].checks == names


def test_a_rule_of_the_main_file_selects_checks_of_an_included_one(read: Read) -> None:
    rules = "version: 1\ninclude: [more.yaml]\nrules: {r: {checks: {labels: {team: shop}}, when: up == 0}}\n"
    assert read(rules, "version: 1\n" + PARTS).rules[0].checks == ("served",)


def test_labels_that_no_check_has_are_told_with_those_that_there_are(read: Read) -> None:
    rules = "rules: {r: {checks: {labels: {tier: db}}, when: up == 0}}\n"
    text = "version: 1\nservices: {s: {labels: {tier: web}}}\nchecks: {c: {service: s, tcp: {host: h, port: 1}}}\n"
    (said,) = refused(read, text + rules)
    assert said.endswith("no check has all these labels; checks have tier: web")


# ---- vars -----------------------------------------------------------------------------------------------------------


def test_whoever_writes_vars_is_told_what_there_is_instead(read: Read) -> None:
    said = refused(read, "version: 1\ninclude: [more.yaml]\nvars: {a: 1}\n", "version: 1\nvars: {}\n")
    assert [it.split(": ")[0] for it in said] == ["rules.yaml:3:1", "more.yaml:2:1"]
    for it in said:
        assert "vars are not offered" in it
        assert all(word in it for word in ("defaults", "include", "${env:NAME}"))
