"""Media types as HTTP and SageMaker write them: `text/csv; label_size=0`, `application/JSON`, `*/*;q=0.8`.

RFC 9110, sections 5.6.6 and 8.3.1: the name and the parameters' names know no case, blanks around `;` and
`=` mean nothing, a value may be a quoted string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(rf"\s*({_TOKEN}(?:/{_TOKEN})?)\s*(?=;|$)")
_PARAMETER = re.compile(rf';\s*(?:({_TOKEN})\s*=\s*("(?:[^"\\]|\\.)*"|{_TOKEN}))?\s*(?=;|$)')
_LIST_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')


@dataclass(frozen=True)
class MediaType:
    """A name in lower case, and parameters: their names in lower case, their values without quotes."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join([self.name, *(f"{name}={value}" for name, value in self.parameters.items())])


@lru_cache(maxsize=256)
def parse(text: str) -> MediaType:
    """The media type that `text` spells, kept because requests repeat theirs. Raises ValueError if it is none."""
    head = _NAME.match(text)
    if head is None:
        raise ValueError(f"{text!r} is not a media type")
    parameters, at = {}, head.end()
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None:
            raise ValueError(f"{text!r} is not a media type")
        if found[1]:
            parameters[found[1].lower()] = _unquoted(found[2])
        at = found.end()
    return MediaType(head[1].lower(), parameters)


def parse_list(text: str) -> list[MediaType]:
    """The media types of a header such as Accept, in its order. Raises ValueError where one is none."""
    return [parse(item) for item in _LIST_ITEM.findall(text) if item.strip()]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
