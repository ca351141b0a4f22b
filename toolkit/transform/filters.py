"""DataProcessing: what of a record is sent, and how its answer is joined to it and filtered.

The order is SageMaker's: InputFilter, the model, the join of the answer with the record as it stood in the file,
OutputFilter. A row of CSV counts as an array of its columns; their text is never changed, quotes included.

Source: the Developer Guide's "Associate Prediction Results with Input Records".
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

import orjson

from toolkit.errors import BadOption, BadPayload
from toolkit.formats import media_types
from toolkit.transform import jsonpath
from toolkit.transform.jsonpath import Path
from toolkit.transform.records import Request
from toolkit.transform.settings import Settings

_FIELD = re.compile(rb'("(?:[^"]|"")*"|[^",]*)(,|$)')  # RFC 4180
_LONG = re.compile(rb"\d{19}")  # orjson rounds integers of more than 64 bits, and identifiers may be such


class RecordFormat(Protocol):
    """How records of one content type are filtered and joined, from bytes to bytes without a newline."""

    lines: bool

    def select(self, path: Path, record: bytes) -> bytes:
        """What the path finds in a record."""

    def join(self, record: bytes, answer: bytes) -> bytes:
        """A record with its answer."""


class CsvRows:
    """Rows as arrays of their columns' text."""

    lines = True

    def select(self, path: Path, record: bytes) -> bytes:
        """The fields that the path finds, with their quotes."""
        found = path.select(_fields(record.rstrip(b"\r\n"))) if path.steps else record.rstrip(b"\r\n")
        return b",".join(found) if isinstance(found, list) else found

    def join(self, record: bytes, answer: bytes) -> bytes:
        """The columns of the record, followed by those of the answer."""
        return record.rstrip(b"\r\n") + b"," + answer.rstrip(b"\r\n")


def _fields(row: bytes) -> list[bytes]:
    """The fields of a row. Raises BadPayload where one has quotes in its middle."""
    if b'"' not in row:
        return row.split(b",")
    fields, at = [], 0
    while match := _FIELD.match(row, at):
        fields.append(match[1])
        if not match[2]:
            return fields
        at = match.end()
    must = f"field {len(fields) + 1} of the CSV row must be quoted as a whole"
    raise BadPayload(f"{must}; the row goes on {row[at : at + 20]!r}")


class JsonRecords:
    """JSON values: one on each line, or the whole body."""

    def __init__(self, lines: bool):
        self.lines = lines

    def select(self, path: Path, record: bytes) -> bytes:
        """The value that the path finds, in one line."""
        return _dumped(path.select(_loaded(record))) if path.steps else record

    def join(self, record: bytes, answer: bytes) -> bytes:
        """An object gains SageMakerOutput; anything else becomes SageMakerInput beside it."""
        value = _loaded(record)
        members = value if isinstance(value, dict) else {"SageMakerInput": value}
        return _dumped(members | {"SageMakerOutput": _loaded(answer)})


def _loaded(record: bytes) -> Any:
    try:
        return json.loads(record) if _LONG.search(record) else orjson.loads(record)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"the record must be JSON; got {record[:40]!r}") from error


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


FORMATS = {
    "text/csv": CsvRows,
    "application/jsonlines": lambda: JsonRecords(True),
    "application/json": lambda: JsonRecords(False),
}


class Processing:
    """The filters and the join of a job. Raises BadOption where they do not fit its other settings."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.input_filter = jsonpath.parse(settings.input_filter, "InputFilter", settings.inclusive_slices)
        self.output_filter = jsonpath.parse(settings.output_filter, "OutputFilter", settings.inclusive_slices)
        self.joins = settings.join_source == "Input"
        self.shapes_input = bool(self.input_filter.steps)
        self.shapes_output = self.joins or bool(self.output_filter.steps)
        self.input_format = self._format("ContentType", settings.content_type) if self.needs_records else None
        self.output_format = self._format("Accept", settings.accept) if self.shapes_output else None
        self._check_columns()
        if self.joins:
            self._check_join()

    @property
    def needs_records(self) -> bool:
        """Whether requests must carry their records one by one."""
        return self.shapes_input or self.joins

    def _format(self, field: str, content_type: str | None) -> RecordFormat:
        name = _name(content_type)
        if name not in FORMATS:
            raise BadOption(
                f"with filters or a join, {field} must be one of {', '.join(FORMATS)}; got {content_type!r}"
            )
        return FORMATS[name]()

    def _check_columns(self) -> None:
        if CsvRows not in (type(self.input_format), type(self.output_format)):
            return
        for path in (self.input_filter, self.output_filter):
            if not path.fits_columns:
                must = "a filter of text/csv must select columns by their places, such as $[1:]"
                raise BadOption(f"{must}; got {path.text!r}")

    def _check_join(self) -> None:
        given, accept = _name(self.settings.content_type), _name(self.settings.accept)
        if given != accept:
            raise BadOption(f"with a join, Accept must be the ContentType {given!r}; got {accept!r}")
        split, assembled, of_lines = self.settings.split_type, self.settings.assemble_with, self.output_format.lines
        if split != assembled or (of_lines and split != "Line"):
            must = f"SplitType and AssembleWith must be {'Line' if of_lines else 'equal, None or Line'}"
            raise BadOption(f"with a join of {given}, {must}; got {split!r} and {assembled!r}")

    def sent(self, request: Request) -> bytes:
        """What goes to the model of a request."""
        if not self.shapes_input:
            return request.body
        rows = [self.input_format.select(self.input_filter, record) for record in request.records]
        return b"\n".join(rows) + b"\n" * request.body.endswith(b"\n")

    def stored(self, request: Request, answer: bytes) -> bytes:
        """What is kept of an answer. Raises BadPayload unless every record has one answer."""
        if not self.shapes_output:
            return answer
        answers = [line for line in answer.split(b"\n") if line.strip()] if self.output_format.lines else [answer]
        if len(answers) != request.n_records:
            raise BadPayload(
                f"there must be one answer for each record; {request.n_records} records have {len(answers)} answers"
            )
        if self.joins:
            answers = [self.output_format.join(*pair) for pair in zip(request.records, answers, strict=True)]
        rows = [self.output_format.select(self.output_filter, row) for row in answers]
        return b"".join(row + b"\n" for row in rows) if self.output_format.lines else rows[0]


def _name(content_type: str | None) -> str | None:
    """The name of a media type without its parameters; None for none."""
    try:
        return media_types.parse(content_type or "").name
    except ValueError:
        return None
