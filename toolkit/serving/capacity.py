"""How many workers a container has room for, and how much of its memory each may fill with bodies."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.environment import MIB, Limit, ServerSettings

COMPUTING_PAYLOADS = 8  # the memory that answering the largest body takes, in bodies: bytes, numbers, distances
WAITING_PAYLOADS = 8  # the memory for bodies that wait or still arrive, in bodies of the largest size
WORKER_BYTES = 20 * MIB  # of a worker without a request: what it does not share with the others
UNLIMITED_PAYLOAD = 100 * MIB  # counted where no limit is set: the most that batch transform sends


@dataclass(frozen=True)
class Capacity:
    """What a server may use: its processors, its memory, and the bytes that it uses with the model loaded."""

    cpus: Limit
    memory: Limit
    loaded_bytes: int

    def n_workers(self, payload: Limit) -> int:
        """As many workers as there are processors, fewer where memory is short; at least one."""
        room = (self.memory.value - self.loaded_bytes) // worker_bytes(payload)
        return max(1, min(self.cpus.value, room))

    def explain(self, settings: ServerSettings) -> str:
        """One sentence on why there are so many workers as the settings say."""
        return (
            f"{settings.workers.value} workers ({settings.workers.source}): processors {self.cpus.value}"
            f" ({self.cpus.source}), memory {self.memory.value // MIB} MB ({self.memory.source}), of which"
            f" {self.loaded_bytes // MIB} MB are in use with the model loaded"
            f" and a worker may take {worker_bytes(settings.payload) // MIB} MB"
        )


def worker_bytes(payload: Limit) -> int:
    """The memory that a worker may come to take, beside what it shares with the others."""
    return WORKER_BYTES + (COMPUTING_PAYLOADS + WAITING_PAYLOADS) * (payload.value or UNLIMITED_PAYLOAD)


def waiting_bytes(payload: Limit) -> Limit:
    """How many bytes of bodies may be in one worker at once."""
    largest = payload.value or UNLIMITED_PAYLOAD
    return Limit(WAITING_PAYLOADS * largest, f"{WAITING_PAYLOADS} times the payload limit: {payload.source}")
