"""`byoa train`: a training job on this machine's files."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit import local_training
from toolkit.algorithm import Algorithm, find
from toolkit.cli_options import declared_type, pairs
from toolkit.local_training import Source


@click.command()
@click.argument("algorithm")
@click.option(
    "--train", "train", required=True, type=click.Path(path_type=Path), help="File or folder of channel train."
)
@click.option(
    "--test", "test", type=click.Path(path_type=Path), help="File or folder of channel test, scored at the end."
)
@click.option("--channel", multiple=True, metavar="NAME=PATH", help="Any other channel; may be repeated.")
@click.option("--content-type", help="Content type of all channels; without it the files' ending says.")
@click.option("-p", "--hyperparameter", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for model.tar.gz."
)
def command(algorithm, train, test, channel, content_type, hyperparameter, output) -> None:
    """Train ALGORITHM on local files and leave OUTPUT/model.tar.gz, as a SageMaker training job would.

    \b
    byoa train kmeans --train digits.csv -p k=10 --output run
    byoa train pca --train data/ --content-type 'text/csv;label_size=0' -p num_components=5 --output run

    'byoa algorithms ALGORITHM' shows its hyperparameters. Ctrl-C saves what has been learned so far.
    """
    plugin, hyperparameters = find(algorithm), pairs(hyperparameter, "-p")
    paths = (
        {"train": train}
        | ({"test": test} if test else {})
        | {n: Path(p) for n, p in pairs(channel, "--channel").items()}
    )
    sources = {name: Source(path, content_type or declared_type(plugin, path)) for name, path in paths.items()}
    for name, source in sources.items():
        click.echo(f"channel {name}: {source.path} as {source.content_type or default_type(plugin, name)}")
    model = local_training.run(algorithm, sources, hyperparameters, output)
    click.echo(f"{model}  ({model.stat().st_size:,} bytes)")
    click.echo(f"next: byoa serve {model} --algorithm {algorithm}")


def default_type(plugin: type[Algorithm], channel: str) -> str:
    """The content type of a channel whose files' ending tells none, and that it is the algorithm's."""
    declared = {declared.name: declared.content_type for declared in plugin.channels}
    return f"{declared.get(channel, 'unknown')}, which {plugin.name} reads where nothing is said (--content-type says)"
