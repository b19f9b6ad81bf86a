"""Kill heald in every way, round after round, and ask the services how often they were restarted.

`make campaign ARGS="--rounds 500 --seed 7"` prints one line and exits 0, or says what no daemon may do, exits 1 and
keeps what the daemons left. It needs `unshare -m` and `mount` (as root, or where users may have namespaces) for a disk
that is full, and Debian's libfaketime for a clock that is set; without them it exits 2.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from campaign.lane import Interrupted, Settings, Street
from campaign.plan import KINDS, Round, plan
from campaign.verdict import LEAST_IN_FLIGHT, Lane, judge

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
OF_ITS_OWN = "CAMPAIGN_IN_ITS_OWN_MOUNTS"
WAYS = (["unshare", "-m", "--propagation", "private"], ["unshare", "-rm", "--propagation", "private"])


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None, help="the same seed, the same rounds; if not set, any")
    parser.add_argument("--lanes", type=int, default=3 * (os.cpu_count() or 1), help="daemons at one time")
    parser.add_argument("--stop-for", type=float, default=60.0, metavar="SECONDS", help="how long SIGSTOP lasts")
    parser.add_argument("--in-flight", type=float, default=LEAST_IN_FLIGHT, metavar="SHARE", help="of the kills")
    parser.add_argument("--only", choices=KINDS, help="rounds of this kind alone")
    parser.add_argument("--forget", action="store_true", help="break heald's memory: the campaign has to find that")
    return parser.parse_args(given)


def missing() -> str | None:
    """What the campaign needs and does not find."""
    if FAKETIME is None:
        return "Debian's libfaketime"
    if _way() is None:
        return "`unshare -m`, as root or where users may have namespaces"
    return None


def _way() -> list[str] | None:
    return next((way for way in WAYS if subprocess.run([*way, "true"], capture_output=True).returncode == 0), None)


def run(settings: Settings, rounds: Sequence[Round], lanes: int, folder: Path) -> list[Lane]:
    """Let the lanes live through the rounds: each takes the next one that nobody has."""
    interrupted = threading.Event()
    streets = [Street(folder / f"lane-{number}", settings, interrupted) for number in range(lanes)]
    left = list(reversed(rounds))

    def deal() -> Iterator[Round]:
        while left:
            try:
                taken = left.pop()
            except IndexError:  # another lane was faster
                return
            if len(left) % 100 == 0:
                print(f"campaign: {len(left)} rounds are left", file=sys.stderr, flush=True)
            yield taken

    def live(street: Street) -> Lane:
        with street:
            street.live(deal())
        return street.seen

    with ThreadPoolExecutor(lanes) as pool:
        try:
            return list(pool.map(live, streets))
        except BaseException:
            interrupted.set()
            raise


def told(lanes: Sequence[Lane]) -> str:
    """A line per kind of round."""
    kills = sum((lane.kills for lane in lanes), Counter[str]())
    in_flight = sum((lane.in_flight for lane in lanes), Counter[str]())
    return "\n".join(f"  {kind:<18}{kills[kind]:>5}{in_flight[kind]:>5} in flight" for kind in KINDS if kills[kind])


def main(given: Sequence[str]) -> int:
    lacks = missing()
    if lacks is not None:
        print(f"the campaign needs {lacks}", file=sys.stderr)
        return 2
    if OF_ITS_OWN not in os.environ:
        way = _way() or []
        command = [*way, sys.executable, "-m", "campaign", *given]
        os.execvpe(command[0], command, {**os.environ, OF_ITS_OWN: "1"})
    asked = arguments(given)
    seed = random.randrange(10**6) if asked.seed is None else asked.seed
    print(f"campaign: {asked.rounds} rounds, seed {seed}, {asked.lanes} lanes", flush=True)
    settings = Settings(stop_for=asked.stop_for, faketime=FAKETIME, forgets=asked.forget)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    began = time.monotonic()
    rounds = [replace(it, kind=asked.only or it.kind) for it in plan(asked.rounds, seed)]
    try:
        lanes = run(settings, rounds, asked.lanes, folder)
    except (Interrupted, KeyboardInterrupt):
        print("campaign: ended by hand", file=sys.stderr)
        shutil.rmtree(folder)
        return 130
    verdict = judge(lanes, least_in_flight=asked.in_flight)
    print(told(lanes))
    print(f"campaign: {verdict.line()}; {time.monotonic() - began:.0f} s")
    if verdict.wrong:
        print("\n".join(verdict.wrong), f"what the daemons left is in {folder}", sep="\n", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
