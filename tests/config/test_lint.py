"""Advice on valid files: each code where it holds, where it does not, and how it is silenced."""

from pathlib import Path

import pytest

from daemon.config import lint_rules
from daemon.config.advice import CODES, Advice
from daemon.config.lint import lint
from daemon.config.lint_rules import why_stateful
from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.runtime import pipeline

SHIPPED = Path(__file__).parents[2] / "rules.yaml"
COMMAND = '{command: {start: ["true"], stop: ["true"], status: ["true"]}}'
HEAD = f"""version: 1
services: {{api: {{run_by: {COMMAND}}}}}
checks: {{api: {{service: api, tcp: {{host: h, port: 1}}}}}}
"""


def advice(folder: Path, text: str) -> list[Advice]:
    (folder / "rules.yaml").write_text(text)
    return lint(folder / "rules.yaml", node="node")


def codes(folder: Path, text: str) -> list[str]:
    return [it.code for it in advice(folder, text)]


def one(folder: Path, text: str) -> str:
    """The only piece of advice, without the file's name."""
    (found,) = advice(folder, text)
    return str(found).removeprefix(f"{folder / 'rules.yaml'}:")


def test_the_rules_that_are_shipped_need_none() -> None:
    assert lint(SHIPPED) == []


def test_a_file_that_is_not_valid_is_no_matter_of_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        advice(tmp_path, "version: 1\nrules: {r: {check: nothing, when: up == 0}}\n")


# ---- conditions -----------------------------------------------------------------------------------------------------


def test_a_rule_that_can_never_fire(tmp_path: Path) -> None:
    assert one(tmp_path, HEAD + "rules:\n  r: {check: api, when: up == 2}\n") == (
        "5:25: rules.r.when: no run can breach it, so the rule never fires: no value of up can make it so; "
        "up is 0 or 1 [never-fires]"
    )


def test_a_latency_that_no_run_can_reach(tmp_path: Path) -> None:
    rules = (
        HEAD.replace("port: 1}", "port: 1}, timeout: 5s") + "rules:\n  r: {check: api, when: latency_seconds > 6s}\n"
    )
    assert one(tmp_path, rules) == (
        "5:25: rules.r.when: no run can breach it, so the rule never fires: no value of latency_seconds can make it "
        "so; a run ends with the timeout of its check [never-fires]"
    )
    assert codes(tmp_path, rules.replace("> 6s", "> 5s")) == []
    assert codes(tmp_path, rules.replace("latency_seconds > 6s", "up == 0 or latency_seconds > 6s")) == []
    assert codes(tmp_path, rules.replace("timeout: 5s", "timeout: 7s")) == []


def test_a_latency_may_be_what_a_run_that_still_counts_may_take() -> None:
    assert lint_rules._LATE == pipeline._STALL


@pytest.mark.parametrize(("first", "second"), [("5s", "9s"), ("9s", "5s")])
def test_of_several_checks_each_has_its_own_timeout(tmp_path: Path, first: str, second: str) -> None:
    text = (
        "version: 1\nservices: {s: {}}\nchecks:\n"
        f"  a: {{service: s, tcp: {{host: h, port: 1}}, timeout: {first}}}\n"
        f"  b: {{service: s, tcp: {{host: h, port: 2}}, timeout: {second}}}\n"
        "rules:\n  r: {checks: [a, b], when: latency_seconds > 6s}\n"
    )
    assert f"never fires on {'a' if first == '5s' else 'b'}: " in one(tmp_path, text)


def test_a_rule_that_can_never_clear(tmp_path: Path) -> None:
    assert one(tmp_path, HEAD + "rules:\n  r: {check: api, when: up >= 0}\n") == (
        "5:25: rules.r.when: every run that is known breaches it, so an incident never closes: no value of up can make "
        "it so; up is 0 or 1 [never-clears]"
    )


def test_a_clear_when_that_is_never_true_where_when_is_false(tmp_path: Path) -> None:
    rules = "rules:\n  r:\n    check: api\n    when: latency_seconds > 1s\n    clear_when: latency_seconds > 2s\n"
    assert one(tmp_path, HEAD + rules).startswith("8:17: rules.r.clear_when: it is never true where `when` is false")
    assert codes(tmp_path, HEAD + rules.replace("> 2s", "< 500ms")) == []


def test_a_when_that_checks_share_and_a_clear_when_that_names_its_own_speak_of_one_sample(tmp_path: Path) -> None:
    text = (
        "version: 1\nservices: {s: {}}\nchecks:\n  a: {service: s, tcp: {host: h, port: 1}}\n"
        "  b: {service: s, tcp: {host: h, port: 2}}\nrules:\n  r: {check: a, when: latency_seconds > 1s}\n"
        "  q: {check: b, when: latency_seconds > 1s, clear_when: b.latency_seconds > 2s}\n"
    )
    assert "rules.q.clear_when: it is never true where `when` is false" in one(tmp_path, text)


def test_of_several_checks_those_that_are_meant_are_named(tmp_path: Path) -> None:
    text = (
        "version: 1\nservices: {api: {}}\nchecks:\n  a: {service: api, http: {url: http://h/}}\n"
        "  b: {service: api, tcp: {host: h, port: 1}}\n"
        "rules:\n  r: {checks: [a, b], when: a.up == 1 and up == 0}\n"
    )
    assert one(tmp_path, text).startswith("7:29: rules.r.when: no run can breach it, so the rule never fires on a: ")


def test_a_share_is_bounded_only_where_the_check_type_says_what_it_is(tmp_path: Path) -> None:
    checks = "version: 1\nchecks:\n  c: {command: {argv: [x], samples: {used_percent: percent}}}\n"
    assert codes(tmp_path, checks + "rules: {r: {check: c, when: used_percent > 100%}}\n") == []


def test_a_share_of_a_disk_is_never_more_than_the_whole(tmp_path: Path) -> None:
    checks = "version: 1\nchecks:\n  d: {disk: {}}\n"
    assert codes(tmp_path, checks + "rules: {r: {check: d, when: used_percent > 100%}}\n") == ["never-fires"]
    assert codes(tmp_path, checks + "rules: {r: {check: d, when: used_percent > 99%}}\n") == []


# ---- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "is_short"),
    [
        ("delta(latency_seconds, 30s) > 1s", True),
        ("delta(latency_seconds, 31s) > 1s", False),
        ("up == 0 or not rate(latency_seconds, 10s) < 1s/s", True),
        ("trend(latency_seconds, 1m) > 1s/m", True),
        ("trend(latency_seconds, 61s) > 1s/m", False),
        ("time_until(latency_seconds, 5s, 1m) < 1h", True),
        ("avg(latency_seconds, 10s) > 1s", False),  # of one run, but known
        ("delta(slow.latency_seconds, 1m) > 1s", True),
        ("delta(slow.latency_seconds, 6m) > 1s", False),
    ],
)
def test_a_window_that_never_holds_enough_runs(tmp_path: Path, condition: str, is_short: bool) -> None:
    head = HEAD.replace("port: 1}}", "port: 1}}, slow: {tcp: {host: h, port: 2}, every: 5m}")
    rule = f"rules: {{r: {{check: api, when: '{condition}'}}, s: {{check: slow, when: up == 0}}}}\n"
    assert codes(tmp_path, head + rule) == (["short-window"] if is_short else [])


def test_what_is_wrong_with_a_window_is_said(tmp_path: Path) -> None:
    assert one(tmp_path, HEAD + "rules:\n  r: {check: api, when: 'trend(latency_seconds, 40s) > 1s/m'}\n") == (
        "5:25: rules.r.when: trend(latency_seconds, 40s) needs 3 runs, and api runs every 30s, so it is missing; "
        "write more than 1m [short-window]"
    )


def test_a_for_shorter_than_the_interval(tmp_path: Path) -> None:
    rules = "rules:\n  r: {check: api, when: up == 0, for: 5s}\n"
    assert one(tmp_path, HEAD + rules) == (
        "5:39: rules.r.for: 5s is shorter than every (30s) of api: the runs that come every 10s while it is pending "
        "decide; write 30s or more, or 0s for at once [short-for]"
    )
    for fine in ("0s", "30s", "1m"):
        assert codes(tmp_path, HEAD + rules.replace("5s", fine)) == []
    assert codes(tmp_path, HEAD + rules.replace(", for: 5s", "")) == []


def test_a_timeout_longer_than_the_interval(tmp_path: Path) -> None:
    rules = "rules: {r: {check: api, when: up == 0}}\n"
    own = HEAD.replace("port: 1}", "port: 1}, timeout: 31s")
    assert own != HEAD
    assert one(tmp_path, own + rules).endswith(
        ": checks.api.timeout: 31s is longer than every (30s) of api: while a run hangs the next are skipped, and "
        "it is known to hang only then; write 30s or less [long-timeout]"
    )
    assert codes(tmp_path, own.replace("31s", "30s") + rules) == []
    assert codes(tmp_path, HEAD + "defaults: {checks: {timeout: 1m}}\n" + rules) == ["long-timeout"]


def test_a_for_on_top_of_count_of(tmp_path: Path) -> None:
    rules = "rules:\n  r: {check: api, when: 'count_of(up == 0, 3, 5)'}\n"
    assert one(tmp_path, HEAD + rules).startswith("5:25: rules.r.when: count_of counts runs already, and for (1m) asks")
    assert codes(tmp_path, HEAD + rules.replace("'}", "', for: 0s}")) == []
    assert one(tmp_path, HEAD + rules.replace("'}", "', for: 2m}")).startswith("5:57: rules.r.for: count_of counts")


def test_a_verify_shorter_than_the_interval_of_any_joined_check(tmp_path: Path) -> None:
    checks = HEAD.replace("checks: {", "checks: {slow: {service: api, tcp: {host: h, port: 2}, every: 2m}, ")
    rules = "rules:\n  r:\n    checks: [api, slow]\n    when: up == 0\n    steps: [{restart: {}, verify: 90s}]\n"
    assert one(tmp_path, checks + rules).startswith(
        "8:35: rules.r.steps[0].verify: verify (1m30s) is shorter than every (2m) of slow"
    )
    assert codes(tmp_path, checks + rules.replace("90s", "2m")) == []
    found = one(tmp_path, checks + rules.replace(", verify: 90s", ""))
    assert found.startswith("8:14: rules.r.steps[0].restart: verify (1m) is shorter than every (2m)")


# ---- limits ---------------------------------------------------------------------------------------------------------

TWO = HEAD.replace("services: {", f"services: {{b: {{run_by: {COMMAND}}}, ").replace(
    "checks: {", "checks: {b: {service: b, tcp: {host: h, port: 2}}, "
)
LIMITED = "rules:\n  r: {check: api, when: up == 0, limit: [3/1h], steps: [{restart: {}, cooldown: 1m}]}\n"


def test_a_limit_looser_than_the_budget(tmp_path: Path) -> None:
    rules = LIMITED.replace("3/1h", "3/1h, 25/1h").replace("1m", "0s")
    found = advice(tmp_path, HEAD + rules)
    assert [str(it.problem).split(": ", 1)[1] for it in found] == [
        "rules.r.limit[1]: 25/1h is never reached: 3/1h beside it permits at most 3 in 1h"
    ]
    rules = LIMITED.replace("3/1h", "25/1h").replace("1m", "0s")
    assert one(tmp_path, HEAD + rules).startswith(
        "5:42: rules.r.limit[0]: 25/1h is never reached: 20/1h of the budget permits at most 20 in 1h"
    )
    rules = rules.replace("check: api", "checks: [api, b]")  # two resources, each with limits of its own
    assert codes(tmp_path, TWO + rules.replace("25/1h", "20/1h")) == []
    assert codes(tmp_path, TWO + rules.replace("25/1h", "40/2h")) == []
    assert codes(tmp_path, TWO + rules.replace("25/1h", "41/2h")) == ["loose-limit"]


def test_a_limit_looser_than_that_of_the_only_resource(tmp_path: Path) -> None:
    rules = LIMITED.replace("3/1h", "7/1d")
    assert one(tmp_path, HEAD + rules).startswith(
        "5:42: rules.r.limit[0]: 7/1d is never reached: 6/1d of command:api@node permits at most 6 in 1d"
    )
    assert codes(tmp_path, HEAD + rules.replace("7/1d", "6/1d")) == []
    wide = HEAD.replace("services: {api: {", "services: {api: {limit: [7/1d], ")
    assert codes(tmp_path, wide + rules) == []
    assert codes(tmp_path, TWO + rules.replace("check: api", "checks: [api, b]")) == []


@pytest.mark.parametrize(
    ("cooldown", "limit", "is_loose"), [("20m", "3/1h", True), ("19m", "3/1h", False), ("1h", "1/1h", True)]
)
def test_a_limit_that_the_cooldown_never_lets_be_reached(
    tmp_path: Path, cooldown: str, limit: str, is_loose: bool
) -> None:
    rules = LIMITED.replace("1m", cooldown).replace("3/1h", limit)
    assert codes(tmp_path, HEAD + rules) == (["loose-limit"] if is_loose else [])


def test_the_cooldown_of_one_resource_says_nothing_of_a_rule_on_two(tmp_path: Path) -> None:
    rules = LIMITED.replace("check: api", "checks: [api, b]").replace("1m", "20m")
    assert codes(tmp_path, TWO + rules) == []


def test_a_limit_of_a_service_that_is_looser_than_the_rules(tmp_path: Path) -> None:
    head = HEAD.replace("services: {api: {", "services: {api: {limit: [4/1h], ")
    assert one(tmp_path, head + LIMITED) == (
        "2:26: services.api.limit[0]: 4/1h is never reached: the limits of r permit at most 3 in 1h "
        "[loose-service-limit]"
    )
    second = LIMITED + LIMITED.replace("rules:\n", "").replace("  r:", "  second:")
    assert codes(tmp_path, head + second) == []
    assert codes(tmp_path, head.replace("4/1h", "3/1h") + LIMITED) == []
    idle = head + "rules: {r: {check: api, when: up == 0}}\n"
    assert "no step touches this service" in one(tmp_path, idle)


# ---- what nobody uses -----------------------------------------------------------------------------------------------


def test_a_check_that_no_rule_uses(tmp_path: Path) -> None:
    checks = (
        "version: 1\nsettings: {self_test: [gateway]}\nservices: {db: {}, api: {depends_on: [db]}}\nchecks:\n"
        "  gateway: {tcp: {host: h, port: 1}}\n  named: {tcp: {host: h, port: 2}}\n"
        "  db: {service: db, tcp: {host: h, port: 3}}\n  api: {service: api, tcp: {host: h, port: 4}}\n"
        "  idle: {tcp: {host: h, port: 5}}\n"
    )
    rules = "rules: {r: {check: api, when: up == 0 and named.up == 1}}\n"
    assert one(tmp_path, checks + rules) == (
        "9:3: checks.idle: no rule uses this check: it is looked at and shown, and nothing follows from it "
        "[unused-check]"
    )
    assert codes(tmp_path, checks) == []  # heald then only measures


@pytest.mark.parametrize(
    ("settings", "services", "is_used"),
    [
        ("{}", "web: {}", False),
        ("{storm: {share: 40%}}", "web: {}", True),  # counts it as sick
        ("{}", f"web: {{run_by: {COMMAND}, min_healthy: 1}}", True),  # counts its members
        ("{}", "web: {depends_on: [db]}, db: {}", True),  # whether an attempt on db harmed it
    ],
)
def test_a_check_that_a_guard_asks_is_used(tmp_path: Path, settings: str, services: str, is_used: bool) -> None:
    text = (
        f"version: 1\nsettings: {settings}\nservices: {{{services}}}\n"
        "checks: {web: {service: web, tcp: {host: h, port: 1}}, other: {tcp: {host: h, port: 2}}}\n"
        "rules: {r: {check: other, when: up == 0}}\n"
    )
    assert ("unused-check" in codes(tmp_path, text)) is not is_used


def test_a_connection_that_nobody_names(tmp_path: Path) -> None:
    text = (
        "version: 1\nconnections:\n  used: {redis: {host: h}}\n  idle: {redis: {host: h}}\n"
        "checks: {c: {redis: {connection: used}}}\n"
    )
    assert one(tmp_path, text) == (
        "4:3: connections.idle: nothing uses this connection: no check, step or run_by names it [unused-connection]"
    )


def test_a_service_that_no_check_looks_at(tmp_path: Path) -> None:
    head = HEAD.replace("services: {", "services: {db: {}, ")
    assert one(tmp_path, head).startswith("2:12: services.db: no check looks at this service")


# ---- what keeps data ------------------------------------------------------------------------------------------------


def stateful(folder: Path, service: str, step: str = "restart: {}") -> list[str]:
    text = (
        f"version: 1\nservices: {{{service}}}\nchecks: {{c: {{service: {service.split(':')[0]}, "
        f"tcp: {{host: h, port: 1}}}}}}\nrules: {{r: {{check: c, when: up == 0, steps: [{{{step}}}]}}}}\n"
    )
    return codes(folder, text)


@pytest.mark.parametrize(
    ("service", "is_stateful"),
    [
        (f"postgres: {{run_by: {COMMAND}}}", True),
        (f"shop-redis-1: {{run_by: {COMMAND}}}", True),
        (f"postgres-exporter: {{run_by: {COMMAND}}}", False),
        (f"redis01: {{run_by: {COMMAND}}}", True),
        (f"database: {{run_by: {COMMAND}}}", True),
        ("web: {run_by: {systemd: {unit: mysqld.service}}}", True),
        (f"kafka-consumer: {{run_by: {COMMAND}}}", False),
        (f"redis-commander: {{run_by: {COMMAND}}}", False),
        (f"db-migrations: {{run_by: {COMMAND}}}", False),
        (f"web: {{run_by: {COMMAND}}}", False),
        (f"web: {{labels: {{tier: store}}, run_by: {COMMAND}}}", True),
        (f"web: {{labels: {{stateful: 'true'}}, run_by: {COMMAND}}}", True),
        (f"redis: {{labels: {{stateful: 'false'}}, run_by: {COMMAND}}}", False),
        ("db: {run_by: {supervisor: {socket: /run/s.sock, program: mariadb}}}", True),
        ("web: {run_by: {supervisor: {socket: /run/redis/s.sock, program: web}}}", False),
    ],
)
def test_a_restart_of_what_keeps_data(tmp_path: Path, service: str, is_stateful: bool) -> None:
    assert stateful(tmp_path, service) == (["stateful-restart"] if is_stateful else [])


def test_a_restart_that_asks_is_fine_and_so_is_a_start(tmp_path: Path) -> None:
    service = f"postgres: {{run_by: {COMMAND}}}"
    assert stateful(tmp_path, service, "restart: {}, approval: true") == []
    assert stateful(tmp_path, service, "start: {}") == []
    assert stateful(tmp_path, service, "stop: {}") == ["stateful-restart"]


def test_the_service_that_a_step_names_counts(tmp_path: Path) -> None:
    head = HEAD.replace("services: {", f"services: {{postgres: {{run_by: {COMMAND}}}, ").replace(
        "checks: {", "checks: {db: {service: postgres, tcp: {host: h, port: 2}}, "
    )
    rules = "rules: {r: {checks: [api, db], when: up == 0, steps: [{restart: {service: postgres}}]}}\n"
    assert "postgres keeps data (postgres is a name of postgres)" in one(tmp_path, head + rules)
    assert codes(tmp_path, head + rules.replace("service: postgres", "service: api")) == []


def test_why_it_keeps_data_is_said(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        "version: 1\nservices: {a: {labels: {tier: store}}, b: {labels: {tier: web}}}\n"
    )
    services = load(tmp_path / "rules.yaml").services
    assert [why_stateful(it) for it in services.values()] == ["its label tier is store", None]


# ---- silence --------------------------------------------------------------------------------------------------------


BAD = "rules:\n  r: {check: api, when: up == 2, for: 5s}\n"


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (BAD, ["never-fires", "short-for"]),
        (BAD.replace("}\n", "} # heald: ignore never-fires\n"), ["short-for"]),
        (BAD.replace("}\n", "} # on purpose; heald: ignore never-fires, short-for\n"), ["never-fires", "short-for"]),
        (BAD.replace("}\n", "} # heald: ignore never-fires, short-for\n"), []),
        (BAD.replace("  r:", "  # heald: ignore short-for\n  r:"), ["never-fires"]),
        (BAD.replace("rules:", "rules: # heald: ignore short-for"), ["never-fires", "short-for"]),
        (BAD.replace("}\n", "} # heald: ignore\n"), ["never-fires", "short-for"]),
    ],
)
def test_a_comment_there_or_right_above_silences_a_code(tmp_path: Path, rules: str, left: list[str]) -> None:
    assert codes(tmp_path, HEAD + rules) == left


def test_advice_comes_in_the_order_of_the_file(tmp_path: Path) -> None:
    head = HEAD.replace("services: {", "services: {db: {}, ").replace(
        "checks: {", "checks: {x: {tcp: {host: h, port: 1}}, "
    )
    found = advice(tmp_path, head + BAD)
    assert [(it.problem.line, it.code) for it in found] == [
        (2, "unchecked-service"),
        (3, "unused-check"),
        (5, "never-fires"),
        (5, "short-for"),
    ]


def test_a_file_that_is_included_is_told_of_and_silenced_in_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        "version: 1\nrules:\n  a: {check: api, when: up == 2}\n  # heald: ignore never-fires\n"
        "  b: {check: api, when: up == 2}\n"
    )
    found = advice(tmp_path, HEAD.replace("version: 1\n", "version: 1\ninclude: [more.yaml]\n"))
    assert [str(it).split(": rules.")[0] for it in found] == [f"{tmp_path / 'more.yaml'}:3:25"]


def test_a_default_is_told_of_once_where_it_stands(tmp_path: Path) -> None:
    rules = (
        "defaults:\n  rules: {for: 5s}\nrules:\n  a: {check: api, when: up == 0}\n  b: {check: api, when: up == 0}\n"
    )
    assert one(tmp_path, HEAD + rules).startswith("5:16: defaults.rules.for: 5s is shorter than every (30s) of api")


def test_every_code_is_described_with_an_example_that_gives_it(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "lint.md").read_text()
    sections = {part.split("\n", 1)[0].strip("` "): part for part in page.split("\n## ")[1:]}
    assert set(CODES) <= set(sections)
    for code in CODES:
        example = sections[code].split("```yaml\n")[1].split("```")[0]
        assert codes(tmp_path, example) == [code], code
