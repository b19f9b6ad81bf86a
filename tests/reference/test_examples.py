"""Every example of the pages about heald's features: it loads, and does what its page says (`scenarios/`)."""

import re
from pathlib import Path

import pytest

from daemon.engine.guards import Proposal
from daemon.model.incident import HoldReason
from daemon.runtime.situation import Found
from daemon.testing.scenario.file import read_scenarios
from daemon.testing.scenario.run import run_scenario
from tests.runtime.world import DOWN, World, worlds_end
from tests.testing.scene import holds

__all__ = ["worlds_end"]  # a fixture

DOCS = Path(__file__).parents[2] / "docs"
SCENARIOS = Path(__file__).with_name("scenarios")
HEAD = "version: 1\nsettings: {mode: act, allow: [restart], startup_grace: 0s}\n"
"""For an example that is a part of a file."""


def examples() -> dict[str, str]:
    """Each example by its page and the heading over it: `people.approvals`."""
    found: dict[str, str] = {}
    for page in [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]:
        for section in page.read_text().split("\n## ")[1:]:
            heading = re.sub(r"[^a-z0-9]+", "-", section.split("\n", 1)[0].lower()).strip("-")
            for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```$", section, re.DOTALL | re.MULTILINE), 1):
                found[f"{page.stem}.{heading}" + (f"-{number}" if number > 1 else "")] = block
    return found


EXAMPLES = examples()
FILES = sorted(SCENARIOS.glob("*.yaml"))


def rules_of(name: str, folder: Path) -> Path:
    text = EXAMPLES[name]
    file = folder / "rules.yaml"
    file.write_text(text if text.startswith(("version:", "#")) else HEAD + text)
    return file


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_does_what_its_page_says(file: Path, tmp_path: Path) -> None:
    rules_of(file.stem, tmp_path)
    (tmp_path / file.name).write_text(file.read_text())
    for scenario in read_scenarios(tmp_path / file.name):
        holds(run_scenario(scenario))


@pytest.mark.parametrize(
    ("beside", "holds", "says"), [("deploy.lock", "deploy.lock", "is there"), ("", "backup.service", "is active")]
)
def test_what_goes_on_beside_it_is_not_disturbed(tmp_path: Path, beside: str, holds: str, says: str) -> None:
    """A scenario has no files and no units."""
    rules = EXAMPLES["people.what-heald-leaves-alone-by-itself"].replace(
        "/run/deploy.lock", str(tmp_path / "deploy.lock")
    )
    world = World(tmp_path, rules).at(300, db_port=DOWN)

    def found(proposal: Proposal) -> Found:
        units = world.simulation.setup.services[proposal.service or ""].conflicts
        return Found(conflict=f"{holds} is active" if holds in units else None)

    if beside:
        (tmp_path / beside).touch()
    else:
        world.simulation.found = found
    world.run(600)
    assert world.holds("down") == [HoldReason.CONFLICT]
    assert f"{holds} {says}" in world.incident("down").hold_sentence
    (tmp_path / "deploy.lock").unlink(missing_ok=True)
    world.simulation.found = lambda _: Found()
    assert world.run(620).claims("systemd:postgresql.service@node") != []


ELSEWHERE = {"rules.in-the-editor", "rules.several-files", "rules.defaults"}
"""Of what belongs to a file as a whole, which `test_guide` loads and the tests of `config` try."""


def test_every_example_is_tried() -> None:
    """Those of the pages on lint, scenarios and explain are tried beside what they are about."""
    pages = {name for name in EXAMPLES if name.split(".")[0] not in ("lint", "scenarios", "explain")}
    assert pages == {file.stem for file in FILES} | ELSEWHERE
