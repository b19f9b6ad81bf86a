"""What references stand for where nothing is really looked at or done: made-up values, from nowhere but their names.

In scenarios no variable, file or credential is read: `${env:API_URL}` is `API_URL`, and where that is refused
`/API_URL`, `http://api-url.example` and so on, until one is taken. What it comes to is the same on every machine, so
that resources can be named: a socket that `${env:SUPERVISOR}` stands for is `/SUPERVISOR`. References that are badly
written are errors as ever.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.secrets import Secrets


def _host(name: str) -> str:
    return f"{name.lower().replace('_', '-').strip('-') or 'host'}.example"


_FORMS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: f"/{name}",
    lambda name: f"http://{_host(name)}",
    lambda name: f"{_host(name)}:1",
    lambda name: f"postgresql://heald@{_host(name)}/heald",
    lambda name: f"redis://{_host(name)}/0",
    lambda name: _host(name),
    lambda _: "1",
)
_REFERENCE = re.compile(r"\$\$\{|\$\{[^{}]*\}")


@dataclass(slots=True, kw_only=True)
class Placeholders(Secrets):
    """Makes up what the references of one file stand for."""

    _form: dict[str, int] = field(default_factory=dict)  # by reference: which of the forms it has now

    def beside(self, folder: Path) -> "Placeholders":
        """Of a file that is read with this one: the same references stand for the same."""
        return Placeholders(folder=folder, withheld=self.withheld, guarded=self.guarded, _form=self._form)

    def has_others(self, texts: Iterable[str]) -> bool:
        """Give every reference of these texts its next form; false if all of them have had their last."""
        found = {reference for text in texts for reference in _REFERENCE.findall(text) if reference != "$${"}
        left = [it for it in found if self._form.get(it, 0) + 1 < len(_FORMS)]
        for reference in left:
            self._form[reference] = self._form.get(reference, 0) + 1
            self._known.pop(reference, None)
        return bool(left)

    def _environment(self, reference: str, name: str) -> str:
        if not (name.isascii() and name.isidentifier()):
            raise ValueError(f"{reference} names no variable; names are letters, digits and _")
        return self._made_up(reference, name)

    def _file(self, reference: str, name: str) -> str:
        return self._made_up(reference, name)

    def _credential(self, reference: str, name: str) -> str:
        return self._made_up(reference, name)

    def _made_up(self, reference: str, name: str) -> str:
        if not name.strip():
            raise ValueError(f"{reference} names nothing; write the name behind the colon")
        word = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "value"
        return _FORMS[self._form.get(reference, 0)](word)
