"""Connections: clients that checks, managers and remediations share, as the operator configured them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """One connection of the file."""

    name: str
    kind: str  # the plug-in's name
    options: object = field(repr=False)  # the plug-in's validated Options, which may hold a secret; None if one lacks
    lacks: str | None = None  # of an optional one: the secret that is not there, so that it cannot be opened
