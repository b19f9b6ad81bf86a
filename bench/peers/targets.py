"""What is watched: an nginx of the bench's own on loopback, which counts what comes."""

import contextlib
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.peers.processes import alive, child, wait_until

# One pair of addresses has 28 000 ports for the caller, each of them busy for a minute after its connection.
PORTS = 100
_CONFIG = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 10000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  keepalive_timeout 300s;
  server {{ listen 127.0.0.1:{counter}; location / {{ stub_status; }} }}
  server {{
{listens}
    location / {{ default_type application/json; return 200 '{{"status":"UP","queue": 7}}'; }}
  }}
}}
"""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now, below those that the kernel gives to callers."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in range(min(low, 30_000) - 1, 1024, -1):
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"loopback has no {count} free ports")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What nginx has counted since it began."""

    accepts: int  # connections
    requests: int


class Nginx:
    """The running server."""

    def __init__(self, ports: list[int], counter: int) -> None:
        self.ports = ports
        self._counter = counter
        self._looks = 0  # the bench's own: each is a connection and a request

    def seen(self) -> Seen:
        """What others have asked of it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._counter, timeout=10)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            words = connection.getresponse().read().split()
        finally:
            connection.close()
        self._looks += 1
        accepts, _, requests = (int(word) for word in words[words.index(b"requests") + 1 :][:3])
        return Seen(accepts=accepts - self._looks, requests=requests - self._looks)

    def port_of(self, number: int) -> int:
        """Where the check of this number looks."""
        return self.ports[number % len(self.ports)]


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Nginx]:
    """Start it on ports of its own, with its own configuration; the system's is not touched."""
    folder.mkdir()
    counter, *ports = free_ports(PORTS + 1)
    listens = "\n".join(f"    listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    config, log = folder / "nginx.conf", folder / "log"
    config.write_text(_CONFIG.format(folder=folder, counter=counter, listens=listens))
    server = Nginx(ports, counter)

    def answers() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            server.seen()
            return True
        return not alive(process, log)

    with child(["nginx", "-e", folder / "error.log", "-p", folder, "-c", config], log=log) as process:
        wait_until(answers, within=20, what="nginx answers")
        yield server
