"""What the commands share in reading their options."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.errors import BadOption


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` texts as a map. Raises BadOption for one without a name or an equals sign."""
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise BadOption(f"option {option} must be NAME=VALUE; got {text!r}")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}
