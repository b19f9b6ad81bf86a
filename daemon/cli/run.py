"""`heald run`: the daemon in the foreground."""

from pathlib import Path

import click

from daemon.cli.places import config_option, find_config, find_runtime_dir, find_state_dir, state_dir_option
from daemon.model.address import parse_address
from daemon.model.settings import Mode


def _listen(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return value and str(parse_address(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("run")
@config_option
@state_dir_option
@click.option("--listen", callback=_listen, metavar="HOST:PORT", help="Where metrics and health pages are read.")
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="May only lower what the file says.")
@click.pass_context
def run_command(
    ctx: click.Context, config: Path | None, state_dir: Path | None, listen: str | None, mode: str | None
) -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C; SIGHUP reads the rules file again.

    Exits 75 if another daemon has the state directory, 78 if the rules file cannot be used.
    """
    from daemon.app import run  # the whole daemon: imported only here

    ctx.exit(
        run(
            config=find_config(config).absolute(),
            state_dir=find_state_dir(state_dir),
            runtime_dir=find_runtime_dir(),
            listen=listen,
            mode=mode,
        )
    )
