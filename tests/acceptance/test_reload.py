"""A reload in the middle of things, on a real daemon: while an attempt runs, settles, is verified."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_until
from tests.acceptance.test_daemon import did, rules

EDITS: dict[str, Callable[[str], str]] = {
    "removed": lambda text: text.split("rules:\n")[0],
    "renamed": lambda text: text.replace("web-down:", "web-gone:"),
    "edited": lambda text: text.replace("tries: 50", "tries: 49").replace("up == 0", "up < 1"),
    "broken": lambda text: text.replace("up == 0", "up == nothing"),
}
MOMENTS = ("running", "settle", "verify")


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_under_way_ends_under_the_old_rule(tmp_path: Path, moment: str, edit: str) -> None:
    text = rules(tmp_path, takes=1.5 if moment == "running" else 0.0)
    text = text.replace("settle: 200ms", f"settle: {'2s' if moment == 'settle' else '0s'}")
    verified_for = "5s" if moment == "verify" else "1s"
    text = text.replace("for: 0s\n", f"for: 0s\n    clear_for: {verified_for}\n")
    with DaemonProcess(tmp_path, text) as daemon:
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1)
        if moment != "running":
            wait_until(lambda: daemon.incidents()[0]["attempts"][0]["state"] == "succeeded")
        if moment == "verify":
            wait_until(lambda: daemon.incidents()[0]["state"] == "recovering")
        daemon.rules.write_text(EDITS[edit](text))
        assert daemon.ask("reload").returncode == (1 if edit == "broken" else 0)
        wait_until(lambda: not daemon.status()["under_way"], what=daemon.text())
        (incident,) = [it for it in daemon.incidents() if it["rule"] == "web-down"]
        (attempt,) = incident["attempts"]
        assert attempt["state"] == "succeeded"
        is_gone = edit in ("removed", "renamed")
        assert attempt["verification"] == ("unverified" if is_gone else "effective")
        state = "withdrawn" if is_gone else "resolved"
        wait_until(lambda: daemon.incidents()[-1]["state"] == state, what=daemon.text())
        assert did(tmp_path) == 1
        (tmp_path / "well").unlink()  # and heald goes on by what the file says now
        if edit == "removed":
            assert daemon.status()["rules"] == 0
        else:
            wait_until(lambda: did(tmp_path) == 2, what=daemon.text())
            newest = daemon.incidents()[0]
            assert newest["rule"] == ("web-gone" if edit == "renamed" else "web-down")
        assert daemon.stop() == 0


def test_a_reload_reads_what_is_included_anew_and_refuses_it_as_the_main_file(tmp_path: Path) -> None:
    text = f"{rules(tmp_path)}include: [more.d/*.yaml]\n"
    more = tmp_path / "more.d" / "more.yaml"
    more.parent.mkdir()
    with DaemonProcess(tmp_path, text) as daemon:
        assert daemon.status()["rules"] == 1
        more.write_text("version: 1\nrules: {another: {checks: {labels: {a: b}}, when: up == 0}}\n")
        refused = daemon.ask("reload")
        assert refused.returncode == 1
        assert f"{more}:2:" in refused.stderr
        assert daemon.status()["rules"] == 1
        more.write_text("version: 1\nrules: {another: {check: web, when: up == 0}}\n")
        assert daemon.ask("reload").returncode == 0
        assert daemon.status()["rules"] == 2
        more.unlink()
        assert daemon.ask("reload").returncode == 0
        assert daemon.status()["rules"] == 1
        assert daemon.stop() == 0
