"""`byoa check`: SageMaker's container contract, tried on any image or command."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click

from toolkit import archive
from toolkit.algorithm import find
from toolkit.cli_options import declared_type, pairs
from toolkit.conformance import report, rules, samples
from toolkit.conformance.containers import ImageTarget
from toolkit.conformance.rules import FAIL, Result
from toolkit.conformance.samples import Body, Sample
from toolkit.conformance.servers import DEFAULT_PORT
from toolkit.conformance.table import RULES
from toolkit.conformance.targets import CommandTarget, Target
from toolkit.conformance.trial import Patience, Trial
from toolkit.errors import BadOption
from toolkit.formats.endings import content_type_of


@click.command()
@click.argument("image", required=False)
@click.option(
    "--command", "both", help="A program that takes `train` or `serve` as its last argument, which is appended."
)
@click.option("--train-command", help="A program that trains, run as it is written.")
@click.option("--serve-command", help="A program that serves, run as it is written.")
@click.option("--algorithm", help="An installed algorithm: its sample input and, without a target, its programs.")
@click.option("--train-data", type=click.Path(path_type=Path), help="File or folder to train on.")
@click.option("--content-type", help="Content type of the training data.")
@click.option("--channel", default="train", show_default=True, help="Name of the training channel.")
@click.option("-p", "--hyperparameter", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option("--bad-hyperparameter", multiple=True, metavar="NAME=VALUE", help="One that must be refused.")
@click.option("--body", multiple=True, type=click.Path(path_type=Path), help="A request body; may be repeated.")
@click.option("--body-type", help="Content type of the bodies; without it the files' ending says.")
@click.option(
    "--model", type=click.Path(path_type=Path), help="A model.tar.gz or folder to serve, in place of training."
)
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Another one is told by SAGEMAKER_BIND_TO_PORT.")
@click.option("--engine", envvar="CONTAINER_ENGINE", help="docker or podman; also by CONTAINER_ENGINE.")
@click.option(
    "--network",
    envvar="CONTAINER_NETWORK",
    default="bridge",
    show_default=True,
    help="Of containers; host where the engine cannot publish ports; also by CONTAINER_NETWORK.",
)
@click.option("--train-timeout", default=600.0, show_default=True, help="Seconds to wait for the end of training.")
@click.option("--start-up", default=120.0, show_default=True, help="Seconds to wait for the server; SageMaker: 480.")
@click.option("--only", multiple=True, metavar="RULE", help="Try these rules alone; may be repeated.")
@click.option("--skip", multiple=True, metavar="RULE", help="Leave this rule out; may be repeated.")
@click.option("--list", "listed", is_flag=True, help="Show the rules and where SageMaker states them.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    image,
    both,
    train_command,
    serve_command,
    algorithm,
    port,
    model,
    engine,
    network,
    train_timeout,
    start_up,
    **options,
) -> None:
    """Try SageMaker's rules for containers on IMAGE, or on a command, in any language.

    \b
    byoa check my-image:latest --train-data data.csv -p k=10
    byoa check --command 'python program.py --root {opt_ml}'     runs it with `train`, then with `serve`
    byoa check --serve-command 'python serve.py' --model model.tar.gz --body row.json
    byoa check --algorithm kmeans                                an installed plugin, without any image

    In a command, {opt_ml} stands for a private folder in place of /opt/ml. Without it the command finds that folder at
    /opt/ml itself, which takes root on Linux; no other process sees it there.

    The exit status is 0 where no rule failed, else 1.
    """
    if options["listed"]:
        click.echo("\n".join(f"{rule.name:<{report.NAME_WIDTH}}  {rule.sentence}" for rule in RULES))
        return
    table = chosen(options["only"], options["skip"])
    target = find_target(image, commands(both, train_command, serve_command), algorithm, model is None, engine, network)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that whatever was started ends too
    with archive.unpacked(model) if model else nullcontext() as folder:
        patience = Patience(training=train_timeout, start_up=start_up)
        with Trial(target, sample(algorithm, **options), port, folder, patience) as trial:
            results = show(target.name, rules.run(table, trial), options["as_json"])
    sys.exit(int(any(result.result == FAIL for result in results)))


def chosen(only: tuple[str, ...], skip: tuple[str, ...]) -> list[rules.Rule]:
    """The rules of the table that were asked for. Raises BadOption for a name that is none of them."""
    known = {rule.name for rule in RULES}
    for name in (*only, *skip):
        if name not in known:
            raise BadOption(f"unknown rule {name!r}; 'byoa check --list' shows them all")
    return [rule for rule in RULES if (not only or rule.name in only) and rule.name not in skip]


def commands(both: str | None, train: str | None, serve: str | None) -> dict[str, str]:
    """The command for each program, of those that were given."""
    appended = {program: f"{both} {program}" for program in ("train", "serve") if both}
    return appended | {program: given for program, given in (("train", train), ("serve", serve)) if given}


def find_target(image, given: dict[str, str], algorithm: str | None, trains: bool, engine, network) -> Target:
    """The one thing to check. Raises BadOption where none was named, or two."""
    if image and given:
        raise BadOption(
            f"what to check must be an image or a command; got both: {image!r} and {sorted(given.values())[0]!r}"
        )
    if image:
        return ImageTarget(image, engine, network, trains)
    if not given and not algorithm:
        raise BadOption("what to check? name an image, a --command or an --algorithm; 'byoa check --help' has examples")
    found = given or own_programs(algorithm)
    wanted = {program: text for program, text in found.items() if trains or program != "train"}
    return CommandTarget(wanted, None if given else f"the installed algorithm {algorithm}")


def own_programs(algorithm: str) -> dict[str, str]:
    """This toolkit's programs for an installed algorithm."""
    modules = {"train": "toolkit.training", "serve": "toolkit.serving.program"}
    words = {program: [sys.executable, "-m", module, "--algorithm", algorithm] for program, module in modules.items()}
    return {program: f"{shlex.join(command)} --opt-ml {{opt_ml}}" for program, command in words.items()}


def sample(
    algorithm, train_data, content_type, channel, hyperparameter, bad_hyperparameter, body, body_type, **_
) -> Sample:
    """The built-in sample, with whatever the user gave in place of its parts."""
    plugin = find(algorithm) if algorithm else None
    given = samples.built_in(algorithm, plugin is not None and plugin.learns_from_labels)
    if train_data:
        guessed = declared_type(plugin, train_data) if plugin else content_type_of(train_data)
        own = samples.own(read(train_data), content_type or guessed)
        given = replace(own, hyperparameters=given.hyperparameters, bad_hyperparameters=given.bad_hyperparameters)
    elif content_type:
        given = replace(given, content_type=content_type)
    changes = {
        "hyperparameters": pairs(hyperparameter, "-p"),
        "bad_hyperparameters": pairs(bad_hyperparameter, "--bad-hyperparameter"),
        "bodies": tuple(read_body(path, body_type) for path in body),
    }
    return replace(given, channel=channel, **{name: value for name, value in changes.items() if value})


def read(path: Path) -> dict[str, bytes]:
    """The training files. Raises BadOption where there are none."""
    files = samples.read_files(path)
    if not files:
        raise BadOption(f"--train-data must be a file or a folder with files; got {str(path)!r}")
    return files


def read_body(path: Path, content_type: str | None) -> Body:
    """A request body from a file. Raises BadOption where its type is not known."""
    content_type = content_type or content_type_of(path)
    if not path.is_file() or not content_type:
        raise BadOption(
            f"--body must be a file whose ending tells its content type, or with --body-type; got {str(path)!r}"
        )
    return Body(path.read_bytes(), content_type)


def show(target: str, results, as_json: bool) -> list[Result]:
    """Prints each result as soon as it is there, and the failures in full at the end; returns them all."""
    kept = []
    if not as_json:
        click.echo(f"checking {target}")
    for result in results:
        kept.append(result)
        if not as_json:
            mark = click.style(report.SHOWN[result.result], fg=report.COLOURS[result.result])
            click.echo(f"  {mark}  {report.line(result)}")
    if as_json:
        click.echo(json.dumps(report.document(target, kept), indent=2))
        return kept
    for result in (one for one in kept if one.result == FAIL):
        click.echo(f"\n{report.explained(result)}")
    click.echo(f"\n{report.summary(kept)}")
    return kept
