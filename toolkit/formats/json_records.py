"""`application/json` and `application/jsonlines`: instances as SageMaker's requests have them, and answers.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html. A document is `{"instances": [...]}`,
the answer of a PCA or k-means container (`projections`, `predictions`), or one instance; a payload may hold
one document after another, with or without a newline between. An instance's vector is its `features` (a
list, or an object with `values`, for sparse vectors with `keys` and `shape` too), alone or within `data`;
or its `projection`; or k-means' pair of `closest_cluster` and `distance_to_cluster`. Members of other
names, such as `configuration`, mean nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import orjson

from toolkit.dataset import Dataset, Sparse
from toolkit.errors import BadPayload
from toolkit.formats import decimals, lines
from toolkit.formats.readers import BlockReader, Declared
from toolkit.formats.sparse_rows import compressed
from toolkit.formats.writers import Writer

_LISTS = ("instances", "projections", "predictions")
_PAIR = ("closest_cluster", "distance_to_cluster")
_BEFORE_NUMBERS = rb'[\s{}\[\]"A-Za-z_:,]*\[(?=\s*[-0-9])'
_OPENING = re.compile(_BEFORE_NUMBERS)
_BETWEEN = re.compile(rb"\]" + _BEFORE_NUMBERS)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_STRUCTURE = np.isin(np.arange(256), list(b'{}[]"'))


@dataclass(frozen=True)
class _Vector:
    """One instance's numbers; `keys` are the columns of a sparse one, None for a dense one."""

    values: list[float]
    keys: list[int] | None
    width: int


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

        Such a block is lines of numbers in disguise. Three vectors of one 0 with the same text around them
        are read the general way: that they are three rows proves the text legal, for any number of rows
        since its brackets balance.
        """
        opening = _OPENING.match(block)
        found = opening and _BETWEEN.search(block, opening.end())
        if not found or not _balances(found[0]):
            return None
        between, start, end = found[0], opening.end(), len(block.rstrip(b"]} \t\r\n"))
        text = block[start:end].replace(between, b"\n")
        n_rows = (end - start - len(text)) // (len(between) - 1) + 1
        sample = b"%b0%b0%b0%b" % (block[:start], between, between, block[end:])
        if lines.count(text) + 1 != n_rows or not self._has_three_rows(sample):
            return None
        try:
            rows = decimals.table(text)
        except ValueError:
            return None
        if self._width not in (None, rows.shape[1]):
            return None
        self._width = rows.shape[1]
        self._counts["instance"] += n_rows
        self._counts["line"] += lines.count(block)
        return rows

    def _has_three_rows(self, sample: bytes) -> bool:
        try:
            data = type(self)(self.declared)._general(sample)
        except BadPayload:
            return False
        return data is not None and isinstance(data.X, np.ndarray) and data.X.shape == (3, 1)

    def _general(self, block: bytes) -> Dataset | None:
        """The rows of any block of whole documents."""
        vectors = [self._vector(instance) for document in self._documents(block) for instance in _instances(document)]
        if not vectors:
            return None
        first = self._counts["instance"] - len(vectors) + 1
        if all(vector.keys is None for vector in vectors):
            return Dataset(_dense(vectors, first))
        return Dataset(_sparse(vectors, first))

    def _documents(self, block: bytes) -> Iterator[Any]:
        """The parsed documents of a block."""
        try:
            yield self._document(block, "document") if block.strip() else []
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

    def _vector(self, instance: Any) -> _Vector:
        """The numbers of the next instance. Raises BadPayload with its number in the payload."""
        self._counts["instance"] += 1
        where = f"JSON instance {self._counts['instance']}"
        vector = _sparse_vector(instance, self.declared.n_features, where) or _dense_vector(instance, where)
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


def _balances(text: bytes) -> bool:
    return text.count(b"[") == text.count(b"]") and text.count(b"{") == text.count(b"}")


def _instances(document: Any) -> list[Any]:
    """The instances of a document: those of its list, or the document itself."""
    if isinstance(document, dict):
        for name in _LISTS:
            if isinstance(document.get(name), list):
                return document[name]
    return document if document == [] else [document]


def _features(instance: Any, where: str) -> Any:
    """What holds an instance's numbers: a list, or an object with `values`."""
    if isinstance(instance, dict):
        data = instance.get("data")
        for holder, name in ((instance, "features"), (data, "features"), (instance, "projection")):
            if isinstance(holder, dict) and name in holder:
                return holder[name]
        if all(name in instance for name in _PAIR):
            return [instance[name] for name in _PAIR]
    raise BadPayload(f"{where} must be an object with 'features', 'data' or 'projection'; got {_shown(instance)}")


def _dense_vector(instance: Any, where: str) -> _Vector:
    features = _features(instance, where)
    values = features.get("values") if isinstance(features, dict) else features
    if not isinstance(values, list) or not values:
        raise BadPayload(f"{where} must have a list of numbers; got {_shown(values)}")
    _refuse_what_is_no_number(values, where)
    return _Vector(values, None, len(values))


def _sparse_vector(instance: Any, n_features: int | None, where: str) -> _Vector | None:
    """The vector of an instance with `keys`; None for a dense one."""
    features = _features(instance, where)
    if not isinstance(features, dict) or "keys" not in features:
        return None
    keys, values, shape = features["keys"], features.get("values"), features.get("shape", [n_features])
    if not isinstance(values, list) or not isinstance(keys, list) or len(keys) != len(values):
        raise BadPayload(f"{where} must have lists 'keys' and 'values' of one length")
    if not isinstance(shape, list) or not shape or type(shape[-1]) is not int or not 0 < shape[-1] < 2**31:
        raise BadPayload(f"{where} must have a 'shape' of a positive number of columns; got {_shown(shape)}")
    if not all(type(key) is int and 0 <= key < 2**31 for key in keys):
        raise BadPayload(f"{where} must have 'keys' of at least 0; got {_shown(keys)}")
    _refuse_what_is_no_number(values, where)
    return _Vector(values, keys, shape[-1])


def _refuse_what_is_no_number(values: list[Any], where: str) -> None:
    if set(map(type, values)) <= {int, float}:
        return
    place = next(i for i, value in enumerate(values) if type(value) not in (int, float))
    raise BadPayload(f"{where} value {place + 1} must be a finite number; got {_shown(values[place])}")


def _dense(vectors: list[_Vector], first: int) -> np.ndarray:
    """The rows (n_rows, n_features) float32 of vectors of one width; the first is instance number `first`."""
    with np.errstate(over="ignore"):
        rows = np.array([vector.values for vector in vectors], np.float64).astype(np.float32)
    if not np.isfinite(rows).all():
        row, place = np.argwhere(~np.isfinite(rows))[0].tolist()
        got = vectors[row].values[place]
        raise BadPayload(f"JSON instance {first + row} value {place + 1} must be a finite number; got {got!r}")
    return rows


def _sparse(vectors: list[_Vector], first: int) -> Sparse:
    """The same, where at least one vector is sparse: of a dense one the cells that are not zero."""
    cells = [_cells(vector) for vector in vectors]
    columns = np.concatenate([np.asarray(keys, np.int64) for keys, _ in cells])
    values = np.concatenate([np.asarray(values, np.float64) for _, values in cells])
    lengths = np.array([len(keys) for keys, _ in cells])
    return compressed(lengths, columns, values, vectors[0].width, lambda row: f"JSON instance {first + row}")


def _cells(vector: _Vector) -> tuple[Iterable[int], Iterable[float]]:
    if vector.keys is not None:
        return vector.keys, vector.values
    values = np.asarray(vector.values, np.float64)
    return np.flatnonzero(values), values[values != 0]


def _shown(value: Any) -> str:
    """The beginning of a value as JSON."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


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
