"""What a batch transform job is asked for: the fields of SageMaker's CreateTransformJob, checked.

Each default is that of the API (see its TransformInput, TransformOutput, DataProcessing and ModelClientConfig). Both
spellings of a strategy are read, `MultiRecord` and `MULTI_RECORD`, and so is the SDK's None for "None".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from toolkit.errors import BadOption

MEBIBYTE = 1024 * 1024
DEFAULTS = {"strategy": "MultiRecord", "max_payload": 6, "max_concurrent_transforms": 1}
MOST_IN_FLIGHT_MB = 100  # MaxConcurrentTransforms times MaxPayloadInMB
CHOICES = {
    "split_type": ("None", "Line", "RecordIO", "TFRecord"),
    "strategy": ("MultiRecord", "SingleRecord"),
    "compression_type": ("None", "Gzip"),
    "assemble_with": ("None", "Line"),
    "join_source": ("None", "Input"),
}
RANGES = {
    "max_payload": (0, 100),
    "max_concurrent_transforms": (0, 100),
    "timeout": (1, 3600),
    "retries": (0, 3),
}
API_NAMES = {
    "split_type": "SplitType",
    "strategy": "BatchStrategy",
    "compression_type": "CompressionType",
    "assemble_with": "AssembleWith",
    "join_source": "JoinSource",
    "max_payload": "MaxPayloadInMB",
    "max_concurrent_transforms": "MaxConcurrentTransforms",
    "timeout": "InvocationsTimeoutInSeconds",
    "retries": "InvocationsMaxRetries",
}


@dataclass(frozen=True)
class Settings:
    """A job's settings; None where the caller leaves a choice to the container, and then to DEFAULTS.

    The last three choose where SageMaker's documentation is silent or contradicts itself: whether a request of one
    line keeps its newline, whether a slice includes its end, and whether AssembleWith adds a newline where the answer
    ends with one. Raises BadOption for a value that cannot be.
    """

    content_type: str | None = None
    accept: str | None = None
    split_type: str = "None"
    strategy: str | None = None
    compression_type: str = "None"
    assemble_with: str = "None"
    input_filter: str = "$"
    join_source: str = "None"
    output_filter: str = "$"
    max_payload: int | None = None
    max_concurrent_transforms: int | None = None
    timeout: int = 600
    retries: int = 3
    keep_newline: bool = True
    inclusive_slices: bool = False
    double_newlines: bool = False

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            object.__setattr__(self, name, _chosen(name, getattr(self, name), choices))
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and least <= value <= most):
                raise BadOption(f"{API_NAMES[name]} must be a whole number from {least} to {most}; got {value!r}")
        self._check_together()

    def _check_together(self) -> None:
        in_flight = (self.max_concurrent_transforms or 1) * (self.max_payload or 0)
        if in_flight > MOST_IN_FLIGHT_MB:
            must = f"MaxConcurrentTransforms times MaxPayloadInMB must be at most {MOST_IN_FLIGHT_MB}"
            raise BadOption(f"{must}; got {self.max_concurrent_transforms} times {self.max_payload}")

    @property
    def max_payload_bytes(self) -> int | None:
        """The largest request; None for no limit, which MaxPayloadInMB says by 0."""
        megabytes = DEFAULTS["max_payload"] if self.max_payload is None else self.max_payload
        return megabytes * MEBIBYTE or None


def _chosen(name: str, value: Any, choices: tuple[str, ...]) -> str | None:
    """The choice in the API's spelling."""
    if value is None:
        return None if name in DEFAULTS else "None"
    spelled = {choice.lower(): choice for choice in choices}.get(str(value).replace("_", "").lower())
    if spelled is None:
        raise BadOption(f"{API_NAMES[name]} must be one of {', '.join(choices)}; got {value!r}")
    return spelled


def resolved(settings: Settings, offered: dict[str, Any]) -> Settings:
    """The settings with nothing left open: the caller's word, else what the container offers, else the default.

    `offered` is what its /execution-parameters says, in the API's names.
    """
    named = {name: offered.get(API_NAMES[name]) for name in DEFAULTS}
    asked = {name: getattr(settings, name) for name in DEFAULTS}
    if asked["max_concurrent_transforms"] == 0:  # the API's other way to leave it to the container
        asked["max_concurrent_transforms"] = None
    chosen = {name: next(v for v in (asked[name], named[name], DEFAULTS[name]) if v is not None) for name in DEFAULTS}
    return replace(settings, **chosen)
