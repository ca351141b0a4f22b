"""The main job from end to end, through the real programs: PCA trained and served, its answers clustered twice.

Images of digits -> `byoa train pca` -> `byoa serve` answers projections -> `byoa train kmeans` and `byoa train dbscan`
learn from those very answers -> both are served and say which cluster each image is in -> two pictures.

Run it by scripts/demo. With --mnist FILE it takes MNIST (arrays x_train, y_train) in place of scikit-learn's digits.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

BYOA = Path(sys.executable).with_name("byoa")
ROWS_PER_REQUEST = 1000


def main() -> None:
    """Runs the whole example and prints a short account."""
    options = parse_options()
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    images, digits = load(options.mnist)
    side = int(images.shape[1] ** 0.5)
    np.savetxt(folder / "images.csv", images, delimiter=",", fmt="%g")
    print(f"{len(images)} images of {side} x {side} pixels\n")

    train("pca", folder / "images.csv", folder / "pca", num_components=options.components)
    with served("pca", folder / "pca") as url:
        answers = [ask(url, body, "text/csv") for body in in_requests(folder / "images.csv")]
    projections = np.array([row["projection"] for answer in answers for row in answer["projections"]])
    (folder / "projections.json").write_text("\n".join(json.dumps(answer) for answer in answers))
    print(f"  PCA answered {projections.shape[1]} numbers for each image\n")

    train("kmeans", folder / "projections.json", folder / "kmeans", k=10)
    with served("kmeans", folder / "kmeans") as url:
        answers = [ask(url, json.dumps(answer).encode(), "application/json") for answer in answers]
    clusters = np.array([row["closest_cluster"] for answer in answers for row in answer["predictions"]], dtype=int)
    describe("k-means", clusters, digits, names=range(10))

    train("dbscan", folder / "projections.json", folder / "dbscan", minPts=5)
    with served("dbscan", folder / "dbscan") as url:
        lines = (folder / "projections.json").read_bytes().splitlines()
        groups = np.concatenate(
            [np.array(ask(url, line, "application/json")[0].split(","), dtype=int) for line in lines]
        )
    describe("DBSCAN", groups, digits, names=range(1, groups.max() + 1))

    draw_digits(folder / "clusters.png", images.reshape(-1, side, side), clusters)
    draw_plane(folder / "plane.png", projections, clusters, groups)
    print(f"pictures: {folder / 'clusters.png'} and {folder / 'plane.png'}")


def parse_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--mnist", type=Path, help="an .npz file with x_train and y_train")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for models and pictures")
    parser.add_argument("--components", type=int, default=10, help="numbers that PCA leaves of each image")
    return parser.parse_args()


def load(mnist: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Images (n_rows, n_pixels) with pixels from 0 to 1, and the digit on each."""
    if mnist:
        with np.load(mnist) as arrays:
            return arrays["x_train"].reshape(-1, 784) / np.float32(256), arrays["y_train"]
    from sklearn.datasets import load_digits

    bundled = load_digits()
    return bundled.data / 16, bundled.target


def train(algorithm: str, data: Path, output: Path, **hyperparameters: int) -> None:
    """Trains through the command line, showing what was typed and the last words of the log."""
    command = ["byoa", "train", algorithm, "--train", str(data), "--output", str(output)]
    for name, value in hyperparameters.items():
        command += ["-p", f"{name}={value}"]
    print("$", " ".join(command))
    start = time.perf_counter()
    done = subprocess.run([BYOA, *command[1:]], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    print(f"  {output / 'model.tar.gz'} after {time.perf_counter() - start:.1f} s")


@contextmanager
def served(algorithm: str, model: Path) -> Iterator[str]:
    """The address of a server of the model, which ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["byoa", "serve", str(model), "--algorithm", algorithm, "--port", str(port)]
    print("$", " ".join(command))
    start = time.perf_counter()
    server = subprocess.Popen([BYOA, *command[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_ping(f"http://127.0.0.1:{port}/ping", server)
        print(f"  ready after {time.perf_counter() - start:.1f} s")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        server.terminate()
        server.wait()


def wait_for_ping(url: str, server: subprocess.Popen) -> None:
    """Returns when the server answers; ends the program where it does not within half a minute."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.URLError:
            if server.poll() is not None:
                break
            time.sleep(0.05)
    sys.exit(f"the server did not come up; its exit status is {server.poll()}")


def in_requests(path: Path) -> Iterator[bytes]:
    """The lines of a file in bodies of ROWS_PER_REQUEST rows."""
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(0, len(lines), ROWS_PER_REQUEST):
        yield b"".join(lines[at : at + ROWS_PER_REQUEST])


def ask(url: str, body: bytes, content_type: str):
    """The server's answer to one request, read from JSON."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type, "Accept": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def describe(title: str, clusters: np.ndarray, digits: np.ndarray, names: range) -> None:
    """Prints, for the ten largest clusters, how many images they have and which digit is the most frequent."""
    sizes = sorted(((int((clusters == name).sum()), name) for name in names), reverse=True)
    noise = "" if names[0] == 0 else f", {(clusters == 0).sum()} images in none"
    print(f"  {title}: {len(sizes)} clusters{noise}")
    for size, name in sizes[:10]:
        values, counts = np.unique(digits[clusters == name], return_counts=True)
        print(
            f"    cluster {name:>2}: {size:>5} images, {counts.max() / size:>4.0%} of them a {values[counts.argmax()]}"
        )
    print()


def draw_digits(path: Path, images: np.ndarray, clusters: np.ndarray, n_columns: int = 20) -> None:
    """A row of images for each cluster."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(10, n_columns, figsize=(n_columns * 0.5, 5.6))
    for cluster, row in enumerate(axes):
        members = images[clusters == cluster][:n_columns]
        for axis, image in zip(row, members, strict=False):
            axis.imshow(image, cmap="gray_r")
        row[0].set_title(f"cluster {cluster}", loc="left", fontsize=7, pad=2)
    for axis in axes.flat:
        axis.axis("off")
    figure.suptitle("The first images of each k-means cluster", fontsize=10, y=0.96)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def draw_plane(path: Path, projections: np.ndarray, clusters: np.ndarray, groups: np.ndarray) -> None:
    """All images in the plane of the two best components, which SageMaker's PCA gives last, and cluster numbers."""
    import matplotlib.pyplot as plt

    plane = projections[:, -1:-3:-1]
    figure, panels = plt.subplots(1, 2, figsize=(12, 5.5), sharex=True, sharey=True)
    for panel, title, labels, noise in (
        (panels[0], "k-means", clusters, np.zeros(len(clusters), bool)),
        (panels[1], "DBSCAN (grey: noise)", groups, groups == 0),
    ):
        panel.scatter(*plane[noise].T, s=3, c="0.8")
        panel.scatter(*plane[~noise].T, s=4, c=labels[~noise], cmap="turbo")
        for cluster in largest(labels[~noise]):
            middle = np.median(plane[labels == cluster], axis=0)
            panel.text(*middle, str(cluster), weight="bold", ha="center", bbox={"fc": "w", "alpha": 0.7, "pad": 1.5})
        panel.set(title=title, xlabel="best component", ylabel="second best")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def largest(labels: np.ndarray) -> np.ndarray:
    """The ten clusters with the most images."""
    names, sizes = np.unique(labels, return_counts=True)
    return names[np.argsort(-sizes)[:10]]


if __name__ == "__main__":
    main()
