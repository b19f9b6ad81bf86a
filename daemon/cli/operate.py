"""Telling the running daemon: `heald reload`, `pause`, `resume`, `retry`."""

from pathlib import Path

import click

from daemon.cli.client import RELOAD_SECONDS, ask
from daemon.cli.people import named, scope_options
from daemon.cli.places import state_dir_option


@click.command("reload")
@state_dir_option
def reload_command(state_dir: Path | None) -> None:
    """Make the daemon read its rules file again.

    Exits 0 if the new configuration is in use, 1 if it was refused: then every error is said as by `heald validate`,
    and the old configuration stays. Running attempts finish either way.
    """
    ask("POST", "/reload", state_dir=state_dir, seconds=RELOAD_SECONDS)
    click.echo("reloaded")


@click.command("pause")
@click.option("--why", required=True, metavar="TEXT", help="Why, for those who find it paused.")
@scope_options
@state_dir_option
def pause_command(
    why: str, services: tuple[str, ...], rules: tuple[str, ...], checks: tuple[str, ...], state_dir: Path | None
) -> None:
    """Hold all acting until `heald resume`, across restarts, or that on a service, rule or check.

    Checks go on, and attempts under way finish.
    """
    if not why.strip():
        raise click.BadParameter("say why, for those who find it paused", param_hint="--why")
    for matchers in named(services, rules, checks):
        order = ask("POST", "/orders", state_dir=state_dir, body={"kind": "pause", "matchers": matchers, "why": why})
        click.echo(f"{order['order']['id']}: paused {' '.join(matchers[0])}".replace(" = ", "="))
    if services or rules or checks:
        return
    ask("POST", "/pause", state_dir=state_dir, body={"why": why})
    click.echo("paused: heald acts on nothing until `heald resume`")


@click.command("resume")
@scope_options
@state_dir_option
def resume_command(
    services: tuple[str, ...], rules: tuple[str, ...], checks: tuple[str, ...], state_dir: Path | None
) -> None:
    """End a pause: that of everything, or that of a service, rule or check."""
    for matchers in named(services, rules, checks):
        ended = ask("POST", "/orders/end", state_dir=state_dir, body={"kind": "pause", "matchers": matchers})
        for order in ended["ended"]:
            click.echo(f"{order['id']} ended")
    if services or rules or checks:
        return
    answer = ask("POST", "/resume", state_dir=state_dir)
    click.echo("resumed" if answer.get("resumed") else "it was not paused")


@click.command("retry")
@click.argument("incident")
@state_dir_option
def retry_command(incident: str, state_dir: Path | None) -> None:
    """Start an INCIDENT's ladder anew: its tries, and what made heald give it up. Limits hold as before."""
    answer = ask("POST", "/retry", state_dir=state_dir, body={"incident": incident})
    click.echo(str(answer.get("said", "")))
