"""One look of a check at its target, which always ends as a run: readings, or why there are none.

Whatever a plug-in does, the others go on, and it is said: it may raise, hang, ignore its cancellation, return rubbish.
Only one thing cannot be interrupted inside a process: code that never gives the loop back. It is named afterwards.
"""

import errno
from types import CoroutineType

from daemon.errors import CheckError
from daemon.logs import log
from daemon.model.check import Check, Run
from daemon.protocols import CheckContext, CheckType, Clock
from daemon.runtime.drive import Drive, coroutine_of
from daemon.runtime.faults import is_ours, named, words_of
from daemon.runtime.fit import Fit, UnfitError
from daemon.runtime.threads import caller

CANCEL_GRACE = 1.0  # seconds a cancelled plug-in may take to clean up
LONGEST_STEP = 0.25  # seconds; more than one coalesced start (200 ms) is more than the timetable forgives
_OUT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}  # what this host lacks is no bug of a plug-in


class _Known:
    """What is remembered of one check, until it is configured anew."""

    __slots__ = ("check", "fit", "said")

    def __init__(self, check: Check) -> None:
        self.check = check
        self.fit: Fit | None = None
        self.said: set[str] = set()  # faults that have been logged: each once, the rest is for the metrics

    def learn(self, check_type: CheckType) -> Fit:
        """Ask the check type what this check may return."""
        check = self.check
        self.fit = Fit(check, check_type.samples_of(check.options))  # type: ignore[arg-type]  # its type's Options, which the model cannot name
        return self.fit

    def is_new(self, fault: str) -> bool:
        """Whether a fault is to be logged: the first time."""
        is_new = fault not in self.said
        self.said.add(fault)
        return is_new


class Looks:
    """Looks, and what is left behind by plug-ins that did not want to end."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._abandoned: dict[str, list[Drive]] = {}  # by check

    @property
    def abandoned(self) -> int:
        """How many runs could be ended neither by cancelling nor by closing them, and are still there."""
        return sum(not drive.is_over for drives in self._abandoned.values() for drive in drives)

    async def look(
        self, check: Check, check_type: CheckType, context: CheckContext, clock: Clock, *, is_look: bool = False
    ) -> Run:
        """Look once, for at most `check.timeout` seconds, enforced here. Raises nothing but CancelledError.

        A plug-in that has not ended then is cancelled, may clean up for a second, and is closed. Should anything of it
        be left even so, it is abandoned, and the check is blind until that ends too: they must not pile up.
        `Run.at` of a blind run is left to whoever records it.
        """
        began = clock.steady()
        caller.set(check.name)
        drive: Drive | None = None
        known = self._known.get(check.name)
        if known is None or known.check is not check:
            known = self._known[check.name] = _Known(check)
        try:
            fit = known.fit or known.learn(check_type)
            if self._abandoned and self._has_left(check.name):
                raise CheckError(f"the last run of check type {check.type} ignores every attempt to end it")
            looking = check_type.check(check.options, context)
            drive = Drive(looking if type(looking) is CoroutineType else coroutine_of(looking), clock)
            if not drive.step(began):
                await drive.rest(check.timeout - (drive.ended - began), CANCEL_GRACE)
                if drive.is_late:
                    return self._late(check, drive, began, clock.steady(), is_look=is_look)
            readings = fit.readings(drive.value)
            at = clock.stamp()
            return Run(check=check.name, began=began, ended=drive.ended, readings=readings, is_look=is_look, at=at)
        except BaseException as error:  # whatever a plug-in raises, SystemExit too, blinds its own check only
            if is_ours(error):
                raise
            why = self._why(check, known, error)
            return Run(check=check.name, began=began, ended=clock.steady(), error=why, is_look=is_look)
        finally:
            if drive is not None and (drive.longest_step > LONGEST_STEP or drive.is_stubborn):
                self._blame(check, known, drive)

    def _has_left(self, name: str) -> bool:
        """Whether anything is left of a check's abandoned runs, even if they are asked to end once more."""
        left = [drive for drive in self._abandoned.pop(name, ()) if not drive.end()]
        if left:
            self._abandoned[name] = left
        return bool(left)

    def _late(self, check: Check, drive: Drive, began: float, ended: float, *, is_look: bool) -> Run:
        why = f"check type {check.type} did not end within {check.timeout:g}s"
        if drive.is_stubborn:
            why += " and ignored its cancellation"
        return Run(check=check.name, began=began, ended=ended, error=why, timed_out=True, is_look=is_look)

    # ---- what is said -------------------------------------------------------------------------------------------

    def _why(self, check: Check, known: _Known, error: BaseException) -> str:
        """Why a run is blind, in a sentence; a plug-in's own fault is logged too."""
        text = words_of(error)
        if isinstance(error, CheckError):
            return text or f"check type {check.type} could not look and did not say why"
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _OUT_OF):
            return f"this host is short of something: {type(error).__name__}: {text}"
        if isinstance(error, UnfitError):
            why, event, trace = f"check type {check.type}: {text}", "check_unfit", None
        else:
            why = f"bug in check type {check.type}: {named(error)}"
            event, trace = "check_bug", error
        if known.is_new(f"{event} {type(error).__name__}"):
            log.error(event, f"Check {check.name} cannot look: {why}.", exc_info=trace, check=check.name)
        return why

    def _blame(self, check: Check, known: _Known, drive: Drive) -> None:
        """Name a plug-in that kept the loop to itself, or that ignored its cancellation; keep what is left of it."""
        if drive.longest_step > LONGEST_STEP and known.is_new("check_blocks"):
            sentence = f"Check {check.name} (type {check.type}) held up all of heald for {drive.longest_step:.2g}s."
            log.error("check_blocks", sentence, check=check.name, seconds=round(drive.longest_step, 3))
        if not drive.is_stubborn:
            return
        if not drive.is_over:
            self._abandoned.setdefault(check.name, []).append(drive)
        if known.is_new("check_stubborn"):
            ending = "it was closed" if drive.is_over else "it is abandoned, and the check blind until it ends"
            sentence = f"Check {check.name} (type {check.type}) ignores its cancellation: {ending}."
            log.error("check_stubborn", sentence, check=check.name)


look = Looks().look  # plug-ins that were abandoned belong to the process, whatever configuration began them
"""`Looks.look` of the whole process."""
