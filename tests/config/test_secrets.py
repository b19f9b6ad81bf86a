"""References to secrets: resolved where they stand, never told."""

import json
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.config.load import load
from daemon.config.problems import ConfigError, Problem
from daemon.config.secrets import SecretError, Secrets
from daemon.config.setup import Setup

TOKEN = "s3cr3t-t0k3n-of-the-shop"


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "db.password").write_text(f"{TOKEN}\n")
    (tmp_path / "token").write_text(f"{TOKEN}\r\n")
    return Secrets(
        folder=tmp_path,
        environ={"TOKEN": TOKEN, "EMPTY": "", "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")},
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:TOKEN}", TOKEN),
        ("Bearer ${env:TOKEN}!", f"Bearer {TOKEN}!"),
        ("${file:token}", TOKEN),
        ("${credential:db.password}", TOKEN),
        ("${env:TOKEN}${file:token}", TOKEN * 2),
        ("$${env:TOKEN}", "${env:TOKEN}"),
        ("$HOME $$ $(x) {y}", "$HOME $$ $(x) {y}"),
        ("", ""),
    ],
)
def test_a_reference_is_replaced_by_what_it_stands_for(secrets: Secrets, text: str, value: str) -> None:
    assert secrets.resolve(text) == value


def test_a_file_may_have_an_absolute_path(secrets: Secrets) -> None:
    assert secrets.resolve(f"${{file:{secrets.folder}/token}}") == TOKEN


def test_only_the_line_break_at_the_end_of_a_file_is_cut(secrets: Secrets) -> None:
    (secrets.folder / "two").write_text(" a\nb \n\n")
    assert secrets.resolve("${file:two}") == " a\nb \n"


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        ("x ${env:TOKE}", 2, "TOKE is not set; set it before heald starts; did you mean TOKEN?"),
        ("${env:EMPTY}", 0, "EMPTY is empty"),
        ("${env:A B}", 0, "names are letters, digits and _"),
        ("${TOKEN}", 0, "${TOKEN} is not a reference; write ${env:NAME}"),
        ("${}", 0, "${} is not a reference"),
        ("abc ${env:TOKEN", 4, "is not closed"),
        ("${file:none}", 0, "there is no such file"),
        ("${file: }", 0, "names no file"),
        ("${file:.}", 0, "no regular file"),
        ("${file:pipe}", 0, "no regular file"),
        ("${file:blank}", 0, "the file is empty"),
        ("${file:latin}", 0, "not UTF-8"),
        ("${file:huge}", 0, "larger than 64 KiB"),
        ("${credential:../token}", 0, "names no credential"),
        ("${credential:none}", 0, "there is no such file"),
    ],
)
def test_a_reference_that_cannot_be_resolved_says_which_and_why(
    secrets: Secrets, text: str, offset: int, said: str
) -> None:
    os.mkfifo(secrets.folder / "pipe")
    (secrets.folder / "blank").write_text("\n")
    (secrets.folder / "latin").write_bytes(b"\xe4")
    (secrets.folder / "huge").write_bytes(b"x" * 65537)
    with pytest.raises(SecretError) as raised:
        secrets.resolve(text)
    assert said in str(raised.value)
    assert raised.value.offset == offset


def test_without_systemd_there_are_no_credentials(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="LoadCredential=token:PATH"):
        Secrets(folder=tmp_path, environ={}).resolve("${credential:token}")


def test_a_sentence_has_the_reference_instead_of_the_value(secrets: Secrets) -> None:
    secrets.resolve("${env:TOKEN}")
    assert secrets.without(f"{TOKEN!r} is no port", ["${env:TOKEN}"]) == "'${env:TOKEN}' is no port"


def test_a_sentence_that_would_give_a_part_of_the_value_away_is_not_used(secrets: Secrets) -> None:
    secrets.resolve("${env:TOKEN}")
    assert secrets.without(f"{TOKEN[:12]!r} is no host", ["${env:TOKEN}"]) is None


def test_the_repr_of_the_resolver_tells_nothing(secrets: Secrets) -> None:
    secrets.resolve("${env:TOKEN}")
    assert TOKEN not in repr(secrets)


# ---- in a file ------------------------------------------------------------------------------------------------------

RULES = """version: 1
services:
  api: {run_by: {supervisor: {socket: /run/s.sock, program: api, password: "${env:SHOP_TOKEN}"}}}
checks:
  api:
    service: api
    http:
      url: http://localhost/${env:SHOP_TOKEN}
      bearer: ${file:token}
      headers: {X-Key: "key ${env:SHOP_TOKEN}", X-Plain: written-in-the-file}
rules:
  api-down:
    check: api
    when: up == 0
    steps:
      - run: {argv: [notify, "--token=${env:SHOP_TOKEN}"], env: {TOKEN: "${env:SHOP_TOKEN}", OTHER: written-here}}
"""


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "rules.yaml").write_text(RULES)
    return load(tmp_path / "rules.yaml", node="node")


def test_secret_options_are_secret_from_the_first_moment_on(setup: Setup) -> None:
    options: object = setup.checks["api"].options
    assert options.bearer == SecretStr(TOKEN)  # type: ignore[attr-defined]  # http's Options
    assert options.headers["X-Key"] == SecretStr(f"key {TOKEN}")  # type: ignore[attr-defined]  # as above
    assert options.headers["X-Plain"] == SecretStr("written-in-the-file")  # type: ignore[attr-defined]  # as above


def test_the_variables_that_secret_options_name_are_told_to_be_kept_from_commands(setup: Setup) -> None:
    assert setup.secret_variables == {"SHOP_TOKEN"}


@pytest.mark.parametrize(
    ("text", "withheld"),
    [
        ("Bearer ${env:TOKEN} ${env:EMPTY}", {"TOKEN", "EMPTY"}),
        ("${file:token} ${credential:db} $${env:TOKEN} plain", set()),
        ("${env:PATH}:${env:LC_ALL}:${env:XDG_RUNTIME_DIR}:${env:PATHS}", {"PATHS"}),
    ],
)
def test_what_every_command_needs_is_no_secret(secrets: Secrets, text: str, withheld: set[str]) -> None:
    secrets.withhold_from_commands(text)
    assert secrets.withheld == withheld


def test_plain_options_are_resolved_as_well(setup: Setup) -> None:
    assert setup.checks["api"].options.url == f"http://localhost/{TOKEN}"  # type: ignore[attr-defined]  # as above
    assert setup.rules[0].steps[0].options.argv == ["notify", f"--token={TOKEN}"]  # type: ignore[attr-defined]  # run's


def test_no_repr_tells_a_secret(setup: Setup) -> None:
    told = repr(setup) + str(setup) + repr(setup.checks["api"].options) + repr(setup.rules[0].steps[0].options)
    assert TOKEN not in told
    assert "written-in-the-file" not in told


def test_a_steps_key_has_the_reference_and_masks_what_is_written_in_the_file(setup: Setup) -> None:
    key = setup.rules[0].steps[0].key
    name, _, content = key.partition(" ")
    assert name == "run"
    assert json.loads(content) == {
        "argv": ["notify", "--token=${env:SHOP_TOKEN}"],
        "env": {"TOKEN": "${env:SHOP_TOKEN}", "OTHER": "**********"},
    }


def problems(tmp_path: Path, text: str) -> tuple[Problem, ...]:
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "rules.yaml", node="node")
    assert TOKEN not in raised.value.render()
    return raised.value.problems


@pytest.mark.parametrize(
    "options",
    [
        'tcp: {host: "${env:SHOP_TOKEN}@", port: 1}',
        'tcp: {host: localhost, port: "${env:SHOP_TOKEN}"}',
        'http: {url: "${env:SHOP_TOKEN}"}',
        'http: {url: "http://x/", method: "${env:SHOP_TOKEN}"}',
        'http: {url: "http://x/", expect_status: ["${env:SHOP_TOKEN}"]}',
        'http: {url: "http://x/", expect_regex: "(${env:SHOP_TOKEN}"}',
        'http: {url: "http://x/", headers: {X: "${env:SHOP_TOKEN} "}}',
        'http: {url: "http://x/", bearer: "${env:SHOP_TOKEN}", basic: {user: a, password: "${env:SHOP_TOKEN}"}}',
        'http: {url: "http://x/", "${env:SHOP_TOKEN}": 1}',
        'command: {argv: ["${env:SHOP_TOKEN}"], cwd: "${env:SHOP_TOKEN}"}',
    ],
)
def test_no_error_tells_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    assert problems(tmp_path, f"version: 1\nchecks:\n  web: {{{options}}}\n")


def test_no_error_about_a_step_tells_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    (problem,) = problems(
        tmp_path,
        "version: 1\nchecks:\n  web: {tcp: {host: a, port: 1}}\n"
        'rules:\n  r: {check: web, when: up == 0, steps: [{restart: {service: "${env:SHOP_TOKEN}"}}]}\n',
    )
    assert problem.text == (
        "this step could never act: service ${env:SHOP_TOKEN} has no run_by, or there is no such service: "
        "nobody is named who runs it"
    )


def test_an_error_stands_at_the_reference_within_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEALD_NOT_SET", raising=False)
    web = "  web:\n    http:\n      url: http://x/\n      body: |\n        a: 1\n        b: ${env:HEALD_NOT_SET}\n"
    text = f"version: 1\nchecks:\n{web}"
    (problem,) = problems(tmp_path, text)
    assert (problem.line, problem.column) == (8, 12)
    assert problem.path == "checks.web.http.body"


def test_a_key_with_a_reference_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, 'version: 1\nchecks:\n  web: {http: {url: "http://x/", headers: {"${env:A}": b}}}\n')
    assert any(problem.text.startswith("a key is plain text") for problem in found)
