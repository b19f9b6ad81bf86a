"""heald's families and their rows, which are made of numbers while somebody scrapes."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from daemon.metrics.numbers import CheckMetrics, Distribution, RunResult, Sources
from daemon.metrics.page import Family, label, number, place, whole
from daemon.model.check import Reading, Sample
from daemon.model.incident import Incident, IncidentState
from daemon.model.rule import Rule
from daemon.model.settings import Mode
from daemon.model.units import format_duration

_RUNS = (
    "Ended runs: ok, we could look, however sick the target is; blind, we could not; timeout, it did not end in time, "
    "which is blind too; skipped, it was due and its last run had not ended, or not begun."
)


def gauge(name: str, text: str, value: float) -> Family:
    """A gauge without labels."""
    return Family(metric=GaugeMetricFamily(f"heald_{name}", text, value=float(value)))


def histogram(name: str, text: str, values: Distribution) -> Family:
    """A histogram without labels."""
    metric = HistogramMetricFamily(f"heald_{name}", text, buckets=values.buckets(), sum_value=values.total)
    return Family(metric=metric)


def counted(name: str, text: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], int]]) -> Family:
    """A counter by labels."""
    metric = CounterMetricFamily(f"heald_{name}", text, labels=labels)
    metric.add_metric([place(at) for at in range(len(labels))], 0)
    return Family(metric=metric, rows=((*map(label, key), whole(count)) for key, count in list(counts)))


def of_checks(checks: Mapping[str, CheckMetrics]) -> Iterator[Family]:
    """The families of every check's runs, of the checks that there are now."""
    named = list(checks.items())
    runs = CounterMetricFamily("heald_check_runs", _RUNS, labels=("check", "result"))
    for result in RunResult:
        runs.add_metric((place(0), result.value), 0)
    yield Family(metric=runs, rows=((label(name), *map(whole, it.runs.values())) for name, it in named))
    blind = _gauge("check_blind", "1 if the newest run could not look.", ("check",))
    yield Family(metric=blind, rows=((label(name), number(it.is_blind)) for name, it in named))
    text = "How long runs took, in seconds."
    durations = HistogramMetricFamily("heald_check_duration_seconds", text, labels=("check",))
    durations.add_metric((place(0),), CheckMetrics().durations.buckets(), 0.0)
    yield Family(metric=durations, rows=((label(name), *_spread(it.durations)) for name, it in named))


def _gauge(name: str, text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    """A gauge with labels, and the example of a row."""
    metric = GaugeMetricFamily(f"heald_{name}", text, labels=labels)
    metric.add_metric([place(at) for at in range(len(labels))], 0.0)
    return metric


def _spread(values: Distribution) -> tuple[str, ...]:
    """A histogram's numbers: of its buckets, their count and their sum."""
    buckets = [whole(count) for count in accumulate(values.counts)]
    return (*buckets, buckets[-1], number(values.total))


def of_state(sources: Sources) -> Iterator[Family]:
    """The families of what lives in memory."""
    yield from _of_readings(list(sources.readings()))
    yield from _of_incidents(list(sources.incidents()), list(sources.rules()))
    text = "Open incidents that were handed to people, and what they were told flaps, also while it is well."
    yield gauge("handed_over", text, sources.handed_over())
    modes = _gauge("mode", "1 for the mode in force: observe decides only.", ("mode",))
    yield Family(metric=modes, rows=[(label(mode.value), number(sources.mode() is mode)) for mode in Mode])
    yield gauge("paused", "1 while somebody has paused all acting.", sources.is_paused())
    text = "0 while the store takes no writes: heald then checks on, and acts on nothing."
    yield gauge("store_writable", text, sources.is_store_writable())
    writes = [((result,), count) for result, count in sources.store_writes().items()]
    yield counted("store_writes", "Transactions of the store, ok or error.", ("result",), writes)
    text = "Attempts that a limit still permits; resource all is the budget of all together."
    budgets = _gauge("budget_remaining", text, ("resource", "window"))
    left_of: dict[tuple[str, str], int] = {}
    for resource, limit, left in sources.budgets():
        key = (label(resource), label(format_duration(limit.window)))
        left_of[key] = min(left, left_of.get(key, left))  # of two limits over one window the nearer one
    yield Family(metric=budgets, rows=((*key, whole(left)) for key, left in left_of.items()))


def _of_readings(runs: Sequence[tuple[str, Iterable[Reading]]]) -> Iterator[Family]:
    text = "up of the newest run; a blind check shows none, as an old value is not a new one."
    rows: Iterable[tuple[str, ...]] = (
        (check, subject, number(samples["up"])) for check, subject, samples in _newest(runs) if _is_shown(samples, "up")
    )
    yield Family(metric=_gauge("check_up", text, ("check", "subject")), rows=rows)
    text = "Every other number of the newest run, in the sample's own unit; true is 1."
    rows = (
        (check, subject, label(name), number(samples[name]))
        for check, subject, samples in _newest(runs)
        for name in samples
        if name != "up" and _is_shown(samples, name)
    )
    yield Family(metric=_gauge("sample", text, ("check", "subject", "sample")), rows=rows)


def _newest(runs: Iterable[tuple[str, Iterable[Reading]]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Check and subject as labels, and the samples; a series that came twice would cost Prometheus the whole scrape."""
    for name, readings in runs:
        check = label(name)
        for subject, samples in {label(reading.subject): reading.samples for reading in readings}.items():
            yield check, subject, samples


def _is_shown(samples: Mapping[str, Sample], name: str) -> bool:
    value = samples.get(name, "")
    return not isinstance(value, str) and math.isfinite(value)  # NaN and infinities are missing samples


def _of_incidents(incidents: Sequence[Incident], rules: Sequence[Rule]) -> Iterator[Family]:
    text = "Open incidents, firing or recovering; 0 where a rule has none."
    rows = _incidents(Counter((it.rule, it.severity.value, it.state.value) for it in incidents), rules)
    yield Family(metric=_gauge("incidents", text, ("rule", "severity", "state")), rows=rows)


def _incidents(counts: Counter[tuple[str, str, str]], rules: Iterable[Rule]) -> Iterator[tuple[str, ...]]:
    states = [state.value for state in IncidentState if state.is_open]
    for rule in rules:
        severity = rule.severity.value
        for state in states:
            yield label(rule.name), severity, state, whole(counts.pop((rule.name, severity, state), 0))
    for (name, severity, state), count in counts.items():  # of rules that are gone, or were of another severity
        yield label(name), severity, state, whole(count)
