"""How a database is named, and that no part of it comes back in an error."""

import sys
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.connections import postgres as postgres_connection
from daemon.connections.postgres import _place, _without_password
from daemon.errors import CheckError
from tests.lab.contexts import check_context


@pytest.mark.parametrize(
    "dsn",
    [
        "s3cret",
        "mysql://heald:s3cret@localhost/shop",
        "postgresql://heald:s3cret@localhost:port/shop",
        "postgresql://heald:s3cret@[::1/shop",
        "host=localhost password=s3cret",
        "postgresql://heald:12/s3cret@localhost/shop",
        "postgresql://heald:12?s3cret@localhost/shop",
        "postgresql://heald:12#s3cret@localhost/shop",
        "",
    ],
)
def test_what_is_no_address_of_a_database_is_refused_and_not_repeated(dsn: str) -> None:
    with pytest.raises(
        ValidationError, match="is not the address of a PostgreSQL database; write postgresql:"
    ) as caught:
        postgres_connection.Options.model_validate({"dsn": dsn}, strict=False)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "place"),
    [
        ("postgresql://heald:p@db1:5433/shop", "database shop at db1:5433"),
        ("postgresql+asyncpg://heald:p%40@db1/shop?sslmode=verify-full", "database shop at db1"),
        ("postgres://heald@/shop?host=/run/postgresql", "/run/postgresql"),
        ("postgres://", "localhost"),
    ],
)
def test_a_place_in_a_sentence_has_no_user_and_no_password(dsn: str, place: str) -> None:
    options: Any = postgres_connection.Options.model_validate({"dsn": dsn}, strict=False)
    assert _place(options.dsn.get_secret_value()) == place
    assert dsn not in repr(options)


def test_what_is_wrong_with_a_dsn_is_said_without_its_password() -> None:
    dsn = "postgresql://heald:p%40ss@db1/shop"
    assert _without_password("`sslmode` is wrong", dsn) == "`sslmode` is wrong"
    assert "p@ss" not in _without_password("what of p@ss", dsn)
    assert "p%40ss" not in _without_password("what of p%40ss", dsn)
    assert "s3cret" not in _without_password("what of s3cret", "postgresql://db1/shop?password=s3cret")


async def test_without_its_package_we_are_blind_and_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    options: Any = postgres_connection.Options.model_validate({"dsn": "postgres://db1/shop"}, strict=False)
    with pytest.raises(CheckError, match=r"without asyncpg: install heald\[postgres\]"):
        await postgres_connection.connect(options, check_context())
