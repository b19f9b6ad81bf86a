"""The JSON Schema for editors, against a library that knows JSON Schema, and against the loader."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from daemon.cli import main
from daemon.config.discover import discover_types
from daemon.config.document import parse_document
from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.config.reading import read_text
from daemon.reference.schema import json_schema

CHECKOUT = Path(__file__).parents[2]
BAD = CHECKOUT / "tests" / "config" / "bad"
OTHERS = {*CHECKOUT.glob("demo/**/*.yaml"), *CHECKOUT.glob("examples/**/*.yaml")}
SHIPPED = sorted({CHECKOUT / "rules.yaml", *(path for path in OTHERS if not path.match("*.scenarios.yaml"))})
FOR_A_HOST = CHECKOUT / "systemd/host-rules.yaml"  # once installed its schema is elsewhere: tests/acceptance
CAUGHT = [
    "a-truth-value-in-argv",
    "allow-as-text",
    "allow-of-nothing-known",
    "allow-twice",
    "check-and-checks",
    "check-name-is-a-function",
    "check-name-with-dash",
    "check-with-two-types",
    "check-without-type",
    "condition-is-a-truth-value",
    "duration-without-unit",
    "empty-checks",
    "empty-run-by",
    "empty-section",
    "empty-steps",
    "for-without-unit",
    "label-is-a-number",
    "later-rule-key",
    "mistyped-key",
    "mistyped-section",
    "negative-duration",
    "negative-limit",
    "no-options",
    "no-tries",
    "no-version",
    "not-a-number",
    "number-with-underscores",
    "on-is-no-truth-value",
    "port-as-text",
    "port-too-high",
    "rule-without-check",
    "rule-without-condition",
    "runbook-is-no-url",
    "section-is-a-list",
    "service-name",
    "share-without-unit",
    "sexagesimal",
    "size-without-unit",
    "step-as-word",
    "step-option-unknown",
    "step-with-two-remediations",
    "step-without-remediation",
    "top-level-list",
    "top-level-text",
    "two-managers",
    "unknown-check-type",
    "unknown-mode",
    "unknown-option",
    "unknown-remediation",
    "unknown-section",
    "unknown-setting",
    "unknown-severity",
    "version-2",
    "version-as-text",
    "missing-option",
]


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    return json_schema(discover_types())


@pytest.fixture(scope="session")
def validator(schema: dict[str, Any]) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def value(path: Path) -> Any:
    return parse_document(path, read_text(path)).root.plain()


def errors(validator: Draft202012Validator, content: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(content)]


def schemas(schema: Any, at: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping of the schema, by its path."""
    if isinstance(schema, dict):
        yield at, schema
        for key, inner in schema.items():
            yield from schemas(inner, f"{at}.{key}")
    elif isinstance(schema, list):
        for place, inner in enumerate(schema):
            yield from schemas(inner, f"{at}[{place}]")


@pytest.mark.parametrize("path", [*SHIPPED, FOR_A_HOST], ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_the_shipped_rules_files_are_valid(validator: Draft202012Validator, path: Path) -> None:
    assert errors(validator, value(path)) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_shipped_file_tells_editors_where_its_schema_is(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).resolve() == CHECKOUT / "docs" / "reference" / "rules.schema.json"


@pytest.mark.parametrize("name", CAUGHT)
def test_a_bad_file_that_a_schema_can_catch_is_refused(validator: Draft202012Validator, name: str) -> None:
    try:
        content = value(BAD / f"{name}.yaml")
    except ConfigError as error:
        pytest.fail(f"it is no YAML: {error}")
    assert errors(validator, content)


def test_what_the_loader_takes_no_schema_refuses(validator: Draft202012Validator, tmp_path: Path) -> None:
    text = """
version: 1
include: [rules.d/*.yaml]
settings: {mode: act, allow: [restart], budget: [20/1h], history: {for: 2d, size: 64MiB}, listen: "[::1]:9000"}
defaults:
  checks: {every: 15s, timeout: 1500ms, labels: {site: a}}
  rules: {for: 1m30s, limit: [3/1h, 7/1d], severity: P1}
  steps: {cooldown: 1m..30m, tries: 3}
services:
  api-1: {run_by: {supervisor: {socket: /run/s.sock, program: api, password: "${env:HEALD_TEST_WORD}"}}, labels: {a: b}}
  db: {run_by: {command: {restart: [x]}}, limit: [0/1h], runbook: "https://wiki.example/"}
checks:
  api:
    service: api-1
    http:
      url: http://localhost/
      method: "${env:HEALD_TEST_METHOD}"
      headers: {X-Token: "${env:HEALD_TEST_WORD}"}
      expect_status: [200, 201-299]
      json_samples: {a: b.c, d: {path: e, unit: seconds}}
      body_limit: "${env:HEALD_TEST_SIZE}"
  port: {tcp: {host: h, port: 1, send: null}, timeout: ~}
rules:
  down: {check: api, when: up == 0, clear_when: up == 1, steps: [{restart: {}, settle: 0s, approval: true}]}
  all: {checks: [api, port], when: up == 0, summary: All.}
  some: {checks: {labels: {site: a}}, when: "latency_seconds > 2s", runbook: ~}
"""
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    assert errors(validator, value(path)) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEALD_TEST_WORD", "word")
        patch.setenv("HEALD_TEST_METHOD", "POST")
        patch.setenv("HEALD_TEST_SIZE", "2MiB")
        assert len(load(path, node="node").rules) == 3


@pytest.mark.parametrize(
    "content",
    [
        {"version": 1, "defaults": {"checks": {"http": {"url": "http://h/"}}}},
        {"version": 1, "defaults": {"rules": {"when": "up == 0"}}},
        {"version": 1, "defaults": {"steps": {"cooldown": "5"}}},
        {"version": 1, "include": "rules.d/*.yaml"},
        {"version": 1, "vars": {}},
        {"version": 1, "connections": {"a": {"optional": True}}},
    ],
)
def test_what_is_new_in_the_file_is_judged_too(validator: Draft202012Validator, content: Any) -> None:
    assert errors(validator, content)


def test_every_key_says_what_it_means(schema: dict[str, Any]) -> None:
    silent = [
        f"{at}.{key}"
        for at, part in schemas(schema)
        if isinstance(part.get("properties"), dict) and "type" in part
        for key, inner in part["properties"].items()
        if not inner.get("description", "").strip()
    ]
    assert silent == []


def test_no_mapping_of_known_keys_takes_others(schema: dict[str, Any]) -> None:
    loose = [
        at
        for at, part in schemas(schema)
        if part.get("type") == "object" and "properties" in part and part.get("additionalProperties") is not False
    ]
    assert loose == []


def test_defaults_are_valid_themselves(schema: dict[str, Any]) -> None:
    for at, part in schemas(schema):
        if "default" in part and not at.endswith(".properties"):
            assert Draft202012Validator({**schema, **part}).is_valid(part["default"]) or "$ref" in part, at


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(main, ["schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json_schema(discover_types())
