"""`heald lint`: advice on a rules file that is valid."""

from pathlib import Path

import click

from daemon.cli.places import ConfigNotFoundError, find_config

ADVICE, NOT_VALID = 1, 2


@click.command("lint")
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))
@click.pass_context
def lint_command(ctx: click.Context, file: Path | None) -> None:
    """Give advice on a valid rules file: FILE, else $HEALD_CONFIG, ./rules.yaml, /etc/heald/rules.yaml.

    Exits 0 if there is none, 1 if there is some, 2 if the file is not valid: then its errors are said as by `heald
    validate`. Each piece is FILE:LINE:COLUMN: PATH: TEXT [CODE] on stdout; `# heald: ignore CODE` at the end of that
    line, or on a line of its own above it, silences it.
    """
    from daemon.config.lint import lint
    from daemon.config.problems import ConfigError

    try:
        path = find_config(file)
        found = lint(path)
    except ConfigNotFoundError as error:
        click.echo(f"Error: {error.message}", err=True)
        ctx.exit(NOT_VALID)
    except ConfigError as error:
        click.echo(error.render(), err=True)
        ctx.exit(NOT_VALID)
    for advice in found:
        click.echo(str(advice))
    if found:
        ctx.exit(ADVICE)
    click.echo(f"{path}: no advice")
