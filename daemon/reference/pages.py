"""Every file of `docs/reference`, by its path there."""

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client.core import Metric
from pydantic import BaseModel

from daemon.config.schema import (
    CheckDefaults,
    CheckKeys,
    ConnectionKeys,
    FileKeys,
    IncludedKeys,
    MaintenanceKeys,
    RuleDefaults,
    RuleKeys,
    SelectionKeys,
    ServiceKeys,
    SettingsKeys,
    StepKeys,
)
from daemon.config.setup import Types
from daemon.engine.guards import HANDED_OVER_AT_ONCE, NOT_ESCALATED, SAID_ONCE
from daemon.metrics import Metrics, Sources
from daemon.model.holds import HOLDS
from daemon.model.settings import Mode
from daemon.reference.page import KINDS, Page, markdown, options_table, pages_of, table
from daemon.reference.schema import json_schema
from daemon.reference.values import Row, rows_of

SCHEMA = "rules.schema.json"
_MADE = "<!-- Made by `make reference`; edit the code that it is made from. -->"


class Part(NamedTuple):
    """One part of a rules file."""

    title: str
    text: str
    model: type[BaseModel]
    takes: Mapping[str, str]  # of keys that the model leaves open


_SECTION = {"connections": "mapping by name", "services": "mapping by name", "checks": "mapping by name"}
_SECTION |= {
    "maintenance": "mapping by name",
    "rules": "mapping by name",
    "settings": "mapping",
    "defaults": "mapping of checks, rules, steps",
}
PARTS = (
    Part("The file", "The keys at the top. Only `version` has to be there.", FileKeys, _SECTION),
    Part(
        "An included file",
        "A file that `include` names. What holds for all stands only in the main file.",
        IncludedKeys,
        _SECTION,
    ),
    Part("settings", "Of the whole daemon.", SettingsKeys, {}),
    Part(
        "defaults.checks",
        "What a check has that does not say it itself. Labels add up; of one name the check's own counts, then its "
        "service's, then this.",
        CheckDefaults,
        {},
    ),
    Part("defaults.rules", "What a rule has that does not say it itself.", RuleDefaults, {}),
    Part(
        "defaults.steps",
        "What a step has that does not say it itself: [the keys of a step](#a-step), all of them.",
        StepKeys,
        {},
    ),
    Part(
        "A connection",
        "Exactly one [kind of connection](README.md#connections) and its options, and beside it:",
        ConnectionKeys,
        {},
    ),
    Part("A service", "", ServiceKeys, {"run_by": "one [service manager](README.md#managers)"}),
    Part("A check", "Exactly one [check type](README.md#checks) and its options, and beside it:", CheckKeys, {}),
    Part("A rule", "", RuleKeys, {"checks": "list of text, or a [selection](#a-selection)", "steps": "list of steps"}),
    Part(
        "A maintenance window",
        "At least one of services, checks, rules, labels or all. It covers what any of them names.",
        MaintenanceKeys,
        {},
    ),
    Part("A selection", "The checks of a rule by their labels, inherited ones too.", SelectionKeys, {}),
    Part("A step", "Exactly one [remediation](README.md#remediations) and its options, and beside it:", StepKeys, {}),
)
"""The parts of a rules file, as the reference has them."""


def reference(types: Types) -> dict[str, str]:
    """Every generated file's text."""
    pages = {kind: pages_of(types, kind) for kind in KINDS}
    files = {
        f"{kind}/{page.name}.md": f"{_MADE}\n\n{markdown(page)}" for kind, listed in pages.items() for page in listed
    }
    return files | {
        "README.md": _index(pages),
        "rules-file.md": rules_file(),
        "holds.md": holds(),
        "metrics.md": metrics(),
        SCHEMA: json.dumps(json_schema(types), indent=2, ensure_ascii=False) + "\n",
    }


def _index(pages: Mapping[str, list[Page]]) -> str:
    lines = [
        _MADE,
        "# Reference",
        "`heald explain-type NAME` says the same as the page of a type, for what is installed where it runs.",
        (
            "- [rules-file.md](rules-file.md): every key of a rules file\n"
            "- [holds.md](holds.md): every reason for which heald does not act, and what ends it\n"
            "- [metrics.md](metrics.md): every metric\n"
            f"- [{SCHEMA}]({SCHEMA}): the JSON Schema for editors; `heald schema` prints it"
        ),
    ]
    for kind, listed in pages.items():
        lines.append(f"## {kind.capitalize()}")
        entries = [f"- [{page.name}]({kind}/{page.name}.md): {first_sentence(page.text)}" for page in listed]
        lines.append("\n".join(entries) or "None yet.")
    return "\n\n".join(lines) + "\n"


def first_sentence(text: str) -> str:
    """The first paragraph's first sentence."""
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


# ---- the file -------------------------------------------------------------------------------------------------------


def part_rows(part: Part) -> Iterator[Row]:
    """The keys of a part, with what they take where the model leaves that open."""
    for row in rows_of(part.model):
        yield row._replace(takes=part.takes.get(row.name, row.takes))


def rules_file() -> str:
    """Every key of the file."""
    text = """
    # A rules file

    Durations are written `250ms`, `30s`, `1m30s`, `7d`; sizes `512MiB`, `2GB`; shares `85%`; limits COUNT/WINDOW as
    `3/1h`. A bare number is none of these. A name is letters, digits, `-` and `_`; that of a check may have no `-` and
    no digit first, as conditions name it. Several files, defaults and labels: [rules.md](../rules.md); conditions:
    [conditions.md](../conditions.md); when heald acts: [judgement.md](../judgement.md); windows, approvals, storms,
    self tests and conflicts by example: [people.md](../people.md).
    """
    parts = [_MADE, inspect.cleandoc(text)]
    for part in PARTS:
        parts += [f"## {part.title}", part.text] if part.text else [f"## {part.title}"]
        if part.title != "defaults.steps":
            parts.append(options_table(list(part_rows(part))))
    return "\n\n".join(parts) + "\n"


# ---- holds ----------------------------------------------------------------------------------------------------------


def holds() -> str:
    """Every hold, in the order of the guards."""
    text = """
    # Holds

    Every no has a name: in the log, in `heald incidents`, in the store and as the label `reason` of
    `heald_holds_total`. They stand in the order in which they are asked, and the first that holds is the decision;
    `clear_now` and `blind_now` are what the second look found, `exhausted` is the end of a rule's steps.
    """
    rows = []
    for reason, words in HOLDS.items():
        people = "at once" if reason in HANDED_OVER_AT_ONCE or reason.value == "exhausted" else "after escalate_after"
        people = "never for this alone" if reason in NOT_ESCALATED else people
        people = "once, by an incident of its own" if reason in SAID_ONCE else people
        rows.append((f"`{reason.value}`", words.meaning, words.ends, people))
    head = ("hold", "what it means", "what ends it", "people are told")
    return "\n\n".join([_MADE, inspect.cleandoc(text), table(head, rows)]) + "\n"


# ---- metrics --------------------------------------------------------------------------------------------------------


def families() -> list[Metric]:
    """heald's own metrics, as a daemon shows them that nothing has happened to."""
    shown = Metrics(version="0")
    shown.reloaded(ok=True, at=0.0)
    shown.read_from(
        Sources(
            readings=tuple,
            incidents=tuple,
            handed_over=lambda: 0,
            rules=tuple,
            budgets=tuple,
            mode=lambda: Mode.OBSERVE,
            is_paused=lambda: False,
            is_store_writable=lambda: True,
            store_writes=dict,
        )
    )
    return [family.metric for family in shown.families()]


_SUFFIX = {"counter": "_total", "info": "_info"}


def metrics() -> str:
    """Every metric."""
    before = """
    # Metrics

    `http://127.0.0.1:9797/metrics` (`settings.listen`, `--listen`) in Prometheus' text format, in OpenMetrics where the
    scraper asks for it. Beside these it shows the process's own (`process_*`) and the Python version (`python_info`).
    """
    after = """
    Labels of checks and rules that a reload removed are gone. A rule of your own that should page when heald itself is
    unwell: `heald_store_writable == 0 or heald_paused == 1 or heald_config_last_reload_successful == 0 or
    heald_handed_over > 0`.
    """
    rows = []
    for family in families():
        labels = ", ".join(f"`{name}`" for name in family_labels(family))
        rows.append((f"`{family.name}{_SUFFIX.get(family.type, '')}`", family.type, labels, family.documentation))
    listed = table(("metric", "type", "labels", "meaning"), rows)
    return "\n\n".join([_MADE, inspect.cleandoc(before), listed, inspect.cleandoc(after)]) + "\n"


def family_labels(family: Metric) -> tuple[str, ...]:
    """The names of a family's labels, those of its info among them."""
    if family.type == "info":
        return tuple(family.samples[0].labels)
    return tuple(getattr(family, "_labelnames", ()))  # prometheus_client has no other way to ask
