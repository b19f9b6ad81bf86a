"""Lines of /proc/self/mountinfo as kernels write them (proc(5)); test_disk.py has real mounts."""

from pathlib import Path

import pytest

from checks._mounts import Calls, ElsewhereError, Mount, look_at, look_at_any, read_mounts, shown


def mounts(folder: Path, *lines: bytes) -> list[Mount]:
    (folder / "mountinfo").write_bytes(b"".join(line + b"\n" for line in lines))
    return read_mounts(folder)


def test_a_line_is_read_with_and_without_optional_fields(tmp_path: Path) -> None:
    found = mounts(
        tmp_path,
        b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext4 /dev/sda1 rw,errors=continue",
        b"37 35 0:32 / /proc rw - proc proc rw",
    )
    first = Mount(
        id=36,
        device="98:0",
        point="/mnt2",
        filesystem="ext4",
        source="/dev/sda1",
        is_read_only=False,
        is_rejected=False,
    )
    assert found[0] == first
    assert (found[1].id, found[1].point, found[1].filesystem) == (37, "/proc", "proc")


def test_blanks_backslashes_and_bytes_that_are_no_text_are_given_back(tmp_path: Path) -> None:
    (found,) = mounts(tmp_path, rb"1 2 0:1 / /a\040b\134c rw - nfs server:/x\040" + b"\xff rw")
    assert found.point == "/a b\\c"
    assert found.source == "server:/x \N{REPLACEMENT CHARACTER}"
    (found,) = mounts(tmp_path, b"1 2 0:1 / /\xff rw - ext4 none rw")
    assert found.point.encode("utf-8", "surrogateescape") == b"/\xff"
    assert shown(found.point) == "/\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("options", "of_filesystem", "is_read_only", "is_rejected"),
    [
        (b"rw", b"rw", False, False),
        (b"ro", b"rw", False, False),  # a bind mount that shows it read-only
        (b"ro", b"ro", True, False),
        (b"rw", b"ro,errors=remount-ro", True, True),  # the kernel gave up
        (b"rw", b"rw,emergency_ro", True, True),
        (b"ro", b"rw,shutdown", True, True),
        (b"rw", b"rw,errors=remount-ro", False, False),
    ],
)
def test_read_only_by_wish_and_by_an_error_are_told_apart(
    tmp_path: Path, options: bytes, of_filesystem: bytes, is_read_only: bool, is_rejected: bool
) -> None:
    (found,) = mounts(tmp_path, b"1 2 8:1 / /data %s - ext4 /dev/sda1 %s" % (options, of_filesystem))
    assert (found.is_read_only, found.is_rejected) == (is_read_only, is_rejected)


def test_what_is_no_mount_point_is_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ElsewhereError):
        look_at(str(tmp_path))
    assert look_at_any([str(tmp_path), str(tmp_path / "gone"), "/proc"], None).mount.point == "/proc"
    with pytest.raises(ElsewhereError):
        look_at_any(["/proc"], "8:254")


def test_an_error_is_the_answer_and_a_call_that_came_back_is_forgotten(tmp_path: Path) -> None:
    calls = Calls()
    assert isinstance(calls.ask([str(tmp_path)], None).answer.result(10), ElsewhereError)
    first, second = (calls.ask(["/proc"], None) for _ in range(2))
    assert [call.answer.result(10).mount.point for call in (first, second)] == ["/proc", "/proc"]
    assert calls._under_way == {}
