"""The web application: what SageMaker asks of an inference container, answered by one loaded model.

    GET  /ping                  200 once the model is ready
    POST /invocations           rows in by Content-Type, answers out by Accept
    GET  /execution-parameters  how batch transform should send its requests
    GET  /openapi.json          all of this for programs
    GET  /metrics               for Prometheus, where the variable SERVER_METRICS is true

Every error is one JSON object with the status of its class; a trace goes to the log, never to the client.

Source: the Developer Guide's "Use Your Own Inference Code" pages, for hosting and for batch transform.
"""

from __future__ import annotations

import logging
import os
import time

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from toolkit.environment import MIB, ServerSettings
from toolkit.errors import ToolkitError
from toolkit.serving import openapi, replies, request_log
from toolkit.serving.capacity import waiting_bytes
from toolkit.serving.inference import Inference
from toolkit.serving.limits import Room, Turns, deadline, read_body
from toolkit.serving.metrics import Metrics

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
REQUEST_ID = "X-Request-Id"
DEFAULT_BATCH_MIB = 6  # SageMaker's own, where the job names no MaxPayloadInMB
log = logging.getLogger("byoa.serving")


def create_app(inference: Inference, settings: ServerSettings, metrics: Metrics | None = None) -> Flask:
    """The application that answers for one model; it counts its requests where it is given `metrics`."""
    app = Flask("byoa", static_folder=None)
    room = Room(waiting_bytes(settings.payload))
    turns = Turns(settings.queue, settings.timeout)

    @app.get("/ping")
    def ping():
        return {"status": "ready", "algorithm": inference.algorithm.name}

    @app.post("/invocations")
    def invocations():
        with room.place() as take:
            body = read_body(request.environ, settings.payload, take)
            with turns.turn(deadline(request.environ, settings.timeout)):
                g.answer = inference.answer(body, request.content_type, request.headers.get("Accept"))
        return Response(g.answer.body, content_type=g.answer.content_type)

    @app.get("/execution-parameters")
    def execution_parameters():
        return {
            "MaxConcurrentTransforms": settings.max_concurrent_transforms or settings.workers.value,
            "BatchStrategy": settings.batch_strategy,
            "MaxPayloadInMB": settings.payload.value // MIB if settings.batch else DEFAULT_BATCH_MIB,
        }

    @app.get("/openapi.json")
    def openapi_document():
        return openapi.document(inference.algorithm)

    if metrics:

        @app.get("/metrics")
        def read_metrics():
            return Response(metrics.text(), content_type=metrics.content_type)

    @app.before_request
    def begin():
        g.start = time.perf_counter()
        g.request_id = request.headers.get(INFERENCE_ID) or os.urandom(8).hex()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.request_id
        if CUSTOM_ATTRIBUTES in request.headers:
            response.headers[CUSTOM_ATTRIBUTES] = request.headers[CUSTOM_ATTRIBUTES]
        if settings.log_pings if request.path == "/ping" else settings.log_requests:
            write_log_line(response)
        if metrics:
            path = request.url_rule.rule if request.url_rule else "other"
            metrics.count(path, response.status_code, time.perf_counter() - g.start, g.get("answer"))
        return response

    app.register_error_handler(Exception, error_response)
    return app


def error_response(error: Exception) -> Response:
    """The reply to a request that met an error; the log has the trace of what is not the client's fault."""
    g.error = error
    if isinstance(error, HTTPException):  # Flask's own: no such path, no such method
        body = replies.body(type(error).__name__, f"{request.method} {request.path}: {error.name}", g.request_id)
        return Response(body, error.code, content_type="application/json")
    if not isinstance(error, ToolkitError):
        log.error("request %s failed", g.request_id, exc_info=error)
    status, body = replies.of(error, g.request_id)
    return Response(body, status, content_type="application/json")


def write_log_line(response: Response) -> None:
    """Writes what a request was and what it cost."""
    fields = {"request_id": g.request_id, "method": request.method, "path": request.path}
    fields |= {"status": response.status_code, "ms": 1000 * (time.perf_counter() - g.start)}
    if answer := g.get("answer"):
        fields |= {"rows": answer.n_rows, "decode_ms": answer.decode_ms, "predict_ms": answer.predict_ms}
        fields |= {"encode_ms": answer.encode_ms, "accept": answer.content_type}
    if error := g.get("error"):
        fields |= {"error": str(error)}
    request_log.write(**fields, content_type=request.content_type, bytes_out=response.content_length)
