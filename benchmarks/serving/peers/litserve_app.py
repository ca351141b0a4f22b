"""LitServe, with JSON as its users send it: `litserve_app.py PORT`."""

import os
import sys

import litserve
import numpy as np


class Centroids(litserve.LitAPI):
    """The model, and what is done on the way in and out."""

    def setup(self, device):
        """Loads the model into a worker."""
        self.centroids = np.load(os.environ["CENTROIDS"])

    def decode_request(self, request):
        """The rows of a request."""
        return np.array(request["instances"], np.float32)

    def predict(self, X):
        """The nearest centroid of each row, and its distance."""
        centroids = self.centroids
        squares = (X**2).sum(axis=1)[:, None] - 2 * X @ centroids.T + (centroids**2).sum(axis=1)
        return squares.argmin(axis=1), np.sqrt(squares.min(axis=1))

    def encode_response(self, output):
        """The answer's JSON object."""
        names = ("closest_cluster", "distance_to_cluster")
        return {"predictions": [dict(zip(names, map(float, row), strict=True)) for row in zip(*output, strict=True)]}


if __name__ == "__main__":
    server = litserve.LitServer(Centroids(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
