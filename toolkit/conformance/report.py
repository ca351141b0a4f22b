"""Results of a check for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from toolkit.conformance.rules import FAIL, NOT_APPLICABLE, PASS, Result

GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/{}.html"
SHOWN = {PASS: "pass", FAIL: "FAIL", NOT_APPLICABLE: "n/a "}
COLOURS = {PASS: "green", FAIL: "red", NOT_APPLICABLE: "bright_black"}
NAME_WIDTH = 38


def line(result: Result) -> str:
    """One line of the table: the rule's name and what was seen."""
    return f"{result.rule.name:<{NAME_WIDTH}}  {result.seen}"


def explained(result: Result) -> str:
    """A failure in full: the rule, what was seen, what to do, where SageMaker says so, the end of the log."""
    parts = [
        f"{result.rule.name}",
        f"  rule    {result.rule.sentence}",
        f"  seen    {result.seen}",
        f"  to do   {result.rule.to_do}",
        f"  source  {source(result.rule.source)}",
    ]
    log = [f"          {text}" for text in result.log.splitlines()]
    return "\n".join([*parts, *(["  log", *log] if log else [])])


def source(page: str) -> str:
    """The address of a page of the Developer Guide; a sentence as it is."""
    return page if " " in page else GUIDE.format(page)


def summary(results: Iterable[Result]) -> str:
    """The counts in words."""
    counts = Counter(result.result for result in results)
    return f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[NOT_APPLICABLE]} not applicable"


def document(target: str, results: list[Result]) -> dict[str, Any]:
    """The whole report as an object for JSON."""
    return {
        "target": target,
        "passed": all(result.result != FAIL for result in results),
        "results": [
            {
                "rule": result.rule.name,
                "about": result.rule.about,
                "sentence": result.rule.sentence,
                "source": source(result.rule.source),
                "result": result.result,
                "seen": result.seen,
                "to_do": result.rule.to_do if result.result == FAIL else None,
                "log": result.log.splitlines(),
            }
            for result in results
        ],
    }
