"""systemd's own interface on a bus: properties of units, and orders whose end is waited for.

Source: org.freedesktop.systemd1(5).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from daemon.connections._systemd_unit import Unit
from daemon.plugin import CheckError, RemediationError

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

_NAME = "org.freedesktop.systemd1"
_MANAGER = f"{_NAME}.Manager"
_PATH = "/org/freedesktop/systemd1"
_BUS, _BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_ENDS = f"type='signal',sender='{_NAME}',path='{_PATH}',interface='{_MANAGER}',member='JobRemoved'"
_ANSWER_WITHIN = 5.0  # seconds; systemd answers in milliseconds, or hangs
_ORDER_WITHIN = 25.0  # seconds for what polkit is asked about first, which may have to be started for it
_LEAST = 0.1  # seconds for any answer
_POLL = 0.5  # seconds between looks whether the bus is still there while an order is carried out
_DENIED = (f"{_BUS}.Error.AccessDenied", f"{_BUS}.Error.InteractiveAuthorizationRequired")
_PERMANENT = tuple(
    f"{_NAME}.{name}"
    for name in (
        "NoSuchUnit",
        "UnitMasked",
        "BadUnitSetting",
        "LoadFailed",
        "JobTypeNotApplicable",
        "OnlyByDependency",
        "TransactionOrderIsCyclic",
    )
)
_VERBS = {"StartUnit": "start", "StopUnit": "stop", "RestartUnit": "restart", "ReloadUnit": "reload"}


class _RefusedError(Exception):
    """An answer that is an error of D-Bus."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


class Systemd:
    """One systemd, asked over one connection; many may ask at once."""

    def __init__(self, bus: "MessageBus", place: str) -> None:
        self._bus = bus
        self._place = place  # of its socket, for sentences
        self._waiting = 0  # orders that are being carried out
        self._ends: dict[str, str] = {}  # what became of those that ended while any is waited for, by object path
        self._ended = asyncio.Event()
        bus.add_message_handler(self._hear)

    async def unit(self, name: str, *, within: float) -> Unit:
        """What systemd knows of a unit, which it loads if it has not yet; one question. Raises CheckError."""
        path = f"{_PATH}/unit/{_escaped(name)}"
        [properties] = await self._ask(
            f"{_BUS}.Properties", "GetAll", "s", [""], path=path, within=min(within, _ANSWER_WITHIN)
        )
        from dbus_fast import unpack_variants

        return Unit.of(name, unpack_variants(properties))

    async def failed(self, *, within: float) -> list[tuple[str, str, str]]:
        """Every unit that has failed: name, sub-state and description; one question. Raises CheckError."""
        [units] = await self._ask(_MANAGER, "ListUnitsFiltered", "as", [["failed"]], within=min(within, _ANSWER_WITHIN))
        return sorted((unit[0], unit[4], unit[1]) for unit in units)

    async def names(self, suffix: str, *, within: float) -> list[str]:
        """The loaded units of one suffix, such as .service. Raises CheckError."""
        [units] = await self._ask(
            _MANAGER, "ListUnitsByPatterns", "asas", [[], [f"*{suffix}"]], within=min(within, _ANSWER_WITHIN)
        )
        return sorted(unit[0] for unit in units if unit[2] == "loaded")

    async def carry_out(self, method: str, unit: str, *, deadline: float) -> str:
        """Give an order (StartUnit, ...) and wait for its end: done, failed, dependency, canceled, timeout, ...

        Raises:
            RemediationError: systemd refuses. CheckError: it cannot be asked, or the bus is gone.
            TimeoutError: it is still at it at the deadline, by the loop's clock.
        """
        self._waiting += 1
        try:
            await self._match("AddMatch")  # before the order, so that its end cannot be missed
            try:
                end = await self._end_of(await self._order(method, "ss", [unit, "replace"], deadline), deadline)
            except (RemediationError, TimeoutError):  # any other error ends the connection, and the match with it
                await self._match("RemoveMatch")
                raise
            await self._match("RemoveMatch")
            return end
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._ends.clear()

    async def reset_failed(self, unit: str, *, deadline: float) -> None:
        """Forget that a unit failed, and how often it was started. Raises RemediationError and CheckError."""
        await self._order("ResetFailedUnit", "s", [unit], deadline)

    @contextlib.asynccontextmanager
    async def kept(self, unit: str) -> AsyncIterator[None]:
        """Have systemd keep a unit loaded, and so remember how it ended, if we may; otherwise it may forget that.

        Raises CheckError.
        """
        try:
            await self._order("RefUnit", "s", [unit])
        except RemediationError:  # polkit's verb `ref` is not allowed; the order will say what else is the matter
            yield
            return
        try:
            yield
        except RemediationError:  # any other error ends the connection, and what it keeps with it
            await self._let_go(unit)
            raise
        await self._let_go(unit)

    async def close(self) -> None:
        """Leave the bus."""
        self._bus.disconnect()
        with contextlib.suppress(OSError, EOFError):  # how it ended before we left it
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # its result is left untyped

    async def _let_go(self, unit: str) -> None:
        with contextlib.suppress(RemediationError):  # a systemd that started itself anew meanwhile does not keep it
            await self._order("UnrefUnit", "s", [unit])

    async def _end_of(self, path: str, deadline: float) -> str:
        loop = asyncio.get_running_loop()
        while path not in self._ends:
            left = deadline - loop.time()
            if left <= 0:
                raise TimeoutError
            self._ended.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _POLL)):
                    await self._ended.wait()
            if not self._bus.connected and path not in self._ends:
                raise CheckError(f"the D-Bus at {self._place} closed the connection before systemd was done")
        return self._ends[path]

    def _hear(self, message: "Message") -> None:
        # The bus lets everybody send us a signal by our name; one for all who listen got here by `_ENDS`, as systemd's.
        if message.destination or message.interface != _MANAGER:
            return
        if self._waiting and message.member == "JobRemoved":
            _, path, _, result = message.body
            self._ends[path] = result
            self._ended.set()

    async def _match(self, method: str) -> None:
        try:
            await self._call(_BUS, _BUS_PATH, _BUS, method, "s", [_ENDS], _ANSWER_WITHIN)
        except _RefusedError as error:
            raise CheckError(f"the D-Bus at {self._place} does not tell us when systemd is done: {error}") from error

    async def _order(self, method: str, signature: str, body: list[Any], deadline: float | None = None) -> str:
        """Give an order. Returns the object path by which its end will be told, if the method gives one."""
        left = _ORDER_WITHIN if deadline is None else deadline - asyncio.get_running_loop().time()
        try:
            answer = await self._call(_NAME, _PATH, _MANAGER, method, signature, body, min(left, _ORDER_WITHIN))
        except _RefusedError as error:
            raise self._refusal(error, method, body[0]) from error
        return str(answer[0]) if answer else ""

    async def _ask(
        self, interface: str, method: str, signature: str, body: list[Any], *, within: float, path: str = _PATH
    ) -> list[Any]:
        try:
            return await self._call(_NAME, path, interface, method, signature, body, within)
        except _RefusedError as error:
            raise self._blindness(error) from error

    def _blindness(self, error: _RefusedError) -> CheckError:
        if error.name in _DENIED:
            return CheckError(f"the D-Bus at {self._place} does not let us ask systemd: {error}")
        return CheckError(f"systemd cannot be asked by the D-Bus at {self._place}: {error}")

    def _refusal(self, error: _RefusedError, method: str, unit: str) -> Exception:
        verb = _VERBS.get(method, "reset the failure of")
        if error.name in _DENIED:
            rule = f"name the unit in heald's rule in /etc/polkit-1/rules.d: {error}"
            return RemediationError(f"access denied: polkit does not let us {verb} {unit}; {rule}", permanent=True)
        if error.name.startswith(f"{_NAME}."):
            sentence = f"systemd refuses to {verb} {unit}: {error}"
            return RemediationError(sentence, permanent=error.name in _PERMANENT)
        return self._blindness(error)

    async def _call(
        self, name: str, path: str, interface: str, method: str, signature: str, body: list[Any], within: float
    ) -> list[Any]:
        """The answer's values. Raises CheckError and _RefusedError."""
        from dbus_fast import Message, MessageType

        message = Message(
            destination=name, path=path, interface=interface, member=method, signature=signature, body=body
        )
        if not self._bus.connected:
            raise CheckError(f"the D-Bus at {self._place} has closed the connection")
        within = max(within, _LEAST)
        try:
            async with asyncio.timeout(within):
                answer = await self._bus.call(message)
        except TimeoutError as error:
            raise CheckError(f"systemd did not answer by the D-Bus at {self._place} within {within:g}s") from error
        except (OSError, EOFError) as error:
            raise CheckError(f"the D-Bus at {self._place} closed the connection") from error
        if answer is None:  # we left the bus ourselves meanwhile
            raise CheckError(f"the connection to the D-Bus at {self._place} was closed")
        if answer.message_type is MessageType.ERROR:
            raise _RefusedError(answer.error_name or "", str(answer.body[0]) if answer.body else "")
        return list(answer.body)


def _escaped(name: str) -> str:
    """A unit's name as the last part of its object path."""
    return "".join(
        letter
        if letter.isascii() and (letter.isalpha() or (letter.isdigit() and place))
        else "".join(f"_{byte:02x}" for byte in letter.encode())
        for place, letter in enumerate(name)
    )
