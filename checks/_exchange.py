"""One HTTP question: asked, and asked again where redirects lead, by whoever can speak it."""

from checks import _http_own
from checks._http_message import MOST_REDIRECTS, Answer, Request, redirected
from checks._http_own import Kept
from checks._net import Look
from daemon.plugin import SickError

OWN = frozenset({"GET", "HEAD", "POST"})  # methods for which our own code, at two thirds of the cost, is enough


async def fetch(request: Request, look: Look, kept: Kept | None = None) -> Answer:
    """Ask, follow redirects, read the body up to its limit. Adds `status`, `redirects` and the body's samples.

    `kept` has connections that stay open between runs.

    Raises:
        SickError: no whole answer, or redirects that cannot be followed. CheckError: we could not look.
    """
    for redirects in range(MOST_REDIRECTS + 1):
        look.samples["redirects"] = float(redirects)
        if request.method in OWN:
            answer, location = await _http_own.ask(request, look, kept)
        else:
            from checks import _http_aiohttp  # imported by then, as `Options` sees to

            answer, location = await _http_aiohttp.ask(request, look)
        if answer is not None:
            return answer
        request = redirected(request, int(look.samples["status"]), location)
    raise SickError("redirects", f"more than {MOST_REDIRECTS} redirects")
