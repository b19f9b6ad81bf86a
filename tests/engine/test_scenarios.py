"""The engine's tests that are scenarios (docs/scenarios.md): a file of `scenarios` for each part of judgement.md."""

from pathlib import Path

import pytest

from daemon.testing.scenario.file import read_scenarios
from daemon.testing.scenario.model import Scenario
from daemon.testing.scenario.run import run_scenario
from tests.testing.scene import holds

FOLDER = Path(__file__).with_name("scenarios")
FILES = [file for file in sorted(FOLDER.glob("*.yaml")) if not file.stem.endswith(".rules")]
SCENARIOS = [scenario for file in FILES for scenario in read_scenarios(file)]
OTHERS = [it for it in SCENARIOS if not it.file.name.startswith("holds.")]
"""All but those of single holds, of which test_holds asks more."""


@pytest.mark.parametrize("scenario", OTHERS, ids=lambda it: f"{it.file.stem}: {it.name}")
def test_it_holds(scenario: Scenario) -> None:
    holds(run_scenario(scenario))
