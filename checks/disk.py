"""Every file system that is mounted: how full it is, in bytes and in inodes, and whether it can be written.

Each mount is a subject. Left out are what has no size (proc, sysfs, cgroups), images that are always full (squashfs,
iso9660), devtmpfs, and the mounts of containers, logins and credentials; `/` is always looked at. A file system that
is mounted several times is listed once, by its shortest mount point. With `mounts`, only those are looked at, whatever
they are, and each has a reading even while it is not mounted.

A full or read-only file system is `up` 1, and its samples are for a rule to judge: `used_percent > 90%`,
`inodes_used_percent > 90%`, `read_only == true`. `up` is 0 with `error` not_mounted (only of `mounts`), timeout (a dead
NFS server holds whoever touches the mount, so it is said of that mount only, and it is asked anew once the call has
come back), disconnected (the program of a FUSE mount has died), stale (an NFS handle) or io.

A mount that heald may not reach has `error` no_permission and no `up`: of that mount we know nothing. If that holds for
all of them, or mounts cannot be listed, the run is blind. No rights are needed but to search the folders above a mount
point; a unit that hides folders from heald (ProtectHome=yes, InaccessiblePaths) hides what is mounted there.

`read_only` is what the kernel says of the file system, not what /etc/fstab wants, so one that is meant to be read-only
has it too; `forced_read_only` is true only where the mount says that it can be written and the kernel refuses, as it
does after an error of the disk.
"""

import asyncio
import errno
import fnmatch
import os
import re
import time
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from checks._mounts import Call, Calls, ElsewhereError, Found, Mount, read_mounts, shown
from daemon.plugin import (
    OWN_SHARE,
    CheckContext,
    CheckError,
    Dimension,
    Field,
    Folder,
    OptionsModel,
    Reading,
    Sample,
    sample,
)

EXAMPLE = """
checks:
  disks: {disk: {}, every: 1m}
rules:
  disk-full: {check: disks, when: "used_percent > 90% or inodes_used_percent > 90%", for: 5m, severity: P2}
  disk-soon-full: {check: disks, when: "time_until(used_percent, 95%, 6h) < 4h", for: 30m, severity: P2}
  disk-broken: {check: disks, when: forced_read_only == true, severity: P1}
"""
DISCOVERS = True
SAMPLES = (
    sample("up", Dimension.NONE, "1 if the file system is mounted and answers, 0 if not; missing if we may not look."),
    sample(
        "error",
        Dimension.STRING,
        "Why up is not 1: not_mounted, timeout, disconnected, stale, io or no_permission; else empty.",
    ),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample("used_percent", Dimension.PERCENT, "Used of what ordinary users can use, as df counts it."),
    sample("free_bytes", Dimension.BYTES, "What ordinary users can still write; root's reserve is not counted."),
    sample("total_bytes", Dimension.BYTES, "Size of the file system."),
    sample("inodes_used_percent", Dimension.PERCENT, "Used of all inodes; missing where there is no fixed number."),
    sample("inodes_free", Dimension.NONE, "Files that can still be made; missing where there is no fixed number."),
    sample("read_only", Dimension.BOOLEAN, "Whether nothing can be written to the file system."),
    sample("forced_read_only", Dimension.BOOLEAN, "Whether it is read-only although it was mounted to be written."),
    sample("filesystem", Dimension.STRING, "Type of the file system, such as ext4."),
    sample("device", Dimension.STRING, "What is mounted: a device, server:/export, or a word of the file system."),
)

_ALL_OF_IT = 0.9  # of a run's patience: who has had this share of it in an earlier run has had its time
_NO_DISK = re.compile(
    "autofs|aufs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|erofs|fusectl|hugetlbfs|iso9660|"
    r"fuse\.(gvfsd-fuse|lxcfs|portal|snapfuse)|mqueue|nsfs|nullfs|overlay|proc|pstore|ramfs|resctrl|rootfs|"
    "rpc_pipefs|securityfs|selinuxfs|smackfs|squashfs|sysfs|tracefs|udf"
)
_NOT_THE_HOSTS = (
    "/dev",  # a unit with PrivateDevices has a tmpfs there
    "/proc/*",
    "/sys/*",
    "/run/containerd/*",
    "/run/credentials/*",
    "/run/docker/*",
    "/run/user/*",
    "/var/lib/containerd/*",
    "/var/lib/containers/storage/*",
    "/var/lib/docker/*",
    "/var/lib/kubelet/pods/*",
)
_SICK = {
    errno.ENOTCONN: ("disconnected", "the program behind it has ended"),
    errno.ECONNABORTED: ("disconnected", "the program behind it has ended"),
    errno.ESTALE: ("stale", "its server no longer knows it"),
    errno.ETIMEDOUT: ("timeout", "its server does not answer"),
    errno.EHOSTDOWN: ("timeout", "its server does not answer"),
}
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_calls = Calls()  # threads belong to the process, not to a run


def _mount_point(value: str) -> str:
    written = os.path.normpath(f"/{value.lstrip('/')}")
    if value != written:
        raise ValueError(f"{value!r} is not how a mount point is written; write {written!r}")
    return value


MountPoint = Annotated[Folder, AfterValidator(_mount_point)]
"""An absolute path without `/` at its end, `//`, `.` or `..`."""


class Options(OptionsModel):
    """Which mounts; every one of a disk if nothing is set."""

    mounts: list[MountPoint] = Field(
        default=[], description="Mount points to look at, and no others; one that is not mounted is up 0. Empty: all."
    )
    exclude: list[str] = Field(
        default=[],
        description="Patterns of mount points to leave out, such as /mnt/*; * stands for any text, with / in it.",
    )
    include_types: list[str] = Field(
        default=[], description="Types of file systems that are looked at though they are left out, such as squashfs."
    )

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        unused = [name for name in ("exclude", "include_types") if getattr(self, name)]
        if self.mounts and unused:
            raise ValueError(f"{' and '.join(unused)} has no effect where mounts are named; leave it out")
        if len(set(self.mounts)) < len(self.mounts):
            raise ValueError("mounts names one twice; leave one out")
        return self


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Ask every mount for its numbers.

    Raises:
        CheckError: the mounts cannot be listed, or we may look at none of them.
    """
    began = time.monotonic()
    patience = context.timeout * OWN_SHARE
    try:
        mounts = await asyncio.to_thread(read_mounts)
    except (OSError, ValueError) as error:
        raise CheckError(f"cannot list the mounts: {error}") from error
    wanted = _named(options, mounts) if options.mounts else _discovered(options, mounts)
    calls = [_calls.ask([it.point for it in group] or [point], _device(group)) for point, group in wanted]
    # A call that has had its time in an earlier run is not waited for once more.
    waiting = [asyncio.wrap_future(call.answer) for call in calls if call.began + patience * _ALL_OF_IT > began]
    if waiting:
        await asyncio.wait(waiting, timeout=max(0.0, began + patience - time.monotonic()))
    readings = [
        reading
        for (point, group), call in zip(wanted, calls, strict=True)
        if (reading := _reading(point, group, call, is_named=bool(options.mounts))) is not None
    ]
    closed = [reading for reading in readings if "up" not in reading.samples]
    if closed and len(closed) == len(readings):
        raise CheckError(f"we may look at no mount: {closed[0].samples['detail']}")
    return readings


def _named(options: Options, mounts: Sequence[Mount]) -> list[tuple[str, list[Mount]]]:
    """The mount points of the options, each with the mount that is on top there; none if nothing is mounted."""
    on_top = {mount.point: mount for mount in mounts}
    return [(point, [on_top[point]] if point in on_top else []) for point in options.mounts]


def _discovered(options: Options, mounts: Sequence[Mount]) -> list[tuple[str, list[Mount]]]:
    """Every file system of a disk by its shortest mount point, with all its mounts, the shortest first."""
    groups: dict[str, list[Mount]] = {}
    for mount in sorted(mounts, key=lambda mount: (len(mount.point), mount.point)):
        is_disk = mount.filesystem in options.include_types or not _NO_DISK.fullmatch(mount.filesystem)
        if is_disk or mount.point == "/":
            groups.setdefault(mount.device, []).append(mount)
    patterns = (*_NOT_THE_HOSTS, *options.exclude)
    return [
        (group[0].point, group)
        for group in groups.values()
        if not any(fnmatch.fnmatchcase(shown(group[0].point), pattern) for pattern in patterns)
    ]


def _device(group: Sequence[Mount]) -> str | None:
    """The file system that is looked for; an automount is made by looking, so then it is not known before."""
    return group[0].device if group and group[0].filesystem != "autofs" else None


def _reading(point: str, group: Sequence[Mount], call: Call, *, is_named: bool) -> Reading | None:
    """One mount's reading; None for a discovered one that has gone, is a file, or has no size."""
    subject = shown(point)
    known = _described(group[0]) if group else {}
    if not call.answer.done():
        return _sick(subject, known, "timeout", f"no answer from {subject} for {time.monotonic() - call.began:.3g}s")
    answer = call.answer.result()
    if isinstance(answer, Found):
        if not (is_named or answer.numbers.f_blocks):
            return None
        samples: dict[str, Sample] = {"up": 1.0, "error": "", "detail": ""}
        samples |= _described(answer.mount) | _measured(answer.numbers)
        return Reading(subject=subject if is_named else shown(answer.mount.point), samples=samples)
    if isinstance(answer, ElsewhereError):
        return _sick(subject, {}, "not_mounted", f"nothing is mounted at {subject}") if is_named else None
    if isinstance(answer, OSError):
        return _failed(subject, known, answer)
    raise answer


def _failed(subject: str, known: dict[str, Sample], error: OSError) -> Reading:
    text = error.strerror or str(error)
    if error.errno in _OURS:
        raise CheckError(f"cannot look at {subject}: {text}") from error
    if isinstance(error, PermissionError):
        detail = f"cannot look at {subject}: {text}"
        return Reading(subject=subject, samples={"error": "no_permission", "detail": detail, **known})
    word, meaning = _SICK.get(error.errno or 0, ("io", "it cannot be read"))
    return _sick(subject, known, word, f"{subject}: {meaning} ({text})")


def _sick(subject: str, known: dict[str, Sample], word: str, detail: str) -> Reading:
    return Reading(subject=subject, samples={"up": 0.0, "error": word, "detail": detail, **known})


def _described(mount: Mount) -> dict[str, Sample]:
    return {
        "read_only": mount.is_read_only,
        "forced_read_only": mount.is_rejected,
        "filesystem": mount.filesystem,
        "device": mount.source,
    }


def _measured(numbers: os.statvfs_result) -> dict[str, Sample]:
    used = numbers.f_blocks - numbers.f_bfree
    samples: dict[str, Sample] = {
        "free_bytes": float(numbers.f_bavail * numbers.f_frsize),
        "total_bytes": float(numbers.f_blocks * numbers.f_frsize),
    }
    if used + numbers.f_bavail:
        samples["used_percent"] = 100.0 * used / (used + numbers.f_bavail)
    if numbers.f_files:
        samples["inodes_free"] = float(numbers.f_ffree)
        samples["inodes_used_percent"] = 100.0 * (numbers.f_files - numbers.f_ffree) / numbers.f_files
    return samples
