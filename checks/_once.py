"""One look of what connects: within its time, and a reading of what it measured whatever came of it."""

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from checks._net import OWN_STAGE, Look
from checks._patterns import Search
from daemon.plugin import OWN_SHARE, CheckContext, CheckError, Reading, SickError, Within

_TO_BLAME = 0.1  # of the run's time: a stage that had less of it is not what took it
_STAGES = {
    OWN_STAGE: "reading the authorities to trust",
    "dns_seconds": "looking up the name",
    "connect_seconds": "connecting",
    "tls_seconds": "in the TLS handshake",
    "send": "sending",
    "first_byte_seconds": "waiting for the first byte",
    "": "reading the answer",
}
_SEARCH_STAGE = "search"  # the target has answered; what takes time is ours
_OURS = {  # the resolver's silence is not the target's
    OWN_STAGE: "the authorities to trust were not read within {}",
    "dns_seconds": "no answer from the resolver within {}",
}


async def look_once(context: CheckContext, work: Callable[[Look], Coroutine[Any, Any, None]]) -> Reading:
    """Do `work` within the run's time and make a reading of what it measured, with `up`, `error` and `detail`.

    Raises:
        CheckError: we could not look.
    """
    look = Look(context)
    word, detail = "", ""
    own_time = context.timeout * OWN_SHARE
    try:
        working = work(look)
        try:
            waits_for = working.send(None)
        except StopIteration:
            pass  # it never had to wait, so no timer is needed
        else:
            with Within(own_time):
                await _rest(working, waits_for)
    except SickError as sick:
        word, detail = sick.word, str(sick)
    except TimeoutError:
        if look.stage == _SEARCH_STAGE:
            raise CheckError(f"the regular expression was not searched for to the end within {own_time:.3g}s") from None
        # One that has only just begun is not to blame: redirects, one after the other, took the time.
        if look.stage in _OURS and look.has_been_for(own_time * _TO_BLAME):
            raise CheckError(_OURS[look.stage].format(f"{own_time:.3g}s")) from None
        word, detail = "timeout", f"nothing within {own_time:.3g}s while {_STAGES[look.stage]}"
    return Reading(samples={"up": 0.0 if word else 1.0, "error": word, "detail": detail, **look.samples})


async def is_found(search: Search, text: str, look: Look) -> bool:
    """Whether a pattern is in what the target answered.

    Raises:
        CheckError: it took too long.
    """
    look.stage, before = _SEARCH_STAGE, look.stage
    found = await search.finds_soon(text)
    look.stage = before
    return found


@types.coroutine
def _rest(working: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that waits for something, to its end."""
    while True:
        error: BaseException | None = None
        told = None
        try:
            told = yield waits_for
        except BaseException as raised:  # noqa: BLE001  # whatever it is, it is the coroutine's to take
            error = raised
        try:
            waits_for = working.send(told) if error is None else working.throw(error)
        except StopIteration:
            return
