"""What the command line says instead of the rules file."""

from dataclasses import replace

from daemon.config.setup import Setup
from daemon.logs import log
from daemon.model.settings import Mode


class Overrides:
    """What the command line says instead of the file, now and after every reload."""

    def __init__(self, *, listen: str | None, mode: str | None) -> None:
        self._listen = listen
        self._mode = mode

    def apply(self, setup: Setup) -> Setup:
        """The configuration as it is used. The mode may only be lowered."""
        settings = setup.settings
        if self._listen is not None:
            settings = replace(settings, listen=self._listen)
        if self._mode == Mode.OBSERVE:
            settings = replace(settings, mode=Mode.OBSERVE)
        elif self._mode == Mode.ACT and settings.mode is Mode.OBSERVE:
            log.warning("mode_not_raised", "The file says observe, and --mode may only lower it: heald observes.")
        return replace(setup, settings=settings)
