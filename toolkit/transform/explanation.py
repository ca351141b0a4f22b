"""How the first records of a job fare, told step by step: split, batched, filtered, sent, answered, joined, stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from toolkit.errors import ToolkitError
from toolkit.transform import records
from toolkit.transform.exchanges import Ask, Exchange, exchanges
from toolkit.transform.filters import Processing
from toolkit.transform.inputs import InputFile
from toolkit.transform.settings import Settings

MOST_REQUESTS = 3
MOST_RECORDS = 3  # of each request
SHOWN_BYTES = 60


def explain(file: InputFile, settings: Settings, ask: Ask) -> Iterator[str]:
    """Lines about the first requests of a file. Nothing is stored; the first error is the last line."""
    yield f"{file.name} ({file.path.stat().st_size:,} bytes) becomes {file.output_name}"
    yield f"  {_how_split(settings)}"
    try:
        block = next(records.blocks(file.path, settings), None)
        if block is None:
            yield "  it is empty: nothing is sent, its output is empty"
            return
        n_before = 0
        for number, exchange in enumerate(islice(exchanges(block, Processing(settings), ask, True), MOST_REQUESTS), 1):
            yield f"request {number}: {_counted(n_before, exchange)}"
            yield from (f"  {line}" for line in _steps(exchange, settings))
            n_before += exchange.request.n_records
    except ToolkitError as error:
        yield f"error: {error}"


def _how_split(settings: Settings) -> str:
    if settings.split_type == "None":
        return "SplitType None: the whole file is one record and one request"
    limit = f"at most {settings.max_payload} MB" if settings.max_payload else "no limit"
    batched = "as many records as fit" if settings.strategy == "MultiRecord" else "one record"
    framed = settings.split_type != "Line" and settings.strategy == "SingleRecord"
    return (
        f"SplitType {settings.split_type}, BatchStrategy {settings.strategy}, MaxPayloadInMB "
        f"{settings.max_payload}: {batched} to a request ({limit}){', without its frame' if framed else ''}"
    )


def _counted(n_before: int, exchange: Exchange) -> str:
    n_records = exchange.request.n_records
    return f"record {n_before + 1}" if n_records == 1 else f"records {n_before + 1} to {n_before + n_records}"


def _steps(exchange: Exchange, settings: Settings) -> Iterator[str]:
    request = exchange.request
    for record in request.records[:MOST_RECORDS]:
        yield f"record    {_shown(record)}"
    if request.n_records > MOST_RECORDS:
        yield f"          and {request.n_records - MOST_RECORDS:,} more"
    filtered = "" if settings.input_filter == "$" else f" by InputFilter {settings.input_filter}"
    yield f"sent      {_shown(exchange.sent)}{filtered}, as {settings.content_type or 'no content type'}"
    yield f"answered  {_shown(exchange.answer)}, to Accept {settings.accept or 'of no kind'}"
    joined = " joined with the input" if settings.join_source == "Input" else ""
    selected = "" if settings.output_filter == "$" else f" by OutputFilter {settings.output_filter}"
    yield f"stored    {_shown(exchange.stored)}{joined}{selected}, AssembleWith {settings.assemble_with}"


def _shown(data: bytes) -> str:
    """The beginning of some bytes, and how many they are."""
    more = "..." if len(data) > SHOWN_BYTES else ""
    return f"{data[:SHOWN_BYTES]!r}{more} ({len(data):,} bytes)"
