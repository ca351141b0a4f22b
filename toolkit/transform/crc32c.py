"""CRC-32C (Castagnoli), the checksum inside TFRecord files, in numpy alone.

A cyclic redundancy check is linear: the checksum of a stretch is the exclusive or of what each byte contributes by its
value and its distance from the end. So one table of contributions turns a stretch into a look-up and a reduction.

Sources: RFC 3720 appendix B.4 (polynomial and test vectors); TensorFlow's "TFRecord and tf.train.Example" (masking).
"""

from __future__ import annotations

from functools import cache

import numpy as np

POLYNOMIAL = 0x82F63B78  # reflected
STRETCH = 512  # bytes that are looked up together; the table takes 512 KiB
ROWS = 256  # stretches in one look-up, so that its temporary arrays stay small
FEW = 64  # bytes up to which a plain loop is quicker


def masked(data: bytes | memoryview) -> int:
    """The checksum as TFRecord stores it: turned by 15 bits, and a constant added."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of some bytes: 0xE3069283 for b"123456789"."""
    n_looped = len(data) if len(data) <= FEW else len(data) % STRETCH
    state = _loop(0xFFFFFFFF, data[:n_looped])
    if n_looped < len(data):
        state = _look_up(state, np.frombuffer(data, np.uint8, offset=n_looped).reshape(-1, STRETCH))
    return state ^ 0xFFFFFFFF


def _loop(state: int, data: bytes | memoryview) -> int:
    table = _byte_table()
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return state


def _look_up(state: int, stretches: np.ndarray) -> int:
    """The state after `stretches` (n, STRETCH): each is reduced for itself, then the state is carried through them."""
    table, heads = _contributions()
    places = np.arange(STRETCH) * 256
    for at in range(0, len(stretches), ROWS):
        parts = np.bitwise_xor.reduce(table[places + stretches[at : at + ROWS]], axis=1)
        for part in parts.tolist():
            low, second, third, high = (state >> shift & 0xFF for shift in (0, 8, 16, 24))
            state = heads[0][low] ^ heads[1][second] ^ heads[2][third] ^ heads[3][high] ^ part
    return state


@cache
def _byte_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


@cache
def _contributions() -> tuple[np.ndarray, list[list[int]]]:
    """What a byte adds, flat by (place in the stretch, value), and the first four places as plain lists."""
    first = np.array(_byte_table(), np.uint32)
    rows = [first]
    for _ in range(STRETCH - 1):
        rows.append(first[rows[-1] & 0xFF] ^ rows[-1] >> np.uint32(8))
    table = np.stack(rows[::-1])
    return table.ravel(), table[:4].tolist()
