"""The rules of this house, read off the code: sizes, names, reasons, plug-ins, imports."""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

CHECKOUT = Path(__file__).parent.parent
PACKAGES = ("daemon", "checks", "remediations")
PLUGINS = {
    "checks": "checks",
    "remediations": "remediations",
    "daemon.managers": "managers",
    "daemon.connections": "connections",
}
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40
NOT_OUR_WORDS = {"alert", "action", "handler", "job", "probe", "monitor"}  # docs/glossary.md has those that we use
LIBRARY_WORDS = {"handler": "aiohttp"}  # a library's own word is right where that library is spoken to
NOT_MODULES = {"util", "helper", "common", "base", "misc"}  # names that say nothing of what is inside


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((CHECKOUT / folder).rglob("*.py"))]
    assert found
    return found


def shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sources(*folders):
        yield shown(path), ast.parse(path.read_text())


OURS = sources(*PACKAGES)
WITH_SCRIPTS = [folder for folder in ("bench", "campaign", "demo") if any((CHECKOUT / folder).glob("*.py"))]
ALL = sources(*PACKAGES, "tests", *WITH_SCRIPTS)


def none(found: Iterable[str]) -> None:
    """Fail with every place that was found, one a line."""
    places = list(found)
    assert not places, "\n" + "\n".join(places)


def plugins() -> list[tuple[str, str]]:
    """Package and name of every plug-in; a module with an underscore before its name is a part of some."""
    return [
        (package, path.stem)
        for package in PLUGINS
        for path in sorted((CHECKOUT / package.replace(".", "/")).glob("*.py"))
        if not path.stem.startswith("_")
    ]


# ---- sizes ----------------------------------------------------------------------------------------------------------


def test_no_file_is_long() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in OURS}
    none(f"{name}: {length} lines" for name, length in lengths.items() if length > MOST_LINES_OF_A_FILE)


def test_no_function_is_long() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for name, tree in trees(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]
    none(long)


# ---- honesty --------------------------------------------------------------------------------------------------------


def comments(path: Path) -> Iterator[tuple[int, str]]:
    import tokenize

    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


_IGNORE = re.compile(r"#\s*(?P<kind>noqa|type:\s*ignore|nosec|pragma|ruff:|mypy:)")
_WITH_REASON = re.compile(
    r"# (noqa: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*  # \S.*\w|type: ignore\[[a-z-]+(, ?[a-z-]+)*\]  # \S.*\w)"
)


def test_whoever_silences_a_tool_names_the_rule_and_the_reason() -> None:
    silent = [
        f"{shown(path)}:{line} {text}"
        for path in ALL
        for line, text in comments(path)
        if _IGNORE.search(text) and not _WITH_REASON.search(text)
    ]
    none(silent)


def test_nothing_is_left_for_later() -> None:
    left = [
        f"{shown(path)}:{line} {text}"
        for path in ALL
        for line, text in comments(path)
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    ]
    left += [
        f"{name}:{node.lineno} NotImplementedError"
        for name, tree in trees(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in ("NotImplementedError", "NotImplemented")
    ]
    none(left)


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = [node.id for node in ast.walk(kind) if isinstance(node, ast.Name)]
    return "Exception" in names or "BaseException" in names


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(statement, ast.Pass | ast.Continue | ast.Break)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


def swallows(tree: ast.Module) -> Iterator[int]:
    """Lines that catch everything and say nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and _does_nothing(node.body):
            yield node.lineno
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            yield from (node.lineno for argument in node.args if _is_broad(argument))


def test_no_error_is_swallowed_unseen() -> None:
    none(f"{name}:{line}" for name, tree in trees(*PACKAGES, "tests") for line in swallows(tree))


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    ...",
        "for x in y:\n    try:\n        f()\n    except (ValueError, BaseException):\n        continue",
        "import contextlib\nwith contextlib.suppress(Exception):\n    f()",
    ],
)
def test_a_swallowed_error_would_be_found(source: str) -> None:
    assert list(swallows(ast.parse(source)))


# ---- words ----------------------------------------------------------------------------------------------------------


def words_of(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = {word for word in spaced.split("_") if word}
    return words | {word[:-1] for word in words if word.endswith("s")}


def identifiers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name that this module gives; names of others are theirs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr


def test_names_are_the_words_of_the_glossary() -> None:
    found = []
    for path in OURS:
        source = path.read_text()
        theirs = {
            word for word, library in LIBRARY_WORDS.items() if re.search(rf"^(from|import) {library}\b", source, re.M)
        }
        forbidden = NOT_OUR_WORDS - theirs
        found += [
            f"{shown(path)}:{line} {name}"
            for line, name in identifiers(ast.parse(source))
            if words_of(name) & forbidden
        ]
        if words_of(path.stem) & (NOT_OUR_WORDS | NOT_MODULES):
            found.append(shown(path))
    none(found)


def test_a_forbidden_word_would_be_found() -> None:
    assert words_of("AlertState") & NOT_OUR_WORDS
    assert words_of("running_jobs") & NOT_OUR_WORDS
    assert words_of("http_utils") & NOT_MODULES
    assert not words_of("database_reaction") & (NOT_OUR_WORDS | NOT_MODULES)


# ---- plug-ins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("package", "name"), plugins())
def test_every_plugin_has_a_test(package: str, name: str) -> None:
    assert list((CHECKOUT / "tests" / PLUGINS[package]).glob(f"test_{name}*.py"))


def fields_without_words(model: type[BaseModel], at: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not (field.description or "").strip():
            yield f"{at}.{name}"
        for inner in _models_in(field.annotation):
            yield from fields_without_words(inner, f"{at}.{name}")


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


@pytest.mark.parametrize(("package", "name"), plugins())
def test_every_option_of_a_plugin_says_what_it_means(package: str, name: str) -> None:
    options = importlib.import_module(f"{package}.{name}").Options
    none(fields_without_words(options, f"{name}.Options"))
    assert options.model_config.get("extra") == "forbid"


@pytest.mark.parametrize("name", [name for package, name in plugins() if package == "checks"])
def test_every_sample_of_a_check_says_what_it_means(name: str) -> None:
    samples = importlib.import_module(f"checks.{name}").SAMPLES
    assert "up" in {sample.name for sample in samples}
    none(sample.name for sample in samples if not sample.meaning.strip())


@pytest.mark.parametrize(("package", "name"), plugins())
def test_every_plugin_says_what_it_is(package: str, name: str) -> None:
    assert (importlib.import_module(f"{package}.{name}").__doc__ or "").strip()


# ---- tests ----------------------------------------------------------------------------------------------------------


MOST_SECONDS_OF_A_POLL = 0.1


def sleeps(tree: ast.Module) -> Iterator[int]:
    """Lines that let real time pass; a poll may wait a moment. What a variable holds cannot be seen here."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep"):
            seconds = node.args[0] if node.args else None
            seconds = constants.get(seconds.id) if isinstance(seconds, ast.Name) else seconds
            if isinstance(seconds, ast.Constant) and seconds.value >= MOST_SECONDS_OF_A_POLL:
                yield node.lineno


def test_no_test_sleeps() -> None:
    none(f"{name}:{line}" for name, tree in trees("tests") for line in sleeps(tree))


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(0.1)",
        "import time\nPAUSE = 2\ntime.sleep(PAUSE)",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
    ],
)
def test_a_sleep_would_be_found(source: str) -> None:
    assert list(sleeps(ast.parse(source)))


def test_a_poll_may_wait_a_moment() -> None:
    assert not list(sleeps(ast.parse("import asyncio\nasync def f():\n    await asyncio.sleep(0.01)")))
    assert not list(sleeps(ast.parse("import time\nPOLL = 0.02\ntime.sleep(POLL)")))


# ---- imports --------------------------------------------------------------------------------------------------------


def table() -> dict[str, set[str]]:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    lines = next(contract["allowed"] for contract in contracts if contract["type"] == "table")
    return {line.split(":")[0]: set(line.split(":")[1].split()) for line in lines}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=100,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in (*PACKAGES, "tests/house"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def test_everybody_imports_only_what_the_table_allows() -> None:
    done = lint_imports(CHECKOUT)
    assert done.returncode == 0, done.stdout


VIOLATIONS = [
    ("daemon/model", "daemon.engine"),
    ("daemon/engine", "daemon.store"),
    ("daemon/engine", "daemon.plugin"),
    ("daemon/store", "daemon.engine"),
    ("daemon/config", "daemon.runtime"),
    ("daemon/config", "checks.tcp"),
    ("daemon/runtime", "daemon.api"),
    ("daemon/runtime", "remediations"),
    ("daemon/api", "daemon.runtime"),
    ("daemon/managers", "daemon.model"),
    ("daemon/reference", "daemon.runtime"),
    ("daemon/testing", "daemon.api"),
    ("daemon/cli", "daemon.store"),
    ("daemon/cli", "daemon.api.server"),
    ("checks", "daemon.model"),
    ("checks", "daemon.engine"),
    ("remediations", "daemon.store"),
    ("remediations", "checks"),
]


def test_every_import_that_the_table_does_not_allow_is_found(copy: Path) -> None:
    for folder, imported in VIOLATIONS:
        with (copy / folder / "violation.py").open("a") as source:
            source.write(f"import {imported}\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    missed = [
        f"{folder} -> {imported}"
        for folder, imported in VIOLATIONS
        if f"{folder.replace('/', '.')}.violation -> {imported} " not in said
    ]
    none(missed)


def test_a_circle_is_found_even_where_each_import_is_late(copy: Path) -> None:
    (copy / "daemon/model/one.py").write_text("def f():\n    import daemon.model.two\n")
    (copy / "daemon/model/two.py").write_text("import daemon.model.one\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "No circles BROKEN" in done.stdout


def test_a_package_that_the_table_does_not_know_is_found(copy: Path) -> None:
    (copy / "daemon/novelty.py").write_text("import daemon.store\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "daemon.novelty has no line" in " ".join(done.stdout.split())


def test_the_table_speaks_of_no_package_that_is_gone() -> None:
    known = {*table(), *(name for line in table().values() for name in line)}
    gone = [
        name
        for name in known
        if not (CHECKOUT / name.replace(".", "/")).is_dir()
        and not (CHECKOUT / f"{name.replace('.', '/')}.py").is_file()
    ]
    none(gone)


def test_the_daemon_that_is_imported_is_ours(tmp_path: Path) -> None:
    script = (
        "import checks, daemon, json, remediations;"
        "print(json.dumps([package.__file__ for package in (daemon, checks, remediations)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert [Path(file).parent for file in json.loads(done.stdout)] == [CHECKOUT / package for package in PACKAGES]


def test_no_distribution_but_ours_brings_a_module_of_our_names() -> None:
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    assert {name: owners[name] for name in PACKAGES if set(owners.get(name, ())) - {"heald"}} == {}
