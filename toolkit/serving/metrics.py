"""What a server counts, for Prometheus: GET /metrics, over all workers.

Prometheus' client keeps each process' numbers in files of a folder that all share; here it is one in memory.
"""

from __future__ import annotations

from pathlib import Path

from toolkit import environment
from toolkit.errors import BadOption
from toolkit.serving.request_log import Record

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters of one server; made before the fork, kept in `folder`."""

    def __init__(self, folder: Path):
        environment.share_metrics(str(folder))
        try:
            import prometheus_client as prometheus
            from prometheus_client import multiprocess
        except ImportError as error:
            must = "variable SERVER_METRICS asks for what prometheus-client gives"
            raise BadOption(f"{must}; install byoa[metrics]") from error
        self._text = lambda: prometheus.generate_latest(multiprocess.MultiProcessCollector(None))
        self.content_type = prometheus.CONTENT_TYPE_LATEST
        self._requests = prometheus.Counter("byoa_requests", "Requests answered", ["path", "status"])
        self._seconds = prometheus.Histogram("byoa_request_seconds", "Time", ["path"], buckets=SECONDS)
        self._rows = prometheus.Counter("byoa_rows", "Rows answered")
        self._phases = prometheus.Counter("byoa_phase_seconds", "Time by phase", ["phase"])

    def count(self, path: str, status: int, record: Record) -> None:
        """Counts one request; `path` is one of the server's own, so that clients cannot make new series."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(record.seconds)
        if answer := record.answer:
            self._rows.inc(answer.n_rows)
            for phase in ("decode", "predict", "encode"):
                self._phases.labels(phase).inc(getattr(answer, f"{phase}_ms") / 1000)

    def text(self) -> bytes:
        """The numbers of all workers in Prometheus' text format."""
        return self._text()
