"""`byoa init`: a package for an algorithm of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit import scaffold


@click.command()
@click.argument("name")
@click.option(
    "--parent", type=click.Path(path_type=Path, file_okay=False, exists=True), default=".", help="Where to make it."
)
def command(name: str, parent: Path) -> None:
    """Make the folder NAME: a plugin that works, its test and its README.

    \b
    byoa init my-algorithm
    pip install -e ./my-algorithm && pytest my-algorithm
    """
    folder = scaffold.create(name, parent)
    for path in sorted(folder.iterdir()):
        click.echo(path)
    click.echo(f"next: pip install -e {folder} && pytest {folder}")
