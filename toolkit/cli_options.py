"""What the commands share in reading their options."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolkit.algorithm import Algorithm
from toolkit.errors import BadOption
from toolkit.formats.endings import WITH_LABEL_COLUMNS, content_type_of


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` texts as a map. Raises BadOption for one without a name or an equals sign."""
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise BadOption(f"option {option} must be NAME=VALUE; got {text!r}")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def declared_type(plugin: type[Algorithm], path: Path) -> str | None:
    """The content type of training data by its ending; without label columns for an algorithm that learns without."""
    content_type = content_type_of(path)
    is_told = content_type in WITH_LABEL_COLUMNS and not plugin.learns_from_labels
    return f"{content_type};label_size=0" if is_told else content_type
