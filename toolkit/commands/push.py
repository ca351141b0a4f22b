"""`byoa push`: an image to Amazon ECR."""

from __future__ import annotations

import click

from toolkit import container_engine, images
from toolkit.algorithm import find


@click.command()
@click.argument("algorithm")
@click.option("--image", help="Image to push; by default ALGORITHM:latest.")
@click.option("--repository", help="Repository, created when absent; by default ALGORITHM.")
@click.option("--tag", default="latest", show_default=True, help="Tag in the repository.")
@click.option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="AWS region; else as boto3 finds it.")
@click.option("--platform", default=images.PLATFORMS[0], show_default=True, help="What the image must be for.")
@click.option("--registry", envvar="ECR_REGISTRY", help="Host in place of ECR's own, a mirror; also by ECR_REGISTRY.")
@click.option("--engine", envvar="CONTAINER_ENGINE", help="docker or podman; also by CONTAINER_ENGINE.")
@click.option("--dry-run", is_flag=True, help="Print the address that it would have, and push nothing.")
def command(algorithm, image, repository, tag, region, platform, registry, engine, dry_run) -> None:
    """Push the image of ALGORITHM to the ECR of the account that boto3's credentials name, and print its address.

    \b
    byoa push kmeans
    byoa push kmeans --region eu-central-1 --repository teams/kmeans --tag 2

    The address is what CreateModel and CreateTrainingJob take as the image. Needs boto3.
    """
    find(algorithm)
    image, repository = image or f"{algorithm}:latest", repository or algorithm
    engine = container_engine.find(engine)
    if not dry_run:
        images.check_architecture(engine, image, platform)
    found = images.find_registry(region)
    address = f"{registry or found.host}/{repository}:{tag}"
    click.echo(address if dry_run else images.push(image, found, repository, tag, engine, registry))
