"""Run every benchmark, or those that are named: `make bench ARGS="decision tcp"`.

A script beside this file goes by its file's name, a measure beside peers by its own (`bench/peers/measures.py`). All
of them run, whatever is missed; exits 1 if anything is.
"""

import argparse
import compileall
import subprocess
import sys
from pathlib import Path

from bench.peers.measures import MEASURES, NAMED_ONLY

HERE = Path(__file__).resolve().parent
INSTALLED = [HERE.parent / name for name in ("daemon", "checks", "remediations")]
SCRIPTS = {path.stem: path for path in sorted(HERE.glob("*.py")) if not path.stem.startswith("__")}


def main(arguments: list[str]) -> int:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join([*SCRIPTS, *MEASURES])}; all but {', '.join(NAMED_ONLY)} if none",
    )
    names = parser.parse_args(arguments).names
    if unknown := [name for name in names if name not in SCRIPTS and name not in MEASURES]:
        print(f"there is no {', '.join(unknown)}; there are {', '.join([*SCRIPTS, *MEASURES])}", file=sys.stderr)
        return 2
    for folder in INSTALLED:  # an installation is compiled; to compile at each start would cost 2 MB and 0.7 s
        compileall.compile_dir(folder, quiet=2)
    missed = False
    for name in [name for name in SCRIPTS if name in names or not names]:
        print(f"== {name}", flush=True)
        missed |= subprocess.run([sys.executable, SCRIPTS[name]]).returncode != 0
    measures = [name for name in MEASURES if name in names]
    if measures or not names:
        print("== peers", flush=True)
        missed |= subprocess.run([sys.executable, "-m", "bench.peers", *measures]).returncode != 0
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
