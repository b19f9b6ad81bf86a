"""`heald schema`: what editors need to complete and check a rules file."""

import json

import click


@click.command("schema")
@click.pass_context
def schema_command(ctx: click.Context) -> None:
    """Print the rules file's JSON Schema (2020-12), with every plug-in that is installed here.

    An editor takes it from a comment in the file's first line: # yaml-language-server: $schema=PATH
    """
    from daemon.config.discover import discover_types
    from daemon.config.problems import ConfigError
    from daemon.reference.schema import json_schema

    try:
        types = discover_types()
    except ConfigError as error:
        click.echo(error.render(), err=True)
        ctx.exit(1)
    click.echo(json.dumps(json_schema(types), indent=2, ensure_ascii=False))
