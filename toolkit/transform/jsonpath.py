"""The part of JSONPath that SageMaker's batch transform understands; any other path is an error.

`$`, `.name`, `*`, `['a','b']`, `[i]`, `[i,j]` with negative places, `[start:end]`, `[start:]`, `[:end]`. A path that
can have but one match gives it, any other the list of its matches; several names in one bracket match one object.

Sources: the Developer Guide's "Associate Prediction Results with Input Records", and the Java JsonPath that it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from toolkit.errors import BadOption, BadPayload

MOST_CHARACTERS = 63
SUPPORTED = "$, .name, *, ['a','b'], [i,j] and [start:end]"
_QUOTED = r"'[^'\\.\[\]]+'"
_STEPS = {
    "name": re.compile(r"\.([A-Za-z_][\w-]*)"),
    "every": re.compile(r"\.?\[\*\]|\.\*"),
    "names": re.compile(rf"\.?\[\s*({_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*\]"),
    "places": re.compile(r"\.?\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]"),
    "slice": re.compile(r"\.?\[\s*(-?\d*)\s*:\s*(-?\d*)\s*\]"),
}


@dataclass(frozen=True)
class Step:
    """One step of a path: the matches below a value, and whether there can be but one."""

    matches: Callable[[Any], list]
    definite: bool
    by_place: bool


@dataclass(frozen=True)
class Path:
    """A parsed path."""

    text: str
    steps: tuple[Step, ...]

    @property
    def fits_columns(self) -> bool:
        """Whether the path can select columns of CSV: `$`, or one step by place."""
        return len(self.steps) <= 1 and all(step.by_place for step in self.steps)

    def select(self, value: Any) -> Any:
        """What the path finds. Raises BadPayload for a name or place that is not there."""
        found = [value]
        try:
            for step in self.steps:
                found = [match for one in found for match in step.matches(one)]
        except LookupError as error:
            raise BadPayload(f"the path {self.text} finds nothing in the record: {error.args[0]}") from error
        return found[0] if all(step.definite for step in self.steps) else found


def parse(text: str, field: str, inclusive: bool = False) -> Path:
    """The path that `text` spells; `field` is its name in the job, for the message of BadOption.

    `inclusive` has a slice contain its end, as the guide's prose says; in the library that the guide refers to it
    does not.
    """
    if not text.startswith("$") or len(text) > MOST_CHARACTERS:
        raise BadOption(f"{field} must begin with $ and have at most {MOST_CHARACTERS} characters; got {text!r}")
    at, steps = 1, []
    while at < len(text):
        kind, match = _next_step(text, at, field)
        steps.append(_step(kind, match, inclusive))
        at = match.end()
    return Path(text, tuple(steps))


def _next_step(text: str, at: int, field: str) -> tuple[str, re.Match]:
    for kind, pattern in _STEPS.items():
        if match := pattern.match(text, at):
            return kind, match
    raise BadOption(f"{field} {text!r} is not supported from {text[at:]!r} on; supported are {SUPPORTED}")


def _step(kind: str, match: re.Match, inclusive: bool) -> Step:
    if kind == "every":
        return Step(_every, definite=False, by_place=True)
    if kind == "slice":
        return Step(partial(_sliced, _slice(match[1], match[2], inclusive)), definite=False, by_place=True)
    if kind == "places":
        places = [int(place) for place in match[1].split(",")]
        return Step(partial(_at_places, places), definite=len(places) == 1, by_place=True)
    names = [match[1]] if kind == "name" else [quoted[1:-1] for quoted in re.findall(_QUOTED, match[1])]
    return Step(partial(_named, names), definite=True, by_place=False)


def _slice(start: str, end: str, inclusive: bool) -> slice:
    stop = int(end) + inclusive if end else None
    return slice(int(start) if start else None, None if end == "-1" and inclusive else stop)


def _every(value: Any) -> list:
    return list(value.values()) if isinstance(value, dict) else _of_kind(value, list)


def _sliced(part: slice, value: Any) -> list:
    return _of_kind(value, list)[part]


def _at_places(places: list[int], value: Any) -> list:
    items = _of_kind(value, list)
    for place in places:
        if not -len(items) <= place < len(items):
            raise LookupError(f"place {place} is outside of its {len(items)} items")
    return [items[place] for place in places]


def _named(names: list[str], value: Any) -> list:
    members = _of_kind(value, dict)
    for name in names:
        if name not in members:
            raise LookupError(f"there is no {name!r}")
    return [members[names[0]] if len(names) == 1 else {name: members[name] for name in names}]


_KINDS = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}


def _of_kind(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise LookupError(f"a step wants {_KINDS[kind]}, there is {_KINDS.get(type(value), 'a number')}")
    return value
