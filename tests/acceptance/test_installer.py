"""The installer where things are not as they should be: it does all of it or nothing, and says which."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.host import CHECKOUT, NOBODY, Host, copy_of_checkout, host

RULES = "version: 1\nchecks:\n  load: {load: {}}\n"
NO_INDEX = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}


@pytest.fixture(scope="module")
def booted() -> Iterator[tuple[Host, list[str]]]:
    """A host that heald was never on, and its files."""
    with host({}) as clean:
        clean.lab.run("mkdir", "/mnt/read-only")
        clean.lab.run("mkdir", "-m", "0700", "/mnt/closed")
        clean.lab.run("mount", "-t", "tmpfs", "-o", "ro", "none", "/mnt/read-only")
        yield clean, clean.files()


@pytest.fixture
def clean(booted: tuple[Host, list[str]]) -> Iterator[Host]:
    """The host without heald; what a test leaves on it is a fault of the installer."""
    host, before = booted
    host.installer("uninstall")
    yield host
    host.installer("uninstall")
    assert host.files() == before
    assert host.lab.run("getent", "passwd", "heald").returncode == 2
    assert host.lab.run("getent", "group", "heald").returncode == 2


@pytest.fixture
def installed(booted: tuple[Host, list[str]]) -> Host:
    """The host with heald on it, which watches its load."""
    host, _ = booted
    if not (host.root / "usr/local/bin/heald").is_symlink():
        host.installer("install")
    host.write_rules(RULES)
    host.lab.systemctl("enable", "--now", "--quiet", "heald")
    return host


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        (NO_INDEX, "Connection refused"),
        ({"PREFIX": "/mnt/read-only"}, "Read-only file system"),
        ({"PREFIX": "/mnt/closed/heald"}, "the user heald cannot run what is in /mnt/closed/heald/lib/heald"),
        ({"PYTHON": "/usr/bin/false"}, "/usr/bin/false is not 3.11 or newer"),
    ],
    ids=["no network", "read-only", "a folder that is root's", "no Python"],
)
def test_an_install_that_fails_leaves_nothing(clean: Host, environment: dict[str, str], why: str) -> None:
    before = clean.files()
    said = clean.installer("install", fails=True, environment=environment)
    assert why in said
    assert said.endswith("heald: not installed, and what was laid is removed again; see above\n")
    assert clean.files() == before
    assert clean.lab.run("getent", "passwd", "heald").returncode == 2


@pytest.mark.parametrize("prefix", ["relative", "/with blank", "/with#sign"])
def test_a_prefix_that_a_unit_could_not_name_is_refused(clean: Host, prefix: str) -> None:
    said = clean.installer("install", fails=True, environment={"PREFIX": prefix})
    assert said == f"heald: PREFIX has to be an absolute path of letters, digits and ._-, not {prefix}\n"


def test_under_another_prefix_it_runs_is_upgraded_and_uninstalled_without_naming_it_again(clean: Host) -> None:
    checkout = copy_of_checkout(clean.lab.folder / "checkout")
    for path in (checkout / "docs").rglob("*"):  # as umask 077 makes them
        path.chmod(0o700 if path.is_dir() else 0o600)
    said = clean.installer("install", checkout=Path("/mnt/checkout"), environment={"PREFIX": "/opt/heald/"})
    assert "installed and running. See: /opt/heald/bin/heald status" in said
    assert clean.lab.run("/opt/heald/bin/heald", "status").returncode == 0
    assert clean.lab.run("systemctl", "reload", "heald").returncode == 0
    assert clean.property("UnitFileState") == "enabled"
    assert clean.lab.run("cat", "/opt/heald/share/doc/heald/docs/rules.md", uid=NOBODY).returncode == 0
    said = clean.installer("install", fails=True, environment={"PREFIX": "/srv/heald"})
    assert "it is installed under /opt/heald; to have it under /srv/heald, call make uninstall ARGS=--keep" in said
    assert "/opt/heald/lib/heald/venv" in clean.installer("install")
    assert not (clean.root / "usr/local/bin/heald").exists()


def test_a_user_of_that_name_who_was_there_before_stays(clean: Host) -> None:
    clean.lab.run("useradd", "--system", "--user-group", "heald")
    clean.installer("install")
    assert "left is the user heald, who was there before" in clean.installer("uninstall")
    assert clean.lab.run("userdel", "heald").returncode == 0


def test_a_folder_that_it_made_and_that_a_package_owns_by_now_stays(clean: Host) -> None:
    folder = "/etc/polkit-1/rules.d"
    assert clean.lab.run("dpkg", "-S", folder).returncode == 0
    clean.lab.run("mv", folder, "/mnt/rules.d")  # as where polkit is installed after heald
    clean.installer("install")
    clean.installer("uninstall")
    assert clean.lab.run("rmdir", folder).returncode == 0
    clean.lab.run("mv", "/mnt/rules.d", folder)


def test_an_upgrade_that_fails_leaves_the_one_that_runs(installed: Host) -> None:
    before, pid = installed.files(), installed.property("MainPID")
    assert installed.installer("install", fails=True, environment=NO_INDEX).endswith("heald: not upgraded; see above\n")
    assert installed.files() == before
    assert (installed.property("ActiveState"), installed.property("MainPID")) == ("active", pid)
    assert installed.heald("--version").returncode == 0


def test_an_upgrade_that_would_not_take_the_rules_is_refused_before_it_touches_anything(installed: Host) -> None:
    drop_in = installed.root / "etc/systemd/system/heald.service.d/secret.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text("[Service]\nEnvironment=HEALD_TEST_NAME=a=b\n")
    installed.write_rules(f"{RULES}  it: {{command: {{argv: ['true', '${{env:HEALD_TEST_NAME}}']}}}}\n")
    installed.lab.systemctl("daemon-reload")
    installed.lab.systemctl("restart", "heald")
    later = copy_of_checkout(installed.lab.folder / "without-load")
    (later / "checks/load.py").unlink()
    before, pid = installed.files(), installed.property("MainPID")
    said = installed.installer("install", fails=True, checkout=Path("/mnt/without-load"))
    assert "/etc/heald/rules.yaml:3:10: checks.load" in said
    assert "the new version does not take /etc/heald/rules.yaml, which the one in use does" in said
    assert said.endswith("heald: not upgraded; see above\n")
    assert installed.files() == before
    assert (installed.property("ActiveState"), installed.property("MainPID")) == ("active", pid)


def test_one_that_an_operator_disabled_is_upgraded_and_stays_stopped(installed: Host) -> None:
    installed.lab.systemctl("disable", "--now", "heald")
    assert "upgraded; heald.service is disabled, and was left so" in installed.installer("install")
    assert (installed.property("UnitFileState"), installed.property("ActiveState")) == ("disabled", "inactive")


def test_an_uninstall_that_a_process_is_in_the_way_of_removes_nothing(installed: Host) -> None:
    installed.lab.run("systemd-run", "--quiet", "--uid=heald", "--unit=lingers", "sleep", "infinity")
    pid = installed.property("MainPID", "lingers.service")
    said = installed.installer("uninstall", fails=True)
    installed.lab.systemctl("stop", "lingers.service")
    assert f"the user heald has processes that have to end first: {pid}" in said
    assert installed.rules_file.read_text() == RULES
    assert installed.heald("--version").returncode == 0
    installed.lab.systemctl("start", "heald")


def test_what_was_kept_outlives_an_install_that_fails(installed: Host) -> None:
    installed.installer("uninstall", "--keep")
    installed.installer("install", fails=True, environment=NO_INDEX)
    assert installed.rules_file.read_text() == RULES
    assert (installed.root / "var/lib/heald/heald.db").exists()


def test_without_root_and_sudo_it_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(
        ["/bin/sh", CHECKOUT / "systemd/install.sh", "uninstall"],
        env={"PATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "heald: be root or install sudo\n")
