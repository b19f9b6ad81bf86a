"""`include`: several files are one configuration, and every error names its own."""

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.config.schema import IncludedKeys
from daemon.config.setup import Setup
from daemon.config.shapes import fields_of

Write = Callable[..., Path]
MAIN = "version: 1\ninclude: [rules.d/*.yaml]\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files by name, and stand in their folder; returns the main one's path, relative."""
    monkeypatch.chdir(tmp_path)

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Path("rules.yaml")

    return write


def check(name: str, more: str = "") -> str:
    return f"version: 1\nchecks:\n  {name}: {{tcp: {{host: localhost, port: 1}}{more}}}\n"


def refused(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(path, node="node")
    return [str(problem) for problem in raised.value.problems]


def checks(setup: Setup) -> list[str]:
    return list(setup.checks)


def test_the_main_file_comes_first_then_the_included_ones_by_the_bytes_of_their_paths(write: Write) -> None:
    names = ["10-b", "Z", "9", "a", "ä", "10-a"]
    random.Random(7).shuffle(names)
    rule = "rules:\n  {0}: {{check: c{1}, when: up == 0}}\n"
    files = {
        f"rules.d/{name}.yaml": check(f"c{place}") + rule.format(f"rule-{place}", place)
        for place, name in enumerate(names)
    }
    setup = load(write({"rules.yaml": MAIN + check("first")[11:], **files}), node="node")
    expected = sorted(names, key=os.fsencode)
    assert checks(setup) == ["first", *(f"c{names.index(name)}" for name in expected)]
    assert [str(path) for path in setup.included] == [f"rules.d/{name}.yaml" for name in expected]
    assert [(rule.order, rule.name) for rule in setup.rules] == [
        (order, f"rule-{names.index(name)}") for order, name in enumerate(expected)
    ]


def test_names_of_one_file_stand_for_what_another_has(write: Write) -> None:
    setup = load(
        write(
            {
                "rules.yaml": "version: 1\ninclude: [a/rules.yaml, b/checks.yaml]\nservices: {db: {}}\n",
                "a/rules.yaml": "version: 1\nrules: {down: {check: web, when: up == 0 or db_port.up == 0}}\n"
                "services: {shop: {depends_on: [db]}}\n",
                "b/checks.yaml": check("web", ", service: shop")
                + "  db_port: {tcp: {host: h, port: 1}, service: db}\n",
            }
        ),
        node="node",
    )
    assert setup.upstream["shop"] == ("db",)
    assert setup.rules[0].checks == ("web",)


def test_items_are_read_in_the_order_of_the_list_and_a_file_found_twice_counts_once(write: Write) -> None:
    path = write(
        {
            "rules.yaml": "version: 1\ninclude: [d/z.yaml, ./d/*.yaml, d/../d/a.yaml]\n",
            "d/a.yaml": check("a"),
            "d/z.yaml": check("z"),
        }
    )
    Path("d/link.yaml").symlink_to("a.yaml")
    assert checks(load(path, node="node")) == ["z", "a"]


def test_the_main_file_is_never_included_by_its_own_glob(write: Write) -> None:
    path = write({"rules.yaml": "version: 1\ninclude: ['*.yaml']\n" + check("a")[11:], "other.yaml": check("b")})
    assert checks(load(path, node="node")) == ["a", "b"]


@pytest.mark.parametrize("files", [{}, {"rules.d/notes.txt": "x"}, {"rules.d/.hidden.yaml": "x: ["}])
def test_a_glob_may_match_nothing(write: Write, files: dict[str, str]) -> None:
    assert load(write({"rules.yaml": MAIN, **files}), node="node").included == ()


def test_folders_are_no_files_and_a_level_may_be_a_glob(write: Write) -> None:
    path = write(
        {"rules.yaml": "version: 1\ninclude: ['*/*.yaml', '[ab]/d.yaml/?.yaml']\n", "a/d.yaml/x.yaml": check("x")}
    )
    assert checks(load(path, node="node")) == ["x"]


def test_a_path_is_relative_to_the_main_file_and_a_reference_to_the_file_where_it_stands(write: Write) -> None:
    text = check("c").replace("port: 1", 'port: 1, send: "${file:secret}"')
    write(
        {"conf/rules.yaml": MAIN, "conf/rules.d/a.yaml": text, "conf/rules.d/secret": "of-rules-d", "conf/secret": "x"}
    )
    setup = load(Path("conf/rules.yaml"), node="node")
    assert setup.checks["c"].options.send.get_secret_value() == "of-rules-d"  # type: ignore[attr-defined]  # tcp's Options


def test_an_absolute_path_is_taken_as_it_is(write: Write, tmp_path: Path) -> None:
    path = write({"rules.yaml": f"version: 1\ninclude: [{tmp_path}/other/*.yaml]\n", "other/a.yaml": check("a")})
    assert checks(load(path, node="node")) == ["a"]


def test_a_named_file_must_be_there(write: Write) -> None:
    (said,) = refused(write({"rules.yaml": "version: 1\ninclude:\n  - rules.d/web.yaml\n  - rules.d/*.yaml\n"}))
    assert said == (
        "rules.yaml:3:5: include[0]: there is no file rules.d/web.yaml; a path is relative to the folder of this file, "
        "and only a glob such as rules.d/*.yaml may match nothing"
    )


def test_what_is_no_file_is_refused(write: Write) -> None:
    path = write({"rules.yaml": 'version: 1\ninclude: [d, "d/*", "**/x.yaml", "a\\0b", ""]\n', "d/a": check("a")})
    os.mkfifo("d/pipe")
    assert refused(path) == [
        "rules.yaml:2:14: include[1]: d/pipe is no regular file; leave it out",
        "rules.yaml:2:21: include[2]: ** is not offered; name each level, such as [rules.d/*.yaml, rules.d/*/*.yaml]",
        "rules.yaml:2:34: include[3]: a NUL character, which no file's name has; write a path such as rules.d/*.yaml",
        "d:1:1: .: this is a directory; name a file such as rules.yaml in it",
    ]


def test_a_dangling_link_is_said_and_not_passed_over(write: Write) -> None:
    path = write({"rules.yaml": MAIN, "rules.d/a.yaml": check("a")})
    Path("rules.d/b.yaml").symlink_to("gone")
    assert refused(path) == ["rules.d/b.yaml:1:1: .: there is no such file"]


def test_a_folder_that_cannot_be_looked_into_is_an_error_and_no_empty_one(write: Write) -> None:
    path = write({"rules.yaml": MAIN})
    Path("rules.d").symlink_to("rules.d")
    (said,) = refused(path)
    assert said.startswith("rules.yaml:2:11: include[0]: rules.d cannot be looked into: too many levels of symbolic")


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ("rules.d/*.yaml", 'include: found the text "rules.d/*.yaml"; expected a list; write [rules.d/*.yaml]'),
        ("[1]", 'include[0]: found the number 1; expected text; write "1"'),
        ("['']", "include[0]: found an empty text; expected some text"),
        ('["${env:HOME}/a.yaml"]', "include[0]: ${…} stands only in the options of checks"),
    ],
)
def test_include_is_a_list_of_plain_paths(write: Write, include: str, said: str) -> None:
    (found,) = refused(write({"rules.yaml": f"version: 1\ninclude: {include}\n"}))
    assert said in found


def test_a_doubled_name_is_an_error_that_names_both_places(write: Write) -> None:
    part = (
        "connections: {}\nservices: {shop: {}}\nchecks:\n  web: {tcp: {host: h, port: 1}}\n"
        "rules:\n  down: {check: web, when: up == 0}\n"
    )
    said = refused(
        write({"rules.yaml": MAIN + part, "rules.d/a.yaml": "version: 1\n" + part, "rules.d/b.yaml": check("web")})
    )
    rest = ", so rename one or leave it out"
    assert said == [
        f"rules.d/a.yaml:3:12: services.shop: a second service named shop; the first is at rules.yaml:4{rest}",
        f"rules.d/a.yaml:5:3: checks.web: a second check named web; the first is at rules.yaml:6{rest}",
        f"rules.d/a.yaml:7:3: rules.down: a second rule named down; the first is at rules.yaml:8{rest}",
        f"rules.d/b.yaml:3:3: checks.web: a second check named web; the first is at rules.yaml:6{rest}",
    ]


def test_all_errors_of_all_files_are_said_at_once_each_with_its_own_line(write: Write) -> None:
    path = write(
        {
            "rules.yaml": MAIN + "settings: {mode: heal}\nrules:\n  r: {check: nope, when: up == 0}\n",
            "rules.d/a.yaml": check("a", ", every: 5"),
            "rules.d/b.yaml": check("b") + "rules:\n  s: {check: b, when: 'upp == 0'}\n",
        }
    )
    with pytest.raises(ConfigError) as raised:
        load(path, node="node")
    problems = raised.value.problems
    assert [(it.file, it.line, it.column, it.path) for it in problems] == [
        ("rules.yaml", 3, 18, "settings.mode"),
        ("rules.yaml", 5, 14, "rules.r.check"),
        ("rules.d/a.yaml", 3, 47, "checks.a.every"),
        ("rules.d/b.yaml", 5, 24, "rules.s.when"),
    ]
    assert problems[2].render().splitlines()[1] == "      a: {tcp: {host: localhost, port: 1}, every: 5}"
    assert problems[3].render().splitlines()[1:] == ["      s: {check: b, when: 'upp == 0'}", "    " + " " * 23 + "^"]


def test_files_that_are_no_yaml_are_all_said_and_nothing_is_made_of_what_they_would_name(write: Write) -> None:
    path = write(
        {
            "rules.yaml": MAIN + "rules:\n  r: {check: a, when: up == 0}\n  s: {check: b, when: 012}\n",
            "rules.d/a.yaml": "version: 1\nchecks: [\n",
            "rules.d/b.yaml": "",
            "rules.d/c.yaml": check("c"),
        }
    )
    said = refused(path)
    assert [it.split(" ")[0] for it in said] == ["rules.yaml:5:23:", "rules.d/a.yaml:3:1:", "rules.d/b.yaml:1:1:"]


@pytest.mark.parametrize("text", ["- a\n", "just text\n"])
def test_an_included_file_that_is_no_mapping_is_refused(write: Write, text: str) -> None:
    (said,) = refused(write({"rules.yaml": MAIN, "rules.d/a.yaml": text}))
    assert said.startswith("rules.d/a.yaml:1:1: .: found ")


def test_each_file_stands_alone_and_so_says_its_version(write: Write) -> None:
    path = write({"rules.yaml": MAIN, "rules.d/a.yaml": check("a")[11:], "rules.d/b.yaml": "version: 2\n"})
    assert refused(path) == [
        "rules.d/a.yaml:1:1: version: the key version is missing; it is: The format of this file; write version: 1",
        "rules.d/b.yaml:1:10: version: found version 2; this heald reads version 1",
    ]


def test_what_holds_for_all_stands_only_in_the_main_file(write: Write) -> None:
    text = "version: 1\nsettings: {mode: act}\ndefaults: {checks: {every: 1s}}\ninclude: [b.yaml]\ntasks: {}\n"
    said = refused(write({"rules.yaml": MAIN, "rules.d/a.yaml": text, "rules.d/b.yaml": "version: 1\n"}))
    where = "stands only in the file that includes this one, rules.yaml; write it there"
    assert said == [
        f"rules.d/a.yaml:2:1: settings: settings {where}",
        f"rules.d/a.yaml:3:1: defaults: defaults {where}",
        f"rules.d/a.yaml:4:1: include: include {where}",
        f"rules.d/a.yaml:5:1: tasks: the key tasks is not known; allowed are {', '.join(fields_of(IncludedKeys))}",
    ]


def test_secrets_of_every_file_are_hidden(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALD_TEST_TOKEN", "hunter2-token")
    secret = "http: {{url: 'http://h/', bearer: {0}, timeoutt: 1}}"
    path = write(
        {
            "rules.yaml": MAIN + f"checks:\n  a: {{{secret.format('plain-one')}}}\n",
            "rules.d/a.yaml": f"version: 1\nchecks:\n  b: {{{secret.format('plain-two')}}}\n",
            "rules.d/b.yaml": "version: 1\nchecks:\n  c: {http: {url: 'http://h/${env:HEALD_TEST_TOKEN} x'}}\n",
        }
    )
    with pytest.raises(ConfigError) as raised:
        load(path, node="node")
    shown = raised.value.render()
    assert len(raised.value.problems) == 3
    assert "bearer: *********," in shown
    assert not any(secret in shown for secret in ("plain-one", "plain-two", "hunter2"))


def test_a_variable_that_a_secret_of_any_file_names_is_kept_from_commands(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALD_TEST_TOKEN", "x")
    text = check("c").replace("port: 1", 'port: 1, send: "${env:HEALD_TEST_TOKEN}"')
    setup = load(write({"rules.yaml": MAIN, "rules.d/a.yaml": text}), node="node")
    assert setup.secret_variables == {"HEALD_TEST_TOKEN"}


def test_reading_again_sees_what_was_added_changed_and_removed(write: Write) -> None:
    path = write({"rules.yaml": MAIN, "rules.d/a.yaml": check("a")})
    assert checks(load(path, node="node")) == ["a"]
    write({"rules.d/a.yaml": check("changed"), "rules.d/b.yaml": check("b")})
    assert checks(load(path, node="node")) == ["changed", "b"]
    Path("rules.d/a.yaml").unlink()
    assert checks(load(path, node="node")) == ["b"]


def test_a_link_that_goes_in_a_circle_is_refused(write: Write) -> None:
    path = write({"rules.yaml": MAIN, "rules.d/a.yaml": check("a")})
    Path("rules.d/b.yaml").symlink_to("b.yaml")
    assert refused(path) == [
        "rules.d/b.yaml:1:1: .: the file cannot be read: too many levels of symbolic links",
    ]


def test_a_socket_is_no_file(write: Write) -> None:
    path = write({"rules.yaml": MAIN, "rules.d/notes": ""})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("rules.d/x.yaml")
        (said,) = refused(path)
    assert said == "rules.yaml:2:11: include[0]: rules.d/x.yaml is no regular file; leave it out"
