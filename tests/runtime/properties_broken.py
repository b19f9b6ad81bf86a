"""How a property says that it does not hold."""

ROUNDING = 1e-3  # seconds: rows keep milliseconds


class Broken(AssertionError):  # noqa: N818  # it says what is broken
    """A property does not hold; its name comes first."""


def require(holds: object, name: str, *said: object) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(f"{name}: {' '.join(map(str, said))}")
