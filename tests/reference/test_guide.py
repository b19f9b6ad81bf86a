"""The examples of the page about rules files: each is a file that loads, or part of one."""

import re
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.schema import IncludedKeys
from daemon.config.shapes import fields_of

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "rules.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_loads(tmp_path: Path, block: str) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "network.yaml").write_text("version: 1\n")
    path = tmp_path / "rules.yaml"
    path.write_text(block if "version:" in block else f"version: 1\n{block}")
    setup = load(path, node="node")
    for rule in setup.rules:
        told = re.search(rf"{rule.name}: .*# (.*)$", block, re.MULTILINE)
        if told is None:  # of a rule that names its check; what such an example does is tried in test_examples
            continue
        assert rule.checks == tuple(told[1].split(", "))


def test_the_page_names_every_key_that_an_included_file_may_have() -> None:
    (told,) = re.findall(r"^- An included file has (.*?), so that", TEXT, re.MULTILINE | re.DOTALL)
    assert re.findall("`([a-z]+)`", told) == list(fields_of(IncludedKeys))


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 4
    assert sum("labels: {tier: web}}" in block and "# api_health" in block for block in BLOCKS) == 1
