"""The shape that everyone copies, in our own rendering: flask, and pandas reads the CSV."""

import io
import os

import numpy as np
import pandas as pd
from flask import Flask, Response, json, request

centroids = np.load(os.environ["CENTROIDS"])
app = Flask(__name__)


@app.get("/ping")
def ping():
    """Says that the server is there."""
    return Response("\n", 200)


@app.post("/invocations")
def invocations():
    """The nearest centroid of each row, and its distance."""
    if request.content_type != "text/csv":
        return Response("only text/csv is supported", 415)
    frame = pd.read_csv(io.StringIO(request.get_data().decode("utf-8")), header=None)
    X = frame.to_numpy(np.float32)
    squares = (X**2).sum(axis=1)[:, None] - 2 * X @ centroids.T + (centroids**2).sum(axis=1)
    labels, distances = squares.argmin(axis=1), np.sqrt(squares.min(axis=1))
    rows = [
        {"closest_cluster": float(label), "distance_to_cluster": float(distance)}
        for label, distance in zip(labels, distances, strict=True)
    ]
    return Response(json.dumps({"predictions": rows}), mimetype="application/json")
