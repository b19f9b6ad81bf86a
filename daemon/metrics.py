"""heald's own metrics: `heald_*`, kept as plain numbers and turned into Prometheus families when somebody scrapes.

Whoever counts holds a bound object and adds to it (law 12: a run costs well under a microsecond here); what lives in
memory anyway, incidents and readings, is not kept twice but read from `Sources` at the scrape. Nothing is global.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest

from daemon.model.check import Reading
from daemon.model.incident import HoldReason, Incident, IncidentState
from daemon.model.remediation import AttemptState, Verification
from daemon.model.rule import Limit, Rule, Severity
from daemon.model.settings import Mode
from daemon.model.units import format_duration

# Seconds. The usual buckets of Prometheus' client libraries for a request; a run seldom may take more than 10 s.
RUN_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Seconds. From one coalesced start (200 ms) to intervals lost.
LAG_BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Seconds. From the fastest rule (1 s checks, no `for`) to an hour: what is healed later was healed by people.
INCIDENT_BOUNDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_RUNS = (
    "Ended runs: ok, we could look, however sick the target is; blind, we could not; timeout, it did not end in time, "
    "which is blind too; skipped, it was due and its last run had not ended."
)


class RunResult(StrEnum):
    """How one due run of a check ended, as the label `result` says it."""

    OK = "ok"  # we could look, however sick the target is
    BLIND = "blind"  # we could not look: CheckError, a bug, rubbish
    TIMEOUT = "timeout"  # it did not end within its time-out: blind too
    SKIPPED = "skipped"  # it was due, but its last run had not ended or too many runs were in flight


class Distribution:
    """A histogram's numbers. Not thread-safe: observed and read on the loop."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds  # upper, inclusive, rising
        self.counts = [0] * (len(bounds) + 1)  # by bucket, the last is what lies above all
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as the exposition wants them."""
        rows: list[tuple[str, float]] = []
        count = 0
        for bound, more in zip((*self.bounds, math.inf), self.counts, strict=True):
            count += more
            rows.append(("+Inf" if bound == math.inf else str(bound), count))
        return rows


class CheckMetrics:
    """The numbers of one check, bound once (`Metrics.check`)."""

    __slots__ = ("durations", "is_blind", "runs")

    def __init__(self) -> None:
        self.runs = dict.fromkeys(RunResult, 0)
        self.durations = Distribution(RUN_BOUNDS)
        self.is_blind = False

    def observe(self, result: RunResult, seconds: float) -> None:
        """Count one ended run that took `seconds`; a second look is a run too."""
        self.runs[result] += 1
        self.durations.observe(seconds)
        self.is_blind = result is not RunResult.OK

    def skipped(self) -> None:
        """Count a run that was due and did not begin."""
        self.runs[RunResult.SKIPPED] += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What lives in memory already. Each is called on the loop at every scrape: quick, and without side effects."""

    readings: Callable[[], Iterable[tuple[str, Reading]]]  # check and reading, of each check's newest run; blind: none
    incidents: Callable[[], Iterable[Incident]]  # the open ones
    rules: Callable[[], Iterable[Rule]]
    budgets: Callable[[], Iterable[tuple[str, Limit, int]]]  # resource ("all": the budget), limit, attempts left
    mode: Callable[[], Mode]
    is_paused: Callable[[], bool]
    is_store_writable: Callable[[], bool]
    store_writes: Callable[[], Mapping[str, int]]  # transactions by result: ok, error


class Metrics:
    """Every metric of one daemon, on a registry of its own."""

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
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
        self.registry.register(self)

    def read_from(self, sources: Sources) -> None:
        """Say where the gauges are read; before that only what was counted is shown."""
        self._sources = sources

    def check(self, name: str) -> CheckMetrics:
        """The numbers of one check, for the scheduler to hold."""
        return self._checks.setdefault(name, CheckMetrics())

    def forget(self, check: str) -> None:
        """Drop the labels of a check that a reload removed."""
        self._checks.pop(check, None)

    def forget_rule(self, rule: str) -> None:
        """Drop the labels of a rule that a reload removed."""
        for key in [key for key in self._holds if key[0] == rule]:
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

    def snapshot(self) -> "Snapshot":
        """All families as they are now; to be called on the loop, and rendered anywhere."""
        return Snapshot(tuple(self.registry.collect()))

    def collect(self) -> Iterator[Metric]:
        """Every family, for the registry."""
        yield from _of_checks(self._checks)
        yield _histogram("schedule_lag_seconds", "How late runs started, in seconds.", self.schedule_lag)
        yield _histogram("time_to_detect_seconds", "Seconds from first breach to firing.", self.time_to_detect)
        yield _histogram("time_to_heal_seconds", "Seconds from firing to resolved.", self.time_to_heal)
        text = "Times that acting was held; counted when the reason changes, `exhausted` too."
        yield _counts("holds", text, ("rule", "reason"), self._holds.items())
        text = "Attempts to heal: succeeded, failed, lapsed or lost; in observe mode would."
        yield _counts("attempts", text, ("remediation", "outcome"), self._attempts.items())
        text = "What verification found: effective, ineffective or unverified."
        yield _counts("attempts_verified", text, ("remediation", "result"), self._verified.items())
        if self._reload is not None:
            ok, at = self._reload
            text = "0 after a reload that was refused: an older configuration is in use."
            yield _gauge("config_last_reload_successful", text, ok)
            text = "When a configuration was last put to use, in seconds since the epoch."
            yield _gauge("config_last_reload_success_timestamp_seconds", text, at)
        yield InfoMetricFamily("heald_build", "The running version of heald.", {"version": self._version})
        if self._sources is not None:
            yield from _of_state(self._sources)


class Snapshot:
    """Families at one moment: a collector that can be rendered off the loop."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return self._families

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The text and its content type: OpenMetrics if the Accept header asks for it, else Prometheus' own."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # an Accept header with a version that is none
            encode, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
        return encode(self), content_type


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"heald_{name}", text, value=float(value))


def _histogram(name: str, text: str, values: Distribution) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"heald_{name}", text, buckets=values.buckets(), sum_value=values.total)


def _counts(
    name: str, text: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"heald_{name}", text, labels=labels)
    for key, count in counts:
        family.add_metric(key, count)
    return family


def _of_checks(checks: dict[str, CheckMetrics]) -> Iterator[Metric]:
    runs = CounterMetricFamily("heald_check_runs", _RUNS, labels=("check", "result"))
    blind = GaugeMetricFamily("heald_check_blind", "1 if the newest run could not look.", labels=("check",))
    text = "How long runs took, in seconds."
    durations = HistogramMetricFamily("heald_check_duration_seconds", text, labels=("check",))
    for name, check in checks.items():
        for result, count in check.runs.items():
            runs.add_metric((name, result.value), count)
        blind.add_metric((name,), float(check.is_blind))
        durations.add_metric((name,), check.durations.buckets(), check.durations.total)
    yield from (runs, blind, durations)


def _of_state(sources: Sources) -> Iterator[Metric]:
    yield from _of_readings(sources.readings())
    yield from _of_incidents(sources.incidents(), sources.rules())
    modes = GaugeMetricFamily("heald_mode", "1 for the mode in force: observe decides only.", labels=("mode",))
    for mode in Mode:
        modes.add_metric((mode.value,), float(sources.mode() is mode))
    yield modes
    yield _gauge("paused", "1 while somebody has paused all acting.", sources.is_paused())
    text = "0 while the store takes no writes: heald then checks on, and acts on nothing."
    yield _gauge("store_writable", text, sources.is_store_writable())
    writes = [((result,), count) for result, count in sources.store_writes().items()]
    yield _counts("store_writes", "Transactions of the store, ok or error.", ("result",), writes)
    text = "Attempts that a limit still permits; resource all is the budget of all together."
    budgets = GaugeMetricFamily("heald_budget_remaining", text, labels=("resource", "window"))
    left_of: dict[tuple[str, str], int] = {}
    for resource, limit, left in sources.budgets():
        key = (_utf8(resource), format_duration(limit.window))
        left_of[key] = min(left, left_of.get(key, left))  # of two limits over one window the nearer one
    for labels, left in left_of.items():
        budgets.add_metric(labels, left)
    yield budgets


def _of_readings(readings: Iterable[tuple[str, Reading]]) -> Iterator[Metric]:
    text = "up of the newest run; a blind check shows none, as an old value is not a new one."
    up = GaugeMetricFamily("heald_check_up", text, labels=("check", "subject"))
    text = "Every other number of the newest run, in the sample's own unit; true is 1."
    samples = GaugeMetricFamily("heald_sample", text, labels=("check", "subject", "sample"))
    # A series that came twice, or a name that is not UTF-8, would cost Prometheus the whole scrape.
    newest = {(check, _utf8(reading.subject)): reading for check, reading in readings}
    for (check, subject), reading in newest.items():
        for name, value in reading.samples.items():
            if isinstance(value, str) or not math.isfinite(value):  # NaN and infinities are missing samples
                continue
            if name == "up":
                up.add_metric((check, subject), float(value))
            else:
                samples.add_metric((check, subject, name), float(value))
    yield from (up, samples)


def _utf8(name: str) -> str:
    return name.encode(errors="replace").decode()


def _of_incidents(incidents: Iterable[Incident], rules: Iterable[Rule]) -> Iterator[Metric]:
    states = [state for state in IncidentState if state.is_open]
    counts: Counter[tuple[str, Severity, IncidentState]] = Counter()
    counts.update({(rule.name, rule.severity, state): 0 for rule in rules for state in states})
    handed_over = 0
    for incident in incidents:
        counts[incident.rule, incident.severity, incident.state] += 1
        handed_over += incident.handed_over is not None
    text = "Open incidents, firing or recovering; 0 where a rule has none."
    family = GaugeMetricFamily("heald_incidents", text, labels=("rule", "severity", "state"))
    for (rule, severity, state), count in counts.items():
        family.add_metric((rule, severity.value, state.value), count)
    yield family
    yield _gauge("handed_over", "Open incidents that were handed to people.", handed_over)
