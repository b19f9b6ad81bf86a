"""Breaks file systems in a mount namespace of its own, looks at them and prints what came of it, as JSON.

Arguments: the scene, and an empty folder for it. Run it under `unshare --mount`.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from context import LocalContext
from local_servers import until

from checks import disk
from daemon.errors import CheckError

Readings = dict[str, dict[str, Any]]


async def look(*, timeout: float = 5.0, **options: Any) -> Readings:
    try:
        readings = await disk.check(disk.Options(**options), LocalContext(timeout=timeout))
    except CheckError as error:
        return {"blind": {"text": str(error)}}
    return {reading.subject: dict(reading.samples) for reading in readings}


def call(*words: object) -> str:
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True).stdout


def tmpfs(point: Path, options: str = "size=1M") -> Path:
    point.mkdir(parents=True, exist_ok=True)
    call("mount", "-t", "tmpfs", "-o", options, "none", point)
    return point


async def full(folder: Path) -> object:
    point = tmpfs(folder / "d", "size=1M,nr_inodes=100")
    healthy = (await look())[str(point)]
    with contextlib.suppress(OSError):
        (point / "file").write_bytes(bytes(2**21))
    return [healthy, (await look())[str(point)]]


async def out_of_inodes(folder: Path) -> object:
    point = tmpfs(folder / "d", "size=1M,nr_inodes=10")
    with contextlib.suppress(OSError):
        for number in range(20):
            (point / str(number)).touch()
    return (await look())[str(point)]


async def as_df_says(folder: Path) -> object:
    point = tmpfs(folder / "d", "size=8M")
    (point / "file").write_bytes(bytes(3 * 2**20 + 4096))
    image(folder, "ext4", "-m", "20")  # root's reserve
    said = call("df", "-B1", "--output=target,pcent,avail,size,ipcent,iavail", point, folder / "ext4").splitlines()[1:]
    return [[line.split() for line in said], await look()]


def image(folder: Path, kind: str, *options: str) -> Path:
    file, point = folder / f"{kind}.image", folder / kind
    with file.open("wb") as opened:
        opened.truncate(2**23)
    call("mkfs.ext4", "-q", "-F", *options, file)
    point.mkdir()
    call("mount", "-o", "loop,errors=remount-ro", file, point)
    return point


def break_ext4(device: str) -> None:
    Path(f"/sys/fs/ext4/{device.removeprefix('/dev/')}/trigger_fs_error").write_text("a test's error\n")


async def remounted(folder: Path) -> object:
    point = tmpfs(folder / "d")
    before = (await look())[str(point)]
    call("mount", "-o", "remount,ro", point)
    after = (await look())[str(point)]
    shown = folder / "shown"  # read-only where it is shown, and not itself
    shown.mkdir()
    call("mount", "-o", "remount,rw", point)
    call("mount", "--bind", point, shown)
    call("mount", "-o", "remount,bind,ro", shown)
    return [before, after, (await look(mounts=[str(shown)]))[str(shown)]]


async def given_up(folder: Path) -> object:
    point = image(folder, "ext4")
    before = (await look())[str(point)]
    break_ext4(str(before["device"]))
    return [before, (await look())[str(point)]]


async def listed(folder: Path) -> object:
    """What is listed, and what is left out: each word is a mount that the test knows."""
    long = tmpfs(folder / "a-long-name")
    for name in ("bind", "under/covered", "layers"):
        (folder / name).mkdir(parents=True)
    call("mount", "--bind", long, folder / "bind")
    tmpfs(folder / "twice", "size=1M")
    tmpfs(folder / "twice", "size=2M")
    tmpfs(folder / "under/covered")
    tmpfs(folder / "under")
    file = tmpfs(folder / "layers") / "file"
    for name in ("lower", "upper", "scratch", "overlay"):
        (folder / "layers" / name).mkdir()
    work = folder / "layers"
    layers = f"lowerdir={work}/lower,upperdir={work}/upper,workdir={work}/scratch"
    call("mount", "-t", "overlay", "-o", layers, "none", work / "overlay")
    file.touch()
    tmpfs(folder / "lone", "size=1M")
    (folder / "lone/file").touch()
    call("mount", "--bind", folder / "lone/file", file)
    call("umount", folder / "lone")  # of this file system only a file is left
    tmpfs(folder / "a b\tc\\d\né")
    tmpfs(folder / os.fsdecode(b"\xff"))
    call("mount", "-t", "ramfs", "none", folder / "layers/upper")
    return {
        "all": await look(),
        "excluded": await look(exclude=[f"{folder}/tw*", f"{folder}/bind"]),
        "with overlay": await look(include_types=["overlay", "ramfs"]),
        "named": await look(mounts=["/proc", str(folder / "a-long-name"), str(work / "overlay")]),
    }


async def named(folder: Path) -> object:
    point = folder / "d"
    point.mkdir()
    found = [await look(mounts=[str(point), str(folder / "nowhere")])]
    tmpfs(point)
    found.append(await look(mounts=[str(point)]))
    call("umount", point)
    return [*found, await look(mounts=[str(point)])]


async def closed(folder: Path) -> object:
    point = tmpfs(folder / "closed" / "d")
    (folder / "closed").chmod(0o700)
    os.seteuid(65534)
    return [await look(mounts=["/", str(point)]), await look(mounts=[str(point)])]


async def silent(folder: Path) -> object:
    """A FUSE mount whose program takes no request, then dies."""
    point = folder / "d"
    point.mkdir()
    program = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={program},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"silent", os.fsencode(point), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    threads = threading.active_count()
    found, seconds = [], []
    for timeout in (1.0, 1.0, 1.0):
        began = asyncio.get_running_loop().time()
        found.append(await look(timeout=timeout, mounts=["/", str(point)]))
        seconds.append(asyncio.get_running_loop().time() - began)
    discovered = await look(timeout=1.0)
    # A thread that has given its answer still takes a moment to end; what stays is what hangs.
    await until(lambda: threading.active_count() <= threads + 1)
    left = threading.active_count() - threads
    os.close(program)
    await until(lambda: threading.active_count() <= threads)
    return {
        "silent": [looked[str(point)] for looked in found],
        "root": [looked["/"]["up"] for looked in found],
        "seconds": seconds,
        "discovered": discovered[str(point)],
        "threads": left,
        "dead": (await look())[str(point)],
    }


async def at_once(folder: Path) -> object:
    """Runs at the same time find each other's calls under way, and wait for them."""
    tmpfs(folder / "d")
    found = await asyncio.gather(*(look() for _ in range(20)))
    return [looked[str(folder / "d")]["up"] for looked in found]


SCENES: list[Callable[[Path], Awaitable[object]]] = [
    full,
    out_of_inodes,
    as_df_says,
    remounted,
    given_up,
    listed,
    named,
    closed,
    silent,
    at_once,
]


async def main(scene: str, folder: Path) -> None:
    wanted = next(it for it in SCENES if it.__name__ == scene)
    print(json.dumps(await wanted(folder)))


if __name__ == "__main__":
    from daemon.runtime.threads import Threads

    loop = asyncio.new_event_loop()
    loop.set_default_executor(Threads())  # as in the daemon: no thread of a pool stays
    loop.run_until_complete(main(sys.argv[1], Path(sys.argv[2])))
