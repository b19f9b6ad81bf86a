"""The command line, one file per command group; a command's file is imported when it is the one that was asked for."""

from importlib import import_module

import click

from daemon import __version__

_COMMANDS = {  # name: module, what it is in it, and its one line in the help, so that the help imports nothing
    "run": ("run", "run_command", "Run the daemon in the foreground."),
    "validate": ("validate", "validate_command", "Say every error of a rules file."),
    "lint": ("lint", "lint_command", "Give advice on a valid rules file."),
    "check": ("check", "check_command", "Look once, without a daemon, and judge."),
    "eval": ("eval", "eval_command", "Try a condition."),
    "test": ("scenarios", "test_command", "Test rules by scenarios, in virtual time."),
    "plugins": ("plugins", "plugins_command", "List check types, remediations, managers and connections."),
    "schema": ("schema", "schema_command", "Print the rules file's JSON Schema, for editors."),
    "explain-type": (
        "explain_type",
        "explain_type_command",
        "Explain a check type, remediation, manager or connection.",
    ),
    "status": ("show", "status_command", "Show what the daemon is doing now."),
    "incidents": ("show", "incidents_command", "Show what is wrong and what was done about it."),
    "explain": ("explain", "explain_command", "Say why heald does nothing about it, or what it does."),
    "plan": ("plan", "plan_command", "Say what heald would do now in act mode."),
    "report": ("plan", "report_command", "Say what observe mode would have done."),
    "reload": ("operate", "reload_command", "Make the daemon read its rules file again."),
    "pause": ("operate", "pause_command", "Hold all acting until resume."),
    "resume": ("operate", "resume_command", "End a pause."),
    "silence": ("people", "silence_group", "Keep quiet about something for a while."),
    "maintenance": ("people", "maintenance_group", "Begin and end unplanned maintenance."),
    "approvals": ("people", "approvals_command", "Show what waits for a person to agree."),
    "approve": ("people", "approve_command", "Agree to one attempt."),
    "reject": ("people", "reject_command", "Refuse an attempt."),
    "retry": ("operate", "retry_command", "Start an incident's ladder anew."),
}


class _Lazy(click.Group):
    """A group that knows its commands' names and imports them late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, "version"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"daemon.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [*((name, text) for name, (_, _, text) in _COMMANDS.items()), ("version", _VERSION_HELP)]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = "".join(f"; did you mean {name}?" for name in get_close_matches(args[0], names, n=1))
            ctx.fail(f"there is no command {args[0]!r}{near}")
        return super().resolve_command(ctx, args)


_VERSION_HELP = "Say the version."
_EPILOG = """Exit codes: 0 done · 1 refused, failed or not valid · 2 wrong usage · 69 no daemon answers ·
77 not permitted. Of `heald run`: 75 another daemon has the state directory · 78 the rules file cannot be used.
Of `heald check`: 0 ok · 1 warning · 2 critical · 3 unknown or wrong usage."""


@click.group(cls=_Lazy, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="heald %(version)s")
def main() -> None:
    """Heald: checks, judges by your rules, heals within limits, remembers and explains."""


@main.command("version", help=_VERSION_HELP)
def _version() -> None:
    click.echo(f"heald {__version__}")
