"""The tree of a file: every key and value knows its place; what is no text is said with its place."""

import os
from pathlib import Path

import pytest

from daemon.config.document import Document, Place, parse_document, place_in
from daemon.config.problems import ConfigError, Problem
from daemon.config.reading import LARGEST, read_text

NOBODY = 65534


def parse(text: str) -> Document:
    return parse_document(Path("rules.yaml"), text)


def refused(path: Path) -> Problem:
    with pytest.raises(ConfigError) as raised:
        parse_document(path, read_text(path))
    (problem,) = raised.value.problems
    return problem


def test_keys_and_values_know_their_places() -> None:
    root = parse("a: 1\nb:\n  - x\n  - {c:   y}\n").root
    assert root.entries["a"].key == Place(1, 1)
    assert root.entries["a"].place == Place(1, 4)
    inner = root.entries["b"].items[1].entries["c"]
    assert inner.key == Place(4, 6)
    assert inner.place == Place(4, 11)
    assert root.plain() == {"a": 1, "b": ["x", {"c": "y"}]}


def test_keys_are_the_words_as_they_are_written() -> None:
    assert list(parse("on: 1\n012: 2\n404: 3\n~: 4\ntrue: 5\n").root.entries) == ["on", "012", "404", "~", "true"]


def test_an_alias_stands_for_what_its_anchor_names() -> None:
    document = parse("a: &limits   [3/1h]\nb: *limits\n")
    assert document.root.plain() == {"a": ["3/1h"], "b": ["3/1h"]}
    assert document.report.is_empty


@pytest.mark.parametrize(
    "text",
    [
        "a: up == 0",
        "x: 1\na:    up   == 0 # a comment",
        "a: &anchor up == 0",
        "a: 'up == 0'",
        'a: "up == 0"',
        "a: up == 0\n  and x\n\n  or y > 5s",
        "a: 'up\n  and x'",
        "a: |\n  up == 0\n    and x\n\n  or y\n",
        "a: |-\n    up == 0\n    and x",
        "a: >-\n  up == 0\n  and x\n\n  or y\nb: 1",
        "a: >\n\n  up == 0\n  and x\n",
        "ü: 1\na: 'ä𝔸 == \"日本\"'",
        "a: {b: 1}\r\nb: x\r\nc: |\r\n  up == 0\r\n  and x\r\n",
    ],
)
def test_every_character_of_a_text_is_found_in_the_file(text: str) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    document = parse(text)
    node = document.root.entries["c" if "c: |" in text else "a"]
    for offset, sign in enumerate(node.text):
        if sign in " \n":
            continue  # a fold of lines is a blank, which stands nowhere
        line, column, _ = place_in(document.report, node, offset)
        assert lines[line - 1][column - 1] == sign, (offset, line, column)


@pytest.mark.parametrize(
    ("text", "offset", "column"),
    [
        (r'a: "x\ty"', 1, 6),
        (r'a: "x\ty"', 2, 8),
        (r'a: "\x41\u00e9\U0001F600z"', 3, 25),
        ("a: 'it''s x'", 3, 9),
        ("a: up ==", 8, 9),
    ],
)
def test_escapes_take_more_room_in_the_file_than_in_the_value(text: str, offset: int, column: int) -> None:
    document = parse(text)
    assert place_in(document.report, document.root.entries["a"], offset) == Place(1, column)


def test_a_line_that_goes_on_by_a_backslash_is_followed() -> None:
    document = parse('a: "x \\\n   y"')
    node = document.root.entries["a"]
    assert node.value == "x y"
    assert place_in(document.report, node, 2) == Place(2, 4)


@pytest.mark.parametrize(
    ("data", "place", "said"),
    [
        (b"version: 1\nrules: \xff\n", (2, 8), "the byte 0xff is not UTF-8"),
        ("version: 1\nä: \xe4".encode("latin-1"), (2, 1), "the byte 0xe4 is not UTF-8"),
        ("ü: ".encode() + b"\x80", (1, 4), "the byte 0x80 is not UTF-8"),
        ("version: 1".encode("utf-16"), (1, 1), "the file is UTF-16"),
        (b"version: 1\na: x\0y", (2, 5), "a NUL character"),
        (b"version: 1\r\na: \x1b[31m", (2, 4), "the control character U+001B"),
        (b"a: \x7f", (1, 4), "the control character U+007F"),
        ("a: x\u2028b: y".encode(), (1, 5), "a line separator (U+2028)"),
        ("a: \ufeffx".encode(), (1, 4), "a byte order mark (U+FEFF)"),
    ],
)
def test_what_is_no_text_is_said_with_its_place(tmp_path: Path, data: bytes, place: tuple[int, int], said: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_bytes(data)
    problem = refused(file)
    assert (problem.line, problem.column) == place
    assert said in problem.text
    assert problem.render().isprintable() or "\n" in problem.render()
    assert "\x1b" not in problem.render()


def test_a_byte_order_mark_before_the_text_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_bytes("\ufeffversion: 1\r\nrules: x\r\n".encode())
    root = parse_document(file, read_text(file)).root
    assert root.plain() == {"version": 1, "rules": "x"}
    assert root.entries["version"].key == Place(1, 1)
    assert root.entries["rules"].place == Place(2, 8)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert "this is a directory" in refused(tmp_path).text


def test_a_pipe_that_nobody_writes_to_is_empty_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rules.yaml")
    assert "the file is empty" in refused(tmp_path / "rules.yaml").text


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "rules.yaml").text == "there is no such file"
    assert refused(tmp_path / "none" / "rules.yaml").text == "there is no such file"


def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.touch(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)  # root may read everything
    try:
        assert "may not be read by this user" in refused(file).text
    finally:
        os.seteuid(user)


def test_a_file_that_cannot_be_read_is_said_with_the_reason() -> None:
    assert refused(Path("/proc/self/mem")).text == "the file cannot be read: input/output error"


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(LARGEST + 1)
    assert "larger than 16 MiB" in refused(file).text


def test_flow_brackets_without_end_are_refused_without_running_out_of_stack(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("a: " + "[" * 100_000)
    assert "nested far too deep" in refused(file).text


def test_a_long_line_is_shown_around_the_place() -> None:
    problem = Problem(file="f", line=1, column=501, path="a", text="x", source="y" * 500 + "Z" + "y" * 500)
    _, shown, caret = problem.render().splitlines()
    assert len(shown) < 200
    assert shown[caret.index("^")] == "Z"


def test_the_caret_stands_under_wide_characters_and_tabs() -> None:
    problem = Problem(file="f", line=1, column=5, path="a", text="x", source="\ta日本Z")
    assert problem.render().splitlines()[2] == "    \t" + " " * 5 + "^"


def test_a_problem_is_one_line_whatever_it_speaks_of() -> None:
    problem = Problem(file="f\n", line=1, column=2, path='a["\x1b[31m"]', text="found\nmore")
    assert str(problem) == 'f\\n:1:2: a["\\x1b[31m"]: found\\nmore'
