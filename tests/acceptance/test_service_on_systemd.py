"""heald as a service of a host with a real systemd, put there by its own installer, in the sandbox it ships with."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.store.opening import scripts
from tests.acceptance.daemon_process import wait_until
from tests.lab.host import CHECKOUT, NOBODY, Host, copy_of_checkout, host

SECRET = "correct-horse-battery"
SLEEP = "[Service]\nExecStart=sleep 600\n"
UNITS = {
    "s-named.service": SLEEP,
    "s-other.service": SLEEP,
    "s-third.service": SLEEP,
    "s-hangs.service": "[Service]\nType=notify\nTimeoutStartSec=600\nTimeoutStopSec=1\nExecStart=sleep 600\n",
    "s-web.service": "[Service]\nWorkingDirectory=/usr/share\nExecStart=python3 -m http.server --bind 127.0.0.1 8000\n",
    "s-says.service": "[Service]\nType=oneshot\nExecStart=echo the database is lost\n",
    "docker.socket": "[Socket]\nListenStream=/run/docker.sock\nSocketMode=0660\nSocketGroup=docker\nRemoveOnStop=yes\n",
    "docker.service": SLEEP,
}
QUICK = "[Service]\nRestartSec=100ms\nWatchdogSec=2s\nTimeoutAbortSec=500ms\n"  # the shipped ones are of seconds
HEALING = """version: 1
settings: {{mode: act, allow: [restart], startup_grace: 0s, shutdown_grace: 1s, budget: [1000/1h]}}
services:
  shop: {{run_by: {{systemd: {{unit: {unit}}}}}, limit: [{limit}]}}
checks:
  shop: {{service: shop, {check}, every: 200ms}}
rules:
  {rule}:
    check: shop
    when: up == 0
    for: 0s
    limit: [{limit}]
    steps: [{{restart: {{}}, tries: 5, cooldown: 0s, settle: 0s, verify: 500ms, timeout: {timeout}}}]
"""
FAILS = "command: {argv: ['false'], exit_codes: plain}"
WATCHING = "version: 1\nchecks:\n  {name}: {{{check}, every: 200ms}}\n"


def healing(rule: str, unit: str, *, check: str | None = None, limit: str = "1000/1h", timeout: str = "30s") -> str:
    """Rules that restart a unit which is not up."""
    return HEALING.format(
        rule=rule, unit=unit, check=check or f"systemd: {{unit: {unit}}}", limit=limit, timeout=timeout
    )


@pytest.fixture(scope="module")
def installed() -> Iterator[tuple[Host, list[str]]]:
    """A host that heald was installed on, and the files that it had before."""
    with host(UNITS, ["--system-call-filter=@clock"]) as clean:  # nspawn would forbid to read the clock's state
        before = clean.files()
        clean.installer("install")
        yield clean, before


@pytest.fixture
def service(installed: tuple[Host, list[str]]) -> Host:
    """The host; heald runs on it, on whatever rules the test before had, and acts on nothing any more."""
    clean, _ = installed
    if not (clean.root / "usr/local/bin/heald").is_symlink():  # the test of the uninstaller came before
        clean.installer("install")
    return clean


def ran(service: Host, name: str) -> dict[str, Any]:
    """A check of the daemon once it has run."""

    def found() -> dict[str, Any]:
        [check] = [check for check in service.status()["checks"] if check["name"] == name]
        return check if check["ran_at"] else {}

    check: dict[str, Any] = wait_until(found)
    return check


# ---- installed ------------------------------------------------------------------------------------------------------


def test_a_fresh_install_watches_this_host_and_acts_on_nothing(service: Host) -> None:
    shipped = (CHECKOUT / "systemd/host-rules.yaml").read_text()
    checks = re.compile(r"^  (units|disks|memory|load): \{(.*)\}(, every: 1m)?\}", flags=re.MULTILINE)
    service.start(checks.sub(r"  \1: {\2}, every: 1s}", shipped))  # as it is, but for the waiting
    for name in ("etc/heald/rules.yaml", "usr/local/share/doc/heald/examples/ecap.yaml"):
        schema = (service.root / name).read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=/")
        assert json.loads((service.root / schema).read_text())["type"] == "object"
    assert (service.property("Type"), service.property("ActiveState")) == ("notify", "active")
    assert service.property("UnitFileState") == "enabled"
    assert service.property("User") == "heald"
    assert service.property("StatusText").startswith("observes and does nothing; 4 checks, 10 rules, 0 services")
    wait_until(lambda: all(check["state"] == "up" for check in service.status()["checks"]))
    assert {check["name"]: check["error"] for check in service.status()["checks"]} == {
        "units": None,
        "disks": None,
        "memory": None,
        "load": None,
    }


def test_only_root_may_change_what_heald_does_and_others_may_not_read_it(service: Host) -> None:
    said = service.lab.run("stat", "-c", "%A %U %G", "/etc/heald", "/etc/heald/rules.yaml", "/etc/heald/rules.d").stdout
    assert said.splitlines() == ["drwxr-x--- root heald", "-rw-r----- root heald", "drwxr-x--- root heald"]
    assert service.as_service("cat", "/etc/heald/rules.yaml").returncode == 0
    assert service.as_service("touch", "/etc/heald/rules.yaml").returncode != 0
    assert service.lab.run("cat", "/etc/heald/rules.yaml", uid=NOBODY).returncode != 0


def test_members_of_the_group_may_ask_and_others_are_told_why_not(service: Host) -> None:
    service.start(WATCHING.format(name="load", check="load: {}"))
    group = service.lab.run("getent", "group", "heald").stdout.split(":")[2]
    member = service.heald("status", uid=NOBODY, groups=group)
    assert (member.returncode, member.stderr) == (0, "")
    assert "mode observe" in member.stdout
    other = service.heald("status", uid=NOBODY)
    assert (other.returncode, other.stdout) == (77, "")
    assert other.stderr == (
        "Error: cannot look for the control socket /run/heald/heald.sock: Permission denied. "
        "Ask as root, or become a member of the group heald.\n"
    )


def test_what_the_installation_page_says_has_the_shipped_example_heal_a_unit(tmp_path: Path) -> None:
    for name in ("host-rules.yaml", "50-heald.rules"):
        shutil.copy(CHECKOUT / "systemd" / name, tmp_path)
    page = (CHECKOUT / "docs/install.md").read_text()
    commands = re.findall(r"^sed -i .*$", page, flags=re.MULTILINE)
    assert len(commands) == 2
    script = "\n".join([*commands, "heald validate /etc/heald/rules.yaml"])
    here = script.replace("/etc/heald/rules.yaml", "host-rules.yaml").replace("/etc/polkit-1/rules.d/", "")
    said = subprocess.run(
        ["sh", "-euc", here],
        cwd=tmp_path,
        env={"PATH": f"{CHECKOUT}/.venv/bin:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "host-rules.yaml is valid: 5 checks, 11 rules, 1 service, mode act\n"
    assert "unit: shop.service" in (tmp_path / "host-rules.yaml").read_text()
    assert '\n    "shop.service",\n' in (tmp_path / "50-heald.rules").read_text()


# ---- what systemd and heald say to each other -----------------------------------------------------------------------


def test_a_reload_says_by_its_exit_code_whether_the_edit_is_in_use(service: Host) -> None:
    service.start(WATCHING.format(name="load", check="load: {}"))
    pid = service.property("MainPID")
    service.write_rules(WATCHING.format(name="memory", check="memory: {}") + "  disks: {disk: {}}\n")
    assert service.lab.run("systemctl", "reload", "heald").returncode == 0
    assert [check["name"] for check in service.status()["checks"]] == ["memory", "disks"]
    assert "; 2 checks," in service.property("StatusText")
    service.write_rules("version: 1\nchecks:\n  wrong: {dick: {}}\n")
    assert service.lab.run("systemctl", "reload", "heald").returncode == 1
    assert [check["name"] for check in service.status()["checks"]] == ["memory", "disks"]
    assert (service.property("ActiveState"), service.property("MainPID")) == ("active", pid)
    assert "; 2 checks," in service.property("StatusText")
    said = service.journal("HEALD_EVENT=reload_refused")[-1]
    assert "/etc/heald/rules.yaml:3:" in said["MESSAGE"]
    assert said["PRIORITY"] == "3"
    by_the_command = [entry["MESSAGE"] for entry in service.journal("SYSLOG_IDENTIFIER=heald")]
    assert any(line.startswith("/etc/heald/rules.yaml:3:") for line in by_the_command)  # `heald reload` says it all


def test_what_happens_is_in_the_journal_with_a_field_for_every_fact(service: Host) -> None:
    service.start(WATCHING.format(name="load", check="load: {}"))
    started = wait_until(lambda: service.journal("HEALD_EVENT=started"))[-1]
    assert started["MESSAGE"].startswith("heald 0.")
    assert (started["HEALD_MODE"], started["HEALD_STATE_DIR"]) == ("observe", "/var/lib/heald")
    assert (started["PRIORITY"], started["SYSLOG_IDENTIFIER"]) == ("6", "heald")
    assert (started["_SYSTEMD_UNIT"], started["_PID"]) == ("heald.service", service.property("MainPID"))
    assert not any(str(entry["MESSAGE"]).startswith("{") for entry in service.journal())


def test_a_file_that_cannot_be_used_ends_heald_and_systemd_does_not_insist(service: Host) -> None:
    service.write_rules("version: 1\nchecks:\n  wrong: {dick: {}}\n")
    assert service.lab.run("systemctl", "restart", "heald").returncode == 1
    wait_until(lambda: service.property("ActiveState") == "failed")
    assert (service.property("SubState"), service.property("ExecMainStatus")) == ("failed", "78")
    assert service.property("NRestarts") == "0"
    said = [entry["MESSAGE"] for entry in service.journal(f"_PID={service.property('ExecMainPID')}")]
    assert any("/etc/heald/rules.yaml:3:" in line and "disk" in line for line in said)


# ---- whatever happens to it -----------------------------------------------------------------------------------------


def test_one_that_stands_still_is_started_again_and_knows_what_it_knew(service: Host) -> None:
    rule = "stands-still"
    service.allow("s-other.service")
    service.lab.systemctl("start", "s-other.service")
    with service.with_drop_in("quick", QUICK):
        service.start(healing(rule, "s-other.service", check=FAILS, limit="1/1h"))
        before = wait_until(lambda: (found := service.incident(rule)).get("hold") == "limit_rule" and found)
        [attempt] = before["attempts"]
        pid = service.property("MainPID")
        service.lab.run("kill", "-STOP", pid)
        wait_until(lambda: service.property("MainPID") not in (pid, "0"), within=40.0)
        after = wait_until(lambda: (found := service.incident(rule)).get("hold") == "limit_rule" and found)
    assert (after["id"], after["opened_at"], after["state"]) == (before["id"], before["opened_at"], "firing")
    assert after["attempts"] == [attempt]
    assert int(service.property("NRestarts")) >= 1
    assert any("Watchdog timeout" in str(entry["MESSAGE"]) for entry in service.journal())


def test_an_attempt_that_heald_was_killed_in_is_lost_and_its_limit_still_counts(service: Host) -> None:
    rule = "killed"
    service.allow("s-hangs.service")
    service.lab.systemctl("start", "--no-block", "s-hangs.service")
    service.lab.systemctl("kill", "--signal=KILL", "s-hangs.service")  # failed, not stopped: a person's to leave alone
    wait_until(lambda: service.property("ActiveState", "s-hangs.service") == "failed")
    with service.with_drop_in("quick", QUICK):
        service.start(healing(rule, "s-hangs.service", check=FAILS, limit="1/1h", timeout="3s"))
        wait_until(lambda: service.property("ActiveState", "s-hangs.service") == "activating")
        pid = service.property("MainPID")
        service.lab.run("kill", "-KILL", pid)
        wait_until(lambda: service.property("MainPID") not in (pid, "0"))
        found = wait_until(lambda: (found := service.incident(rule)).get("hold") == "limit_rule" and found)
    service.lab.stop("s-hangs.service")
    assert [(attempt["state"], attempt["try_number"]) for attempt in found["attempts"]] == [("lost", 1)]


# ---- what it may heal -----------------------------------------------------------------------------------------------


def test_a_unit_is_healed_once_polkit_names_it_and_refused_before(service: Host) -> None:
    rule, unit = "refused", "s-named.service"
    service.allow()
    service.lab.systemctl("start", unit)
    service.start(healing(rule, unit))
    service.lab.systemctl("kill", "--signal=KILL", unit)
    refused = wait_until(lambda: (found := service.incident(rule)).get("handed_over") and found)
    [attempt] = refused["attempts"]
    assert (attempt["state"], attempt["permanent"]) == ("failed", True)
    assert f"access denied: polkit does not let us restart {unit}; name the unit in" in attempt["summary"]
    assert service.property("ActiveState", unit) == "failed"

    service.allow(unit)
    assert service.heald("retry", refused["id"]).returncode == 0
    healed = wait_until(lambda: (found := service.incident(rule)).get("state") == "resolved" and found)
    assert [attempt["state"] for attempt in healed["attempts"]] == ["failed", "succeeded"]
    assert healed["attempts"][-1]["verification"] == "effective"
    assert service.property("ActiveState", unit) == "active"
    service.lab.stop(unit)


@pytest.mark.parametrize(
    "words",
    [
        ["start", "s-other.service"],
        ["kill", "s-named.service"],
        ["set-property", "s-named.service", "CPUWeight=1"],
        ["mask", "s-named.service"],
        ["daemon-reload"],
        ["poweroff"],
    ],
    ids=lambda words: words[0],
)
def test_nothing_else_is_allowed_by_the_rule(service: Host, words: list[str]) -> None:
    service.allow("s-named.service")
    service.lab.systemctl("start", "s-named.service")  # systemd asks nobody about a unit that is not loaded
    done = service.as_service("systemctl", "--no-ask-password", *words)
    assert done.returncode != 0
    assert "authentication required" in done.stderr or "Access denied" in done.stderr, done.stderr


# ---- what it is shut out of -----------------------------------------------------------------------------------------

FORBIDDEN = {
    "writes to /etc": "touch /etc/heald-was-here",
    "writes to its own rules": "touch /etc/heald/rules.yaml",
    "writes to /usr": "touch /usr/heald-was-here",
    "writes to /home": "touch /home/heald-was-here",
    "writes to /run": "touch /run/heald-was-here",
    "reads shadow": "cat /etc/shadow",
    "mounts": "mount -t tmpfs none /tmp",
    "makes a user namespace": "unshare --user true",
    "makes a set-user-ID file": "cp /bin/true /tmp/t && chmod u+s /tmp/t",
    "maps memory to write and execute": 'python3 -c "import mmap; mmap.mmap(-1, 4096, prot=7)"',
    "opens a raw socket": 'python3 -c "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"',
    "sets the clock": 'date --set="2000-01-01"',
    "signals others": "kill -0 1",
}
ALLOWED = {
    "writes to its state": "touch /var/lib/heald/t && rm /var/lib/heald/t",
    "writes to a /tmp of its own": "touch /tmp/heald-was-here",
    "sees other processes": "grep -qs systemd /proc/1/comm",
}
TRIES = {**FORBIDDEN, **ALLOWED}


def test_it_can_do_nothing_to_the_host_but_what_it_was_given(service: Host) -> None:
    script = [f"if ({command}) >/dev/null 2>&1; then echo '{name}'; fi\n" for name, command in TRIES.items()]
    (service.root / "etc/heald/try").write_text("".join(script))
    check = "command: {argv: [sh, -c, 'sh /etc/heald/try >/var/lib/heald/tried'], exit_codes: plain}"
    service.start(WATCHING.format(name="tries", check=check).replace("200ms", "4s"))  # which is its time-out too
    wait_until(lambda: ran(service, "tries")["state"] == "up", within=40.0)
    assert (service.root / "var/lib/heald/tried").read_text().splitlines() == list(ALLOWED)
    assert not (service.root / "tmp/heald-was-here").exists()

    outside = service.as_service("sh", "/etc/heald/try").stdout.splitlines()  # the same user, not shut in
    assert {"maps memory to write and execute", "makes a set-user-ID file", "makes a user namespace"} < set(outside)
    (service.root / "tmp/heald-was-here").unlink()

    told = (service.root / "proc" / service.property("MainPID") / "status").read_text()
    facts = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
    assert {facts[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def test_systemd_judges_it_shut_in_with_what_healing_needs_too(service: Host) -> None:
    assert service.exposure() <= 1.5
    service.allow("s-named.service")
    with service.with_drop_in("docker"):
        assert service.exposure() <= 1.6
    with service.with_drop_in("open", "[Service]\nCapabilityBoundingSet=~\nProtectSystem=no\n"):
        assert service.exposure() > 1.6  # it is measured


# ---- what works in there --------------------------------------------------------------------------------------------

EVERYTHING = """version: 1
connections: {}
checks:
  port: {tcp: {host: 127.0.0.1, port: 8000}, every: 1s}
  page: {http: {url: "http://localhost:8000/", expect_status: [200]}, every: 1s}
  disks: {disk: {}, every: 1s}
  memory: {memory: {}, every: 1s}
  load: {load: {}, every: 1s}
  server: {process: {command_line: "http.server"}, every: 1s}
  bus: {process: {name: dbus-daemon}, every: 1s}
  command: {command: {argv: [sh, -c, "exit 0"], exit_codes: plain}, every: 1s}
  unit: {systemd: {unit: s-web.service}, every: 1s}
"""


def test_every_check_of_a_host_works_in_there(service: Host) -> None:
    service.lab.systemctl("start", "s-web.service")
    service.start(EVERYTHING.replace("connections: {}\n", ""))
    states: dict[str, tuple[str, str | None]] = {}

    def are_up() -> bool:
        states.update({check["name"]: (check["state"], check["error"]) for check in service.status()["checks"]})
        return {state for state, _ in states.values()} == {"up"}

    wait_until(are_up, what=str(states))
    mounts = service.lab.run("curl", "-s", "http://127.0.0.1:9797/metrics").stdout
    assert 'heald_sample{check="disks",sample="used_percent",subject="/"}' in mounts
    service.lab.systemctl("stop", "s-web.service")
    wait_until(lambda: {check["name"] for check in service.status()["checks"] if check["state"] == "down"} >= {"page"})


def test_a_secret_comes_from_systemd_and_is_written_nowhere(service: Host) -> None:
    folder = service.root / "etc/heald/credentials"
    folder.mkdir(exist_ok=True)
    (folder / "shop_database_url").write_text(SECRET)
    folder.chmod(0o700)
    check = f"""command:
      env: {{SHOP: "${{credential:shop_database_url}}"}}
      argv: [sh, -c, 'echo $SHOP; test "$SHOP" = {SECRET[::-1]} || test $(echo "$SHOP" | rev) = {SECRET[::-1]}']
      exit_codes: plain"""
    rules = f"version: 1\nchecks:\n  secret:\n    every: 1s\n    {check}\n"
    rules += "rules:\n  told: {check: secret, when: up == 1, for: 0s}\n"
    assert SECRET not in rules
    service.write_rules(rules)
    with service.with_drop_in("credentials"):
        service.start(rules)
        wait_until(lambda: service.incident("told"))
        said = [json.dumps(service.journal()), json.dumps(service.status()), json.dumps(service.incidents())]
        said.append(service.lab.run("curl", "-s", "http://127.0.0.1:9797/metrics").stdout)
        service.lab.systemctl("stop", "heald")
    said += [path.read_bytes().decode("latin-1") for path in (service.root / "var/lib/heald").iterdir()]
    assert [text for text in said if SECRET in text] == []
    assert service.lab.run("systemctl", "start", "heald").returncode == 1  # without it, the file cannot be used
    assert service.property("ExecMainStatus") == "78"


CLOCK = "import ctypes, sys; sys.exit(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024)) < 0)"
NEEDING = f"""version: 1
checks:
  docker: {{command: {{argv: [test, -w, /run/docker.sock], exit_codes: plain}}, every: 1s}}
  write: {{command: {{argv: [touch, /var/log/shop/rotated], exit_codes: plain}}, every: 1s}}
  journal: {{command: {{argv: [journalctl, --quiet, --unit=s-says, --grep=lost], exit_codes: plain}}, every: 1s}}
  clock: {{command: {{argv: [python3, -c, "{CLOCK}"], exit_codes: plain}}, every: 1s}}
"""


def test_each_drop_in_gives_what_it_says_and_what_was_shut_before(service: Host) -> None:
    service.lab.run("groupadd", "--force", "docker")
    service.lab.run("install", "-d", "-o", "heald", "/var/log/shop")
    service.lab.systemctl("start", "docker.socket", "s-says.service")
    service.start(NEEDING)
    names = ("docker", "write", "journal", "clock")

    def are(state: str) -> bool:
        return {ran(service, name)["state"] for name in names} == {state}

    wait_until(lambda: are("down"))
    with contextlib.ExitStack() as drop_ins:
        for name in names:
            drop_ins.enter_context(service.with_drop_in(name))
        service.start(NEEDING)
        wait_until(lambda: are("up"), what=str(service.status()["checks"]))
        assert service.exposure() <= 1.9
    service.lab.stop("docker.socket")
    service.lab.run("rm", "-r", "/var/log/shop")


# ---- its life on the host -------------------------------------------------------------------------------------------


def newer_checkout(folder: Path) -> Path:
    """This checkout as a later version: one more migration, other rules and another polkit rule for hosts."""
    copy_of_checkout(folder)
    migrations = folder / "daemon/store/migrations"
    (migrations / f"{newest_schema() + 1:04}_later.sql").write_text("CREATE TABLE later (word TEXT) STRICT;\n")
    for name in ("host-rules.yaml", "50-heald.rules"):
        file = folder / "systemd" / name
        file.write_text(("// " if name.endswith("rules") else "# ") + "newer\n" + file.read_text())
    return folder


def newest_schema() -> int:
    return max(scripts(CHECKOUT / "daemon/store/migrations"))


def schema_of(store: Path) -> int:
    """PRAGMA user_version of a store that was closed (https://sqlite.org/fileformat.html, offset 60)."""
    return int.from_bytes(store.read_bytes()[60:64], "big")


def test_a_second_install_upgrades_and_keeps_what_was_edited_and_the_last_one_leaves_nothing(
    installed: tuple[Host, list[str]], service: Host
) -> None:
    _, before = installed
    rule = "kept"
    edited = healing(rule, "s-third.service", check=FAILS, limit="1/1h")
    service.allow("s-third.service")
    service.lab.systemctl("start", "s-third.service")
    service.start(edited)
    known = wait_until(lambda: (found := service.incident(rule)).get("hold") == "limit_rule" and found)

    copy = newer_checkout(service.lab.folder / "newer")
    said = service.installer("install", checkout=Path("/mnt/newer"))
    assert "/etc/heald/rules.yaml was edited and is kept; the new one is /etc/heald/rules.yaml.new" in said
    assert service.rules_file.read_text() == edited
    assert '"s-third.service"' in service.polkit_file.read_text()
    new = {file.name: Path(f"{file}.new").read_text() for file in (service.rules_file, service.polkit_file)}
    assert new["rules.yaml"] == (copy / "systemd/host-rules.yaml").read_text()
    assert new["50-heald.rules"] == (copy / "systemd/50-heald.rules").read_text()
    after = wait_until(lambda: service.incident(rule))
    assert (after["id"], after["attempts"]) == (known["id"], known["attempts"])

    service.installer("uninstall", "--keep")
    state = service.root / "var/lib/heald"
    assert schema_of(state / "heald.db") == newest_schema() + 1
    assert schema_of(state / f"heald.db.before-{newest_schema() + 1}") == newest_schema()
    assert service.rules_file.read_text() == edited
    assert service.polkit_file.exists()
    left = set(service.files()) - set(before)
    kept = (
        "/etc/heald",
        "/etc/polkit-1/rules.d/50-heald.rules",
        "/etc/systemd/system/heald.service.d",
        "/var/lib/heald",
    )
    assert [path for path in left if not path.startswith(kept)] == []

    service.installer("uninstall")
    assert service.files() == before
    assert service.lab.run("getent", "passwd", "heald").returncode == 2
    assert service.lab.run("getent", "group", "heald").returncode == 2
    assert service.lab.run("systemctl", "list-unit-files", "--no-legend", "heald*").stdout == ""
    assert service.lab.run("systemctl", "--failed", "--no-legend").stdout == ""
