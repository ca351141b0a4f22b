"""MLServer, with its V2 protocol in JSON."""

import os

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Centroids(MLModel):
    """The model as a runtime of its own."""

    async def load(self):
        """Loads the model into a worker."""
        self.centroids = np.load(os.environ["CENTROIDS"])
        return True

    async def predict(self, payload):
        """The nearest centroid of each row, and its distance."""
        X = NumpyCodec.decode_input(payload.inputs[0])
        squares = (X**2).sum(axis=1)[:, None] - 2 * X @ self.centroids.T + (self.centroids**2).sum(axis=1)
        outputs = {"closest_cluster": squares.argmin(axis=1), "distance_to_cluster": np.sqrt(squares.min(axis=1))}
        encoded = [NumpyCodec.encode_output(name, column) for name, column in outputs.items()]
        return InferenceResponse(model_name=self.name, outputs=encoded)
