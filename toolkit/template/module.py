"""$name: every column moved and scaled so that it has mean 0 and standard deviation 1.

Replace it by your own: declare what it can be told and what it learns, and write fit and predict.
"""

import numpy as np
from pydantic import Field

from toolkit.algorithm import Algorithm
from toolkit.hyperparameters import Hyperparameters


class ${class_name}Hyperparameters(Hyperparameters):
    """What a training job can set."""

    smallest_scale: float = Field(1e-6, gt=0, description="What a column is divided by if its deviation is smaller.")


class $class_name(Algorithm):
    """Standard scores of every column.

    >>> scaler = $class_name().fit(np.array([[1.0], [3.0]], dtype="float32"))
    >>> scaler.predict(np.array([[5.0]], dtype="float32"))["score"].tolist()
    [[3.0]]
    """

    name = "$name"
    Hyperparameters = ${class_name}Hyperparameters
    arrays = ("mean_", "scale_")

    def fit(self, X, y=None):
        """Learn mean and standard deviation of each column of X (n_rows, n_features)."""
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.maximum(X.std(axis=0), self.hyperparameters.smallest_scale)
        return self

    def predict(self, X):
        """Give the scores, (n_rows, n_features)."""
        return {"score": (X - self.mean_) / self.scale_}
