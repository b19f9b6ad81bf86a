"""The composition root: builds every part, starts them, swaps them on reload, stops them in reverse order."""

import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import Never

from daemon import __version__
from daemon.api.control import ControlServer, ControlSocketError
from daemon.api.server import ListenError, PageServer
from daemon.clock import SystemClock
from daemon.config.load import load
from daemon.config.overrides import Overrides
from daemon.config.problems import ConfigError
from daemon.config.setup import Setup
from daemon.control import Desk
from daemon.errors import HealdError, StoreRefusedError
from daemon.logs import Form, configure, log
from daemon.loop import loop_factory, loop_name, say_if_another
from daemon.metrics import Metrics
from daemon.notify_socket import NotifySocket
from daemon.runtime.assembly import Assembly
from daemon.runtime.bindings import Bindings
from daemon.runtime.lasting import lasting, settle
from daemon.runtime.tasks import standing
from daemon.runtime.threads import Threads, take_short_turns
from daemon.runtime.turns import in_turns, let_go
from daemon.runtime.watchdog import Watchdog
from daemon.store.store import LockedError, Store

BAD_CONFIG = 78  # sysexits.h EX_CONFIG: the rules file, or a store that this version must not touch
LOCKED = 75  # sysexits.h EX_TEMPFAIL: another daemon has the state directory
_STORE_LOOK = 1.0  # seconds between two looks whether a store that could not be read can be read now


class _End(Exception):  # noqa: N818  # the wish to end or to start anew, raised through the task group; not an error
    def __init__(self, *, anew: bool) -> None:
        super().__init__()
        self.anew = anew  # the store can be read at last: build all again from what it remembers


def run(*, config: Path, state_dir: Path, runtime_dir: Path | None, listen: str | None, mode: str | None) -> int:
    """Run the daemon until it is told to stop; returns its exit code."""
    form = configure()
    take_short_turns()
    settle()
    overrides = Overrides(listen=listen, mode=mode)
    try:
        with lasting():
            setup = overrides.apply(load(config))
    except ConfigError as error:
        print(error.render(), file=sys.stderr)  # noqa: T201  # for the person at the terminal, as `heald validate` says it
        return BAD_CONFIG
    try:
        with asyncio.Runner(loop_factory=loop_factory(uvloop=setup.settings.uvloop)) as runner:
            return runner.run(_serve(setup, overrides, state_dir=state_dir, runtime_dir=runtime_dir, form=form))
    except (ControlSocketError, ListenError) as error:
        log.error("cannot_listen", f"{error}.")
        return 1
    except StoreRefusedError as error:
        return _refused(error)
    except BaseExceptionGroup as group:
        late = group.subgroup(StoreRefusedError)  # of a store that could be opened only late, and is another's
        if late is not None:
            return _refused(_first(late))
        log.error("ended", f"heald has a bug and ends, to be started again: {_first(group)!r}.", exc_info=group)
        return 1


def _refused(error: BaseException) -> int:
    log.error("locked" if isinstance(error, LockedError) else "store_refused", f"{error}.")
    return LOCKED if isinstance(error, LockedError) else BAD_CONFIG


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _serve(setup: Setup, overrides: Overrides, *, state_dir: Path, runtime_dir: Path | None, form: Form) -> int:
    asyncio.get_running_loop().set_default_executor(Threads())
    clock = SystemClock()
    store = await Store.open(state_dir, clock)
    try:
        with lasting():
            daemon = Daemon(setup, overrides, store=store, clock=clock, state_dir=state_dir, runtime_dir=runtime_dir)
        await daemon.serve(on_terminal=form is Form.CONSOLE)
    finally:
        if left := await store.close():
            log.error("rows_left", f"{left} rows could not be written and are lost.")
    return 0


class Daemon:
    """The running daemon: one assembly, which a late store may have built anew, and the surfaces around it."""

    def __init__(
        self,
        setup: Setup,
        overrides: Overrides,
        *,
        store: Store,
        clock: SystemClock,
        state_dir: Path,
        runtime_dir: Path | None,
    ) -> None:
        self._overrides = overrides
        self._store, self._clock, self._state_dir = store, clock, state_dir
        self._node = socket.gethostname()
        self._metrics = Metrics(version=__version__)
        self._notify = NotifySocket()
        self._not_ready: str | None = "heald is starting"
        self._reloading = asyncio.Lock()
        self._reload_wanted, self._stop_wanted = asyncio.Event(), asyncio.Event()
        self._pages = PageServer(metrics=self._metrics, readiness=lambda: self._not_ready)
        self._assembly = self._assemble(setup)
        self._desk = Desk(
            assembly=lambda: self._assembly,
            reload=self.reload,
            readiness=lambda: self._not_ready,
            listen=lambda: self._pages.address,
            clock=clock,
            node=self._node,
            state_dir=state_dir,
        )
        self._control = ControlServer(self._desk, directory=runtime_dir or state_dir)
        self._watchdog = Watchdog(
            self._notify,
            store=store,
            scheduler=lambda: self._assembly.scheduler,
            clock=clock,
            say=lambda: self._say_status(remembers=self._assembly.runs.remembers),
        )

    def _assemble(self, setup: Setup) -> Assembly:
        return Assembly(
            setup,
            store=self._store,
            clock=self._clock,
            metrics=self._metrics,
            node=self._node,
            pause_file=self._state_dir / "pause",
        )

    async def serve(self, *, on_terminal: bool) -> None:
        """Run until somebody asks to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_wanted.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        self._store.on_change, self._store.on_damage = self._say_store, self._say_damage
        if self._store.damage is not None:
            self._say_damage(self._store.damage)
        if not self._store.is_writable:
            self._say_store(is_writable=False, why=self._store.why)
        self._bound_history()
        address = await self._pages.listen(self._assembly.setup.settings.listen)
        await self._open_control()
        self._metrics.reloaded(ok=True, at=self._clock.stamp().wall)
        self._greet(address, on_terminal=on_terminal)
        try:
            while await self._live():
                await self._assembly.scheduler.drain(0.0)
                self._assembly = self._assemble(self._assembly.setup)
        finally:
            self._not_ready = "heald is stopping"
            await self._control.stop()
            await self._pages.stop()
            log.info("stopped", "heald has stopped.")

    async def _open_control(self) -> None:
        """Open the control socket; a folder that cannot be written now is no reason not to watch (`keep` says it)."""
        try:
            await self._control.start()
        except ControlSocketError as error:
            if not error.is_passing:
                raise

    async def _live(self) -> bool:
        """Run one assembly; true if another must be built because the store can be read at last."""
        assembly, starts_anew = self._assembly, False
        remembers = await assembly.restore()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(standing(assembly.run()), name="assembly")
                group.create_task(standing(self._watch_store(assembly)), name="late store")
                group.create_task(standing(self._watchdog.run()), name="watchdog")
                group.create_task(standing(self._control.keep()), name="control socket")
                group.create_task(standing(self._take_reloads()), name="reloads")
                group.create_task(self._wait_for_stop(), name="stop")
                self._not_ready = None
                self._notify.ready()
                self._say_status(remembers=remembers)
        except* _End as ends:
            starts_anew = all(end.anew for end in ends.exceptions if isinstance(end, _End))
        return starts_anew

    async def _wait_for_stop(self) -> None:
        await self._stop_wanted.wait()
        self._not_ready = "heald is stopping"
        self._notify.stopping()
        log.info("stopping", "heald is asked to stop; running attempts may end.")
        await self._assembly.stop()
        raise _End(anew=False)

    async def _watch_store(self, assembly: Assembly) -> Never:
        while True:
            await asyncio.sleep(_STORE_LOOK)
            if assembly.runs.remembers or not self._store.is_writable:
                continue
            if await assembly.could_restore():
                log.info("store_readable", "The store can be read again: heald goes on from what it remembers.")
                raise _End(anew=True)

    # ---- reload -------------------------------------------------------------------------------------------------

    async def _take_reloads(self) -> Never:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                await self.reload()
            except asyncio.CancelledError:  # all is built anew, for a store that can be read at last
                self._reload_wanted.set()
                raise

    async def reload(self) -> list[str]:
        """Build all, then swap. Returns the errors that kept the old configuration, empty if it was swapped."""
        async with self._reloading:
            self._notify.reloading()
            errors = await self._reload()
            self._metrics.reloaded(ok=not errors, at=self._clock.stamp().wall)
            self._desk.reloaded(errors)
            self._notify.ready()
            self._say_status(remembers=self._assembly.runs.remembers)
            for error in errors:
                log.error("reload_refused", f"The configuration was not changed: {error.splitlines()[0]}.")
            return errors

    async def _reload(self) -> list[str]:
        try:
            bindings, former = await in_turns(self._read)
            await self._pages.listen(bindings.setup.settings.listen)
        except ConfigError as error:
            return [problem.render() for problem in error.problems]
        except HealdError as error:
            return [str(error)]
        except Exception as bug:  # noqa: BLE001  # a bug of ours in reading a file; the configuration in use is good
            log.error("reload_bug", "A bug of heald keeps it from reading its configuration.", exc_info=bug)
            return [f"a bug of heald keeps it from reading the file: {bug!r}"]
        self._assembly.replace(bindings)
        say_if_another(uvloop=bindings.setup.settings.uvloop)
        self._bound_history()
        log.info("reloaded", f"The configuration was read again: {bindings.setup.size()}.")
        await let_go(former)
        return []

    def _read(self) -> tuple[Bindings, list[object]]:
        """In a thread: what is made of the new configuration beside the loop, and the parts of the old one."""
        with lasting():
            setup = self._overrides.apply(load(self._assembly.setup.path))
            return self._assembly.prepare(setup)

    def _bound_history(self) -> None:
        settings = self._assembly.setup.settings
        self._store.set_history(keep_for=settings.history_for, keep_bytes=settings.history_size)

    # ---- what is said -------------------------------------------------------------------------------------------

    def _greet(self, address: str, *, on_terminal: bool) -> None:
        setup = self._assembly.setup
        log.info(
            "started",
            f"heald {__version__} {setup.stance()}; it watches {setup.size()} of {setup.path}.",
            mode=str(setup.settings.mode),
            address=address,
            state_dir=str(self._state_dir),
            loop=loop_name(),
        )
        if on_terminal:
            log.info(
                "watching", f"Metrics at http://{address}/metrics. Watched: {', '.join(setup.checks) or 'nothing'}."
            )

    def _say_status(self, *, remembers: bool) -> None:
        setup, board = self._assembly.setup, self._assembly.board
        text = f"{setup.stance()}; {setup.size()}; open incidents: {len(board.incidents)}"
        self._notify.status(text if remembers else f"acts on nothing: the store cannot be read; {text}")

    def _say_store(self, is_writable: bool, why: str | None) -> None:
        if is_writable:
            log.info("store_writable", "The store can be written again.")
        else:
            log.error("store_unavailable", f"The store cannot be written, so nothing will be done: {why}.")

    def _say_damage(self, damage: str) -> None:
        log.error("store_damaged", f"{damage}. All acting is paused until somebody says `heald resume`.")
        self._assembly.record_anew()
