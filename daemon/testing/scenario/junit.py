"""What came of scenarios as JUnit XML, for those who collect tests."""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from daemon.config.problems import ConfigError
from daemon.testing.scenario.many import Told

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def junit(told: Sequence[Told], wrong: Sequence[tuple[Path, ConfigError]]) -> bytes:
    """A suite for each file, a case for each scenario; a file that is wrong is an error."""
    root = Element("testsuites", name="heald test")
    suites: dict[str, Element] = {}
    for it in told:
        suite = suites.get(it.file)
        if suite is None:
            suite = suites[it.file] = SubElement(root, "testsuite", name=_clean(it.file))
        case = _case(suite, it.file, it.name, it.seconds)
        case.set("line", str(it.line))
        if not it.holds:
            SubElement(case, "failure", message=_clean(it.why)).text = _clean("\n".join(it.failed))
    for path, error in wrong:
        suite = SubElement(root, "testsuite", name=_clean(str(path)))
        case = _case(suite, str(path), "the file is valid", 0.0)
        SubElement(case, "error", message="the file is wrong").text = _clean(str(error))
    for element in [*root.iter("testsuite"), root]:
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            element.set(name, str(sum(1 for _ in element.iter(tag))))
        element.set("time", f"{sum(float(case.get('time', 0)) for case in element.iter('testcase')):.3f}")
    indent(root)
    whole: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return whole + b"\n"


def _case(suite: Element, file: str, name: str, seconds: float) -> Element:
    return SubElement(suite, "testcase", classname=_clean(file), name=_clean(name), time=f"{seconds:.3f}")


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
