"""A clean host with a real systemd, for heald to be installed on as an operator does: by its own installer."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from daemon.cli.client import NoDaemonError, ask
from tests.acceptance.daemon_process import wait_until
from tests.lab.systemd import LabSystemd, systemd

CHECKOUT = Path(__file__).parents[2]
NOBODY = 65534
_DROP_INS = "etc/systemd/system/heald.service.d"
_WHERE = ("/etc", "/usr/local", "/usr/lib/systemd", "/usr/lib/sysusers.d", "/var", "/run", "/home", "/opt", "/srv")
_OF_SYSTEMD = (
    "run/systemd",
    "run/log",
    "run/dbus",
    "var/log/journal",
    "var/lib/systemd",
    "tmp",
    "var/tmp",
    "root/.cache",
)


class Host:
    """A host of its own: systemd, D-Bus, polkit, its own loopback; its files are this machine's, copied on write."""

    def __init__(self, lab: LabSystemd) -> None:
        self.lab = lab
        self.root = lab.root
        self.sockets = lab.root / "run/heald"  # the folder of the control socket
        self.rules_file = lab.root / "etc/heald/rules.yaml"
        self.polkit_file = lab.root / "etc/polkit-1/rules.d/50-heald.rules"

    def installer(
        self,
        *words: str,
        checkout: Path = CHECKOUT,
        fails: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Call install.sh of a checkout; what it said. Packages are where this machine's network has them."""
        inside = ["nsenter", "-t", str(self.lab.pid), "-m", "-u", "-i", "-p", "-C"]
        done = subprocess.run(
            [*inside, f"{checkout}/systemd/install.sh", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env={**os.environ, **environment},
        )
        assert (done.returncode != 0) is fails, done.stdout
        return done.stdout

    def heald(self, *words: str, uid: int = 0, groups: str = "") -> "subprocess.CompletedProcess[str]":
        """One of heald's commands, as root or as somebody."""
        drop = [f"--reuid={uid}", f"--regid={uid}", f"--groups={groups}" if groups else "--clear-groups"]
        return self.lab.run(*(["setpriv", *drop, "env", "HOME=/"] if uid else []), "/usr/local/bin/heald", *words)

    def as_service(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """A command as the service's user."""
        return self.lab.run("setpriv", "--reuid=heald", "--regid=heald", "--clear-groups", *argv)

    # ---- what an operator does ----------------------------------------------------------------------------------

    def write_rules(self, text: str) -> None:
        """Edit /etc/heald/rules.yaml in its place: owner and mode stay."""
        self.rules_file.write_text(text)

    def start(self, rules: str) -> None:
        """Start heald anew on these rules, remembering what it knows."""
        self.write_rules(rules)
        self.lab.run("systemctl", "reset-failed", "heald.service")
        self.lab.systemctl("restart", "heald.service")

    def allow(self, *units: str) -> None:
        """Name units in the shipped polkit rule, and wait until polkit has read that."""
        names = "".join(f'    "{unit}",\n' for unit in (*units, "allowed.service"))
        shipped = (CHECKOUT / "systemd/50-heald.rules").read_text()
        example = '    // "nginx.service",\n'
        assert example in shipped
        text = shipped.replace(example, names)
        if self.polkit_file.read_text() == text:
            return
        self.polkit_file.write_text(text)
        read = "allowed.service"
        wait_until(lambda: self.as_service("systemctl", "start", read).returncode == 0, what="polkit reads its rule")

    def drop_in(self, name: str, text: str | None = None) -> None:
        """Lay a drop-in beside the unit: one that heald ships, or this text."""
        shipped = self.root / "usr/local/share/doc/heald/drop-ins" / f"{name}.conf"
        folder = self.root / _DROP_INS
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(shipped.read_text() if text is None else text)
        self.lab.systemctl("daemon-reload")

    @contextlib.contextmanager
    def with_drop_in(self, name: str, text: str | None = None) -> Iterator[None]:
        """As `drop_in`, for a while."""
        self.drop_in(name, text)
        try:
            yield
        finally:
            (self.root / _DROP_INS / f"{name}.conf").unlink()
            self.lab.systemctl("daemon-reload")

    # ---- what is seen -------------------------------------------------------------------------------------------

    def property(self, name: str, unit: str = "heald.service") -> str:
        """A property of a unit."""
        return self.lab.show(unit, name)

    def status(self) -> dict[str, Any]:
        """`heald status --json`, without a process for it: tests poll this."""
        return ask("GET", "/status", state_dir=self.sockets)

    def incidents(self) -> list[dict[str, Any]]:
        """`heald incidents --all --json`, as `status`; none while heald does not run."""
        try:
            found: list[dict[str, Any]] = ask("GET", "/incidents?closed=1", state_dir=self.sockets)["incidents"]
        except NoDaemonError:
            return []
        return found

    def incident(self, rule: str) -> dict[str, Any]:
        """The newest incident of a rule; nothing if there is none."""
        return next((incident for incident in self.incidents() if incident["rule"] == rule), {})

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """The entries of heald's unit with all their fields, oldest first."""
        command = ("journalctl", "--quiet", "--unit=heald", "--output=json", "--all", "--no-pager", *matches)
        return [json.loads(line) for line in self.lab.run(*command).stdout.splitlines()]

    def exposure(self) -> float:
        """What `systemd-analyze security` says of heald's unit as it is loaded, with its drop-ins."""
        said = self.lab.run("systemd-analyze", "security", "--no-pager", "heald.service").stdout
        return float(said.rpartition("heald.service: ")[2].split()[0])

    def files(self) -> list[str]:
        """Every file where something is installed to, but what systemd itself keeps of what ran."""
        prune = [word for name in _OF_SYSTEMD for word in ("-path", f"/{name}", "-prune", "-o")]
        found = self.lab.run("find", *_WHERE, "-xdev", *prune, "-print")
        return sorted(line for line in found.stdout.splitlines() if not line.endswith("-"))  # passwd-: its copy


def copy_of_checkout(folder: Path) -> Path:
    """A checkout for a host to install from, to be changed before that; its environment is this one's."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    for name in os.fsdecode(listed.stdout).rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / name)
    for name in (".venv", ".uv"):
        (folder / name).symlink_to(CHECKOUT / name)
    return folder


@contextlib.contextmanager
def host(units: dict[str, str], options: Sequence[str] = ()) -> Iterator[Host]:
    """Boot one that has these units besides its own."""
    with systemd("--private-network", f"--bind-ro={CHECKOUT}", *options) as lab:
        lab.write({"allowed.service": "[Service]\nType=oneshot\nExecStart=true\n", **units})
        yield Host(lab)
