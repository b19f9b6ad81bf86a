"""`heald validate`: every error of a rules file, by the daemon's own code."""

from pathlib import Path

import click

from daemon.cli.places import ConfigNotFoundError, find_config
from daemon.cli.tables import counted

NOT_VALID = 1


@click.command("validate")
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))
@click.pass_context
def validate_command(ctx: click.Context, file: Path | None) -> None:
    """Say every error of a rules file: FILE, else $HEALD_CONFIG, ./rules.yaml, /etc/heald/rules.yaml.

    The files that it includes are read with it. Exits 0 if all is valid and 1 if not. Each error is
    FILE:LINE:COLUMN: PATH: TEXT on stderr, and under it the line of the file and a caret, both indented. References are
    resolved, so that those that cannot be are said too.
    """
    from daemon.config.load import load
    from daemon.config.problems import ConfigError

    try:
        path = find_config(file)
        setup = load(path)
    except ConfigNotFoundError as error:
        raise click.ClickException(error.message) from error  # exits 1
    except ConfigError as error:
        click.echo(error.render(), err=True)
        ctx.exit(NOT_VALID)
    parts = ((len(setup.checks), "check"), (len(setup.rules), "rule"), (len(setup.services), "service"))
    counts = ", ".join(counted(count, word) for count, word in parts)
    others = f" with {counted(len(setup.included), 'included file')}" if setup.included else ""
    click.echo(f"{path}{others} is valid: {counts}, mode {setup.settings.mode}")
