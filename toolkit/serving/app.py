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
from collections.abc import Callable

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from toolkit.environment import ServerSettings
from toolkit.errors import ToolkitError, UserError
from toolkit.serving import openapi, replies, request_log
from toolkit.serving.inference import Inference
from toolkit.serving.limits import Room, Turns, deadline, read_body
from toolkit.serving.metrics import Metrics
from toolkit.serving.request_log import Record, new_id

CUSTOM_ATTRIBUTES = "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"  # as WSGI spells request headers
INFERENCE_ID = "HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID"
log = logging.getLogger("byoa.serving")


def create_app(inference: Inference, settings: ServerSettings, metrics: Metrics | None = None) -> Flask:
    """The application that answers for one model; it counts its requests where it is given `metrics`."""
    app, answer = new_app(settings, metrics)

    @app.get("/ping")
    def ping():
        return {"status": "ready", "algorithm": inference.algorithm.name}

    @app.post("/invocations")
    def invocations():
        return answer(inference)

    @app.get("/openapi.json")
    def openapi_document():
        return openapi.document(inference.algorithm)

    return app


def new_app(settings: ServerSettings, metrics: Metrics | None) -> tuple[Flask, Callable[[Inference], Response]]:
    """An application with what every server has, and the function that answers the request at hand by a model."""
    app = Flask("byoa", static_folder=None)
    room = Room(settings.waiting)
    turns = Turns(settings.queue, settings.timeout)

    def answer(inference: Inference) -> Response:
        with room.place() as take:
            body = read_body(request.environ, settings.payload, take)
            with turns.turn(deadline(request.environ, settings.timeout)):
                answered = inference.answer(body, request.content_type, request.headers.get("Accept"))
        g.record.answer = answered
        return Response(answered.body, content_type=answered.content_type)

    @app.get("/execution-parameters")
    def execution_parameters():
        return {
            "MaxConcurrentTransforms": settings.max_concurrent_transforms,
            "BatchStrategy": settings.batch_strategy,
            "MaxPayloadInMB": settings.max_payload_in_mb,
        }

    if metrics:

        @app.get("/metrics")
        def read_metrics():
            return Response(metrics.text(), content_type=metrics.content_type)

    @app.before_request
    def begin():
        g.record = Record(request.environ.get(INFERENCE_ID) or new_id())

    @app.after_request
    def end(response: Response) -> Response:
        record, environ = g.record, request.environ
        response.headers["X-Request-Id"] = record.request_id
        if CUSTOM_ATTRIBUTES in environ:
            response.headers["X-Amzn-SageMaker-Custom-Attributes"] = environ[CUSTOM_ATTRIBUTES]
        if settings.log_pings if environ["PATH_INFO"] == "/ping" else settings.log_requests:
            request_log.write(record, environ, response.status_code, response.content_length)
        if metrics:
            known = request.url_rule.rule if request.url_rule else "other"
            metrics.count(known, response.status_code, record)
        return response

    app.register_error_handler(Exception, error_response)
    return app, answer


def error_response(error: Exception) -> Response:
    """The reply to a request that met an error; the log has the trace of what is not the client's fault."""
    if isinstance(error, HTTPException):  # Flask's own: no such path, no such method
        error = NotServed(f"{request.method} {request.path} is not served here: {error.name.lower()}", error.code)
    if not isinstance(error, ToolkitError):
        log.error("request %s failed", g.record.request_id, exc_info=error)
    g.record.error = error
    status, body = replies.of(error, g.record.request_id)
    return Response(body, status, content_type="application/json")


class NotServed(UserError):
    """A path or a method that the application does not have."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status
