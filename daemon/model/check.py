"""Checks as configured, and what one run of a check yields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.model.moment import Stamp
from daemon.model.quick import quick

Sample = float | str | bool
"""A sample's value. Numbers are in the sample's own unit; NaN and infinities count as missing."""


class Dimension(StrEnum):
    """What a number measures; two numbers compare only within one dimension."""

    NONE = "none"
    SECONDS = "seconds"
    BYTES = "bytes"
    PERCENT = "percent"
    NONE_PER_SECOND = "none/s"
    SECONDS_PER_SECOND = "seconds/s"
    BYTES_PER_SECOND = "bytes/s"
    PERCENT_PER_SECOND = "percent/s"
    BOOLEAN = "boolean"
    STRING = "string"


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSpec:
    """A sample that a check type may yield: the promise that conditions are checked against."""

    name: str  # an identifier, e.g. latency_seconds
    dimension: Dimension  # what it measures, and so which literals it compares with
    meaning: str  # one sentence for the operator


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The samples of one subject from one run."""

    subject: str = ""  # a stable name (a mount, a container), "" where the check is its own subject; never a pid
    samples: Mapping[str, Sample]  # by sample name; an absent one is missing


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One look at a target: readings, or the reason why we could not look."""

    check: str  # the configured check's name
    began: float  # steady seconds
    ended: float  # steady seconds; the time of everything that follows from this run
    readings: tuple[Reading, ...] = ()
    error: str | None = None  # set: the run was blind, and this says why
    timed_out: bool = False  # the error is that it did not end within its timeout
    is_look: bool = False  # a second look: feeds the lifecycle, proposes nothing
    at: Stamp | None = None  # the end as a stamp, for the record


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A check as the operator configured it."""

    name: str  # an identifier: conditions name it
    type: str  # the plug-in's name
    options: object = field(repr=False)  # the plug-in's validated Options, which may hold a secret
    every: float  # seconds between runs
    timeout: float  # seconds a run may take, enforced from outside
    retry_every: float  # seconds between runs while pending or verifying
    vanish_after: float  # seconds a discovered subject may be absent before its incident closes
    max_subjects: int = 1000  # more readings than this make the run blind
    service: str | None = None  # the service it looks at
    labels: Mapping[str, str] = field(default_factory=dict)  # free words for selection
    discovers: bool = False  # subjects are found at run time; otherwise the only subject is ""
