"""`byoa inspect`: what is in a model.tar.gz, and whether an algorithm would load it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from toolkit import archive
from toolkit.conformance import artifacts
from toolkit.errors import BadOption


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--algorithm", help="Say whether this installed algorithm would load the model, and if not why.")
def command(model: Path, algorithm: str | None) -> None:
    """Show what is in MODEL, a model.tar.gz or the folder that it was made of: files, sizes, arrays.

    \b
    byoa inspect run/model.tar.gz
    byoa inspect model.tar.gz --algorithm kmeans

    Nothing is unpickled, and nothing is written but into a folder that goes again. The exit status is 0 unless the
    archive is damaged or unsafe, or the algorithm would not load it.
    """
    if not model.exists():
        raise BadOption(f"no model {model}; it must be a model.tar.gz or a folder")
    with tempfile.TemporaryDirectory(prefix="byoa-model-") as scratch:
        folder = model if model.is_dir() else Path(scratch)
        if model.is_file():
            archive.extract(model, folder)
        found = artifacts.members(folder)
        click.echo(
            f"{model}: {len(found)} file{'s' * (len(found) != 1)}, {sum(one.n_bytes for one in found):,} bytes unpacked"
        )
        for member in found:
            click.echo(f"  {member.name}  {member.n_bytes:,} bytes  {member.content}".rstrip())
        loads = tell_layout(model, folder) if algorithm is None else tell_verdict(model, folder, algorithm)
    sys.exit(0 if loads else 1)


def tell_verdict(model: Path, folder: Path, algorithm: str) -> bool:
    """Says whether the algorithm would load the model, and returns it."""
    obstacle = artifacts.obstacle(folder, algorithm)
    if obstacle is None:
        click.echo(f"{algorithm} loads it")
        return True
    click.echo(f"{algorithm} does not load it: {obstacle}")
    tell_layout(model, folder)
    return False


def tell_layout(model: Path, folder: Path) -> bool:
    """Says how to repack where all files are in one folder, which may be as somebody wants it: always True."""
    leading = artifacts.leading_folder(folder)
    if leading is not None:
        click.echo(f"every file is in the folder {leading!r}, where SageMaker's containers look at the archive's top")
        click.echo(f"repack: {artifacts.repacked(model, leading)}" if model.is_file() else f"use: {model / leading}")
    return True
