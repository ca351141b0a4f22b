"""Runs in an environment that has SageMaker's SDK 2.257: its local mode trains and serves an image.

sdk_local_mode.py IMAGE PORT FOLDER: fits on FOLDER/train, deploys on PORT, asks about the rows of FOLDER/rows.csv and
prints the answer as JSON.
"""

import json
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.local import LocalSession
from sagemaker.serializers import CSVSerializer

ROLE = "arn:aws:iam::123456789012:role/anybody"


def main(image: str, port: int, folder: Path) -> None:
    """The walk of a notebook: fit, deploy, predict, delete."""
    session = LocalSession()
    local = {"local_code": True, "container_root": str(folder / "containers"), "serving_port": port}
    local["container_config"] = {"user": "0:0"}
    session.config = {"local": local}
    (folder / "containers").mkdir()
    output = f"file://{folder}/output"
    estimator = Estimator(
        image, ROLE, 1, "local", output_path=output, sagemaker_session=session, hyperparameters={"k": 10}
    )
    estimator.fit({"train": TrainingInput(f"file://{folder}/train", content_type="text/csv;label_size=0")})
    formats = {"serializer": CSVSerializer(), "deserializer": JSONDeserializer()}
    predictor = estimator.deploy(1, "local", wait=False, **formats)  # waiting would sleep for 30 s before it looks
    try:
        wait_for(f"http://127.0.0.1:{port}/ping")
        answer = predictor.predict(np.loadtxt(folder / "rows.csv", delimiter=","))
    finally:
        predictor.delete_endpoint()
    print("\n" + json.dumps(answer))


def wait_for(url: str) -> None:
    """Returns when the server answers."""
    for _ in range(300):
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=2)
            return
        time.sleep(0.1)
    raise TimeoutError(url)


main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
