"""Writes the reference: `python -m daemon.reference docs/reference`."""

import sys
from pathlib import Path

from daemon.config.discover import discover_types
from daemon.reference.pages import reference


def write(folder: Path) -> None:
    """Make the folder hold these files and no others of their kinds."""
    files = reference(discover_types(installed=False))  # of heald's own plug-ins, whatever else is here
    for path in [*folder.rglob("*.md"), *folder.rglob("*.json")]:
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
