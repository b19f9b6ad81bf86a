"""Measure heald beside its peers, or some of it: `python -m bench.peers [MEASURE...] [--profile FILE]`.

Installs the Debian packages of the peers without starting a service, as root or with sudo; each peer runs in the
foreground with files of its own in a temporary folder. Exits 1 if a target is missed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.peers.measures import MEASURES, NAMED_ONLY
from bench.peers.report import Figure, closing, machine

PACKAGES = ("monit", "nginx-light", "prometheus", "prometheus-blackbox-exporter")
BOOTSTRAP = Path(__file__).resolve().parents[2] / "tests/lab/bootstrap.sh"


def main() -> int:
    """Print a table of what was asked for."""
    parser = argparse.ArgumentParser(prog="bench.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "measures",
        nargs="*",
        metavar="MEASURE",
        help=f"of {', '.join(MEASURES)}; all but {', '.join(NAMED_ONLY)} if none",
    )
    parser.add_argument("--profile", type=Path, help="where cProfile writes what heald's loop does; spoils the figures")
    given = parser.parse_args()
    if unknown := set(given.measures) - MEASURES.keys():
        parser.error(f"there is no measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    if given.profile is not None:
        os.environ["BENCH_PROFILE_TO"] = str(given.profile.absolute())
    subprocess.run([BOOTSTRAP, *PACKAGES], check=True)
    print(machine(), flush=True)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="heald-bench-") as folder:
        for name in given.measures or [name for name in MEASURES if name not in NAMED_ONLY]:
            began = time.monotonic()
            print(f"{name}: {(MEASURES[name].__doc__ or '').strip()}", flush=True)
            place = Path(folder) / name
            place.mkdir()
            figures += MEASURES[name](place)
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print()
    return closing(*figures)


if __name__ == "__main__":
    sys.exit(main())
