"""`heald eval`: try a condition on samples that are given on the command line."""

from collections.abc import Mapping, Sequence

import click

from daemon.engine.condition import Condition, ConditionError, Scope, View, compile_condition
from daemon.engine.condition_error import did_you_mean
from daemon.engine.observations import Observations
from daemon.engine.samples import read_sample
from daemon.errors import HealdError
from daemon.model.check import Reading, Run, Sample, SampleSpec
from daemon.protocols import CheckType

_EVERY = 30.0  # seconds; one run is seen, so nothing depends on it


class _Eval(click.Command):
    """Takes an expression that begins with a minus for what it is: there are no short options but -h."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for place, arg in enumerate(args):
            if arg == "--":
                break
            if arg.startswith("-") and not arg.startswith("--") and arg not in ("-h", "-"):
                if place and args[place - 1] in ("--type", "--sample", "--missing"):
                    continue  # the option's value
                args = [*args[:place], *args[place + 1 :], "--", arg]
                break
        return super().parse_args(ctx, args)


@click.command("eval", cls=_Eval)
@click.argument("expression")
@click.option("--type", "type_name", required=True, metavar="TYPE", help="The check type whose samples it names.")
@click.option("--sample", "given", multiple=True, metavar="NAME=VALUE", help="A sample; the others are missing.")
@click.option("--missing", multiple=True, metavar="NAME", help="A sample that is missing, said aloud.")
@click.pass_context
def eval_command(
    context: click.Context, expression: str, type_name: str, given: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    """Judge EXPRESSION by one run with the given samples, and say why.

    A bare number is in the sample's own unit. Windows see this one run.
    Exits 0 whatever the verdict, and 2 for a wrong expression or sample.
    """
    from daemon.config.discover import discover_types  # it imports every plug-in

    try:
        specs = _samples_of(discover_types().checks, type_name)
        samples = read_samples(specs, given, missing)
        condition = compile_condition(expression, Scope(check=type_name, type=type_name, samples=specs))
    except ConditionError as error:
        click.echo(error.render(), err=True)
        context.exit(2)
    except HealdError as error:
        click.echo(str(error), err=True)
        context.exit(2)
    view = view_of_one_run(condition, type_name, samples)
    click.echo(condition.judge(view).value)
    click.echo(condition.because(view))


def _samples_of(types: Mapping[str, CheckType], type_name: str) -> Mapping[str, SampleSpec]:
    found = types.get(type_name)
    if found is None:
        hint = did_you_mean(type_name, types)
        said = f"--type {type_name}: there is no check type {type_name}; types are {', '.join(sorted(types))}"
        raise HealdError(f"{said}; {hint}" if hint else said)
    return found.samples


def read_samples(specs: Mapping[str, SampleSpec], given: Sequence[str], missing: Sequence[str]) -> Mapping[str, Sample]:
    """The reading that `--sample` and `--missing` describe.

    Raises:
        HealdError: a name that the type does not have, one said twice, or a value that is wrong for its sample.
    """
    reading: dict[str, Sample] = {}
    for item in given:
        name, equals, value = item.partition("=")
        option = f"--sample {item}"
        if not equals:
            raise HealdError(f"{option}: a sample is given as NAME=VALUE; write {name}=1")
        spec = _spec(specs, name, option)
        if name in reading:
            raise HealdError(f"{option}: {name} is given twice; give it once")
        try:
            reading[name] = read_sample(spec, value)
        except ValueError as error:
            raise HealdError(f"{option}: {error}") from None
    for name in missing:
        _spec(specs, name, f"--missing {name}")
        if name in reading:
            raise HealdError(f"--missing {name}: {name} is given by --sample as well; leave one of them out")
    return reading


def _spec(specs: Mapping[str, SampleSpec], name: str, option: str) -> SampleSpec:
    spec = specs.get(name)
    if spec is None:
        hint = did_you_mean(name, specs)
        said = f"{option}: there is no sample {name}; samples are {', '.join(specs)}"
        raise HealdError(f"{said}; {hint}" if hint else said)
    return spec


def view_of_one_run(condition: Condition, check: str, samples: Mapping[str, Sample]) -> View:
    """What the condition sees of one run of this check: windows, count_of and age() see this run alone."""
    observations = Observations()
    keep = {sample: seconds for (_, sample), seconds in condition.windows.items()}
    observations.declare(check, _EVERY, keep, frozenset(sample for _, sample in condition.unchanged))
    observations.record(Run(check=check, began=0.0, ended=0.0, readings=(Reading(samples=samples),)))
    view = View(check, "", samples, None, 0.0, observations)
    view.memory = condition.record(view, ())
    return view
