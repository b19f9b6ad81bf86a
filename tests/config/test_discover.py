"""Plug-ins are found by their files, and what one lacks stops the start."""

import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from daemon.config.discover import discover_types
from daemon.config.load import load
from daemon.config.problems import ConfigError, Problem
from daemon.config.setup import Types
from daemon.model.service import Service, ServiceState, ServiceStatus
from daemon.protocols import CheckContext
from tests.lab.contexts import act_context, target

HEAD = "from daemon.plugin import *\nfrom daemon.plugin import OptionsModel, Field, sample, Dimension\n"
CHECK = (
    HEAD
    + """
class Options(OptionsModel):
    target: str = Field(description="What is looked at.")

SAMPLES = (sample("up", Dimension.NONE, "1 if it is there."), sample("size_bytes", Dimension.BYTES, "How large."))

async def check(options, context):
    return [Reading(samples={"up": 1.0})]
"""
)
REMEDIATION = (
    HEAD
    + """
class Options(OptionsModel):
    name: str | None = Field(default=None, description="What is mended.")

def resource(options, target):
    return f"thing:{options.name}@{target.node}"

async def act(options, target, context):
    return Outcome(summary="mended")

async def plan(options, target, context):
    return "would mend"
"""
)
MANAGER = (
    HEAD
    + """
class Options(OptionsModel):
    unit: str = Field(description="Its name.")

def resource(options, service, node):
    if options.unit == "none":
        raise RemediationError("there is no unit none", permanent=True)
    return f"mine:{options.unit}@{node}"

async def start(options, context):
    return f"started {options.unit}"

async def stop(options, context):
    return f"stopped {options.unit}"

async def restart(options, context):
    return f"restarted {options.unit}"

async def status(options, context):
    return ServiceStatus(state=ServiceState.RUNNING, detail="active")
"""
)
Find = Callable[..., Types]


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Find:
    """Writes packages of plug-ins, by kind and name, and discovers them."""
    monkeypatch.syspath_prepend(tmp_path)

    def find(**kinds: dict[str, str]) -> Types:
        packages: dict[str, tuple[str, ...]] = {}
        for kind in ("checks", "remediations", "managers"):
            package = f"{kind}_{uuid4().hex}"
            folder = tmp_path / package
            folder.mkdir()
            (folder / "__init__.py").touch()
            for name, source in kinds.get(kind, {}).items():
                (folder / f"{name}.py").write_text(source)
            packages[kind] = (package,)
        return discover_types(**packages, installed=False)  # type: ignore[arg-type]  # the keys are the parameters

    return find


def refused(find: Find, **kinds: dict[str, str]) -> Problem:
    with pytest.raises(ConfigError) as raised:
        find(**kinds)
    (problem,) = raised.value.problems
    return problem


def test_heald_s_own_plug_ins_are_found() -> None:
    types = discover_types()
    assert {"http", "tcp", "process", "command"} <= set(types.checks)
    assert {"restart", "run"} <= set(types.remediations)
    assert {"supervisor", "command"} <= set(types.managers)
    assert types.unavailable == {}


def test_every_check_type_yields_up() -> None:
    for kind in discover_types().checks.values():
        assert "up" in kind.samples, kind.name


def test_discovery_is_done_once_per_process() -> None:
    assert discover_types() is discover_types()


def test_a_module_is_a_plug_in_by_its_file_name(find: Find) -> None:
    types = find(checks={"gauge": CHECK, "_shared": "X = 1"}, remediations={"mend": REMEDIATION})
    assert list(types.checks) == ["gauge"]
    assert list(types.remediations) == ["mend"]
    gauge = types.checks["gauge"]
    assert list(gauge.samples) == ["up", "size_bytes"]
    assert not gauge.discovers
    assert not types.remediations["mend"].asks
    assert not types.remediations["mend"].harmless


def test_a_module_says_what_it_is_by_attributes(find: Find) -> None:
    types = find(
        checks={"gauge": CHECK + "DISCOVERS = True\n"}, remediations={"mend": REMEDIATION + "asks = harmless = True\n"}
    )
    assert types.checks["gauge"].discovers
    assert types.remediations["mend"].asks
    assert types.remediations["mend"].harmless


def test_options_may_add_samples(find: Find) -> None:
    more = CHECK + "def samples(options):\n    return (sample(options.target, Dimension.SECONDS, 'Own.'),)\n"
    gauge = find(checks={"gauge": more}).checks["gauge"]
    assert list(gauge.samples_of(gauge.options(target="queue_seconds"))) == ["up", "size_bytes", "queue_seconds"]
    assert list(gauge.samples) == ["up", "size_bytes"]


async def test_a_manager_is_bound_to_its_service(find: Find) -> None:
    kind = find(managers={"mine": MANAGER}).managers["mine"]
    bound = kind.bind(kind.options(unit="api"), Service(name="api"), "node")
    context: CheckContext = None  # type: ignore[assignment]  # these do not look at it
    assert (bound.kind, bound.resource) == ("mine", "mine:api@node")
    assert await bound.start(context) == "started api"
    assert await bound.stop(context) == "stopped api"
    assert await bound.restart(context) == "restarted api"
    assert await bound.status(context) == ServiceStatus(state=ServiceState.RUNNING, detail="active")


CHECKS_THAT_LACK = {
    "Options": (CHECK.replace("class Options", "class Other"), "it has no Options"),
    "a pydantic Options": (CHECK.replace("class Options(OptionsModel)", "class Options"), "is no pydantic model"),
    "strict Options": (
        CHECK.replace("(OptionsModel)", "(BaseModel)").replace(HEAD, HEAD + "from pydantic import BaseModel\n"),
        "accepts unknown keys",
    ),
    "Options that pydantic can build": (
        CHECK.replace("target: str", "target: Odd").replace("class Options", "class Odd: ...\nclass Options"),
        "Odd",
    ),
    "SAMPLES": (CHECK.replace("SAMPLES =", "OTHER ="), "it has no SAMPLES"),
    "any SAMPLES": (CHECK + "SAMPLES = ()\n", "is no tuple of samples"),
    "good SAMPLES": (CHECK + "SAMPLES = ('up',)\n", "is no tuple of samples"),
    "a name of a sample": (
        CHECK.replace('"size_bytes"', '"size-bytes"'),
        "'size-bytes' cannot be named in a condition",
    ),
    "another name": (CHECK.replace('"size_bytes"', '"age"'), "'age' cannot be named in a condition"),
    "two names": (CHECK.replace('"size_bytes"', '"up"'), "the sample up is there twice"),
    "check": (CHECK.replace("def check", "def look"), "it has no check; write async def check(options, context)"),
    "an async check": (CHECK.replace("async def check", "def check"), "its check is no async function"),
    "a parameter": (CHECK.replace("(options, context)", "(options)"), "its check cannot be called with"),
    "a truth value": (CHECK + "DISCOVERS = 1\n", "its DISCOVERS is 1; write True or False"),
    "an example": (CHECK + "EXAMPLE = {'checks': {}}\n", "its EXAMPLE is no text; write the parts of a rules file"),
    "a plain samples": (CHECK + "async def samples(options): ...\n", "its samples is no plain function"),
    "good Python": (CHECK + "x = (\n", "it cannot be imported: SyntaxError"),
    "a module of ours": (CHECK + "import daemon.nothing\n", "it cannot be imported: No module named 'daemon.nothing'"),
    "an import that ends well": (CHECK + "1 / 0\n", "it cannot be imported: ZeroDivisionError"),
    "an option of its own": (
        CHECK.replace("target: str", "timeout: str"),
        "its option timeout shadows the key timeout that every check has",
    ),
}


@pytest.mark.parametrize(("source", "said"), CHECKS_THAT_LACK.values(), ids=CHECKS_THAT_LACK)
def test_a_check_that_lacks_something_is_refused_by_its_file(find: Find, source: str, said: str) -> None:
    problem = refused(find, checks={"gauge": source})
    assert said in problem.text
    assert problem.path == "checks.gauge"
    assert problem.file.endswith("gauge.py")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (REMEDIATION.replace("def resource", "def other"), "it has no resource; write def resource(options, target)"),
        (REMEDIATION.replace("def act", "def other"), "it has no act"),
        (REMEDIATION.replace("async def plan", "def plan"), "its plan is no async function"),
        (REMEDIATION.replace("def plan(options, ", "def plan("), "its plan cannot be called with"),
        (REMEDIATION.replace("def resource", "async def resource"), "its resource is no plain function"),
        (REMEDIATION.replace("name:", "tries:"), "its option tries shadows the key tries that every step has"),
    ],
)
def test_a_remediation_that_lacks_something_is_refused(find: Find, source: str, said: str) -> None:
    assert said in refused(find, remediations={"mend": source}).text


async def test_a_remediation_that_offers_no_plan_says_what_it_would_touch(find: Find) -> None:
    mend = find(remediations={"mend": REMEDIATION.replace("def plan", "def other")}).remediations["mend"]
    said = await mend.plan(mend.options(name="web"), target(), act_context())
    assert said.summary == "mend thing:web@node"
    mend = find(remediations={"fix": REMEDIATION}).remediations["fix"]
    assert (await mend.plan(mend.options(name="web"), target(), act_context())).summary == "would mend"


@pytest.mark.parametrize("part", ["resource", "start", "stop", "restart", "status"])
def test_a_manager_that_lacks_something_is_refused(find: Find, part: str) -> None:
    assert f"it has no {part}" in refused(find, managers={"mine": MANAGER.replace(f"def {part}", "def other")}).text


def test_a_plug_in_may_not_have_the_name_of_a_common_key(find: Find) -> None:
    assert "the name every shadows the key every" in refused(find, checks={"every": CHECK}).text
    assert "the name verify shadows the key verify" in refused(find, remediations={"verify": REMEDIATION}).text


def test_all_that_is_wrong_with_plug_ins_is_said_at_once(find: Find) -> None:
    with pytest.raises(ConfigError) as raised:
        find(checks={"a": "", "b": CHECK, "c": "x ="}, remediations={"d": ""})
    assert [problem.path for problem in raised.value.problems] == ["checks.a", "checks.c", "remediations.d"]


def test_one_name_in_two_places_is_refused_and_both_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    packages = []
    for number in (1, 2):
        package = f"twice_{uuid4().hex}"
        packages.append(package)
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "gauge.py").write_text(CHECK + f"# {number}\n")
    with pytest.raises(ConfigError) as raised:
        discover_types(checks=tuple(packages), installed=False)
    (problem,) = raised.value.problems
    assert "there are two named gauge" in problem.text
    for package in packages:
        assert str(tmp_path / package / "gauge.py") in problem.text


def install(folder: Path, points: str) -> None:
    """An installed distribution with entry points."""
    info = folder / f"shop_{uuid4().hex}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {info.name.split('-')[0]}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


def test_installed_packages_offer_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = f"gauge_{uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(CHECK)
    (tmp_path / f"{module}_mend.py").write_text(REMEDIATION)
    install(tmp_path, f"[heald.checks]\ngauge = {module}\n[heald.remediations]\nmend = {module}_mend\n")
    types = discover_types.__wrapped__()
    assert {"gauge", "tcp"} <= set(types.checks)
    assert {"mend", "restart"} <= set(types.remediations)


def test_an_installed_plug_in_may_not_take_the_name_of_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = f"gauge_{uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(CHECK)
    install(tmp_path, f"[heald.checks]\ntcp = {module}\nwrong = {module}:check\n")
    with pytest.raises(ConfigError) as raised:
        discover_types.__wrapped__()
    said = {problem.path: problem.text for problem in raised.value.problems}
    assert "checks/tcp.py" in said["checks.tcp"]
    assert f"{module}.py" in said["checks.tcp"]
    assert "is no module" in said["checks.wrong"]


# ---- in a rules file ------------------------------------------------------------------------------------------------


def read(tmp_path: Path, types: Types, text: str) -> list[str]:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    try:
        load(file, node="node", types=types)
    except ConfigError as error:
        return [f"{problem.line}:{problem.column}: {problem.path}: {problem.text}" for problem in error.problems]
    return []


def test_a_missing_extra_is_said_only_where_it_is_used(find: Find, tmp_path: Path) -> None:
    types = find(checks={"gauge": CHECK, "far": "import a_heavy_client\n" + CHECK})
    assert "a_heavy_client" not in sys.modules
    assert types.unavailable == {"checks.far": "far needs the package a_heavy_client, which is not installed here"}
    assert read(tmp_path, types, "version: 1\nchecks: {a: {gauge: {target: x}}}\n") == []
    assert read(tmp_path, types, "version: 1\nchecks: {a: {far: {target: x}}}\n") == [
        "2:14: checks.a.far: far needs the package a_heavy_client, which is not installed here; install it beside heald"
    ]


def test_settings_of_discovered_subjects_belong_to_types_that_discover(find: Find, tmp_path: Path) -> None:
    types = find(checks={"gauge": CHECK, "each": CHECK + "DISCOVERS = True\n"})
    text = "version: 1\nchecks: {a: {KIND: {target: x}, vanish_after: 10m, max_subjects: 5}}\n"
    assert read(tmp_path, types, text.replace("KIND", "each")) == []
    assert len(read(tmp_path, types, text.replace("KIND", "gauge"))) == 2
    (said,) = read(tmp_path, types, text.replace("KIND", "each").replace("10m", "10s"))
    assert "checks.a.vanish_after: 10s is shorter than every (30s)" in said


def test_conditions_know_the_samples_that_options_add(find: Find, tmp_path: Path) -> None:
    more = CHECK + "def samples(options):\n    return (sample(options.target, Dimension.SECONDS, 'Own.'),)\n"
    types = find(checks={"gauge": more})
    text = "version: 1\nchecks: {a: {gauge: {target: wait}}}\nrules: {r: {check: a, when: wait > 5s}}\n"
    assert read(tmp_path, types, text) == []
    (said,) = read(tmp_path, types, text.replace("wait > ", "wiat > "))
    assert "did you mean wait?" in said
    (said,) = read(tmp_path, types, text.replace("target: wait", "target: 5"))
    assert "checks.a.gauge.target: found the number 5; expected text" in said


def test_what_a_manager_cannot_name_is_an_error_at_its_key(find: Find, tmp_path: Path) -> None:
    types = find(managers={"mine": MANAGER})
    text = "version: 1\nservices: {a: {run_by: {mine: {unit: none}}}}\n"
    assert read(tmp_path, types, text) == ["2:25: services.a.run_by.mine: there is no unit none"]


def test_what_a_plug_in_asks_is_waived_by_name_only(find: Find, tmp_path: Path) -> None:
    types = find(checks={"gauge": CHECK}, remediations={"mend": REMEDIATION + "asks = True\n"})
    text = "version: 1\nchecks: {a: {gauge: {target: x}}}\nrules: {r: {check: a, when: up == 0, steps: [{mend: {}}]}}\n"
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    assert load(file, types=types).rules[0].steps[0].needs_approval
    file.write_text(text.replace("{mend: {}}", "{mend: {}, approval: false}"))
    assert not load(file, types=types).rules[0].steps[0].needs_approval
    file.write_text(text.replace("checks:", "defaults: {steps: {approval: false}}\nchecks:"))
    assert load(file, types=types).rules[0].steps[0].needs_approval  # no default waives it for all


def test_a_plug_in_that_fails_to_name_its_resource_is_an_error_of_the_step(find: Find, tmp_path: Path) -> None:
    broken = REMEDIATION.replace('    return f"thing', '    1 / 0\n    return f"thing')
    types = find(checks={"gauge": CHECK}, remediations={"mend": broken})
    text = "version: 1\nchecks: {a: {gauge: {target: x}}}\nrules: {r: {check: a, when: up == 0, steps: [{mend: {}}]}}\n"
    (said,) = read(tmp_path, types, text)
    assert said.endswith("mend cannot say what it would touch: ZeroDivisionError")
