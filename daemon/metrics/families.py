"""Prometheus families, made of numbers when somebody scrapes."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from daemon.metrics.numbers import CheckMetrics, Distribution, Sources
from daemon.model.check import Reading
from daemon.model.incident import Incident, IncidentState
from daemon.model.rule import Rule, Severity
from daemon.model.settings import Mode
from daemon.model.units import format_duration

_RUNS = (
    "Ended runs: ok, we could look, however sick the target is; blind, we could not; timeout, it did not end in time, "
    "which is blind too; skipped, it was due and its last run had not ended."
)


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """A gauge without labels."""
    return GaugeMetricFamily(f"heald_{name}", text, value=float(value))


def histogram(name: str, text: str, values: Distribution) -> HistogramMetricFamily:
    """A histogram without labels."""
    return HistogramMetricFamily(f"heald_{name}", text, buckets=values.buckets(), sum_value=values.total)


def counted(
    name: str, text: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    """A counter by labels."""
    family = CounterMetricFamily(f"heald_{name}", text, labels=labels)
    for key, count in counts:
        family.add_metric(key, count)
    return family


def of_checks(checks: dict[str, CheckMetrics]) -> Iterator[Metric]:
    """The families of every check's runs."""
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


def of_state(sources: Sources) -> Iterator[Metric]:
    """The families of what lives in memory."""
    yield from _of_readings(sources.readings())
    yield from _of_incidents(sources.incidents(), sources.rules())
    modes = GaugeMetricFamily("heald_mode", "1 for the mode in force: observe decides only.", labels=("mode",))
    for mode in Mode:
        modes.add_metric((mode.value,), float(sources.mode() is mode))
    yield modes
    yield gauge("paused", "1 while somebody has paused all acting.", sources.is_paused())
    text = "0 while the store takes no writes: heald then checks on, and acts on nothing."
    yield gauge("store_writable", text, sources.is_store_writable())
    writes = [((result,), count) for result, count in sources.store_writes().items()]
    yield counted("store_writes", "Transactions of the store, ok or error.", ("result",), writes)
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
    yield gauge("handed_over", "Open incidents that were handed to people.", handed_over)
