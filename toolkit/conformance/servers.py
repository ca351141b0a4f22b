"""A target's server: started, and waited for until /ping answers."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from toolkit.conformance import client
from toolkit.conformance.processes import Running, told
from toolkit.conformance.targets import Confined, Target
from toolkit.conformance.verdicts import Failed

DEFAULT_PORT = 8080


@dataclass(frozen=True)
class Server:
    """A server that has answered /ping: on which port, and after how many seconds."""

    running: Running
    port: int
    seconds: float


def start(
    target: Target, root: Path, log: Path, port: int, start_up: float, confined: Collection[Confined] = ()
) -> Server:
    """A server over the folder `root` that answers on `port`, within `start_up` seconds. Raises Failed."""
    variables = {} if port == DEFAULT_PORT else {"SAGEMAKER_BIND_TO_PORT": str(port)}
    running = target.start("serve", root, log, variables, confined)
    try:
        return Server(running, port, _first_ping(running, port, start_up))
    except BaseException:
        running.end()
        raise


def _first_ping(running: Running, port: int, start_up: float) -> float:
    """Seconds from the start to the first 200. Raises Failed where the server dies or is never ready."""
    seen = "nothing listened"
    while running.status is None and running.seconds < start_up:
        try:
            answer = client.ping(port)
            if answer.status == 200:
                return running.seconds
            seen = f"the last answer was {answer}"
        except client.Unanswered as reason:
            seen = f"the last try ended with {reason}"
        time.sleep(0.02)
    if running.status is not None:
        raise Failed(f"serve ended with {told(running.status)} before /ping on port {port} answered 200")
    raise Failed(f"no 200 from /ping on port {port} in {math.ceil(start_up)} s; {seen}")
