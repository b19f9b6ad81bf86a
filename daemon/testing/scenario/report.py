"""What came of scenarios, in words for a terminal and as JUnit XML for those who collect tests."""

import re
from collections.abc import Sequence
from pathlib import Path

from daemon.config.problems import ConfigError
from daemon.testing.scenario.model import Expectation
from daemon.testing.scenario.run import Failure, Result
from daemon.testing.scenario.timeline import Line

_BEFORE, _AFTER, _MOST = 4, 3, 24  # lines of the timeline around an expectation, and in all
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def failed(failure: Failure, result: Result) -> list[str]:
    """What did not hold, why, and the timeline around it; each a line."""
    it = failure.expectation
    place = f"{result.scenario.file}:{it.place.line}:{it.place.column}"
    return [f"  {place}: {it.text}", f"    {failure.why}", *_around(it, result)]


def _around(it: Expectation, result: Result) -> list[str]:
    """The timeline around the time of an expectation, with a mark where that is."""
    first, last = (min(moment, result.scenario.lasts) for moment in (it.first, it.last))
    lines = result.timeline.lines()
    before = [line for line in lines if line.at < first]
    within = [line for line in lines if first <= line.at <= last]
    after = [line for line in lines if line.at > last]
    shown = [f"      {line}" for line in before[-_BEFORE:]]
    shown += _within(within)
    shown += [f"      {line}" for line in after[:_AFTER]]
    return shown or ["      nothing happened"]


def _within(lines: Sequence[Line]) -> list[str]:
    marked = [f"    > {line}" for line in lines]
    if len(marked) <= _MOST:
        return marked or ["    >             (nothing then)"]
    half = _MOST // 2
    left = f"    >             ({len(marked) - 2 * half} more lines: --show has all)"
    return [*marked[:half], left, *marked[-half:]]


def junit(results: Sequence[Result], wrong: Sequence[tuple[Path, ConfigError]], seconds: Sequence[float]) -> bytes:
    """All of it as JUnit XML: a suite for each file, a case for each scenario. `seconds` is what each result took."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    root = Element("testsuites", name="heald test")
    suites: dict[Path, Element] = {}
    for result, took in zip(results, seconds, strict=True):
        scenario = result.scenario
        suite = suites.get(scenario.file)
        if suite is None:
            suite = suites[scenario.file] = SubElement(root, "testsuite", name=_clean(str(scenario.file)))
        case = SubElement(
            suite, "testcase", classname=_clean(str(scenario.file)), name=_clean(scenario.name), time=f"{took:.3f}"
        )
        case.set("line", str(scenario.place.line))
        if not result.holds:
            why = _clean("; ".join(it.why for it in result.failures))
            text = "\n".join(line for it in result.failures for line in failed(it, result))
            SubElement(case, "failure", message=why).text = _clean(text)
    for path, error in wrong:
        suite = SubElement(root, "testsuite", name=_clean(str(path)))
        case = SubElement(suite, "testcase", classname=_clean(str(path)), name="the file is valid", time="0.000")
        SubElement(case, "error", message="the file is wrong").text = _clean(str(error))
    for element in [*root.iter("testsuite"), root]:
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            element.set(name, str(sum(1 for _ in element.iter(tag))))
    indent(root)
    whole: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return whole + b"\n"


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
