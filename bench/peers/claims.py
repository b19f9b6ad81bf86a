"""From the end of the run that breached to the commit of the claim, while a thousand other checks run."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.peers.heald import Heald, looks
from bench.peers.load import asked_profile
from bench.peers.plan import Plan
from bench.peers.report import Figure, percentile
from bench.peers.targets import nginx

RUNNING, SICK = 1000, 100
APART = 0.2  # seconds between two targets that go down
AFTER = 5.0  # seconds, for the last of them to be claimed
_HEAD = """\
version: 1
settings: {mode: act, allow: [restart], startup_grace: 0s, budget: [1000/1h]}
"""
_SERVICE = '  s{0}: {{run_by: {{command: {{start: ["true"], stop: ["true"]}}}}}}\n'
_CHECK = "  sick{0}: {{service: s{0}, tcp: {{host: 127.0.0.1, port: {1}}}, every: 1s}}\n"
_RULE = "  sick{0}: {{check: sick{0}, when: up == 0, for: 0s, steps: [restart: {{}}]}}\n"


class Fragile:
    """Sockets that take connections until they are closed, each by its number."""

    def __init__(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(SICK)]
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._is_over = False
        for listener in self._sockets:
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ)

    @property
    def ports(self) -> list[int]:
        """By number."""
        return [listener.getsockname()[1] for listener in self._sockets]

    @contextlib.contextmanager
    def accepting(self) -> Iterator["Fragile"]:
        """Take and drop what comes, in a thread."""
        thread = threading.Thread(target=self._accept)
        thread.start()
        try:
            yield self
        finally:
            self._is_over = True
            thread.join()
            for number in range(SICK):
                self.close(number)
            self._selector.close()

    def _accept(self) -> None:
        while not self._is_over:
            events = self._selector.select(0.05)
            with self._lock:
                for key, _ in events:
                    with contextlib.suppress(OSError):  # closed meanwhile
                        key.fileobj.accept()[0].close()  # type: ignore[union-attr]  # they are sockets all

    def close(self, number: int) -> None:
        """Let one go down."""
        with self._lock:
            listener = self._sockets[number]
            if listener.fileno() >= 0:
                self._selector.unregister(listener)
                listener.close()


def text(plan: Plan, ports: list[int]) -> str:
    """Checks that are well, and those that will not be, each of these with a service to restart."""
    numbered = list(enumerate(ports))
    services = "".join(_SERVICE.format(number) for number, _ in numbered)
    checks = "".join(f"  c{number}: {{{looks(plan, number)}, every: {plan.every:.0f}s}}\n" for number in plan.numbers)
    checks += "".join(_CHECK.format(number, port) for number, port in numbered)
    rules = "".join(f"  r{number}: {{check: c{number}, when: up == 0}}\n" for number in plan.numbers)
    rules += "".join(_RULE.format(number) for number, _ in numbered)
    return f"{_HEAD}services:\n{services}checks:\n{checks}rules:\n{rules}"


def claims(folder: Path) -> list[Figure]:
    """A breach from its reading to the committed claim, 1 000 checks every 10 s running beside it."""
    with nginx(folder / "nginx") as server, Fragile().accepting() as fragile:
        plan = Plan(kind="tcp", checks=RUNNING, every=10.0, nginx=server)
        heald = Heald(folder, text(plan, fragile.ports), inside=True, profile=asked_profile())
        with heald.running() as daemon:
            time.sleep(plan.every)
            daemon.mark()
            for number in range(SICK):
                fragile.close(number)
                time.sleep(APART)
            time.sleep(AFTER)
    took = [wall for wall, _ in heald.noted().claims.values()]
    used = [cpu for _, cpu in heald.noted().claims.values()]
    print(f"  slowest of them, ms: {sorted(round(it * 1000, 1) for it in took)[-10:]}")
    return [
        Figure(name="breach to committed claim: breaches", value=len(took), least=SICK),
        Figure(name="breach to committed claim: median", value=percentile(took, 0.5) * 1000, unit="ms"),
        Figure(
            name="breach to committed claim: CPU that heald had meanwhile",
            value=percentile(used, 0.5) * 1000,
            unit="ms",
        ),
        Figure(name="breach to committed claim: p99", value=percentile(took, 0.99) * 1000, unit="ms", most=20.0),
    ]
