"""The page is to the byte what prometheus_client makes of the same families, whatever stands in their labels."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from daemon.metrics import Metrics, RunResult, Sources
from daemon.model.check import Reading, Sample
from daemon.model.incident import HoldReason, Incident, IncidentState
from daemon.model.moment import Stamp
from daemon.model.rule import Limit, Rule, Severity
from daemon.model.settings import Mode
from daemon.model.units import format_duration

ACCEPTS = (
    "",
    "text/plain; version=1.0.0; escaping=allow-utf-8",
    "application/openmetrics-text",
    "application/openmetrics-text; version=1.0.0; escaping=underscores",
    "application/openmetrics-text; version=1.0.0; escaping=dots",
    "application/openmetrics-text; version=1.0.0; escaping=values",
    "application/openmetrics-text; version=2.0.0; escaping=allow-utf-8",
)
STAMP = Stamp(wall=1_700_000_000.0, boot="b", boottime=100.0, host="node", synchronised=True)
NAMES = st.text(max_size=8) | st.sampled_from(
    ["", "{0}", "%s", 'a"b\\c\nd', "\0" + "0\0", "x\udcff", "\x85\u2028", "a,b=}"]
)
COUNTS = st.integers(min_value=0, max_value=10**18)
NUMBERS = st.floats() | st.booleans() | st.integers(min_value=-(10**20), max_value=10**20)
SAMPLES = st.dictionaries(NAMES | st.just("up"), NUMBERS | st.text(max_size=3), max_size=4)


@dataclass(kw_only=True)
class Known:
    """What a page is made of."""

    checks: Mapping[str, tuple[list[int], list[int], float, bool]]  # results, buckets, seconds in all, is it blind
    readings: Mapping[str, list[tuple[str, dict[str, Sample]]]]  # subject and samples, by check
    incidents: list[tuple[str, Severity, IncidentState]]
    rules: list[str]
    holds: Mapping[tuple[str, HoldReason], int]
    budgets: list[tuple[str, int, int]]  # resource, window, left


KNOWN = st.builds(
    Known,
    checks=st.dictionaries(
        NAMES,
        st.tuples(
            st.lists(COUNTS, min_size=4, max_size=4),
            st.lists(COUNTS, min_size=13, max_size=13),
            st.floats(min_value=0, allow_infinity=False),
            st.booleans(),
        ),
        max_size=3,
    ),
    readings=st.dictionaries(NAMES, st.lists(st.tuples(NAMES, SAMPLES), max_size=3), max_size=3),
    incidents=st.lists(
        st.tuples(
            st.sampled_from(["a", "b\n"]),
            st.sampled_from(Severity),
            st.sampled_from([state for state in IncidentState if state.is_open]),
        ),
        max_size=4,
    ),
    rules=st.lists(NAMES | st.sampled_from(["a", "b\n"]), max_size=3, unique=True),
    holds=st.dictionaries(st.tuples(NAMES, st.sampled_from(HoldReason)), COUNTS.filter(bool), max_size=3),
    budgets=st.lists(st.tuples(NAMES, st.integers(1, 10**6), COUNTS), max_size=3),
)


def metrics_of(known: Known) -> Metrics:
    """As the daemon would have counted it."""
    metrics = Metrics(version="0")
    for name, (results, buckets, seconds, is_blind) in known.checks.items():
        check = metrics.check(name)
        check.runs.update(zip(RunResult, results, strict=True))
        check.durations.counts[:] = buckets
        check.durations.total, check.is_blind = seconds, is_blind
    for (rule, reason), count in known.holds.items():
        metrics._holds[rule, reason.value] = count  # to hold so often would take too long
    metrics.read_from(
        Sources(
            readings=lambda: [
                (check, [Reading(subject=subject, samples=samples) for subject, samples in found])
                for check, found in known.readings.items()
            ],
            incidents=lambda: [incident(*one) for one in known.incidents],
            handed_over=lambda: len(known.incidents),
            rules=lambda: [
                Rule(name=name, order=0, checks=("c",), when={}, for_seconds={}, severity=Severity.P1)
                for name in known.rules
            ],
            budgets=lambda: [
                (name, Limit(count=1, window=float(window)), left) for name, window, left in known.budgets
            ],
            mode=lambda: Mode.ACT,
            is_paused=lambda: False,
            is_store_writable=lambda: True,
            store_writes=lambda: {"ok": 1, "error": 0},
        )
    )
    return metrics


def incident(rule: str, severity: Severity, state: IncidentState) -> Incident:
    return Incident(
        id="INC-1",
        rule=rule,
        check="c",
        subject="",
        service=None,
        severity=severity,
        state=state,
        opened=STAMP,
        because="up == 0",
    )


_NOTHING = Known(checks={}, readings={}, incidents=[], rules=[], holds={}, budgets=[])
_DOCUMENTED = {it.metric.name: it.metric.documentation for it in metrics_of(_NOTHING).families()}


class Expected:
    """The families of many series, as prometheus_client is meant to be used."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def collect(self) -> Iterator[Metric]:
        yield from self._of_checks()
        holds = [((rule, reason.value), count) for (rule, reason), count in self._known.holds.items()]
        yield _counter("holds", ("rule", "reason"), holds)
        yield from self._of_readings()
        counts = Counter({(rule, "P1", state): 0 for rule in self._known.rules for state in ("firing", "recovering")})
        counts.update((rule, severity.value, state.value) for rule, severity, state in self._known.incidents)
        yield _gauge("incidents", ("rule", "severity", "state"), counts.items())
        left_of: dict[tuple[str, ...], float] = {}
        for name, window, left in self._known.budgets:
            key = (name, format_duration(float(window)))
            left_of[key] = min(left, left_of.get(key, left))
        yield _gauge("budget_remaining", ("resource", "window"), left_of.items())
        yield _gauge("mode", ("mode",), [(("observe",), 0), (("act",), 1)])
        yield _counter("store_writes", ("result",), [(("ok",), 1), (("error",), 0)])
        yield _counter("attempts", ("remediation", "outcome"), ())
        yield _counter("attempts_verified", ("remediation", "result"), ())

    def _of_checks(self) -> Iterator[Metric]:
        name = "heald_check_duration_seconds"
        durations = HistogramMetricFamily(name, _DOCUMENTED[name], labels=("check",))
        runs: dict[tuple[str, ...], float] = {}
        blind: dict[tuple[str, ...], float] = {}
        for check, (results, buckets, seconds, is_blind) in self._known.checks.items():
            runs |= {(check, result.value): count for result, count in zip(RunResult, results, strict=True)}
            bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, "+Inf")
            sums = [sum(buckets[: at + 1]) for at in range(len(buckets))]
            durations.add_metric((_utf8(check),), [(str(it), n) for it, n in zip(bounds, sums, strict=True)], seconds)
            blind[check,] = is_blind
        yield _counter("check_runs", ("check", "result"), runs.items())
        yield from (_gauge("check_blind", ("check",), blind.items()), durations)

    def _of_readings(self) -> Iterator[Metric]:
        up: dict[tuple[str, ...], float] = {}
        others: dict[tuple[str, ...], float] = {}
        for check, readings in self._known.readings.items():
            for subject, samples in {_utf8(subject): samples for subject, samples in readings}.items():
                shown = {key: it for key, it in samples.items() if not isinstance(it, str) and math.isfinite(it)}
                if "up" in shown:
                    up[check, subject] = shown.pop("up")
                others |= {(check, subject, key): it for key, it in shown.items()}
        yield _gauge("check_up", ("check", "subject"), up.items())
        yield _gauge("sample", ("check", "subject", "sample"), others.items())


def _gauge(name: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    return _with(GaugeMetricFamily(f"heald_{name}", _DOCUMENTED[f"heald_{name}"], labels=labels), values)


def _counter(name: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    return _with(CounterMetricFamily(f"heald_{name}", _DOCUMENTED[f"heald_{name}"], labels=labels), values)


def _with(family: Any, values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    for key, value in values:
        family.add_metric([_utf8(it) for it in key], float(value))
    return cast("Metric", family)


def _utf8(text: str) -> str:
    return text.encode(errors="replace").decode()


@pytest.mark.parametrize("accept", ACCEPTS)
@given(known=KNOWN)
def test_the_page_is_to_the_byte_what_the_library_makes_of_it(accept: str, known: Known) -> None:
    encode, content_type = choose_encoder(accept)
    metrics = metrics_of(known)
    page = metrics.page(accept)
    many = {metric.name: metric for metric in Expected(known).collect()}
    families = [many.get(it.metric.name, it.metric) for it in metrics.families()]
    assert page.content_type == content_type
    assert "".join(page.rows()) == encode(_All(families)).decode()


class _All(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


@given(known=KNOWN)
def test_what_is_parsed_is_what_was_counted(known: Known) -> None:
    metrics = metrics_of(known)
    for accept, parse in (("", parse_text), (ACCEPTS[3], parse_open_metrics)):
        page = metrics.page(accept)
        found = {
            tuple(sorted(sample.labels.items())): sample.value
            for family in parse("".join(page.rows()))
            for sample in family.samples
            if sample.name == "heald_check_duration_seconds_count"
        }
        wanted = {(("check", _utf8(name)),): float(sum(it[1])) for name, it in known.checks.items()}
        assert found == wanted
