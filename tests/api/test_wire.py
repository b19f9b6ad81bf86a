"""The model as JSON."""

import json
from datetime import UTC, datetime, timedelta, timezone

from pydantic import SecretStr

from daemon.api.wire import attempt_to_json, check_to_json, incident_to_json, json_value, moment
from daemon.model.check import Reading, Run
from daemon.model.settings import Mode
from tests.api.fake_control import ATTEMPT, CHECK, HOLD, INCIDENT, SECRET, STAMP


def test_moments_are_iso_8601_in_utc() -> None:
    assert moment(STAMP) == "2023-11-14T22:13:20.250Z"
    assert moment(1_700_000_000) == "2023-11-14T22:13:20.000Z"
    assert moment(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-01T00:00:00.000Z"
    assert moment(None) is None
    assert datetime.fromisoformat(moment(STAMP) or "").tzinfo == UTC


def test_an_incident_carries_its_attempts_and_holds() -> None:
    wire = incident_to_json(INCIDENT, attempts=[ATTEMPT], holds=[HOLD])
    assert json.loads(json.dumps(wire)) == wire
    assert (wire["state"], wire["severity"], wire["hold"]) == ("firing", "P1", "limit_rule")
    assert (wire["attempts"][0]["state"], wire["attempts"][0]["verification"]) == ("succeeded", "ineffective")
    assert (wire["holds"][0]["reason"], wire["holds"][0]["held_at"]) == ("cooldown", "2023-11-14T22:13:20.250Z")
    assert (wire["opened_at"], wire["closed_at"]) == ("2023-11-14T22:13:20.250Z", None)


def test_options_never_reach_the_wire() -> None:
    run = Run(check="api_health", began=1.0, ended=2.0, readings=(Reading(samples={"up": 1}),))
    said = json.dumps([incident_to_json(INCIDENT, attempts=[ATTEMPT], holds=[HOLD]), check_to_json(CHECK, run)])
    assert SECRET not in said


def test_details_become_json_whatever_a_plug_in_put_there() -> None:
    assert attempt_to_json(ATTEMPT)["details"] == {"exit_code": 0, "seconds": None, "path": "/x"}
    assert json_value({"a": {1}, 2: (float("inf"), Mode.ACT)}) == {"a": [1], "2": [None, "act"]}
    assert json_value(SecretStr("hunter2")) == "**********"
    assert json_value("\udcff") == "?"
    assert json_value(b"raw") == "b'raw'"
    assert json_value(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_details_that_contain_themselves_end_somewhere() -> None:
    loop: list[object] = []
    loop.append(loop)
    json.dumps(json_value(loop))


def test_a_check_is_waiting_up_down_or_blind() -> None:
    def run(**more: object) -> Run:
        return Run(check="api_health", began=1.0, ended=2.0, at=STAMP, **more)  # type: ignore[arg-type]  # a mixture

    down = run(readings=tuple(Reading(subject=f"s{n:02}", samples={"up": 0}) for n in range(30)))
    assert check_to_json(CHECK, None)["state"] == "waiting"
    assert check_to_json(CHECK, run(readings=(Reading(samples={"up": 1}),)))["state"] == "up"
    blind = check_to_json(CHECK, run(error="no route"))
    assert (blind["state"], blind["error"]) == ("blind", "no route")
    said = check_to_json(CHECK, down)
    assert (said["state"], said["subjects"], len(said["down"])) == ("down", 30, 20)
