"""Real file systems, broken in a mount namespace of a child: full, without inodes, read-only, silent, covered, gone."""

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from context import LocalContext
from local_servers import need
from pydantic import ValidationError

from checks import _mounts, disk
from daemon.errors import CheckError

CHILD = Path(__file__).with_name("look_at_disks.py")
MIB = 2**20


@functools.cache
def own_mounts() -> list[str]:
    """The command before a child that gives it mounts of its own."""
    command = [need("unshare"), "--mount", "--propagation", "private"]
    tried = subprocess.run(
        [*command, need("mount"), "-t", "tmpfs", "none", "/mnt"], stdin=subprocess.DEVNULL, capture_output=True
    )
    if tried.returncode:
        assert os.environ.get("CI") != "true", tried.stderr.decode()
        pytest.skip(f"no mounts of our own here: {tried.stderr.decode()}")
    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder that others may search."""
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    return tmp_path


def scene(name: str, folder: Path) -> Any:
    done = subprocess.run(
        [*own_mounts(), sys.executable, str(CHILD), name, str(folder)],
        env={**os.environ, "PYTHONPATH": str(CHILD.parents[2]), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_disk_that_fills_up_has_no_bytes_left_and_is_still_up(folder: Path) -> None:
    healthy, full = scene("full", folder)
    assert (healthy["up"], healthy["error"], healthy["detail"]) == (1, "", "")
    assert (healthy["used_percent"], healthy["free_bytes"], healthy["total_bytes"]) == (0, MIB, MIB)
    assert (healthy["inodes_free"], healthy["filesystem"], healthy["device"]) == (99, "tmpfs", "none")
    assert (healthy["read_only"], healthy["forced_read_only"]) == (False, False)
    assert (full["up"], full["used_percent"], full["free_bytes"]) == (1, 100, 0)
    assert full["inodes_used_percent"] == 2
    assert set(full) == {sample.name for sample in disk.SAMPLES}


def test_a_disk_without_inodes_has_bytes_and_no_inode_left(folder: Path) -> None:
    found = scene("out_of_inodes", folder)
    assert (found["inodes_used_percent"], found["inodes_free"], found["used_percent"]) == (100, 0, 0)


def test_shares_are_those_of_df_with_roots_reserve(folder: Path) -> None:
    df, found = scene("as_df_says", folder)
    assert len(df) == 2
    for target, percent, available, size, inodes, inodes_free in df:
        ours = found[target]
        assert math.ceil(ours["used_percent"]) == int(percent.rstrip("%"))
        assert math.ceil(ours["inodes_used_percent"]) == int(inodes.rstrip("%"))
        assert (ours["free_bytes"], ours["total_bytes"], ours["inodes_free"]) == (
            int(available),
            int(size),
            int(inodes_free),
        )


def test_a_remounted_disk_is_read_only_and_a_read_only_view_of_it_is_not(folder: Path) -> None:
    before, after, view = scene("remounted", folder)
    assert [it["read_only"] for it in (before, after, view)] == [False, True, False]
    assert [it["forced_read_only"] for it in (before, after, view)] == [False, False, False]


def test_a_disk_that_the_kernel_gave_up_is_read_only_by_force(folder: Path) -> None:
    before, after = scene("given_up", folder)
    assert (before["up"], before["filesystem"], before["read_only"], before["forced_read_only"]) == (
        1,
        "ext4",
        False,
        False,
    )
    assert (after["up"], after["read_only"], after["forced_read_only"]) == (1, True, True)


def test_each_disk_is_listed_once_and_what_is_no_disk_is_left_out(folder: Path) -> None:
    found = scene("listed", folder)

    def ours(which: str) -> set[str]:
        return {name.removeprefix(f"{folder}/") for name in found[which] if name.startswith(f"{folder}/")}

    assert ours("all") == {"bind", "twice", "under", "layers", "a b\tc\\d\né", "\ufffd"}
    assert found["all"][f"{folder}/twice"]["total_bytes"] == 2 * MIB  # the one on top
    assert "/" in found["all"]
    assert not [name for name in found["all"] if name.startswith(("/proc/", "/sys/"))]
    assert ours("all") - ours("excluded") == {"twice", "bind"}
    assert ours("with overlay") - ours("all") == {"layers/overlay"}
    assert {name: it["filesystem"] for name, it in found["named"].items()} == {
        "/proc": "proc",
        f"{folder}/a-long-name": "tmpfs",
        f"{folder}/layers/overlay": "overlay",
    }


def test_a_named_mount_always_has_a_reading(folder: Path) -> None:
    before, mounted, after = scene("named", folder)
    point = f"{folder}/d"
    missing = {"up": 0, "error": "not_mounted", "detail": f"nothing is mounted at {point}"}
    assert before == {
        point: missing,
        f"{folder}/nowhere": {**missing, "detail": f"nothing is mounted at {folder}/nowhere"},
    }
    assert mounted[point]["up"] == 1
    assert after == {point: missing}


def test_of_a_mount_that_we_may_not_reach_nothing_is_known(folder: Path) -> None:
    both, alone = scene("closed", folder)
    point = f"{folder}/closed/d"
    assert both["/"]["up"] == 1
    assert both[point]["error"] == "no_permission"
    assert not {"up", "used_percent"} & set(both[point])
    assert alone == {"blind": {"text": f"we may look at no mount: cannot look at {point}: Permission denied"}}


def test_a_mount_that_hangs_is_a_time_out_of_that_mount_alone_and_costs_one_thread(folder: Path) -> None:
    found = scene("silent", folder)
    for each in (*found["silent"], found["discovered"]):
        assert (each["up"], each["error"], each["filesystem"]) == (0, "timeout", "fuse")
        assert each["detail"].startswith(f"no answer from {folder}/d for ")
    assert found["root"] == [1, 1, 1]
    assert found["seconds"][0] >= 0.95
    assert max(found["seconds"][1:]) < 0.8  # what did not come back is not waited for once more
    assert found["threads"] == 1  # of the named mount; discovered, it is the same one
    assert (found["dead"]["up"], found["dead"]["error"]) == (0, "disconnected")


def test_runs_at_the_same_time_share_their_calls(folder: Path) -> None:
    assert scene("at_once", folder) == [1.0] * 20


async def test_mounts_that_cannot_be_listed_make_us_blind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text in (None, "garbage\n"):
        if text:
            (tmp_path / "mountinfo").write_text(text)
        monkeypatch.setattr(disk, "read_mounts", functools.partial(_mounts.read_mounts, tmp_path))
        with pytest.raises(CheckError, match="cannot list the mounts: "):
            await disk.check(disk.Options(), LocalContext())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mounts": ["data"]}, "not an absolute path"),
        ({"mounts": ["/data/"]}, "write '/data'"),
        ({"mounts": ["//data"]}, "is not how a mount point is written; write '/data'"),
        ({"mounts": ["/a", "/a"]}, "names one twice"),
        ({"mounts": ["/a"], "exclude": ["/b"]}, "exclude has no effect where mounts are named"),
    ],
)
def test_wrong_options_are_refused_and_say_why(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        disk.Options.model_validate(options)
