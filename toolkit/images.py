"""Images of algorithms: built, held against what SageMaker runs, and pushed to Amazon ECR.

AWS is asked by boto3 (extra `images`): who one is by STS, for the repository and a token by ECR. Endpoints other than
AWS's own are boto3's business, by AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import base64
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import container_engine
from toolkit.algorithm import find, installed
from toolkit.errors import BadOption, UserError

PLATFORMS = ("linux/amd64", "linux/arm64")  # the first is what SageMaker runs, the second its Graviton instances
MACHINES = {"x86_64": "linux/amd64", "AMD64": "linux/amd64", "aarch64": "linux/arm64", "arm64": "linux/arm64"}
EMULATORS = {"linux/amd64": "qemu-x86_64", "linux/arm64": "qemu-aarch64"}
DOCKERFILES = ("Dockerfile", "dockerfiles/Dockerfile")
# A plain manifest of one image, which all of SageMaker reads, in place of an index with attestations.
FORMAT = {"docker": ("--provenance=false",), "podman": ("--format", "docker")}
DOMAINS = {"cn-": "amazonaws.com.cn", "us-iso-": "c2s.ic.gov", "us-isob-": "sc2s.sgov.gov"}


@dataclass(frozen=True)
class Recipe:
    """What an image is made of. `wheelhouse`, a folder below `context`, takes the place of the network."""

    algorithm: str
    platform: str = PLATFORMS[0]
    context: Path = Path(".")
    dockerfile: Path | None = None  # None: the first of DOCKERFILES in `context`
    base_image: str | None = None  # None: the Dockerfile's own
    wheelhouse: Path | None = None


@dataclass(frozen=True)
class Registry:
    """The ECR registry of an account in a region."""

    account: str
    region: str

    @property
    def host(self) -> str:
        """Its host; some regions have a domain of their own."""
        domain = next((d for start, d in DOMAINS.items() if self.region.startswith(start)), "amazonaws.com")
        return f"{self.account}.dkr.ecr.{self.region}.{domain}"


def build(recipe: Recipe, image: str, engine: str) -> None:
    """Builds an image before the user's eyes. Raises BadOption, before it begins, for what cannot be built."""
    find(recipe.algorithm)
    check_platform(recipe.platform)
    options = ["--file", str(_dockerfile(recipe)), "--platform", recipe.platform, "--tag", image]
    options += ["--label", f"org.opencontainers.image.version={_version(recipe.algorithm)}"]
    options += [*FORMAT.get(Path(engine).name, ()), "--build-arg", f"ALGORITHM={recipe.algorithm}"]
    if recipe.base_image:
        options += ["--build-arg", f"BASE_IMAGE={recipe.base_image}"]
    if recipe.wheelhouse:
        options += ["--network", "none", "--build-arg", "PIP_NO_INDEX=1"]
        options += ["--build-arg", f"PIP_FIND_LINKS=/context/{_wheels(recipe)}"]
    container_engine.run(engine, "build", *options, str(recipe.context))
    check_architecture(engine, image, recipe.platform)


def check_platform(wanted: str) -> None:
    """Raises BadOption for a platform that SageMaker has not, or whose programs this machine cannot run."""
    if wanted not in PLATFORMS:
        raise BadOption(f"option --platform must be {' or '.join(PLATFORMS)}; got {wanted!r}")
    here = MACHINES.get(platform.machine())
    if wanted == here or sys.platform != "linux":  # elsewhere engines live in a machine that emulates
        return
    if not Path("/proc/sys/fs/binfmt_misc", EMULATORS[wanted]).exists():
        raise BadOption(f"this machine is {here} and cannot build for {wanted}; qemu-user-static would let it")


def check_architecture(engine: str, image: str, wanted: str) -> None:
    """Raises BadOption for an image that is for another platform, or not on this machine."""
    told = container_engine.inspect(engine, image)
    found = f"{told['Os']}/{told['Architecture']}"
    if found != wanted:
        raise BadOption(f"image {image!r} must be for {wanted}; it is for {found}")


def find_registry(region: str | None = None) -> Registry:
    """The registry of whoever's credentials boto3 finds. Raises BadOption where there is no region or none."""
    session = _session(region)
    if not session.region_name:
        raise BadOption("no AWS region; name it by --region or AWS_DEFAULT_REGION")
    with _asking_aws():
        if session.get_credentials() is None:
            raise BadOption("no AWS credentials; 'aws configure' or AWS_ACCESS_KEY_ID and its secret give them")
        return Registry(session.client("sts").get_caller_identity()["Account"], session.region_name)


def push(image: str, registry: Registry, repository: str, tag: str, engine: str, host: str | None = None) -> str:
    """Pushes an image and returns its address; the repository is created when absent.

    `host` takes the place of the registry's own in the address, for a mirror.
    """
    ecr = _session(registry.region).client("ecr")
    with _asking_aws():
        _create_when_absent(ecr, repository)
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    address = f"{host or registry.host}/{repository}:{tag}"
    container_engine.login(engine, host or registry.host, user, password)
    container_engine.run(engine, "tag", image, address)
    container_engine.run(engine, "push", address)
    return address


def _dockerfile(recipe: Recipe) -> Path:
    candidates = [recipe.dockerfile] if recipe.dockerfile else [recipe.context / name for name in DOCKERFILES]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise BadOption(f"no {' or '.join(map(str, candidates))}; option --file names a Dockerfile")
    return found


def _version(algorithm: str) -> str:
    """The version of the package that an algorithm comes from."""
    return next(point.dist.version for point in installed() if point.name == algorithm)


def _wheels(recipe: Recipe) -> str:
    """The folder of wheels as seen from the context."""
    wheelhouse = recipe.wheelhouse.resolve()
    if not any(wheelhouse.glob("*.whl")):
        raise BadOption(f"option --wheelhouse must be a folder of wheels; {recipe.wheelhouse} holds none")
    if not wheelhouse.is_relative_to(recipe.context.resolve()):
        raise BadOption(f"option --wheelhouse must be below {recipe.context}; got {recipe.wheelhouse}")
    return wheelhouse.relative_to(recipe.context.resolve()).as_posix()


def _session(region: str | None) -> Any:
    try:
        import boto3
    except ImportError as error:
        raise BadOption("boto3 is not installed; pip install boto3") from error
    with _asking_aws():
        return boto3.Session(region_name=region)


@contextmanager
def _asking_aws() -> Iterator[None]:
    """Turns what AWS refuses, and what keeps it from being asked, into one sentence."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise UserError(f"AWS refuses {error.operation_name}: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise BadOption(f"AWS cannot be asked: {error}") from error


def _create_when_absent(ecr: Any, repository: str) -> None:
    try:
        ecr.describe_repositories(repositoryNames=[repository])
    except ecr.exceptions.RepositoryNotFoundException:
        ecr.create_repository(repositoryName=repository)
