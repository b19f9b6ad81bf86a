"""The part `connections` of a file: who uses which, what may be missing, and what commands never get."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.config.load import load
from daemon.config.setup import Setup
from daemon.errors import CheckError
from daemon.runtime.connections import Connections
from tests.lab.contexts import check_context

Load = Callable[[str], Setup]
WHOLE = """version: 1
connections:
  shop_db: {postgres: {dsn: "postgresql://heald:${env:SHOP_PASSWORD}@db1/shop"}}
  cache: {redis: {host: cache1, password: "${env:CACHE_PASSWORD}"}, optional: true}
  other-cache: {optional: false, redis: {}}
checks:
  db: {postgres: {connection: shop_db}}
  cache: {redis: {connection: cache}}
  local: {redis: {}}
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setenv("SHOP_PASSWORD", "s3cret")
    monkeypatch.delenv("CACHE_PASSWORD", raising=False)

    def read(text: str) -> Setup:
        file = tmp_path / "rules.yaml"
        file.write_text(text)
        return load(file, node="node")

    return read


def options(setup: Setup, name: str) -> Any:
    return setup.connections[name].options


def test_connections_are_there_by_name_with_their_kinds_and_options(read: Load) -> None:
    setup = read(WHOLE)
    assert {name: it.kind for name, it in setup.connections.items()} == {
        "shop_db": "postgres",
        "cache": "redis",
        "other-cache": "redis",
    }
    assert options(setup, "shop_db").dsn.get_secret_value() == "postgresql://heald:s3cret@db1/shop"
    assert options(setup, "other-cache").host == "localhost"
    assert "s3cret" not in repr(setup.connections)


def test_a_file_without_connections_has_none(read: Load) -> None:
    assert read("version: 1\n").connections == {}
    assert read("version: 1\nconnections: {}\nchecks:\n  local: {redis: {}}\n").connections == {}


def test_variables_of_connections_are_kept_from_commands(read: Load) -> None:
    assert read(WHOLE).secret_variables == {"SHOP_PASSWORD", "CACHE_PASSWORD"}


async def test_an_optional_connection_without_its_secret_makes_its_checks_blind_and_no_others(read: Load) -> None:
    setup = read(WHOLE)
    cache = setup.connections["cache"]
    assert cache.options is None
    connections = Connections(types=setup.types.connections, configured=setup.connections)
    check = setup.checks["cache"]
    with pytest.raises(CheckError, match=r"connection cache cannot be opened: .*variable CACHE_PASSWORD is not set"):
        await setup.types.checks["redis"].check(check.options, check_context(connections=connections))
    assert setup.connections["shop_db"].lacks is None
    await connections.close()


def test_an_optional_connection_with_its_secret_is_as_any_other(read: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_PASSWORD", "p")
    setup = read(WHOLE)
    assert setup.connections["cache"].lacks is None
    assert options(setup, "cache").password.get_secret_value() == "p"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("${env:CACHE_PASSWORD}", "the environment variable CACHE_PASSWORD is not set"),
        ("redis://:${env:CACHE_PASSWORD}@cache1/0", "the environment variable CACHE_PASSWORD is not set"),
        ("${file:no-such-file}", "no-such-file"),
        ("${credential:cache}", "cache"),
    ],
)
def test_whatever_an_optional_secret_is_kept_in_may_be_missing(read: Load, written: str, said: str) -> None:
    setup = read(f'version: 1\nconnections:\n  cache: {{optional: true, redis: {{url: "{written}"}}}}\n')
    assert said in (setup.connections["cache"].lacks or "")


def test_every_secret_that_is_missing_is_named(read: Load) -> None:
    secrets = 'username: "${env:NO_USER}", password: "${env:CACHE_PASSWORD}"'
    text = f"version: 1\nconnections:\n  cache: {{optional: true, redis: {{{secrets}}}}}\n"
    lacks = read(text).connections["cache"].lacks or ""
    assert "NO_USER" in lacks
    assert "CACHE_PASSWORD" in lacks


def test_a_connection_whose_secret_changes_is_another_one(read: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read(WHOLE).connections
    again = read(WHOLE).connections
    assert before == again
    monkeypatch.setenv("SHOP_PASSWORD", "other")
    after = read(WHOLE).connections
    assert [name for name in before if before[name] != after[name]] == ["shop_db"]


def test_the_name_of_a_secret_that_is_not_there_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CACHE_PASSWORD", raising=False)
    file = tmp_path / "rules.yaml"
    file.write_text(
        'version: 1\nconnections: {cache: {redis: {password: "${env:CACHE_PASSWORD}"}, optional: true}}\n'
        "checks: {cache: {redis: {connection: cache}}}\n"
    )
    said = load(file).masks.text("${env:CACHE_PASSWORD}: it is not set")
    assert said == "${env:CACHE_PASSWORD}: it is not set"
