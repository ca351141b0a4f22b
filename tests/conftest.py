"""What several test files share: an AWS on this machine."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

import pytest

MOTO = Path(__file__).parent.parent / ".envs" / "aws" / "bin" / "moto_server"


@pytest.fixture(scope="session")
def aws():
    """The variables of a user whose AWS is moto, on this machine; its account is 123456789012."""
    if not MOTO.exists():
        pytest.skip("no .envs/aws; scripts/environment aws makes it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [MOTO, "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
