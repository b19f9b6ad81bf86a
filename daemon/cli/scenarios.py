"""`heald test`: rules are tested as code is, in virtual time, with nothing around them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.tables import clean, counted

if TYPE_CHECKING:
    from daemon.config.problems import ConfigError
    from daemon.testing.scenario.many import Told
    from daemon.testing.scenario.model import Scenario

NOT_ALL_HOLD, WRONG = 1, 2


@click.command("test")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, readable=False))
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML there.")
@click.option("--only", multiple=True, metavar="NAME", help="Only the scenario of this name; may be repeated.")
@click.option("--show", is_flag=True, help="Show all that happened, one line each.")
@click.pass_context
def test_command(
    ctx: click.Context, files: tuple[Path, ...], junit: Path | None, only: tuple[str, ...], show: bool
) -> None:
    """Run the scenarios of each FILE: what the rules would do, held against what is expected.

    Nothing is looked at and nothing is done; no variable, file or credential that the rules name is read.
    Exits 0 if all that is expected holds, 1 if some does not, 2 if a file is wrong: then every error is said as by
    `heald validate`, and nothing is run.
    """
    scenarios, wrong = _read(files)
    if wrong:
        for _, error in wrong:
            click.echo(error.render(), err=True)
        _write_junit(ctx, junit, [], wrong)
        ctx.exit(WRONG)
    chosen = _chosen(ctx, scenarios, only)
    told = _run(chosen, show=show)
    _write_junit(ctx, junit, told, [])
    broken = sum(not it.holds for it in told)
    click.echo(f"{counted(len(told), 'scenario')}: " + (f"{broken} failed" if broken else "all hold"))
    ctx.exit(NOT_ALL_HOLD if broken else 0)


def _read(files: Sequence[Path]) -> "tuple[list[Scenario], list[tuple[Path, ConfigError]]]":
    from daemon.config.problems import ConfigError
    from daemon.testing.scenario.file import read_scenarios
    from daemon.testing.scenario.rulebook import Rulebook

    rulebook = Rulebook()
    scenarios: list[Scenario] = []
    wrong: list[tuple[Path, ConfigError]] = []
    for path in dict.fromkeys(files):
        try:
            scenarios += read_scenarios(path, rulebook)
        except ConfigError as error:
            wrong.append((path, error))
    return scenarios, wrong


def _chosen(ctx: click.Context, scenarios: "Sequence[Scenario]", only: Sequence[str]) -> "Sequence[Scenario]":
    from daemon.engine.condition_error import did_you_mean

    names = dict.fromkeys(scenario.name for scenario in scenarios)
    for name in only:
        if name not in names:
            near = did_you_mean(name, names)
            ctx.fail(f"--only {name}: there is no such scenario" + (f"; {near}" if near else ""))
    return [scenario for scenario in scenarios if not only or scenario.name in only]


def _run(scenarios: "Sequence[Scenario]", *, show: bool) -> "list[Told]":
    from daemon.testing.scenario.many import run_all

    told = []
    for it in run_all(scenarios, show=show):
        told.append(it)
        word = click.style("ok", fg="green") if it.holds else click.style("FAILED", fg="red")
        click.echo(f"{word}  {clean(f'{it.file}: {it.name}')}")
        for text in (*(f"  {line}" for line in it.lines), *it.failed):
            click.echo(clean(text))
    return told


def _write_junit(
    ctx: click.Context,
    path: Path | None,
    told: "Sequence[Told]",
    wrong: "Sequence[tuple[Path, ConfigError]]",
) -> None:
    if path is None:
        return
    from daemon.testing.scenario.junit import junit as as_junit

    try:
        path.write_bytes(as_junit(told, wrong))
    except OSError as error:
        ctx.fail(f"--junit {path} cannot be written: {(error.strerror or str(error)).lower()}")
