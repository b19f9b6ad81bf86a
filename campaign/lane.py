"""One state directory, two services that count, and one daemon after the other on it."""

import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from campaign.plan import Round
from campaign.started import Forked, Nursery, started
from campaign.verdict import BUDGET, SERVICE_LIMIT, WINDOW, Effect, Lane
from daemon.store.opening import FILE, MIGRATIONS, scripts

TAKES = 0.3  # seconds that a restart takes
REACHES = 30.0  # seconds in which a daemon has to come to the point: starting takes as long as the machine is busy
POLL = 0.01  # seconds between two looks
TRIES = 3  # lives in which a daemon has to come to the point
DISK = 48  # MiB of the file system under the state directory

# It writes down when it is restarted, by the host's own clock, and when that is done. (No shell's clock, and no
# program's: they would be set back and forward with heald's.)
SERVICE = f"""#!/bin/sh
read up idle </proc/uptime
echo "begin $up $2 ${{HEALD_ATTEMPT:--}}" >>"$1"
sleep {TAKES}
echo "end" >>"$1"
"""
RULES = """version: 1
settings: {{mode: act, allow: [restart, run], startup_grace: 0s, shutdown_grace: 1s, budget: [{budget}/{window:g}s]}}
services:
  one:
    run_by: {{command: {{restart: [{script}, {count}, one], status: [sh, -c, "exit 3"], start: ["true"]}}}}
    limit: [{limit}/{window:g}s]
  two:
    run_by: {{command: {{start: ["true"], stop: ["true"]}}}}
    limit: [{limit}/{window:g}s]
checks:
  one: {{service: one, process: {{pid_file: {folder}/none.pid}}, every: 200ms}}
  two: {{service: two, process: {{pid_file: {folder}/none.pid}}, every: 200ms}}
rules:
  one-dead:
    {{check: one, when: up == 0, for: 0s, limit: [{limit}/{window:g}s], steps: [{{restart: {{}}, {step}}}]}}
  two-dead:
    check: two
    when: up == 0
    for: 0s
    limit: [{limit}/{window:g}s]
    steps: [{{run: {{argv: [{script}, {count}, two]}}, {step}}}]
"""
STEP = "tries: 1000000, cooldown: 0s, settle: 0s, verify: 100ms, timeout: 1s"
# Each migration of the campaign's own reads and writes what decides, and passes the named point in between.
MIGRATION = """CREATE TABLE campaign_{number} AS SELECT id, state FROM attempts;
SELECT campaign_point();
UPDATE attempts SET summary = summary || '';
SELECT campaign_point();
CREATE INDEX campaign_{number}_state ON campaign_{number} (state);
"""
NEVER_SAID = ("store_damaged", "ended", "remediation_bug", "store_refused", "reload_bug", "cannot_listen")


class Interrupted(Exception):  # noqa: N818  # the wish to end, not an error
    """Somebody ends the campaign."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every lane."""

    stop_for: float  # seconds that a daemon is stopped
    faketime: Path | None  # libfaketime, for the rounds with another clock
    forgets: bool  # whether the daemons are broken so that the campaign must find it


class Street:
    """A lane, and the rounds in it."""

    def __init__(self, folder: Path, settings: Settings, interrupted: threading.Event) -> None:
        self.seen = Lane()
        self._settings = settings
        self._interrupted = interrupted
        self._folder = folder
        self._state, self._rules, self._count, self._log = (folder / it for it in ("state", "rules.yaml", "did", "log"))
        self._migrations, self._clock = folder / "migrations", folder / "clock"
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._nursery: Nursery | None = None
        self._up_since: float | None = None
        self._mark = self._done = 0  # where this life begins in the log, and in what the services wrote down
        self._is_missed = False  # this life's daemon did not come to its point
        self._text = ""

    # ---- before and after ---------------------------------------------------------------------------------------

    def __enter__(self) -> "Street":
        self._state.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}M", "tmpfs", self._state], check=True)
        shutil.copytree(MIGRATIONS, self._migrations)
        script = self._folder / "restart.sh"
        script.write_text(SERVICE)
        script.chmod(0o755)
        self._count.touch()
        self._log.touch()
        self._text = RULES.format(
            script=script,
            count=self._count,
            folder=self._folder,
            step=STEP,
            limit=SERVICE_LIMIT,
            budget=BUDGET,
            window=WINDOW,
        )
        self._rules.write_text(self._text)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._nursery is not None:
            self._nursery.close()
        shutil.copytree(self._state, self._folder / "state.left", ignore=shutil.ignore_patterns("*.sock", "ballast"))
        subprocess.run(["umount", "--lazy", self._state], check=True)

    def live(self, rounds: Iterable[Round]) -> None:
        """Let one daemon after the other live and die."""
        self._start()  # the first one only makes what all others find
        self._process_ended(self._process_of().terminate)
        for it in rounds:
            if self._interrupted.is_set():
                return
            self._live_to_its_point(it)
        self.seen.effects = self._effects()
        if nameless := sum(it.attempt is None for it in self.seen.effects):
            self.seen.faults.append(f"{nameless} effects cannot be told which attempt they were: see {self._count}")

    def _effects(self) -> list[Effect]:
        """All that the services wrote down, oldest first."""
        return [
            Effect(service=words[2], at=float(words[1]), attempt=None if words[3] == "-" else words[3])
            for words in map(str.split, self._count.read_text().splitlines())
            if words[0] == "begin"
        ]

    def _live_to_its_point(self, it: Round) -> None:
        """A round; once more, twice, if the daemon did not come to its point: on a busy host it may be too slow."""
        for _ in range(TRIES):
            self._is_missed = False
            getattr(self, f"_{it.kind}", self._at_point)(it)
            if not self._is_missed:
                return
        self.seen.missed[it.kind] += 1

    # ---- a life -------------------------------------------------------------------------------------------------

    def _start(
        self,
        point: str = "",
        it: Round | None = None,
        *,
        ready: bool = True,
        anew: bool = False,
        clock: int | None = None,
    ) -> None:
        self._mark, self._done = self._log.stat().st_size, self._begun()
        settings = {
            "point": point,
            "nth": it.nth if it else 1,
            "tear": it.share if it else 0.0,
            "migrations": str(self._migrations),
            "forgets": self._settings.forgets,
            "log": str(self._log),
            "arguments": f"run --config {self._rules} --state-dir {self._state} --listen 127.0.0.1:0".split(),
        }
        if clock is not None:
            self._set_clock(clock)
            env = {"LD_PRELOAD": str(self._settings.faketime), "FAKETIME_TIMESTAMP_FILE": str(self._clock)}
            env |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            self._process = started(settings, env)
        elif anew:
            self._process = started(settings, {})
        else:
            self._nursery = self._nursery or Nursery(self._rules)
            self._process = self._nursery.fork(settings)
        if ready and self._wait(lambda: self._said("started")):
            self._up_since = time.monotonic()

    def _set_clock(self, offset: int) -> None:
        self._clock.write_text(f"{offset:+d}")

    def _process_of(self) -> "subprocess.Popen[bytes] | Forked":
        assert self._process is not None
        return self._process

    def _wait(self, happened: Callable[[], bool], within: float = REACHES) -> bool:
        """Poll until it is true, or the daemon is gone: then false."""
        deadline = time.monotonic() + within
        while not (found := happened()):
            if self._interrupted.is_set():
                raise Interrupted
            if self._process_of().poll() is not None or time.monotonic() > deadline:
                return happened()
            time.sleep(POLL)
        return found

    def _pass(self, seconds: float) -> None:
        """Let time pass, unless the daemon is gone."""
        self._wait(lambda: False, within=seconds)

    def _logged(self) -> str:
        """What this life's daemon has logged."""
        with self._log.open("rb") as log:
            log.seek(self._mark)
            return log.read().decode(errors="replace").replace(": ", ":").replace(", ", ",")

    def _said(self, event: str) -> bool:
        return f'"event":"{event}"' in self._logged()

    def _holds(self, reason: str) -> bool:
        """Wait until a rule that would act was held for this, or one acts all the same: then its attempt will tell."""
        before = self._begun()
        return self._wait(lambda: f'-dead","reason":"{reason}"' in self._logged() or self._begun() > before)

    def _begun(self) -> int:
        return self._count.read_bytes().count(b"begin")

    def _next_effect(self, nth: int = 1) -> bool:
        """Wait until a service says that it is being restarted, so many times."""
        before = self._begun()
        return self._wait(lambda: self._begun() >= before + nth)

    def _is_down(self) -> None:
        """From here on it may not act, or is dead."""
        if self._up_since is not None:
            self.seen.up += time.monotonic() - self._up_since
            self._up_since = None

    def _process_ended(self, how: Callable[[], None]) -> int:
        if self._process_of().poll() is None:
            how()
        code = self._process_of().wait()
        self._is_down()
        said = next((event for event in NEVER_SAID if self._said(event)), None)
        if said is not None:
            self.seen.faults.append(f"a daemon said {said}: see {self._log}")
        return code

    def _kill(self, it: Round, *, came: bool = True) -> None:
        """Kill -9 from outside."""
        was_there = self._process_of().poll() is None
        code = self._process_ended(self._process_of().kill)
        if not was_there:
            self.seen.faults.append(f"a daemon ended by itself with {code} in a round of {it.kind}: see {self._log}")
        elif not came:
            self._is_missed = True
        self._is_killed(it)

    def _is_killed(self, it: Round) -> None:
        running = self._record()
        if not self._is_missed:  # else nothing was killed where it was to be
            self.seen.kills[it.kind] += 1
            self.seen.in_flight[it.kind] += bool(running - self.seen.recorded)
        if forgotten := self.seen.recorded - self._ids:
            self.seen.faults.append(f"the record lost {', '.join(sorted(forgotten))} in a round of {it.kind}")
        self.seen.recorded |= self._ids
        (self._state / "ballast").unlink(missing_ok=True)
        for copy in self._state.glob(f"{FILE}.before-*"):
            copy.unlink()

    _ids: frozenset[str] = frozenset()

    def _record(self) -> set[str]:
        """The attempts that heald's record calls running, read from a copy: the next daemon finds what was left."""
        look = self._folder / "look"
        shutil.rmtree(look, ignore_errors=True)
        look.mkdir()
        for file in self._state.glob(f"{FILE}*"):
            if file.name in (FILE, f"{FILE}-wal"):
                shutil.copy(file, look)
        with closing(sqlite3.connect(look / FILE)) as database:
            rows = database.execute("SELECT id, state FROM attempts").fetchall()
        self._ids = frozenset(name for name, _ in rows)
        return {name for name, state in rows if state == "running"}

    def _never(self, it: Round, why: str, is_late: Callable[[float], bool]) -> None:
        """A fault, if an effect of this life was claimed too late; ids begin with heald's own clock at the claim."""
        named = [effect.attempt for effect in self._effects()[self._done :] if effect.attempt is not None]
        if late := [attempt for attempt in named if is_late(int(attempt.split("-")[0]) / 1000)]:
            self.seen.faults.append(f"attempt {late[0]} was made {why}, in a round of {it.kind}: see {self._log}")

    # ---- ways to die --------------------------------------------------------------------------------------------

    def _at_point(self, it: Round) -> None:
        """By its own hand, or in the midst of a write."""
        self._start(it.kind, it)
        self._dies(it)

    def _dies(self, it: Round) -> None:
        self._wait(lambda: False)
        if self._process_of().poll() is None:
            self._kill(it, came=False)
            return
        code = self._process_ended(lambda: None)
        self.seen.torn += code == -signal.SIGXFSZ
        if code not in (-signal.SIGKILL, -signal.SIGXFSZ):
            self.seen.faults.append(f"a daemon ended by itself with {code} in a round of {it.kind}: see {self._log}")
        self._is_killed(it)

    def _effect(self, it: Round) -> None:
        self._start()
        came = self._next_effect(it.nth)
        self._pass(it.share * TAKES * 0.8)
        self._kill(it, came=came)

    def _any_moment(self, it: Round) -> None:
        end = time.monotonic() + it.share * 3.0
        self._start(ready=False, anew=True)
        if self._wait(lambda: self._said("started"), within=end - time.monotonic()):
            self._up_since = time.monotonic()
        self._pass(end - time.monotonic())
        self._kill(it)

    def _migrates(self, it: Round) -> None:
        number = max(scripts(self._migrations)) + 1
        (self._migrations / f"{number:04}_campaign.sql").write_text(MIGRATION.format(number=number))
        self._start(it.kind, replace(it, nth=1 + it.nth % 2), ready=False)
        self._dies(it)

    _migration_copy = _migration = _migration_commit = _migrates

    def _reload(self, it: Round) -> None:
        self._start(it.kind, replace(it, nth=1))
        self._next_effect()
        self._rules.write_text(f"{self._text}  of-reload-{time.time_ns()}: {{check: one, when: up == 2, for: 0s}}\n")
        self._process_of().send_signal(signal.SIGHUP)
        self._dies(it)

    _reload_swap = _reload

    def _fold(self) -> None:
        """Put SQLite's log into its file: as it is, it has room for many writes that a full disk does not stop."""
        with closing(sqlite3.connect(self._state / FILE)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _fill(self) -> None:
        """Leave not a byte on the disk."""
        with (self._state / "ballast").open("wb", buffering=0) as ballast:
            for size in (2**20, 2**12, 1):
                try:
                    while ballast.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def _full_in_effect(self, it: Round) -> None:
        self._fold()
        self._start()
        came = self._next_effect()
        self._is_down()
        self._fill()
        came = came and self._wait(lambda: self._said("store_unavailable"))
        refused = time.time()
        came = came and self._holds("store_unavailable")
        self._pass(it.share)
        self._kill(it, came=came)
        if came:
            self._never(it, "though the store took no writes", lambda claimed: claimed > refused)

    def _full_at_start(self, it: Round) -> None:
        self._fold()
        self._fill()
        self._start(ready=False)
        came = self._wait(lambda: self._said("started")) and self._wait(lambda: self._said("store_unavailable"))
        self._pass(it.share)
        (self._state / "ballast").unlink()
        came = came and self._wait(lambda: self._said("store_writable"))
        self._up_since = time.monotonic()
        came = came and self._next_effect()
        self._pass(it.share * TAKES * 0.8)
        self._kill(it, came=came)

    def _clock_between(self, it: Round) -> None:
        """Between two lives the clock is set, and after this one set back."""
        self._start(clock=it.jump)
        came = self._next_effect(it.nth)
        self._pass(it.share * TAKES * 0.8)
        self._kill(it, came=came)

    def _clock_jump(self, it: Round) -> None:
        self._start(clock=0)
        came = self._next_effect()
        self._is_down()  # a minute of holding: this one acts no more
        self._set_clock(it.jump)
        came = came and self._wait(lambda: self._said("clock_jumped")) and self._holds("clock_jumped")
        self._pass(it.share)
        self._kill(it, came=came)
        self._never(it, "in the minute after a jump", lambda claimed: abs(claimed - time.time()) > abs(it.jump) / 2)

    def _stopped(self, it: Round) -> None:
        self._start()
        came = self._next_effect()
        self._is_down()
        self._process_of().send_signal(signal.SIGSTOP)
        self._pass(self._settings.stop_for)
        self._process_of().send_signal(signal.SIGCONT)
        self._up_since = time.monotonic()
        came = came and self._next_effect()
        self._pass(it.share * TAKES * 0.8)
        self._kill(it, came=came)
