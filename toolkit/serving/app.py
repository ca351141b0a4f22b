"""The web application: what SageMaker asks of an inference container, answered by one loaded model.

    GET  /ping                  200 once the model is ready
    POST /invocations           rows in by Content-Type, answers out by Accept
    GET  /execution-parameters  how batch transform should send its requests

Every error is one JSON object with the status of its class; a trace goes to the log, never to the client.

Source: the Developer Guide's pages "Use Your Own Inference Code" with hosting services and with batch transform.
"""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from toolkit.environment import MIB, ServerSettings
from toolkit.errors import PayloadTooLarge, ToolkitError
from toolkit.serving.inference import Inference

DEFAULT_BATCH_MIB = 6  # SageMaker's own, where the job names no MaxPayloadInMB
log = logging.getLogger("byoa.serving")


def create_app(inference: Inference, settings: ServerSettings) -> Flask:
    """The application that answers for one model."""
    app = Flask("byoa", static_folder=None)

    @app.get("/ping")
    def ping():
        return {"status": "ready", "algorithm": inference.algorithm.name}

    @app.post("/invocations")
    def invocations():
        body = read_body(request, settings)
        answer = inference.answer(body, request.content_type, request.headers.get("Accept"))
        return Response(answer.body, content_type=answer.content_type)

    @app.get("/execution-parameters")
    def execution_parameters():
        return {
            "MaxConcurrentTransforms": settings.max_concurrent_transforms or settings.workers.value,
            "BatchStrategy": settings.batch_strategy,
            "MaxPayloadInMB": settings.payload.value // MIB if settings.batch else DEFAULT_BATCH_MIB,
        }

    app.register_error_handler(Exception, error_response)
    return app


def read_body(request, settings: ServerSettings) -> bytes:
    """The request's whole body. Raises PayloadTooLarge."""
    limit = settings.payload
    body = request.stream.read(limit.value + 1 if limit.value else -1)
    if limit.value and len(body) > limit.value:
        raise PayloadTooLarge(f"the payload must have at most {limit.value} bytes ({limit.source})")
    return body


def error_response(error: Exception) -> Response:
    """One JSON object that says what is wrong; of a defect, only that the log has the trace."""
    if isinstance(error, HTTPException):
        return _error(error.code, error.name, error.description)
    if isinstance(error, ToolkitError):
        return _error(error.status, type(error).__name__, str(error))
    log.error("a request failed", exc_info=error)
    return _error(500, "InternalError", "the server failed on this request; its log has the trace")


def _error(status: int, kind: str, message: str) -> Response:
    response = jsonify(error=kind, message=message)
    response.status_code = status
    return response
