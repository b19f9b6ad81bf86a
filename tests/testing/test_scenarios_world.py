"""What happens in a scenario's world, sentence by sentence (docs/scenarios.md)."""

from pathlib import Path

import pytest

from tests.testing.scene import RULES, SICK, holds, lines, run, write

HEALED = "effects: [{remediation: restart, takes: 5s, then: {api: {up: 1}}}]\n"


def expecting(*expected: str) -> str:
    return "expect:\n" + "".join(f"  - {{{it}}}\n" for it in expected)


def test_a_firing_incident_is_healed_and_verified(tmp_path: Path) -> None:
    result = run(tmp_path, SICK + HEALED)
    assert lines(result) == [
        "0s  api-down on api: inactive → firing: up = 0",
        "0s  restart of command:api@node by api-down, try 1: succeeded after 5s",
        "15s  api-down on api: firing → resolved: up = 1 != 0",
        "15s  restart of command:api@node by api-down was effective",
    ]


# ---- readings -------------------------------------------------------------------------------------------------------


def test_a_reading_holds_from_its_time_on_at_every_run(tmp_path: Path) -> None:
    stages = "{from: 0s, samples: {up: 1}}, {from: 15s, samples: {up: 0}}, {from: 40s, samples: {up: 1}}"
    readings = f"readings: {{api: [{stages}]}}\n"
    mode = "mode: observe\n"
    holds(
        run(
            tmp_path,
            mode
            + readings
            + expecting(
                "at: 15s, incident: api-down, state: inactive",
                "at: 20s, incident: api-down, state: firing",
                "at: 39s, incident: api-down, state: firing",
                "at: 40s, incident: api-down, state: resolved",
            ),
        )
    )


def test_a_sample_that_is_not_named_is_missing(tmp_path: Path) -> None:
    rules = RULES.replace("when: up == 0", "when: up == 0 or latency_seconds > 5s")
    stages = "{from: 0s, samples: {up: 1, latency_seconds: 6s}}, {from: 5s, samples: {latency_seconds: 1}}"
    readings = f"readings: {{api: [{stages}]}}\n"
    result = run(
        tmp_path, "mode: observe\n" + readings + expecting("at: end, incident: api-down, state: firing"), rules
    )
    holds(result)  # latency alone leaves `up == 0` open: UNKNOWN resolves nothing


def test_unknown_is_blindness_and_opens_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, 'readings: {api: [{from: 0s, unknown: "no route to host"}]}\nlasts: 2m\n')
    assert not any("api-down" in line for line in lines(result))


def test_a_second_look_may_see_something_else(tmp_path: Path) -> None:
    clear = "readings: {api: [{from: 0s, samples: {up: 0}, look: {samples: {up: 1}}}]}\nlasts: 5s\n"
    holds(run(tmp_path, clear + expecting("at: 0s, hold: clear_now, rule: api-down", "count: 0, attempt: restart")))
    blind = "readings: {api: [{from: 0s, samples: {up: 0}, look: {unknown: no route}}]}\nlasts: 5s\n"
    holds(run(tmp_path, blind + expecting("at: 0s, hold: blind_now", "never: true, attempt: restart")))


def test_subjects_have_readings_of_their_own_and_units(tmp_path: Path) -> None:
    readings = "readings: {disk: [{from: 0s, subjects: {/: {used_percent: 40%}, /var: {used_percent: 91%}}}]}\n"
    wanted = expecting(
        "at: 0s, incident: disk-full, subject: /var, state: firing",
        "at: end, incident: disk-full, subject: /, state: inactive",
        "opened: 1, incident: disk-full",
        "at: end, incidents: 1",
    )
    holds(run(tmp_path, readings + wanted))


def test_a_bare_number_is_in_the_samples_own_unit(tmp_path: Path) -> None:
    readings = "readings: {disk: [{from: 0s, subjects: {/var: {used_percent: 91}}}]}\n"
    holds(run(tmp_path, readings + expecting("at: 0s, incident: disk-full, state: firing")))


def test_a_check_that_the_scenario_does_not_name_is_well(tmp_path: Path) -> None:
    rules = RULES.replace("startup_grace: 0s", "startup_grace: 1h")
    result = run(tmp_path, SICK.replace("0s, samples: {up: 0}", "1m, samples: {up: 0}") + "lasts: 2m\n", rules)
    assert any("api-down: restart of command:api@node is held by startup_grace" in line for line in lines(result)) is (
        True
    )


def test_before_its_first_time_a_check_is_well(tmp_path: Path) -> None:
    readings = "readings: {api: [{from: 25s, samples: {up: 0}}]}\nmode: observe\n"
    wanted = expecting(
        "between: [0s, 29s], never: true, incident: api-down", "at: 30s, incident: api-down, state: firing"
    )
    holds(run(tmp_path, readings + wanted))


# ---- effects --------------------------------------------------------------------------------------------------------


def test_an_effect_that_is_not_named_succeeds_after_a_second_and_changes_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, SICK + expecting("count: 2, attempt: restart, outcome: succeeded, verified: ineffective"))
    holds(result)
    assert lines(result)[1].endswith("succeeded after 1s")


def test_nth_says_which_attempt_and_a_resource_which_thing(tmp_path: Path) -> None:
    effects = """effects:
  - {remediation: restart, outcome: failed}
  - {remediation: restart, resource: "command:api", nth: 2, then: {api: {up: 1}}}
"""
    wanted = expecting(
        "count: 1, attempt: restart, outcome: failed",
        "count: 1, attempt: restart, resource: 'command:api@node', outcome: succeeded, verified: effective",
        "at: end, incidents: 0",
    )
    holds(run(tmp_path, SICK + effects + wanted))


@pytest.mark.parametrize(
    ("effect", "wanted"),
    [
        ("outcome: failed", "count: 2, attempt: restart, outcome: failed"),
        ("outcome: permanent", "count: 1, attempt: restart, outcome: permanent"),
        ("outcome: hangs", "count: 2, attempt: restart, outcome: failed"),
        ("takes: 3m", "count: 2, attempt: restart, outcome: failed"),
        ("begins: 5s", "count: 2, attempt: restart, outcome: succeeded"),
        ("begins: 6s", "count: 2, attempt: restart, outcome: lapsed"),
    ],
)
def test_how_an_effect_ends(tmp_path: Path, effect: str, wanted: str) -> None:
    effects = f"effects: [{{remediation: restart, {effect}}}]\n"
    holds(run(tmp_path, SICK + effects + expecting(wanted, "at: end, incident: api-down, handed_over: exhausted")))


def test_what_hangs_is_ended_at_the_steps_timeout(tmp_path: Path) -> None:
    rules = RULES.replace("verify: 30s", "verify: 30s\n        timeout: 42s")
    result = run(tmp_path, SICK + "effects: [{remediation: restart, begins: 3s, outcome: hangs}]\n", rules)
    assert lines(result)[1].endswith("try 1: failed after 42s")


def test_what_lapsed_changes_nothing_and_is_over_without_verification(tmp_path: Path) -> None:
    effects = "effects: [{remediation: restart, begins: 6s, then: {api: {up: 1}}}]\n"
    result = run(tmp_path, SICK + effects + expecting("at: end, incidents: 1"))
    holds(result)
    assert not any("by api-down was" in line for line in lines(result))


def test_then_holds_from_the_end_on_until_the_next_from(tmp_path: Path) -> None:
    readings = "readings: {api: [{from: 0s, samples: {up: 0}}, {from: 2m, samples: {up: 0}}]}\n"
    wanted = expecting(
        "at: 1m59s, incident: api-down, state: resolved",
        "at: 2m, incident: api-down, state: firing",
        "opened: 2, incident: api-down",
    )
    holds(run(tmp_path, readings + HEALED.replace("takes", "nth: 1, takes") + wanted))


def test_then_may_name_subjects(tmp_path: Path) -> None:
    scenario = """readings:
  api: [{from: 0s, samples: {up: 0}}]
  disk: [{from: 0s, subjects: {/var: {used_percent: 91%}}}]
effects: [{remediation: restart, then: {disk: {subjects: {/var: {used_percent: 10%}}}}}]
"""
    holds(run(tmp_path, scenario + expecting("at: 10s, incident: disk-full, subject: /var, state: resolved")))


def test_an_effect_that_a_crash_killed_changes_nothing_and_is_lost(tmp_path: Path) -> None:
    events = "events: [{at: 3s, do: crash}]\n"
    wanted = expecting("count: 1, attempt: restart, outcome: lost", "at: 2m, incident: api-down, state: firing")
    holds(run(tmp_path, SICK + HEALED.replace("takes", "nth: 1, takes") + events + wanted))


# ---- time -----------------------------------------------------------------------------------------------------------


def test_runs_take_no_time_unless_it_stands_beside_the_samples(tmp_path: Path) -> None:
    readings = "readings: {api: [{from: 0s, samples: {up: 0}, takes: 4s}]}\nlasts: 30s\n"
    result = run(tmp_path, readings)
    assert lines(result)[:2] == [
        "4s  api-down on api: inactive → firing: up = 0",
        "8s  restart of command:api@node by api-down, try 1: succeeded after 1s",  # the second look takes as long
    ]


def test_a_run_that_takes_longer_than_its_timeout_is_blind(tmp_path: Path) -> None:
    rules = RULES.replace("timeout: 10s", "timeout: 3s")
    result = run(tmp_path, "readings: {api: [{from: 0s, samples: {up: 0}, takes: 4s}]}\nlasts: 1m\n", rules)
    assert not any("firing" in line for line in lines(result))


def test_a_second_look_may_take_longer_than_the_run(tmp_path: Path) -> None:
    look = "readings: {api: [{from: 0s, samples: {up: 0}, look: {samples: {up: 0}, takes: 7s}}]}\nlasts: 30s\n"
    assert lines(run(tmp_path, look))[1].startswith("7s  restart")


def test_a_check_that_is_due_while_it_runs_is_not_run_twice(tmp_path: Path) -> None:
    rules = RULES.replace("every: 10s, timeout: 10s", "every: 10s, timeout: 1m")
    readings = "readings: {api: [{from: 0s, samples: {up: 1}}, {from: 5s, samples: {up: 0}, takes: 25s}]}\nlasts: 50s\n"
    result = run(tmp_path, "mode: observe\n" + readings, rules)
    assert lines(result)[0].startswith("35s  api-down on api: inactive → firing")


def test_at_one_instant_events_come_before_ends_of_effects_and_those_before_runs(tmp_path: Path) -> None:
    effects = "effects: [{remediation: restart, nth: 1, takes: 10s, then: {api: {up: 1}}}]\n"
    killed = run(tmp_path, SICK + effects + "events: [{at: 10s, do: crash}]\nlasts: 15s\n")
    assert "lost" in lines(killed)[1]
    seen = run(tmp_path, SICK + effects + "lasts: 20s\n")
    assert "20s  api-down on api: firing → resolved: up = 1 != 0" in lines(seen)


def test_the_default_end_is_ten_minutes_after_the_last_thing_that_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, SICK + "events: [{at: 3m, do: crash, down: 2m}]\n")
    assert result.scenario.lasts == 900
    assert run(tmp_path, SICK + expecting("at: 20m, incidents: 1")).scenario.lasts == 1800
    assert run(tmp_path, SICK + "lasts: 30m\n").scenario.lasts == 1800


def test_start_is_the_wall_clock(tmp_path: Path) -> None:
    result = run(tmp_path, "start: 2030-01-01T01:00:00+01:00\n" + SICK + "lasts: 1s\n")
    assert next(iter(result.timeline.made.values())).attempt.claimed.wall == 1893456000
    assert run(tmp_path, SICK + "lasts: 1s\n").scenario.start.isoformat() == "2026-11-22T10:00:00+00:00"


def test_mode_stands_instead_of_what_the_rules_say(tmp_path: Path) -> None:
    holds(run(tmp_path, "mode: observe\n" + SICK + expecting("count: 0, attempt: restart", "at: 0s, hold: mode")))
    observing = RULES.replace("mode: act", "mode: observe")
    holds(run(tmp_path, SICK + expecting("never: true, attempt: restart"), observing))
    holds(run(tmp_path, "mode: act\n" + SICK + expecting("count: 2, attempt: restart"), observing))


# ---- events ---------------------------------------------------------------------------------------------------------


def test_a_crash_keeps_the_store_and_starts_again_at_once_or_later(tmp_path: Path) -> None:
    limited = RULES.replace("    limit: [50/1h]\n    steps", "    limit: [1/1h]\n    steps")
    events = "events: [{at: 1m, do: crash}, {at: 2m, do: crash, down: 2m}]\n"
    wanted = expecting("count: 1, attempt: restart", "at: end, hold: limit_rule", "opened: 1, incident: api-down")
    holds(run(tmp_path, SICK + events + wanted, limited))
    late = "readings: {api: [{from: 0s, samples: {up: 1}}, {from: 65s, samples: {up: 0}}]}\n"
    result = run(tmp_path, late + "events: [{at: 1m, do: crash, down: 2m}]\n")
    assert lines(result)[1].startswith("3m  api-down on api: inactive → firing")


def test_a_reload_swaps_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rules2.yaml").write_text(
        RULES.replace("api-down", "api-sick").replace("startup_grace: 0s", "startup_grace: 1m")
    )
    events = "events: [{at: 55s, do: reload, rules: rules2.yaml}]\n"
    wanted = expecting("at: 55s, incident: api-down, state: withdrawn", "at: end, incident: api-sick, state: firing")
    holds(run(tmp_path, SICK + events + wanted))


def test_a_reload_may_bring_its_rules_with_it(tmp_path: Path) -> None:
    events = "events:\n  - at: 55s\n    do: reload\n    rules_text: |\n"
    events += "".join(f"      {line}\n" for line in RULES.replace("for: 0s", "for: 1h").splitlines())
    readings = "readings: {api: [{from: 1m, samples: {up: 0}}]}\n"
    holds(run(tmp_path, readings + events + expecting("at: 2m, incident: api-down, state: pending")))


def test_an_edited_interval_is_taken_over_as_by_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "rules2.yaml").write_text(RULES)
    slow = RULES.replace("every: 10s, timeout: 10s", "every: 1h, timeout: 10s")
    events = "events: [{at: 55s, do: reload, rules: rules2.yaml}]\n"
    readings = "readings: {api: [{from: 0s, samples: {up: 1}}, {from: 30s, samples: {up: 0}}]}\nlasts: 2m\n"
    assert lines(run(tmp_path, readings + events, slow))[1].startswith("1m  api-down on api: inactive → firing")


def test_a_pause_holds_until_resume_and_through_a_crash(tmp_path: Path) -> None:
    events = "events: [{at: 0s, do: pause, why: x}, {at: 30s, do: crash}, {at: 65s, do: resume}]\n"
    wanted = expecting(
        "at: 0s, hold: paused, rule: api-down",
        "at: 60s, hold: paused",
        "between: [0s, 69s], attempt: restart, count: 0",
        "at: 70s, attempt: restart",
    )
    holds(run(tmp_path, SICK + events + wanted))


def test_the_wall_clock_jumps(tmp_path: Path) -> None:
    readings = "readings: {api: [{from: 1m, samples: {up: 0}}]}\n"
    events = "events: [{at: 55s, do: clock, by: -2h}]\n"
    wanted = expecting(
        "at: 1m, hold: clock_jumped", "between: [0s, 114s], attempt: restart, count: 0", "at: 2m, attempt: restart"
    )
    holds(run(tmp_path, readings + events + wanted))


LIMITED = RULES.replace("    limit: [50/1h]\n    steps", "    limit: [1/1h]\n    steps")


@pytest.mark.parametrize(
    ("event", "frees"),
    [
        ("{at: 10m, do: clock, by: 2h}", False),  # in one boot only the steady clock counts
        ("{at: 10m, do: reboot, clock: 2h}", True),  # the kernel calls it right, so it is believed
        ("{at: 10m, do: reboot, down: 2h}", True),
        ("{at: 10m, do: reboot, clock: 2h, synchronised: false}", False),
        ("{at: 10m, do: reboot, down: 1m, clock: -30d, synchronised: false}", False),
        ("{at: 10m, do: reboot, down: 2h, clock: -30d, synchronised: false}, {at: 131m, do: synchronise}", True),
    ],
)
def test_what_clocks_free_of_a_limit(tmp_path: Path, event: str, frees: bool) -> None:
    end = "150m" if "down: 2h" in event else "30m"
    rules = LIMITED.replace("tries: 2", "tries: 9")
    wanted = expecting(f"between: [10m, {end}], attempt: restart, count: {int(frees)}")
    holds(run(tmp_path, SICK + f"events: [{event}]\n" + wanted, rules))


def test_the_host_goes_on_while_heald_is_down(tmp_path: Path) -> None:
    events = "events: [{at: 2m, do: crash, down: 1m}, {at: 150s, do: clock, by: 2h}]\n"
    readings = "readings: {api: [{from: 170s, samples: {up: 0}}]}\n"
    holds(run(tmp_path, readings + events + expecting("at: 3m, attempt: restart", "never: true, hold: clock_jumped")))


def test_the_upstream_is_looked_at_too_and_holds(tmp_path: Path) -> None:
    db = "{from: 0s, samples: {up: 1}, look: {samples: {up: 0}}}"
    readings = f"readings: {{api: [{{from: 0s, samples: {{up: 0}}}}], db: [{db}]}}\n"
    holds(run(tmp_path, readings + "lasts: 5s\n" + expecting("at: 0s, hold: upstream", "count: 0, attempt: restart")))


def test_a_scenario_needs_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_HOST", raising=False)
    rules = RULES.replace("host: localhost, port: 2", 'host: "${env:API_HOST}", port: 2, send: "${file:/nowhere}"')
    holds(run(tmp_path, SICK + expecting("count: 2, attempt: restart"), rules))


def test_nothing_is_written_beside_the_files(tmp_path: Path) -> None:
    file = write(tmp_path, SICK + "events: [{at: 1m, do: pause, why: x}]\n")
    before = sorted(tmp_path.iterdir())
    run(tmp_path, SICK + "events: [{at: 1m, do: pause, why: x}]\n")
    assert sorted(tmp_path.iterdir()) == before
    assert file in before
