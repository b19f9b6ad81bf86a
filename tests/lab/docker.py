"""A real Docker engine in a network namespace of its own, as a child in the foreground; one for all of a test run.

No image registry is asked: images are made from busybox. Never let a pull happen, it would hang on DNS: `run` says
`--pull never`, a compose file `pull_policy: never`.
"""

import contextlib
import fcntl
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

_PROGRAMS = ("busybox", "containerd", "docker", "dockerd", "iptables", "runc", "setpriv", "umount", "unshare")
# Some hosts lack CAP_SYS_RESOURCE: what would need it is taken out before runc sees it.
_RUNTIME = """\
#!/bin/sh
previous=
for argument in "$@"; do
  [ "$previous" = --bundle ] && [ -f "$argument/config.json" ] &&
    sed -i -e 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' \\
           -e 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$argument/config.json"
  previous=$argument
done
exec {runc} "$@"
"""
# PID 1 ignores a SIGTERM it has no handler for, and every stop would then take the 10 s of grace: trap it.
_SLEEP = """CMD ["sh","-c","trap 'exit 0' TERM; sleep 1000000 & wait"]"""
_SERVE = """CMD ["sh","-c","trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"]"""
_HEALTH = (
    "HEALTHCHECK --interval=500ms --timeout=5s --retries=2 "
    'CMD ["wget","-q","-O","/dev/null","http://127.0.0.1:8080/health"]'
)
IDLE = "local/idle:1"
"""An image that sleeps."""
WEB = "local/web:1"
"""An image that serves /www on port 8080, healthy while /www/health is there."""


class LabEngine:
    """A running engine. `folder` is its own; `url` is where it listens, `config` the docker command's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/s"
        self.socket = folder / "s"
        self.config = folder / "config"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        runtime = self.folder / "runtime"
        runtime.write_text(_RUNTIME.format(runc=shutil.which("runc")))
        runtime.chmod(0o755)
        argv = ["setpriv", "--pdeathsig", "TERM", "unshare", "--net", "dockerd", "-H", self.url]
        argv += ["--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"]
        argv += ["-p", f"{self.folder}/pid", "--add-runtime", f"lab={runtime}", "--default-runtime", "lab"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            said = (self.folder / "log").read_text()[-3000:]
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def _answers(self) -> bool:
        return self.socket.exists() and self._run("version", check=False).returncode == 0

    def make_images(self) -> None:
        """Make the images, and install the plug-in compose for `docker` with DOCKER_CONFIG=`config`."""
        archive = self._archive()
        for image, changes in ((IDLE, [_SLEEP]), (WEB, [_SERVE, _HEALTH])):
            options = [part for change in ["ENV PATH=/bin", *changes] for part in ("-c", change)]
            self._run("import", *options, "-", image, given=archive)
        spec = importlib.util.find_spec("compose")
        assert spec is not None
        assert spec.origin is not None
        plugins = self.config / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(Path(spec.origin).with_name("docker-compose"))

    def _archive(self) -> bytes:
        """A root file system of nothing but busybox."""
        busybox = shutil.which("busybox") or ""
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        into = io.BytesIO()
        with tarfile.open(fileobj=into, mode="w") as archive:
            for folder in ("bin", "tmp", "etc", "www"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            archive.add(os.path.realpath(busybox), "bin/busybox")
            for applet in applets:
                if applet != "busybox":
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    archive.addfile(link)
            health = tarfile.TarInfo("www/health")
            health.size = 3
            archive.addfile(health, io.BytesIO(b"ok\n"))
        return into.getvalue()

    def stop(self) -> None:
        """End it; its containers end with it."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        self.process.wait()
        self.process = None
        self._end_shims()

    def _end_shims(self) -> None:
        """End what a killed engine leaves: containerd and its shims, which name their sockets in our folder."""
        for process in psutil.process_iter(["cmdline"]):
            if any(f"{self.folder}/exec/" in part for part in process.info["cmdline"] or []):
                with contextlib.suppress(psutil.NoSuchProcess):
                    for child in [*process.children(recursive=True), process]:
                        child.kill()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        if self.process is not None and self.process.poll() is None:
            names = self._run("ps", "-aq", check=False).stdout.split()
            if names:
                self._run("rm", "-f", *names, check=False)
        self.stop()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.folder)

    def _run(self, *arguments: str, given: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            ["docker", *arguments],
            input=given,
            capture_output=True,
            env={**os.environ, "DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.config)},
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def docker(self, *arguments: str) -> str:
        """What the command `docker` says."""
        return self._run(*arguments).stdout.decode().strip()

    def run(self, name: str, *options: str, image: str = IDLE, command: str = "") -> str:
        """Run a container in the background; `command` is one for sh. Returns its name."""
        argv = ["sh", "-c", command] if command else []
        self.docker("run", "-d", "--pull", "never", "--network", "none", "--name", name, *options, image, *argv)
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        """All that the engine says of a container."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", name))
        return found[0]

    def state(self, name: str) -> str:
        """Its word for a container's state."""
        return str(self.inspect(name)["State"]["Status"])

    def health(self, name: str) -> str:
        """Its word for a container's health."""
        return str(self.inspect(name)["State"]["Health"]["Status"])

    def compose(self, project: str, file: Path, *arguments: str) -> str:
        """What `docker compose` says."""
        return self.docker("compose", "-p", project, "-f", str(file), *arguments)


def needs_docker() -> None:
    """Skip the test where there can be no engine, and say why; on CI that is a failure."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if not missing:
        return
    sentence = f"a Docker engine of our own needs {', '.join(missing)}"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@contextlib.contextmanager
def docker_engine() -> Iterator[LabEngine]:
    """An engine of one's own, with the images."""
    needs_docker()
    lab = LabEngine(Path(tempfile.mkdtemp(prefix="heald-d-", dir="/tmp")))  # short: a socket's path has 107 bytes
    try:
        lab.start()
        lab.make_images()
        yield lab
    finally:
        lab.remove()


@contextlib.contextmanager
def shared_engine(meeting_place: Path) -> Iterator[LabEngine]:
    """The engine that all workers of a test run use; whoever comes first runs it until the last one has left.

    `meeting_place` is a folder that they have in common.
    """
    needs_docker()
    users, notes = meeting_place / "docker-users", meeting_place / "docker-folder"
    mine = users / str(os.getpid())
    with contextlib.ExitStack() as stack:
        with _lock(meeting_place):
            users.mkdir(exist_ok=True)
            if notes.exists():
                lab = LabEngine(Path(notes.read_text()))
                owns = False
            else:
                lab = stack.enter_context(docker_engine())
                notes.write_text(str(lab.folder))
                owns = True
            mine.touch()
        try:
            yield lab
        finally:
            mine.unlink()
            while owns and not _is_last(meeting_place, users, notes):
                time.sleep(0.05)


def _is_last(meeting_place: Path, users: Path, notes: Path) -> bool:
    """Whether nobody uses the engine any more; then nobody begins to, either."""
    with _lock(meeting_place):
        if any(psutil.pid_exists(int(user.name)) for user in users.iterdir()):
            return False
        notes.unlink()
        return True


@contextlib.contextmanager
def _lock(meeting_place: Path) -> Iterator[None]:
    with (meeting_place / "docker-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
