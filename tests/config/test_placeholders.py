"""What references stand for in scenarios: made up from their names, and nothing is read."""

from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.placeholders import Placeholders
from daemon.config.problems import ConfigError
from daemon.config.setup import Setup

RULES = """version: 1
services:
  api: {run_by: {supervisor: {socket: "${env:SOCKET}", program: "${env:PROGRAM}"}}}
checks:
  web: {http: {url: "${env:API}/health", bearer: "${credential:web-token}"}}
  port: {tcp: {host: "${env:HOST_OF_IT}", port: 1, send: "${file:/nowhere/at all}"}}
"""


def made_up(folder: Path, rules: str = RULES) -> Setup:
    file = folder / "rules.yaml"
    file.write_text(rules)
    return load(file, node="node", secrets=Placeholders(folder=folder, environ={}))


def test_a_reference_is_its_name_or_what_the_option_takes(tmp_path: Path) -> None:
    setup = made_up(tmp_path)
    assert setup.managers["api"].resource == "supervisor:/SOCKET/PROGRAM@node"
    port, web = setup.checks["port"].options, setup.checks["web"].options
    assert (port.host, port.send.get_secret_value()) == ("HOST_OF_IT", "nowhere_at_all")
    assert web.url == "http://api.example/health"
    assert web.bearer.get_secret_value() == "web_token"


def test_the_environment_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKET", "/run/real.sock")
    assert made_up(tmp_path).managers["api"].resource == "supervisor:/SOCKET/PROGRAM@node"


def test_the_same_stands_for_the_same_in_included_files(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        'version: 1\nservices: {web: {run_by: {supervisor: {socket: "${env:SOCKET}", program: web}}}}\n'
    )
    setup = made_up(tmp_path, RULES.replace("version: 1", "version: 1\ninclude: [more.yaml]"))
    assert setup.managers["web"].resource == "supervisor:/SOCKET/web@node"


@pytest.mark.parametrize("wrong", ["${env:}", "${file: }", "${env:A", "${nothing:A}"])
def test_a_reference_that_is_badly_written_is_an_error_as_ever(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError) as raised:
        made_up(tmp_path, RULES.replace("${env:HOST_OF_IT}", wrong))
    assert [problem.path for problem in raised.value.problems] == ["checks.port.tcp.host"]


def test_what_no_value_would_do_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        made_up(tmp_path, RULES.replace("program: ", "programme: "))
    assert raised.value.problems[0].path == "services.api.run_by.supervisor.program"
