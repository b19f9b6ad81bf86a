"""The errors that cross a border between packages; everything else is translated at the plug-in's edge."""


class HealdError(Exception):
    """An error whose text is written for an operator."""


class CheckError(HealdError):
    """We could not look: the run is UNKNOWN. Blind is not sick."""


class RemediationError(HealdError):
    """A remediation failed. `permanent` says that trying again cannot help, so the step is over."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class StoreError(HealdError):
    """The store cannot be read or written now (full disk, read-only file); it is tried again."""


class StoreRefusedError(HealdError):
    """The store can never be used as it is: a newer schema, another daemon's lock. Nothing is tried again."""
