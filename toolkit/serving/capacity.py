"""What fits into a container: how many workers, and how much memory bodies may fill in each.

A limit that was set stays as it is; the default ones are lowered where memory is short, because a request that is
refused is better than a server that the kernel kills.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.environment import MIB, Limit, ServerSettings

WORKER_BYTES = 20 * MIB  # of a worker without a request: what it does not share with the others
NUMBER_BYTES = 4  # measured: what a byte of CSV takes until it is answered, apart from the answer itself
ROW_BYTES = 320  # measured: what a row's answer in JSON takes while it is written
FIELD_BYTES = 4  # of CSV: `0.1,`
WAITING_PAYLOADS = 8  # bodies of the largest size that may wait or still arrive, where memory is plenty
WAITING_PAYLOADS_AT_LEAST = 2
UNLIMITED_PAYLOAD = 100 * MIB  # counted where no limit is set: the most that batch transform sends
MOST_IN_FLIGHT_MB = 100  # of batch transform: MaxConcurrentTransforms times MaxPayloadInMB


@dataclass(frozen=True)
class Capacity:
    """A container's processors and memory, the bytes in use with the model loaded, and the model's width."""

    cpus: Limit
    memory: Limit
    loaded_bytes: int
    n_features: int

    def fit(self, settings: ServerSettings) -> ServerSettings:
        """The settings with all that they leave open."""
        largest = settings.payload.value or UNLIMITED_PAYLOAD
        fitting = Limit(self._n_workers(largest), "as fit; SAGEMAKER_MODEL_SERVER_WORKERS overrides")
        workers = settings.workers or fitting
        room = self._left() // workers.value - WORKER_BYTES
        payload = settings.payload if settings.payload.is_set else self._lowered(settings.payload, room)
        largest = payload.value or UNLIMITED_PAYLOAD
        waiting = int(min(WAITING_PAYLOADS * largest, max(largest, room - self._answering(largest))))
        most = min(workers.value, max(1, MOST_IN_FLIGHT_MB // max(1, settings.max_payload_in_mb)))
        return replace(
            settings,
            workers=workers,
            payload=payload,
            waiting=Limit(waiting, f"what {workers.value} workers leave of {self.memory.source}"),
            max_concurrent_transforms=settings.max_concurrent_transforms or most,
        )

    def explain(self, settings: ServerSettings) -> str:
        """One sentence on why the settings are as they are."""
        return (
            f"{settings.workers.value} workers ({settings.workers.source}): processors {self.cpus.value}"
            f" ({self.cpus.source}), memory {self.memory.value // MIB} MB ({self.memory.source}), of which"
            f" {self.loaded_bytes // MIB} MB are in use with the model loaded; a body may have"
            f" {settings.payload.value / MIB:.0f} MB ({settings.payload.source})"
        )

    def _n_workers(self, largest: int) -> int:
        """As many as there are processors, fewer where memory is short; at least one."""
        worker_bytes = WORKER_BYTES + self._answering(largest) + WAITING_PAYLOADS_AT_LEAST * largest
        return max(1, min(self.cpus.value, int(self._left() // worker_bytes)))

    def _lowered(self, payload: Limit, room: int) -> Limit:
        """The payload limit, lowered to what can be answered in `room` bytes while others wait."""
        fitting = int(room / (self._answering(1) + WAITING_PAYLOADS_AT_LEAST))
        return Limit(max(MIB, fitting), self.memory.source) if fitting < payload.value else payload

    def _answering(self, n_bytes: int) -> float:
        """The memory that it takes to answer a body."""
        return n_bytes * (NUMBER_BYTES + ROW_BYTES / (FIELD_BYTES * self.n_features))

    def _left(self) -> int:
        return max(0, self.memory.value - self.loaded_bytes)
