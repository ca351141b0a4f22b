"""The rows that the tests transform."""

import numpy as np

ROWS = np.random.default_rng(5).random((120, 4)).astype(np.float32)


def csv(rows=ROWS) -> bytes:
    """Rows as CSV."""
    return b"".join(b",".join(b"%.9g" % value for value in row) + b"\n" for row in rows.tolist())
