"""`application/json` and `application/jsonlines`: instances as SageMaker's requests have them, and answers.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html. A document is `{"instances": [...]}`, the answer of
a PCA or k-means container (`projections`, `predictions`), or one instance; json_vectors.py says what an instance is. A
payload may hold one document after another, with or without a newline between. Members of other names, such as
`configuration`, mean nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import orjson

from toolkit.dataset import Dataset, Sparse
from toolkit.errors import BadPayload
from toolkit.formats import decimals, lines
from toolkit.formats.json_vectors import Vector, matrix, vector_of
from toolkit.formats.readers import BlockReader, Declared
from toolkit.formats.writers import Writer

_LISTS = ("instances", "projections", "predictions")
_BEFORE_NUMBERS = rb'[\s{}\[\]"A-Za-z_:,]*\[(?=\s*[-0-9])'
_OPENING = re.compile(_BEFORE_NUMBERS)
_BETWEEN = re.compile(rb"\]" + _BEFORE_NUMBERS)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_STRUCTURE = np.isin(np.arange(256), list(b'{}[]"'))


class JsonReader(BlockReader):
    """Reads JSON documents, one after another; a record of a stream is a document."""

    def __init__(self, declared: Declared):
        super().__init__(declared)
        self._width: int | None = None
        self._counts = {"document": 0, "line": 0, "instance": 0}

    def whole(self, block: bytes) -> int:  # noqa: D102
        ends = _document_ends(block)
        return int(ends[-1]) if len(ends) else 0

    def read(self, block: bytes) -> Dataset | None:  # noqa: D102
        X = self._regular(block)
        return self._general(block) if X is None else Dataset(X)

    def _regular(self, block: bytes) -> np.ndarray | None:
        """The rows of a block that repeats one text between vectors of numbers; None for any other block.

        Such a block is lines of numbers in disguise. Three vectors of one 0 with the same texts around them are read
        the general way: that they are three rows proves the texts legal, between any number of rows.
        """
        opening = _OPENING.match(block)
        found = opening and _BETWEEN.match(block, block.find(b"]", opening.end()))
        if not found:
            return None
        between, start, end = found[0], opening.end(), len(block.rstrip(b"]} \t\r\n"))
        sample = b"%b0%b0%b0%b" % (block[:start], between, between, block[end:])
        n_documents = self._documents_of_three_rows(sample)
        try:
            rows = decimals.table(block[start:end].replace(between, b"\n")) if n_documents else None
        except ValueError:  # so it is too for a newline in a vector: no number is on one side of it
            return None
        if rows is None or self._width not in (None, rows.shape[1]):
            return None
        self._width = rows.shape[1]
        self._counts["instance"] += len(rows)
        self._counts["line"] += lines.count(block)
        self._counts["document"] += len(rows) if n_documents == 3 else 1
        return rows

    def _documents_of_three_rows(self, sample: bytes) -> int:
        """How many documents hold the three rows of one column in `sample`; 0 where it does not hold them."""
        reader = type(self)(self.declared)
        with suppress(BadPayload):
            data = reader._general(sample)
            if data is not None and isinstance(data.X, np.ndarray) and data.X.shape == (3, 1):
                return max(1, reader._counts["document"])
        return 0

    def _general(self, block: bytes) -> Dataset | None:
        """The rows of any block of whole documents."""
        vectors = [self._vector(instance) for document in self._documents(block) for instance in _instances(document)]
        if not vectors:
            return None
        return Dataset(matrix(vectors, self._counts["instance"] - len(vectors) + 1))

    def _documents(self, block: bytes) -> Iterator[Any]:
        """The parsed documents of a block."""
        if not block.strip():
            return
        try:
            yield self._document(block, "document")
            return
        except BadPayload:
            ends = _document_ends(block).tolist()
            if len(ends) < 2 and not block[ends[0] if ends else 0 :].strip():
                raise
        self._counts["document"] -= 1
        for start, end in zip([0, *ends], [*ends, len(block)], strict=True):
            if block[start:end].strip():
                yield self._document(block[start:end], "document")

    def _document(self, text: bytes, kind: str) -> Any:
        self._counts[kind] += kind == "document"
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise BadPayload(f"JSON {kind} {self._counts[kind]} cannot be read: {error}") from error

    def _vector(self, instance: Any) -> Vector:
        """The numbers of the next instance. Raises BadPayload with its number in the payload."""
        self._counts["instance"] += 1
        where = f"JSON instance {self._counts['instance']}"
        vector = vector_of(instance, self.declared.n_features, where)
        if self._width is None:
            self._width = vector.width
        if vector.width != self._width:
            many = f"{vector.width} value{'s' * (vector.width != 1)}"
            raise BadPayload(f"{where} has {many}, instance 1 has {self._width}")
        return vector


class JsonLinesReader(JsonReader):
    """Reads a JSON document a line; lines of blanks are passed over."""

    def whole(self, block: bytes) -> int:  # noqa: D102
        return lines.whole(block)

    def _documents(self, block: bytes) -> Iterator[Any]:
        for line in lines.records(block):
            self._counts["line"] += 1
            if line.strip():
                yield self._document(line, "line")


def _document_ends(block: bytes) -> np.ndarray:
    """Where each document in `block` ends that begins there, counted behind its last bracket."""
    text = _ESCAPED.sub(b"  ", block) if b"\\" in block else block
    characters = np.frombuffer(text, np.uint8)
    at = np.flatnonzero(_STRUCTURE[characters])
    marks = characters[at]
    is_quote = marks == ord('"')
    outside = ~is_quote & (np.cumsum(is_quote) % 2 == 0)
    at, marks = at[outside], marks[outside]
    depth = np.cumsum(np.where((marks == ord("{")) | (marks == ord("[")), 1, -1))
    return at[depth == 0] + 1


def _instances(document: Any) -> list[Any]:
    """The instances of a document: those of its list, or the document itself."""
    if isinstance(document, dict):
        for name in _LISTS:
            if isinstance(document.get(name), list):
                return document[name]
    return [document]


def answer(columns: dict[str, np.ndarray], answers: str | None) -> bytes:
    """`{"<answers>":[{"<column>":...},...]}`; without a name, a list of one comma-joined string a column."""
    if answers is None:
        return orjson.dumps([b",".join(decimals.texts(column)).decode() for column in columns.values()])
    return b'{"%b":[%b]}' % (answers.encode(), b",".join(_objects(columns)))


def answer_lines(columns: dict[str, np.ndarray]) -> bytes:
    """One object a line."""
    return b"".join(row + b"\n" for row in _objects(columns))


def _objects(columns: dict[str, np.ndarray]) -> Iterator[bytes]:
    """The JSON object of each row."""
    members = [b'"%b":' % name.encode() + (b"%b" if column.ndim == 1 else b"[%b]") for name, column in columns.items()]
    template = b"{%b}" % b",".join(members)
    return (template % row for row in zip(*map(decimals.texts, columns.values()), strict=True))


class JsonWriter(Writer):
    """Writes one document of instances, `{"features":[...]}` each."""

    _begun = False

    def write(self, data: Dataset) -> None:  # noqa: D102
        self.refuse_labels(data)
        self.file.write((b"," if self._begun else b'{"instances":[') + b",".join(_feature_objects(data)))
        self._begun = True

    def finish(self) -> None:  # noqa: D102
        self.file.write(b"]}" if self._begun else b'{"instances":[]}')


class JsonLinesWriter(Writer):
    """Writes one instance a line, `{"features":[...]}`."""

    def write(self, data: Dataset) -> None:  # noqa: D102
        self.refuse_labels(data)
        self.file.write(b"".join(row + b"\n" for row in _feature_objects(data)))


def _feature_objects(data: Dataset) -> Iterator[bytes]:
    """The JSON object of each row, with keys and a shape where the rows are sparse."""
    if not isinstance(data.X, Sparse):
        return _objects({"features": data.X})
    keys = [b"%d" % column for column in data.X.columns.tolist()]
    values = decimals.texts(data.X.values)
    template = b'{"data":{"features":{"keys":[%b],"shape":[%d],"values":[%b]}}}'
    rows = [slice(start, stop) for start, stop in pairwise(data.X.starts.tolist())]
    return (template % (b",".join(keys[row]), data.X.n_columns, b",".join(values[row])) for row in rows)
