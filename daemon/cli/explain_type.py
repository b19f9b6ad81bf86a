"""`heald explain-type`: the reference page of a plug-in, in the terminal."""

import shutil
from difflib import get_close_matches

import click

_WIDEST = 120  # columns: longer lines are hard to read


@click.command("explain-type")
@click.argument("name")
@click.pass_context
def explain_type_command(ctx: click.Context, name: str) -> None:
    """Explain the check type, remediation, service manager or kind of connection NAME; several where it is several.

    What it looks at or does, what is sick and what is blind, what rights it needs, options, samples, an example.
    """
    from daemon.config.discover import discover_types
    from daemon.config.problems import ConfigError
    from daemon.reference.page import KINDS, pages_of, plain

    try:
        types = discover_types()
    except ConfigError as error:
        click.echo(error.render(), err=True)
        ctx.exit(1)
    every = [page for kind in KINDS for page in pages_of(types, kind)]
    found = [page for page in every if page.name == name]
    missing = [why for path, why in types.unavailable.items() if path.partition(".")[2] == name]
    if not found:
        names = list(dict.fromkeys(page.name for page in every))
        near = "".join(f"; did you mean {it}?" for it in get_close_matches(name, names, n=1))
        raise click.ClickException("; ".join(missing) or f"there is no type {name}; there are {', '.join(names)}{near}")
    width = min(_WIDEST, shutil.get_terminal_size((100, 24)).columns)
    click.echo(f"\n{'─' * width}\n\n".join(plain(page, width) for page in found).rstrip())
