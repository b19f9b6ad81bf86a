"""Runs commands in a folder that does not answer, a FUSE mount whose program takes requests and says nothing.

Argument: an empty folder for it. Prints what came of it as JSON. Run it where mounts are its own.
"""

import asyncio
import ctypes
import json
import os
import struct
import sys
import threading

import psutil

from daemon.runtime.process import run_command
from daemon.runtime.threads import MOST, caller
from tests.lab.launchers import the_launcher
from tests.lab.processes import open_files, until

_MNT_FORCE = 1  # umount2(2)
_INIT = 26  # the first request of a mount; linux/fuse.h
_ANSWER = struct.pack("<IIIIHHII32x", 7, 31, 65536, 0, 0, 0, 65536, 1)  # struct fuse_init_out


def mount(folder: str) -> int:
    program = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={program},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"silent", os.fsencode(folder), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    threading.Thread(target=take, args=(program,), daemon=True).start()
    return program


def take(program: int) -> None:
    """Take every request, which from then on cannot be killed, and answer the first alone."""
    while True:
        try:
            _, kind, unique = struct.unpack_from("<IIQ", os.read(program, 1 << 20))
        except OSError:  # the mount is gone
            return
        if kind == _INIT:
            os.write(program, struct.pack("<IiQ", 16 + len(_ANSWER), 0, unique) + _ANSWER)


async def said(folder: str | None, timeout: float) -> str:
    try:
        done = await run_command(["true"], timeout=timeout, cwd=folder, grace=0.1)
    except OSError as error:
        return str(error)
    return done.ending


def held() -> list[psutil.Process]:
    return [child for child in the_launcher().children() if child.name() == "heald-begins"]


async def main(folder: str) -> None:
    program = mount(folder)
    found: dict[str, object] = {"before": await said(None, 10)}
    idle = open_files()
    caller.set("shop")
    began = asyncio.get_running_loop().time()
    hanging = [asyncio.create_task(said(folder, 3)) for _ in range(MOST)]
    await until(lambda: len(held()) == MOST)
    found["meanwhile"] = await said(None, 10)
    hanging.pop().cancel()  # as where a check's own time is over
    found["hanging"] = sorted({await it for it in hanging})
    found["in time"] = asyncio.get_running_loop().time() - began < 7
    found["left"] = len(held())
    found["one more"] = await said(folder, 1)
    caller.set("bank")
    found["another check"] = await said(None, 10)
    caller.set("shop")
    ctypes.CDLL(None).umount2(os.fsencode(folder), _MNT_FORCE)  # what hangs there gets an error
    await until(lambda: open_files() == idle)  # each end was heard
    found["afterwards"] = await said(None, 10)
    os.close(program)
    print(json.dumps(found))


asyncio.run(main(sys.argv[1]))
