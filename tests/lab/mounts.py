"""Mounts that a test alone sees."""

import contextlib
import os
import subprocess

import pytest


def own_mounts() -> list[str]:
    """The command that gives a child mounts of its own; skips the test where the system has none to give."""
    for command in (["unshare", "-m"], ["unshare", "-Urm"]):
        with contextlib.suppress(OSError):
            done = subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
            if done.returncode == 0:
                return command
    missing = "a mount namespace (unshare -m) is missing: no privilege, and no user namespaces"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
