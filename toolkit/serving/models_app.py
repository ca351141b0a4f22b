"""The web application of a multi-model server.

    GET    /ping                  200 once models can be loaded
    POST   /models                loads one: {"model_name": "...", "url": "/opt/ml/models/.../model"}
    GET    /models                those that are loaded
    GET    /models/NAME           one of them
    DELETE /models/NAME           unloads it
    POST   /models/NAME/invoke    what POST /invocations is where there is one model

Source: the Developer Guide's "Build Your Own Container for SageMaker AI Multi-Model Endpoints".
"""

from __future__ import annotations

import orjson
from flask import Flask, request

from toolkit.environment import Limit, ServerSettings
from toolkit.errors import BadPayload
from toolkit.serving.app import new_app
from toolkit.serving.limits import read_body
from toolkit.serving.metrics import Metrics
from toolkit.serving.models import Models

LARGEST_BODY = Limit(65536, "the server")  # of a request to load a model


def create_models_app(models: Models, settings: ServerSettings, metrics: Metrics | None = None) -> Flask:
    """The application that answers for models that come and go."""
    app, answer = new_app(settings, metrics)

    @app.get("/ping")
    def ping():
        return {"status": "ready", "algorithm": models.algorithm}

    @app.post("/models")
    def load():
        models.load(*wanted(read_body(request.environ, LARGEST_BODY, lambda n_bytes: None)))
        return {}

    @app.get("/models")
    def listed():
        return {"models": models.listed()}

    @app.get("/models/<path:name>")
    def describe(name: str):
        return models.describe(name)

    @app.delete("/models/<path:name>")
    def unload(name: str):
        models.unload(name)
        return {}

    @app.post("/models/<path:name>/invoke")
    def invoke(name: str):
        return answer(models.inference(name))

    return app


def wanted(text: bytes) -> tuple[str, str]:
    """The name and the folder of the model that a request wants loaded. Raises BadPayload."""
    try:
        body = orjson.loads(text)
    except ValueError:
        body = None
    fields = [body.get(name) for name in ("model_name", "url")] if isinstance(body, dict) else [None]
    if not all(isinstance(field, str) and field for field in fields):
        raise BadPayload("the body must be a JSON object with the texts 'model_name' and 'url'")
    return fields[0], fields[1]
