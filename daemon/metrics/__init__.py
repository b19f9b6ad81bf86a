"""heald's own metrics: `heald_*`, kept as plain numbers and turned into a page for Prometheus when somebody scrapes.

Whoever counts holds a bound object and adds to it (law 12: a run costs well under a microsecond here); what lives in
memory anyway, incidents and readings, is not kept twice but read from `Sources` at the scrape. Nothing is global.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from daemon.metrics.numbers import (
    INCIDENT_BOUNDS,
    LAG_BOUNDS,
    RUN_BOUNDS,
    CheckMetrics,
    Distribution,
    RunResult,
    Sources,
)
from daemon.model.incident import HoldReason
from daemon.model.remediation import AttemptState, Verification

if TYPE_CHECKING:  # at run time when the first page is wanted: prometheus_client brings three servers of its own
    from prometheus_client.registry import Collector

    from daemon.metrics.page import Family, Page

__all__ = [
    "INCIDENT_BOUNDS",
    "LAG_BOUNDS",
    "RUN_BOUNDS",
    "CheckMetrics",
    "Distribution",
    "Metrics",
    "RunResult",
    "Sources",
]


class Metrics:
    """Every metric of one daemon."""

    def __init__(self, *, version: str) -> None:
        self._host: tuple[Collector, ...] | None = None  # what tells of the process, once a page was wanted
        self.schedule_lag = Distribution(LAG_BOUNDS)  # seconds between a run's due time and its start
        self.time_to_detect = Distribution(INCIDENT_BOUNDS)  # seconds from the first breached run to firing
        self.time_to_heal = Distribution(INCIDENT_BOUNDS)  # seconds from firing to resolved
        self._version = version
        self._checks: dict[str, CheckMetrics] = {}
        self._holds: Counter[tuple[str, str]] = Counter()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._verified: Counter[tuple[str, str]] = Counter()
        self._reload: tuple[bool, float] | None = None  # did the last one succeed; when did one succeed last (epoch)
        self._sources: Sources | None = None

    def read_from(self, sources: Sources) -> None:
        """Say where the gauges are read; before that only what was counted is shown."""
        self._sources = sources

    def check(self, name: str) -> CheckMetrics:
        """The numbers of one check, for the scheduler to hold."""
        return self._checks.setdefault(name, CheckMetrics())

    def forget(self, check: str) -> None:
        """Drop the labels of a check that a reload removed."""
        self._checks.pop(check, None)

    def forget_rules(self, rules: Collection[str]) -> None:
        """Drop the labels of rules that a reload removed."""
        for key in [key for key in self._holds if key[0] in rules]:
            del self._holds[key]

    def held(self, rule: str, reason: HoldReason) -> None:
        """Count a hold, when it begins or changes its reason."""
        self._holds[rule, reason.value] += 1

    def attempted(self, remediation: str, outcome: AttemptState) -> None:
        """Count an attempt when its effect is over (or would have been made)."""
        self._attempts[remediation, outcome.value] += 1

    def verified(self, remediation: str, result: Verification) -> None:
        """Count what verification found."""
        self._verified[remediation, result.value] += 1

    def reloaded(self, *, ok: bool, at: float) -> None:
        """Note the end of a reload, or of loading at start; `at` is in seconds since the epoch."""
        before = self._reload[1] if self._reload else 0.0
        self._reload = (ok, at if ok else before)

    def prepare(self) -> None:
        """Import what a page is made of; in a thread, that the first page need not keep the loop for it (20 ms)."""
        from prometheus_client import PlatformCollector, ProcessCollector

        import daemon.metrics.families  # noqa: F401  # and with it the page

        if self._host is None:
            self._host = (ProcessCollector(registry=None), PlatformCollector(registry=None))

    def page(self, accept: str = "") -> "Page":
        """What is shown now, in OpenMetrics if the Accept header asks for it, else in Prometheus' own format.

        Its rows are to be taken on the loop, in turns: what is counted between two of them is no matter.
        """
        from daemon.metrics.page import Page

        self.prepare()
        return Page(self.families(), self._host or (), accept)

    def families(self) -> "Iterator[Family]":
        """Every family of heald's own."""
        from prometheus_client.core import InfoMetricFamily

        from daemon.metrics.families import counted, gauge, histogram, of_checks, of_state
        from daemon.metrics.page import Family

        yield from of_checks(self._checks)
        yield histogram("schedule_lag_seconds", "How late runs started, in seconds.", self.schedule_lag)
        yield histogram("time_to_detect_seconds", "Seconds from first breach to firing.", self.time_to_detect)
        yield histogram("time_to_heal_seconds", "Seconds from firing to resolved.", self.time_to_heal)
        text = "Times that acting was held; counted when the reason changes, `exhausted` too."
        yield counted("holds", text, ("rule", "reason"), self._holds.items())
        text = "Attempts to heal: succeeded, failed, lapsed or lost; in observe mode would."
        yield counted("attempts", text, ("remediation", "outcome"), self._attempts.items())
        text = "What verification found: effective, ineffective or unverified."
        yield counted("attempts_verified", text, ("remediation", "result"), self._verified.items())
        if self._reload is not None:
            ok, at = self._reload
            text = "0 after a reload that was refused: an older configuration is in use."
            yield gauge("config_last_reload_successful", text, ok)
            text = "When a configuration was last put to use, in seconds since the epoch."
            yield gauge("config_last_reload_success_timestamp_seconds", text, at)
        info = InfoMetricFamily("heald_build", "The running version of heald.", {"version": self._version})
        yield Family(metric=info)
        if self._sources is not None:
            yield from of_state(self._sources)
