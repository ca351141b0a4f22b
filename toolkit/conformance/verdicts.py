"""How a rule says that a target breaks it, or that it cannot be tried."""

from __future__ import annotations


class Failed(Exception):
    """The target breaks the rule; the message is what was seen."""


class NotApplicable(Exception):
    """The rule cannot be tried on this target; the message says why."""


def expect(holds: bool, seen: str) -> None:
    """Raises Failed with what was seen unless it `holds`."""
    if not holds:
        raise Failed(seen)
