"""Operators' regular expressions: they mean what they mean to re, and none of them stops the daemon."""

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from context import LocalContext
from hypothesis import example, given
from hypothesis import strategies as st
from local_servers import answering, serving
from pydantic import TypeAdapter, ValidationError

from checks import _once, _patterns, http, process, tcp
from checks._net import Look
from checks._patterns import Pattern, Search
from daemon.errors import CheckError
from tests.lab.processes import until

NESTED = r"^(a+)+$"
OVERLAPPING = r"^(a|aa)+$"
GIVEN_UP = r"^the regular expression was given up after 0\.5s; nested repeats such as \(a\+\)\+ can take for ever$"

PATIENT = LocalContext(timeout=60.0)  # the half second is one of CPU, which a busy machine gives slowly

TOKENS = r"""
a b c . ^ $ \b \d \w \W \A \Z * + ? *? +? ?? {2} {1,2} {,2} {2,} {,} {e} {i<=1} { } {1, {} *+ ++ | ) ) )
( (?: (?= (?! (?<= (?<! (?P<n> (?P=n) \1 (?i) (?i: (?s: (?m: (?-i: (?> (?#c[{) (?(1) (?x)
[ [^ ] - [a-c] [[:alpha:]] [[a]] [a&&b] [a--b] [a||b] [^]a] []a] [^[] [{] [a{e}] [\]] \[ \{ \.
\n \x41 \u0041 \101 #[{e} A B 1 2 ß é & ~ : e i
"""
TEXTS = ["a", "aab", "abc", "ABC", "a\nb\n", "ab ab", "{e}", "a{e}", "1a2", "[a]", "a]", "{", "a{1,", "éaß"]
TEXTS += ["a&b", "a-b", "::al", "i<=1", "a{i<=1}", "SS", "a#[{e}"]


@pytest.fixture(autouse=True)
def _forgetful() -> None:
    _patterns._search_for.cache_clear()


def of_re(pattern: str) -> re.Pattern[str] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets in sets, which re does not have yet
        try:
            return re.compile(pattern)
        except (re.error, OverflowError):
            return None


@given(tokens=st.lists(st.sampled_from(TOKENS.split()), min_size=1, max_size=8))
@example(tokens=["(ok){e}"])  # to regex: ok, or nearly
@example(tokens=["a{,}"])  # to regex: these four characters
@example(tokens=["[[:alpha:]]"])  # to regex: a letter
@example(tokens=[r"\N{DIGIT ONE}+"])
@example(tokens=["(?x)a+ #[ c\n{e}"])
@example(tokens=["(?#[)a{e}"])
def test_a_pattern_means_what_it_means_to_re(tokens: list[str]) -> None:
    pattern = "".join(tokens)
    known = of_re(pattern)
    if known is None or "(?x" in pattern[1:] or re.search(r"\[\^[^\]]*\\W", pattern):
        return  # nobody writes a set of nothing, such as [^\w\W], which regex does not take for one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = Search(pattern)
    assert {text: search.finds(text) for text in TEXTS} == {text: bool(known.search(text)) for text in TEXTS}


@pytest.mark.parametrize("pattern", ["(", "a**", "[a", "(?P<n>", r"\p{L}", "(?e)a", "(?|a|b)", r"\1"])
def test_what_re_does_not_take_is_refused_with_its_words(pattern: str) -> None:
    with pytest.raises(re.error) as known:
        re.compile(pattern)
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Pattern).validate_python(pattern)
    assert refused.value.errors()[0]["msg"].endswith(f"this is not a regular expression: {known.value}")


@pytest.mark.parametrize("pattern", [r"^(\+PONG|-NOAUTH)", "ok", r"a\*\{2\}", r"\d\d", "[abc] x", "a|b|c|d|e"])
def test_what_no_text_makes_slow_does_not_load_regex(pattern: str) -> None:
    code = f"import sys; from checks._patterns import Search; Search({pattern!r}); print('regex' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_daemon_without_such_a_pattern_does_not_load_regex() -> None:
    code = "import sys; import daemon.app, checks.http, checks.process, checks.tcp; print('regex' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("pattern", ["a+", "a{2}", r"(a)\1", "(a|b)(a|b)(a|b)(a|b)(a|b)", "a?"])
def test_what_could_be_slow_is_bounded(pattern: str) -> None:
    assert not isinstance(_patterns._search_for(pattern), _patterns._Plain)


@contextlib.asynccontextmanager
async def counted_turns() -> AsyncIterator[list[float]]:
    """The times at which the loop turned in the block, at most every 5 ms."""
    turns: list[float] = []

    async def count() -> None:
        while True:
            turns.append(time.monotonic())
            await asyncio.sleep(0.005)

    task = asyncio.create_task(count())
    yield turns
    task.cancel()


@pytest.mark.parametrize(("pattern", "length"), [(OVERLAPPING, 60), (OVERLAPPING, 30_000), (NESTED, 30_000)])
async def test_a_body_that_makes_a_pattern_take_for_ever_makes_http_blind_and_nothing_waits(
    pattern: str, length: int, either_speaker: str
) -> None:
    body = b"a" * length + b"!"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(answering(head + body)) as port, counted_turns() as turns:
        options = http.Options(url=f"http://127.0.0.1:{port}/", expect_regex=pattern)
        with pytest.raises(CheckError, match=GIVEN_UP):
            await http.check(options, PATIENT)
    assert len(turns) > 5


async def test_an_answer_that_makes_a_pattern_take_for_ever_makes_tcp_blind() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"a" * 60 + b"!")
        await reader.read()

    async with serving(greet) as port:
        with pytest.raises(CheckError, match=GIVEN_UP):
            await tcp.check(tcp.Options(host="127.0.0.1", port=port, expect_regex=OVERLAPPING), PATIENT)


async def test_a_command_line_that_makes_a_pattern_take_for_ever_makes_process_blind(tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    child = await asyncio.create_subprocess_exec(program, "60", *["0"] * 40)
    try:
        await until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes() != b"")
        with pytest.raises(CheckError, match=GIVEN_UP):
            await process.check(process.Options(command_line=rf"^{program} 60( |0| 0)+$(?<=x)"), PATIENT)
    finally:
        child.kill()
        await child.wait()


async def test_a_run_whose_time_is_over_is_blind_and_the_next_one_does_not_search_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(_patterns, "_search_for", lambda _: lambda text, within: goes_on.wait(60))

    async def run() -> None:
        async def work(look: Look) -> None:
            assert await _once.is_found(Search(NESTED), "a" * 20_000, look)

        await _once.look_once(LocalContext(timeout=0.1), work)

    with pytest.raises(CheckError, match=r"^the regular expression was not searched for to the end within 0\.095s$"):
        await run()
    with pytest.raises(CheckError, match="is still being searched for in an earlier run's answer"):
        await run()
    goes_on.set()
    await until(_patterns._left[NESTED].done)
    await run()
