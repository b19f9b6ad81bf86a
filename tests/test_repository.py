"""The repository around the code: what a newcomer and an operator rely on."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parent.parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
LOCKS = sorted(CHECKOUT.glob("requirements*.lock"))
TARGETS = (
    "setup",
    "demo",
    "demo-host",
    "run",
    "test",
    "check",
    "bench",
    "mutation",
    "campaign",
    "format",
    "reference",
    "lock",
    "clean",
    "help",
)
ON_A_HOST = ("install", "uninstall")
SECONDS_OF_A_SECOND_SETUP = 1.0


def bare(requirement: str) -> str:
    """The normalised name in a requirement (PEP 503)."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def run(*argv: str | Path, folder: Path = CHECKOUT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in argv],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        timeout=100,
    )


def tracked() -> list[Path]:
    """Every file of the repository, be it a checkout or an unpacked archive of it."""
    done = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if done.returncode == 0:
        return [CHECKOUT / name for name in done.stdout.split("\0") if name and (CHECKOUT / name).is_file()]
    skipped = {".venv", ".uv", ".git", "build", "__pycache__"}
    return [path for path in CHECKOUT.rglob("*") if path.is_file() and not skipped & set(path.parts)]


# ---- what is there --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "pyproject.toml",
        "Makefile",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        ".ci/run",
        "rules.yaml",
        "systemd/heald.service",
        "docs/glossary.md",
        "docs/decisions/README.md",
    ],
)
def test_what_a_repository_needs_is_there(name: str) -> None:
    assert (CHECKOUT / name).stat().st_size > 0


def test_the_licence_is_apache_in_words_and_in_the_metadata() -> None:
    text = (CHECKOUT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_the_version_is_the_same_everywhere() -> None:
    from daemon import __version__

    assert PROJECT["project"]["version"] == __version__


def test_nothing_names_this_machine_or_where_packages_come_from() -> None:
    places = re.compile(
        "|".join(["/ro" + "ot/", "/wo" + "rk/", r"/home/[a-z]+/", r"pypi\." + "org", "python" + "hosted"])
    )
    found = [
        f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if places.search(line)
    ]
    assert found == [], "\n" + "\n".join(found)


# ---- locks ----------------------------------------------------------------------------------------------------------


def test_there_are_three_locks() -> None:
    assert [lock.name for lock in LOCKS] == ["requirements-dev.lock", "requirements-uv.lock", "requirements.lock"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_carries_a_hash_for_every_package_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pins = re.findall(r"^([a-z0-9-]+)==\S+[^\n]*\\\n(    --hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)) > 0


def test_every_dependency_is_locked() -> None:
    locked = {
        name: set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(), re.M)) for lock in LOCKS for name in [lock.name]
    }
    runs = {bare(requirement) for requirement in PROJECT["project"]["dependencies"]}
    develops = {bare(requirement) for requirement in PROJECT["dependency-groups"]["dev"]}
    assert runs - locked["requirements.lock"] == set()
    assert (runs | develops) - locked["requirements-dev.lock"] == set()
    assert locked["requirements-uv.lock"] == {"uv"}


def test_both_locks_pin_the_same_versions() -> None:
    small, large = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (CHECKOUT / name).read_text(), re.M))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert {name: large.get(name) for name in small} == small


def test_every_dependency_has_its_sentence() -> None:
    text = (CHECKOUT / "docs/decisions/0001-dependencies.md").read_text()
    rows = {bare(name): why for name, why in re.findall(r"^\| ([A-Za-z0-9._-]+) \| (.+) \|$", text, re.MULTILINE)}
    extras = [requirement for extra in PROJECT["project"]["optional-dependencies"].values() for requirement in extra]
    named = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"] + extras
    wanted = {bare(requirement) for requirement in named}
    assert wanted - rows.keys() == set()
    assert rows.keys() - wanted - {"package", "uv"} == set()
    assert [name for name, why in rows.items() if name != "package" and len(why.split()) < 2] == []


def test_the_extra_all_has_every_one() -> None:
    extras = dict(PROJECT["project"]["optional-dependencies"])
    everything = extras.pop("all")
    assert sorted(everything) == sorted({requirement for extra in extras.values() for requirement in extra})


def test_every_library_that_is_imported_is_a_dependency() -> None:
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["all"]
    declared = {bare(requirement) for requirement in wanted}
    undeclared = set()
    for package in ("daemon", "checks", "remediations"):
        for path in (CHECKOUT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names:
                    if name not in ("daemon", "checks", "remediations"):
                        undeclared |= {bare(owner) for owner in owners.get(name, [name])} - declared
    assert undeclared == set()


# ---- make -----------------------------------------------------------------------------------------------------------


def test_make_alone_lists_every_target_with_a_sentence() -> None:
    done = run("make", "--no-print-directory")
    listed = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert sorted(listed) == sorted((*TARGETS, *ON_A_HOST))
    assert done.stderr == ""


def test_the_continuous_integration_runs_what_a_developer_runs() -> None:
    assert os.access(CHECKOUT / ".ci/run", os.X_OK)
    assert "make check" in (CHECKOUT / ".ci/run").read_text()
    plan = run("make", "--dry-run", "check").stdout
    for part in ("ruff check", "ruff format --check", "mypy", "lint-imports", "bootstrap.sh", "-m pytest -n"):
        assert part in plan


@pytest.mark.parametrize("script", sorted((CHECKOUT / "tests/lab").glob("*.sh")), ids=lambda script: script.name)
def test_every_script_is_executable_and_parses(script: Path) -> None:
    assert os.access(script, os.X_OK)
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    assert run(shell, "-n", script).returncode == 0


def test_the_packages_of_the_tests_are_installed_and_looked_at_once_more_in_silence() -> None:
    done = run(CHECKOUT / "tests/lab/bootstrap.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- setup: with a uv that only writes down what it is asked ---------------------------------------------------------


class Checkout:
    """A folder with what setting up reads, and programs of our own before those of the host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        (self.folder / "tests/lab").mkdir(parents=True)
        scripts = ("tests/lab/setup.sh", "tests/lab/index.sh")
        for name in ("pyproject.toml", "requirements-dev.lock", "requirements-uv.lock", *scripts):
            shutil.copy(CHECKOUT / name, self.folder / name)
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.asked = folder / "asked"
        self.program(
            "uv",
            f'echo "$*" >>{self.asked}\n'
            f'if [ "$1" = venv ]; then mkdir -p .venv/bin; ln -s {sys.executable} .venv/bin/python;'
            f' echo "VIRTUAL_ENV=$(pwd -P)/.venv" >.venv/bin/activate; fi',
        )
        self.program("apt-get", "echo 'apt-get: not in a test' >&2; exit 100")

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def setup(self, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs}:{os.environ['PATH']}"
        return run(self.folder / "tests/lab/setup.sh", folder=self.folder, **{"PATH": path, **environment})

    def taken(self) -> list[str]:
        """What uv was asked since the last look."""
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        self.asked.unlink(missing_ok=True)
        return [line for line in lines if line != "--version"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_setting_up_makes_the_locked_environment(checkout: Checkout) -> None:
    assert checkout.setup().returncode == 0
    venv, sync, install = checkout.taken()
    assert venv.startswith("venv ")
    assert "pip sync" in sync
    assert "--require-hashes requirements-dev.lock" in sync
    assert "--no-deps --no-build-isolation --editable ." in install


def test_setting_up_again_does_nothing_and_says_nothing(checkout: Checkout) -> None:
    assert checkout.setup().returncode == 0
    checkout.taken()
    again = checkout.setup()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert not checkout.asked.exists()


def test_a_new_lock_is_installed_into_the_same_environment(checkout: Checkout) -> None:
    checkout.setup()
    checkout.taken()
    with (checkout.folder / "requirements-dev.lock").open("a") as lock:
        lock.write("# changed\n")
    assert checkout.setup().returncode == 0
    assert [line.split()[0] for line in checkout.taken()] == ["pip", "pip"]


def test_a_checkout_that_was_moved_gets_a_new_environment(checkout: Checkout) -> None:
    checkout.setup()
    checkout.taken()
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    assert checkout.setup().returncode == 0
    assert [line.split()[0] for line in checkout.taken()] == ["venv", "pip", "pip"]


def test_setting_up_that_failed_is_done_again(checkout: Checkout) -> None:
    good = (checkout.programs / "uv").read_text()
    checkout.program("uv", f'{good}\nif [ "$2" = sync ]; then echo "no network" >&2; exit 2; fi')
    failed = checkout.setup()
    assert failed.returncode != 0
    assert "no network" in failed.stderr
    checkout.taken()
    (checkout.programs / "uv").write_text(good)
    assert checkout.setup().returncode == 0
    assert len(checkout.taken()) == 2


def test_an_environment_of_another_python_than_the_one_asked_for_is_made_anew(checkout: Checkout) -> None:
    checkout.program(
        "other", f"""case "$*" in *sys.version_info\\[:2\\]*) echo other;; *) exec {sys.executable} "$@";; esac"""
    )
    checkout.setup()
    checkout.taken()
    assert checkout.setup(PYTHON="other").returncode == 0
    venv, *_ = checkout.taken()
    assert venv == f"venv --quiet --python {checkout.programs}/other .venv"


def test_without_uv_and_pip_it_says_what_to_install(checkout: Checkout) -> None:
    checkout.program("uv", "exit 127")
    checkout.program("python", f"""case "$*" in "-m pip "*) exit 1;; *) exec {sys.executable} "$@";; esac""")
    checkout.program("sudo", '[ "$1" = -- ] && shift; exec "$@"')
    done = checkout.setup(PYTHON="python")
    assert done.returncode == 1
    assert "there is neither uv nor pip" in done.stderr
    assert "apt-get: not in a test" in done.stderr


def test_an_old_python_is_refused_with_a_sentence(checkout: Checkout) -> None:
    checkout.program("old", "exit 1")
    done = checkout.setup(PYTHON="old")
    assert done.returncode == 1
    assert "heald needs Python 3.11 or newer" in done.stderr
    assert not checkout.asked.exists()


def test_without_uv_pip_brings_a_locked_one_into_the_checkout(checkout: Checkout) -> None:
    fetched = (checkout.programs / "uv").read_text()
    checkout.program("uv", "exit 127")
    checkout.program(
        "python",
        f'case "$*" in\n'
        f'"-m pip install "*) echo "$*" >>{checkout.asked}; mkdir -p .uv/bin; cp ../fetched .uv/bin/uv;;\n'
        f'"-m pip "*) ;;\n'
        f'*) exec {sys.executable} "$@";;\n'
        f"esac",
    )
    (checkout.folder.parent / "fetched").write_text(fetched)
    (checkout.folder.parent / "fetched").chmod(0o755)
    done = checkout.setup(PYTHON="python")
    assert done.returncode == 0, done.stderr
    pip, *uv = checkout.taken()
    assert "--require-hashes --target .uv -r requirements-uv.lock" in pip
    assert len(uv) == 3


# ---- documents ------------------------------------------------------------------------------------------------------


def fenced(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (CHECKOUT / name).read_text(), re.MULTILINE | re.DOTALL)


def test_the_readme_is_one_screen_with_the_two_commands_first() -> None:
    text = (CHECKOUT / "README.md").read_text()
    assert len(text.splitlines()) <= 80
    first = fenced("README.md", "sh")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_every_link_of_the_documents_leads_somewhere() -> None:
    broken = [
        f"{path.relative_to(CHECKOUT)}: {target}"
        for path in [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#]+)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []


def test_every_command_in_the_readme_is_one() -> None:
    from daemon.cli import main

    named = re.findall(r"^heald (\w+)", "\n".join(fenced("README.md", "sh")), re.MULTILINE)
    assert set(named) - set(main.list_commands(None)) == set()  # type: ignore[arg-type]  # the list needs no context


def test_the_readme_says_first_how_a_clone_finds_the_command() -> None:
    first = fenced("README.md", "sh")[1].splitlines()[0].split("#")[0].strip()
    done = run("sh", "-c", f"{first} && command -v heald", PATH="/usr/bin:/bin")
    assert done.stdout.strip() == str(CHECKOUT / ".venv/bin/heald")


def test_the_rule_in_the_readme_loads(tmp_path: Path) -> None:
    (example,) = fenced("README.md", "yaml")
    assert yaml.safe_load(example)["version"] == 1
    (tmp_path / "rules.yaml").write_text(example)
    done = run(Path(sys.executable).with_name("heald"), "validate", tmp_path / "rules.yaml")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_readme_asks_about_is_in_its_rule_and_in_the_rules_of_a_fresh_clone() -> None:
    (example,) = fenced("README.md", "yaml")
    asked = re.findall(r"^heald explain (\w+)", "\n".join(fenced("README.md", "sh")), re.MULTILINE)
    assert asked
    for text in (example, (CHECKOUT / "rules.yaml").read_text()):
        assert set(asked) <= set(yaml.safe_load(text)["services"])


def test_the_shipped_rules_load_and_only_observe() -> None:
    done = run(Path(sys.executable).with_name("heald"), "validate", CHECKOUT / "rules.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load((CHECKOUT / "rules.yaml").read_text()).get("settings", {}).get("mode", "observe") == "observe"


def test_every_decision_is_listed_and_numbered() -> None:
    folder = CHECKOUT / "docs/decisions"
    listed = re.findall(r"\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in listed] == list(range(1, len(listed) + 1))
