"""What stands in the rules file by now, and is not in use: it was written since the file was read, or refused."""

from pathlib import Path

from daemon.config.including import read_files
from daemon.config.problems import ConfigError
from daemon.runtime.turns import in_turns


async def unread(name: str, path: Path) -> str | None:
    """Where a rule or service of this name stands in the file, and what to do; None if it stands nowhere."""
    try:
        return await in_turns(lambda: _find(name, path))
    except ConfigError:
        return None  # `heald validate` says what is wrong with it


def _find(name: str, path: Path) -> str | None:
    for document in read_files(path):
        for kind in ("rule", "service"):
            section = document.root.entries.get(f"{kind}s")
            node = section.entries.get(name) if section is not None else None
            if node is not None:
                return (
                    f"{kind} {name} stands in {document.path}:{node.key.line}, but is not in use: heald runs the file "
                    "as it was when it was read. `heald validate` says whether it is good, `heald reload` takes it "
                    "into use"
                )
    return None
