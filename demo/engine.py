"""A Docker engine of one's own: in the foreground, its data in one folder, and nothing of it outside.

It has a /run of its own, so that a Docker that this host has already, and its containerd, know nothing of it. No
registry is asked: images are made from busybox. Never let a pull happen, it could hang on DNS: `run` says `--pull
never`, a compose file `pull_policy: never`.
"""

import contextlib
import importlib.util
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

PROGRAMS = ("busybox", "containerd", "docker", "dockerd", "mount", "runc", "setpriv", "unshare")
ANSWER_SECONDS = 60.0
_MOST_PATH = 107  # bytes of a unix socket's path
_POLL = 0.05  # seconds between two looks at an engine that starts
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
# The guard ends the engine where its standard input ends, which is when its owner is gone, and the guard ends with the
# engine. PR_SET_PDEATHSIG alone would not do: it is sent for each thread of a dying owner that the engine is handed on
# to, and a third SIGTERM has dockerd end at once and leave its containers behind.
_WITH_OWN_RUN = """\
mount -t tmpfs -o mode=755 tmpfs /run || exit
exec 3<&0
setpriv --pdeathsig KILL sh -c 'read -r _; kill -TERM $PPID' <&3 &
exec "$@" 3<&- </dev/null
"""
_WITHOUT_NETWORK = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")


class EngineError(Exception):
    """The engine does not start, or does not do what it is told."""


class Engine:
    """An engine. `folder` is its own, `url` is where it listens, `config` is the docker command's folder.

    With `own_network` it has a network namespace, where it may do what it likes and nobody else is. Without, it leaves
    the host's network alone, and containers can have that or none.
    """

    def __init__(self, folder: Path, *, own_network: bool) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/s"
        self.socket = folder / "s"
        self.config = folder / "config"
        self.process: subprocess.Popen[bytes] | None = None
        self._own_network = own_network

    def begin(self) -> None:
        """Start it. It ends with this process, however that ends. Raises EngineError."""
        if len(f"{self.folder}/exec/containerd/containerd-debug.sock") > _MOST_PATH:
            raise EngineError(f"{self.folder} is too long a path: sockets are in it; set TMPDIR=/tmp")
        runtime = self.folder / "runtime"
        runtime.write_text(_RUNTIME.format(runc=shutil.which("runc")))
        runtime.chmod(0o755)
        argv = ["unshare", "--mount", *(["--net"] if self._own_network else [])]
        argv += ["sh", "-c", _WITH_OWN_RUN, "sh", "dockerd", "-H", self.url]
        argv += ["--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"]
        argv += ["-p", f"{self.folder}/pid", "--add-runtime", f"lab={runtime}", "--default-runtime", "lab"]
        argv += [] if self._own_network else _WITHOUT_NETWORK
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)

    def wait(self) -> None:
        """Wait until it answers. Raises EngineError."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (self.socket.exists() and self._run("version", check=False).returncode == 0):
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                last = "\n".join((self.folder / "log").read_text().splitlines()[-8:])
                raise EngineError(f"the Docker engine does not start; it said:\n{last}")
            time.sleep(_POLL)

    def start(self) -> None:
        """Start it and wait until it answers. Raises EngineError."""
        self.begin()
        self.wait()

    def make_image(self, name: str, *changes: str) -> None:
        """Make an image of nothing but busybox and these lines of a Dockerfile."""
        options = [part for change in ["ENV PATH=/bin", *changes] for part in ("-c", change)]
        self._run("import", *options, "-", name, given=_archive())

    def install_compose(self) -> None:
        """Have the plug-in compose for `docker` with DOCKER_CONFIG=`config`."""
        spec = importlib.util.find_spec("compose")
        if spec is None or spec.origin is None:
            raise EngineError("this environment lacks the plug-in compose of docker; run make setup")
        plugins = self.config / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(Path(spec.origin).with_name("docker-compose"))

    def docker(self, *arguments: str) -> str:
        """What the command `docker` says. Raises EngineError."""
        return self._run(*arguments).stdout.decode().strip()

    def compose(self, project: str, file: Path, *arguments: str) -> str:
        """What `docker compose` says. Raises EngineError."""
        return self.docker("compose", "-p", project, "-f", str(file), *arguments)

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
        if self.process.stdin is not None:
            self.process.stdin.close()
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
            names = self._run("ps", "-aq", check=False).stdout.decode().split()
            if names:
                self._run("rm", "-f", *names, check=False)
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, *arguments: str, given: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        try:
            done = subprocess.run(
                ["docker", *arguments],
                input=given,
                capture_output=True,
                env={**os.environ, "DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.config)},
                timeout=ANSWER_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"docker {arguments[0]} is not done within {ANSWER_SECONDS:.0f} s") from error
        if check and done.returncode != 0:
            raise EngineError(f"docker {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
        return done


def lacking() -> Sequence[str]:
    """What is not here and an engine of one's own cannot do without; empty if it can be had."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return [*missing, *(["root"] if os.geteuid() != 0 else [])]


def _archive() -> bytes:
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
