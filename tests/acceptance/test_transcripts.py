"""What the pages show of a terminal is what a real daemon answers, but for what differs by host, name and moment."""

import getpass
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import HEALD, DaemonProcess, wait_until
from tests.reference.test_examples import DOCS, EXAMPLES

PAGES = {page.stem: page.read_text() for page in sorted(DOCS.glob("*.md"))}
SCRIPT = """#!/bin/sh
case $1 in
status) test -e {folder}/runs || exit 3;;
start) touch {folder}/runs;;
stop) rm -f {folder}/runs;;
esac
"""
LIKE_THE_PAGE = (
    (r"(approval|maintenance)-[0-9a-f]{6}", r"\1-3f2a1c"),
    (r"INC-\d{8}-\d{6}-[0-9a-f]{4}", "INC-20261125-031500-ab12"),
    (r"\b(\d+(ms|[hms]))+\b", "2s"),  # left, or since when
    (rf"@{re.escape(socket.gethostname())}\b", "@db1"),
    (rf"\b{re.escape(getpass.getuser())}\b", "ann"),
    (r" {2,}", "  "),  # columns are as wide as what stands in them
)


def transcripts(page: str) -> list[list[tuple[str, str]]]:
    """Each transcript of a page: commands, and what they print."""
    blocks = re.findall(r"^```\n(\$ .*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)
    parts = (re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:] for block in blocks)
    return [list(zip(part[::2], part[1::2], strict=True)) for part in parts]


def alike(text: str) -> str:
    for pattern, instead in LIKE_THE_PAGE:
        text = re.sub(pattern, instead, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """The example under Approvals, on a database that is down, and hurried."""
    script = tmp_path / "postgresql"
    script.write_text(SCRIPT.format(folder=tmp_path))
    script.chmod(0o755)
    rules = EXAMPLES["people.approvals"].replace("/etc/init.d/postgresql", str(script))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        rules = rules.replace("localhost, port: 5432", f"127.0.0.1, port: {closed.getsockname()[1]}")
        for slow, instead in {
            "mode: act": "mode: act, startup_grace: 0s",
            "every: 10s": "every: 300ms",
            "for: 30s": "for: 0s",
            "tries: 2": "tries: 2\n        cooldown: 0s\n        settle: 0s\n        verify: 500ms",
        }.items():
            assert slow in rules
            rules = rules.replace(slow, instead)
        with DaemonProcess(tmp_path, rules) as running:
            yield running


def waiting(daemon: DaemonProcess, but: str = "") -> str:
    """The approval that waits now."""

    def found() -> str | None:
        named = re.search(r"approval-\w+(?=\s+asked)", daemon.ask("approvals").stdout)
        return named[0] if named and named[0] != but else None

    return str(wait_until(found, what=daemon.text()))


def test_approvals_are_shown_given_and_refused_as_the_page_says(daemon: DaemonProcess) -> None:
    listed, approved, rejected = (it for transcript in transcripts("people") for it in transcript if "appro" in it[0])
    name = waiting(daemon)
    for command, printed in (listed, approved, rejected):
        words = shlex.split(command)[1:]
        if words[0] == "reject":
            name = waiting(daemon, but=name)
        done = daemon.ask(*(name if word.startswith("approval-") else word for word in words))
        assert (done.returncode, alike(done.stdout)) == (0, alike(printed)), done.stderr
    wait_until(lambda: daemon.incidents()[0]["handed_over"] == "exhausted")


def test_maintenance_is_begun_listed_and_ended_as_the_page_says(daemon: DaemonProcess) -> None:
    (transcript,) = [it for it in transcripts("people") if "maintenance" in it[0][0]]
    for command, printed in transcript:
        done = daemon.ask(*shlex.split(command)[1:])
        assert (done.returncode, alike(done.stdout)) == (0, alike(printed)), done.stderr


def test_all_that_the_table_of_the_page_says_can_be_said(daemon: DaemonProcess) -> None:
    rows = [line.split(" | ") for line in PAGES["people"].splitlines() if line.startswith("| ") and "`" in line]
    said = [re.findall(r"`(heald [^`]+)`", cell) for row in rows for cell in row[1:]]
    names = {"api-*": "db-*", "api": "postgres", "...": "x"}
    made = {"ID": ""}
    for command in (it for found in said for it in found):
        words = [names.get(word, word).replace("api-", "db-") for word in shlex.split(command)[1:]]
        if words[0] == "approve":
            made["ID"] = waiting(daemon)
        done = daemon.ask(*(made.get(word, word) for word in words))
        assert done.returncode == 0, (command, done.stderr)
        if words[:2] == ["silence", "add"]:
            made["ID"] = done.stdout.split(":")[0]
    assert len(said) >= 6


@pytest.mark.parametrize(("command", "printed"), [it for each in transcripts("conditions") for it in each])
def test_a_condition_is_tried_as_the_page_says(command: str, printed: str) -> None:
    done = subprocess.run([HEALD, *shlex.split(command)[1:]], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == printed


def test_the_page_of_the_judgement_names_the_options_of_eval() -> None:
    (usage,) = re.findall(r"`heald (eval EXPRESSION [^`]*)`", PAGES["judgement"])
    words = [it.strip("[].") for it in usage.split()]
    done = subprocess.run(
        [HEALD, *(it.replace("EXPRESSION", "latency_seconds > 5s") for it in words)],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == "BREACHED\nlatency_seconds = 7.2s > 5s\n"


def test_no_transcript_is_left_out() -> None:
    assert {page for page in PAGES if transcripts(page)} == {"conditions", "people"}
    assert [len(it) for it in transcripts("people")] == [3, 3]
