"""`heald plugins`: every type with its options, samples and units."""

import json

from click.testing import CliRunner

from daemon.cli import main
from daemon.config.discover import discover_types
from daemon.config.shapes import fields_of


def test_every_plug_in_is_listed_with_its_options_samples_and_units() -> None:
    done = CliRunner().invoke(main, ["plugins"])
    assert (done.exit_code, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    types = discover_types()
    for kind in (*types.checks.values(), *types.remediations.values(), *types.managers.values()):
        assert any(line[:1] == [kind.name] for line in lines), kind.name
        for option in fields_of(kind.options):
            assert any(line[:1] == [option] for line in lines), option
    for check in types.checks.values():
        for spec in check.samples.values():
            assert [spec.name, spec.dimension.value, *spec.meaning.split()] in lines


def test_as_json_it_says_the_same() -> None:
    listed = json.loads(CliRunner().invoke(main, ["plugins", "--json"]).stdout)
    assert set(listed) == {"checks", "remediations", "managers", "connections", "unavailable"}
    tcp = listed["checks"]["tcp"]
    assert {"name": "latency_seconds", "unit": "seconds"}.items() <= tcp["samples"][3].items()
    port = next(option for option in tcp["options"] if option["name"] == "port")
    assert port == {
        "name": "port",
        "type": "whole number",
        "required": True,
        "default": None,
        "description": "TCP port, 1 to 65535.",
    }
    http = {option["name"]: option for option in listed["checks"]["http"]["options"]}
    assert (http["body_limit"]["type"], http["body_limit"]["default"]) == ("size", "1MiB")
    assert http["bearer"]["type"] == "secret text"
    assert http["expect_status"]["type"] == "list of whole number or text"
    assert http["verify_tls"]["default"] is True
    assert listed["remediations"]["restart"]["asks"] is False
    assert listed["managers"]["supervisor"]["options"]


def test_every_option_has_a_description() -> None:
    listed = json.loads(CliRunner().invoke(main, ["plugins", "--json"]).stdout)
    for kind in ("checks", "remediations", "managers"):
        for name, plugin in listed[kind].items():
            assert plugin["summary"], name
            for option in plugin["options"]:
                assert option["description"], f"{name}.{option['name']}"
