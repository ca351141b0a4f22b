"""`byoa build`: the image of an algorithm."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit import container_engine, images
from toolkit.images import Recipe


@click.command()
@click.argument("algorithm")
@click.option("--tag", help="Name of the image; by default ALGORITHM:latest.")
@click.option("--platform", default=images.PLATFORMS[0], show_default=True, help="linux/arm64 is for Graviton.")
@click.option("--context", type=click.Path(path_type=Path), default=".", show_default=True, help="Folder to build.")
@click.option("--file", "dockerfile", type=click.Path(path_type=Path), help="Dockerfile; else the context's own.")
@click.option("--base-image", envvar="BASE_IMAGE", help="Base of the image; also by BASE_IMAGE.")
@click.option(
    "--wheelhouse",
    envvar="WHEELHOUSE",
    type=click.Path(path_type=Path),
    help="Folder of wheels below the context to install from, without a network; also by WHEELHOUSE.",
)
@click.option("--engine", envvar="CONTAINER_ENGINE", help="docker or podman; also by CONTAINER_ENGINE.")
def command(algorithm, tag, platform, context, dockerfile, base_image, wheelhouse, engine) -> None:
    """Build the image of ALGORITHM, which `docker run IMAGE train` and `serve` run as SageMaker does.

    \b
    byoa build kmeans
    byoa build my-algorithm --context my-algorithm --platform linux/arm64 --engine podman

    It is checked by 'byoa check IMAGE' and pushed by 'byoa push ALGORITHM'.
    """
    recipe = Recipe(algorithm, platform, context, dockerfile, base_image, wheelhouse)
    image = tag or f"{algorithm}:latest"
    images.build(recipe, image, container_engine.find(engine))
    click.echo(f"{image} is built for {platform}; next: byoa check {image} --algorithm {algorithm}")
