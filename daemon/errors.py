"""The errors that cross a border between packages; everything else is translated at the plug-in's edge."""

from collections.abc import Mapping


class HealdError(Exception):
    """An error whose text is written for an operator."""


class CheckError(HealdError):
    """We could not look: the run is UNKNOWN. Blind is not sick."""


class RemediationError(HealdError):
    """A remediation failed. `permanent` says that trying again cannot help, so the step is over.

    `details` are facts for the record, as JSON values: exit code, stderr, counts.
    """

    def __init__(self, message: str, *, permanent: bool = False, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.details: Mapping[str, object] = dict(details or {})


class StoreError(HealdError):
    """The store cannot be read or written now (full disk, read-only file); it is tried again."""


class StoreRefusedError(HealdError):
    """The store can never be used as it is: a newer schema, another daemon's lock. Nothing is tried again."""


class LockedError(StoreRefusedError):
    """Another daemon has the state directory."""
