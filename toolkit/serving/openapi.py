"""The OpenAPI document of a server: what it takes and answers, for the algorithm that is loaded.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from toolkit.algorithm import Algorithm
from toolkit.formats.table import ANSWERS, READERS

ERROR = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("error", "message", "request_id")},
    "required": ["error", "message"],
}
REFUSALS = {
    "400": "the payload is not what its content type promises, or has another width than the model",
    "406": "nothing that Accept names can be written",
    "408": "the body did not arrive in time",
    "413": "the payload is over the limit",
    "415": "the content type cannot be read",
    "500": "the server failed; its log says why",
    "503": "too many requests wait",
    "504": "the answer was not there in time",
}


def document(algorithm: Algorithm) -> dict[str, Any]:
    """The document as a JSON object."""
    return {
        "openapi": "3.1.0",
        "info": {"title": f"byoa {algorithm.name}", "version": version("byoa")},
        "paths": {
            "/ping": {"get": {"summary": "Whether the model is ready", "responses": {"200": _said("it is")}}},
            "/invocations": {"post": _invocations(algorithm)},
            "/execution-parameters": {
                "get": {"summary": "How batch transform should ask", "responses": {"200": _said("an object")}}
            },
        },
        "components": {"schemas": {"Error": ERROR}},
    }


def _invocations(algorithm: Algorithm) -> dict[str, Any]:
    rows = f"rows of {algorithm.n_features_in_} features"
    answered = _said("an answer for each row, in their order") | {"content": {name: {} for name in ANSWERS}}
    return {
        "summary": f"Answers {rows}",
        "requestBody": {"required": True, "description": rows, "content": _payloads(algorithm.n_features_in_)},
        "responses": {"200": answered} | {status: _refusal(reason) for status, reason in REFUSALS.items()},
    }


def _payloads(n_features: int) -> dict[str, Any]:
    """The content types that are read; of the ones whose example is short, an example of one row."""
    row = [0.5] * n_features
    examples = {
        "text/csv": ",".join(map(str, row)) + "\n",
        "application/json": {"instances": [{"features": row}]},
    }
    return {name: {"example": examples[name]} if name in examples else {} for name in READERS}


def _said(description: str) -> dict[str, Any]:
    return {"description": description}


def _refusal(reason: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return _said(reason) | {"content": {"application/json": {"schema": schema}}}
