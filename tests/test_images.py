"""What is asked of an engine and of AWS; real engines build and push in tests/test_containers.py."""

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import boto3
import pytest

from toolkit import container_engine, images
from toolkit.errors import BadOption, UserError
from toolkit.images import Recipe, Registry

HERE = images.MACHINES[platform.machine()]
ELSEWHERE = next(name for name in images.PLATFORMS if name != HERE)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A program in place of docker that writes down what it is asked; its images are for this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f"""#!/bin/sh
echo "$@" >> {tmp_path}/asked
case "$1 $2" in
    "image inspect") [ "$3" != missing ] && echo '[{{"Os": "linux", "Architecture": "{HERE.split("/")[1]}"}}]' ;;
    "login --username") cat > {tmp_path}/password ;;
esac
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return "docker"


@pytest.fixture
def asked(tmp_path):
    return lambda: (tmp_path / "asked").read_text().splitlines() if (tmp_path / "asked").exists() else []


@pytest.fixture
def context(tmp_path) -> Path:
    folder = tmp_path / "context"
    (folder / "wheelhouse").mkdir(parents=True)
    (folder / "Dockerfile").touch()
    (folder / "wheelhouse" / "numpy-2.0.0-cp311-cp311-manylinux_2_17_x86_64.whl").touch()
    return folder


@pytest.fixture
def no_aws(tmp_path, monkeypatch):
    """A user who has never heard of AWS."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def account(aws, no_aws, monkeypatch):
    """A user with credentials and a region."""
    for name, value in aws.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("cn-northwest-1", "123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn"),
        ("us-iso-east-1", "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_a_registry_has_the_domain_of_its_region(region, host):
    assert Registry("123456789012", region).host == host


def test_a_build_asks_the_engine_for_one_plain_image(engine, asked, context):
    images.build(Recipe("kmeans", HERE, context), "kmeans:latest", engine)
    assert asked() == [
        f"build --file {context}/Dockerfile --platform {HERE} --tag kmeans:latest"
        f" --label org.opencontainers.image.version={version('byoa')} --provenance=false"
        f" --build-arg ALGORITHM=kmeans {context}",
        "image inspect kmeans:latest",
    ]


def test_a_build_from_a_wheelhouse_has_no_network(engine, asked, context):
    recipe = Recipe("pca", HERE, context, base_image="base", wheelhouse=context / "wheelhouse")
    images.build(recipe, "pca:latest", engine)
    assert asked()[0].endswith(
        "--build-arg BASE_IMAGE=base --network none --build-arg PIP_NO_INDEX=1"
        f" --build-arg PIP_FIND_LINKS=/context/wheelhouse {context}"
    )


def test_the_dockerfile_of_this_project_is_found(engine, asked, context):
    (context / "dockerfiles").mkdir()
    (context / "Dockerfile").rename(context / "dockerfiles" / "Dockerfile")
    images.build(Recipe("kmeans", HERE, context), "kmeans:latest", engine)
    assert f"--file {context}/dockerfiles/Dockerfile" in asked()[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"algorithm": "kmean"}, "unknown algorithm 'kmean'; did you mean 'kmeans'?"),
        (
            {"platform": "windows/amd64"},
            "option --platform must be linux/amd64 or linux/arm64; got 'windows/amd64'",
        ),
        ({"dockerfile": Path("nowhere")}, "no nowhere; option --file names a Dockerfile"),
        (
            {"context": Path("nowhere")},
            "no nowhere/Dockerfile or nowhere/dockerfiles/Dockerfile; option --file names a Dockerfile",
        ),
        (
            {"wheelhouse": Path("nowhere")},
            "option --wheelhouse must be a folder of wheels; nowhere holds none",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_before_the_engine_is_asked(engine, asked, context, changes, why):
    recipe = Recipe(**{"algorithm": "kmeans", "platform": HERE, "context": context} | changes)
    with pytest.raises(BadOption) as caught:
        images.build(recipe, "image", engine)
    assert str(caught.value) == why
    assert asked() == []


def test_a_wheelhouse_outside_of_the_context_is_refused(engine, context, tmp_path):
    elsewhere = (context / "wheelhouse").rename(tmp_path / "elsewhere")
    with pytest.raises(BadOption) as caught:
        images.build(Recipe("kmeans", HERE, context, wheelhouse=elsewhere), "image", engine)
    assert str(caught.value) == f"option --wheelhouse must be below {context}; got {elsewhere}"


@pytest.mark.skipif(
    sys.platform != "linux" or Path("/proc/sys/fs/binfmt_misc", images.EMULATORS[ELSEWHERE]).exists(),
    reason="this machine emulates the other processor",
)
def test_a_platform_that_this_machine_cannot_run_is_refused():
    with pytest.raises(BadOption) as caught:
        images.check_platform(ELSEWHERE)
    told = f"this machine is {HERE} and cannot build for {ELSEWHERE}; qemu-user-static would let it"
    assert str(caught.value) == told


def test_an_image_for_another_platform_is_refused(engine):
    with pytest.raises(BadOption) as caught:
        images.check_architecture(engine, "kmeans", ELSEWHERE)
    assert str(caught.value) == f"image 'kmeans' must be for {ELSEWHERE}; it is for {HERE}"


def test_an_image_that_is_not_there_is_told(engine):
    with pytest.raises(BadOption) as caught:
        images.check_architecture(engine, "missing", HERE)
    assert str(caught.value) == "image 'missing' is not on this machine; 'byoa build' makes it"


def test_a_build_that_fails_is_told(engine, context):
    Path(shutil.which(engine)).write_text("#!/bin/sh\nexit 125\n")
    with pytest.raises(UserError) as caught:
        images.build(Recipe("kmeans", HERE, context), "kmeans", engine)
    assert str(caught.value) == "'docker build' ended with exit status 125; it says why above"


def test_an_engine_that_is_not_installed_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadOption) as caught:
        container_engine.find()
    assert str(caught.value) == "no container engine is installed; byoa needs docker or podman for images"
    with pytest.raises(BadOption) as caught:
        container_engine.find("podman")
    assert str(caught.value) == "container engine 'podman' is not installed"


def test_an_engine_that_does_not_run_is_told(engine, monkeypatch):
    Path(shutil.which(engine)).write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(BadOption) as caught:
        container_engine.find("docker")
    told = "container engine 'docker' must be able to run; 'docker info' says why it cannot"
    assert str(caught.value) == told


@pytest.mark.environments
def test_the_registry_is_that_of_the_credentials(account):
    assert images.find_registry() == Registry("123456789012", "eu-central-1")
    assert images.find_registry("cn-north-1") == Registry("123456789012", "cn-north-1")


def test_no_region_is_told(no_aws):
    with pytest.raises(BadOption) as caught:
        images.find_registry()
    assert str(caught.value) == "no AWS region; name it by --region or AWS_DEFAULT_REGION"


def test_no_credentials_are_told(no_aws):
    with pytest.raises(BadOption) as caught:
        images.find_registry("us-east-1")
    told = "no AWS credentials; 'aws configure' or AWS_ACCESS_KEY_ID and its secret give them"
    assert str(caught.value) == told


def test_a_profile_that_is_not_there_is_told(no_aws, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(BadOption) as caught:
        images.find_registry("us-east-1")
    assert str(caught.value) == "AWS cannot be asked: The config profile (nobody) could not be found"


def test_a_missing_boto3_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(BadOption) as caught:
        images.find_registry("us-east-1")
    assert str(caught.value) == "boto3 is not installed; pip install boto3"


@pytest.mark.environments
def test_what_aws_refuses_is_told(account, engine):
    with pytest.raises(UserError) as caught:
        images.push("kmeans", Registry("123456789012", "eu-central-1"), "No Such Name", "1", engine)
    assert str(caught.value).startswith("AWS refuses CreateRepository: Invalid parameter at 'repositoryName'")


@pytest.mark.environments
def test_a_push_makes_the_repository_once_and_logs_in_by_standard_input(account, engine, asked, tmp_path):
    registry = images.find_registry()
    for _ in range(2):
        address = images.push("kmeans:latest", registry, "teams/kmeans", "2", engine)
    assert address == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/teams/kmeans:2"
    made = boto3.client("ecr").describe_repositories()["repositories"]
    assert [repository["repositoryName"] for repository in made].count("teams/kmeans") == 1
    assert asked()[:3] == [
        f"login --username AWS --password-stdin {registry.host}",
        f"tag kmeans:latest {address}",
        f"push {address}",
    ]
    assert (tmp_path / "password").read_text() == "123456789012-auth-token"


@pytest.mark.environments
def test_a_login_that_is_refused_is_told(account, engine):
    program = Path(shutil.which(engine))
    program.write_text("#!/bin/sh\necho hint >&2\necho unauthorized >&2\nexit 1\n")
    with pytest.raises(UserError) as caught:
        images.push("kmeans", Registry("123456789012", "eu-central-1"), "kmeans", "1", engine, "127.0.0.1:5000")
    assert str(caught.value) == "'docker login' to 127.0.0.1:5000 failed: unauthorized"


def byoa(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    program = [Path(sys.executable).parent / "byoa", *arguments]
    return subprocess.run(program, capture_output=True, text=True, env=os.environ | variables)


@pytest.mark.environments
def test_a_dry_run_prints_the_address_and_asks_no_engine_to_push(account, engine, asked):
    done = byoa("push", "kmeans", "--dry-run", "--region", "cn-north-1", "--tag", "3")
    assert done.stdout == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/kmeans:3\n"
    assert asked() == ["info"]


@pytest.mark.environments
def test_a_mirror_takes_the_place_of_the_registry(account, engine):
    done = byoa("push", "kmeans", "--platform", HERE, ECR_REGISTRY="127.0.0.1:5000")
    assert done.stdout.splitlines()[-1] == "127.0.0.1:5000/kmeans:latest"


def test_the_command_builds_under_the_algorithms_name(engine, asked, context):
    done = byoa("build", "kmeans", "--context", str(context), "--platform", HERE)
    assert done.stdout == f"kmeans:latest is built for {HERE}; next: byoa check kmeans:latest --algorithm kmeans\n"
    assert any("--tag kmeans:latest" in line for line in asked())


def test_the_commands_say_in_one_sentence_what_is_missing(no_aws, engine, tmp_path):
    done = byoa("push", "kmeans", "--dry-run")
    assert done.returncode == 1
    assert done.stderr == "byoa: no AWS region; name it by --region or AWS_DEFAULT_REGION\n"
