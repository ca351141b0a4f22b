"""Records framed by hand, as the tests' independent writer."""

import struct

MAGIC = struct.pack("<I", 0xCED7230A)


def recordio(*parts: tuple[int, bytes]) -> bytes:
    """RecordIO parts, each (part flag, bytes)."""
    padded = [(flag, part, b"\0" * (-len(part) % 4)) for flag, part in parts]
    return b"".join(MAGIC + struct.pack("<I", flag << 29 | len(part)) + part + pad for flag, part, pad in padded)


def castagnoli(data: bytes) -> int:
    """CRC-32C bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    """A checksum as it stands in a TFRecord file."""
    crc = castagnoli(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecord(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)
