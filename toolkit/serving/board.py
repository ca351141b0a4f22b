"""How many connections each worker has, in memory that all workers share."""

from __future__ import annotations

import mmap

FREE = 0  # a slot's value is one more than its worker's connections


class Board:
    """A slot of two bytes for each worker; made before the fork, written by the worker, read by all."""

    def __init__(self, n_slots: int):
        self._slots = memoryview(mmap.mmap(-1, 2 * n_slots)).cast("H")

    def take(self) -> int:
        """A free slot, now of a worker without connections. Called in gunicorn's arbiter, before it forks."""
        slot = next(i for i, value in enumerate(self._slots) if value == FREE)
        self.write(slot, 0)
        return slot

    def give_back(self, slot: int) -> None:
        """Frees the slot of a worker that has ended."""
        self._slots[slot] = FREE

    def write(self, slot: int, n_connections: int) -> None:
        """Takes note of how many connections a worker has."""
        self._slots[slot] = 1 + n_connections

    def is_crowded(self, slot: int) -> bool:
        """Whether another worker has fewer connections."""
        return any(FREE != value < self._slots[slot] for value in self._slots)
