"""A rule of SageMaker's container contract, the three results that it can have, and running rules one after another.

A rule is a function `check_*(trial)`: its first docstring line is the rule, it returns what was seen where the target
keeps the rule, and it raises Failed where the target breaks it and NotApplicable where the rule cannot be tried.
The rules themselves stand in toolkit/conformance/table.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from toolkit.conformance.trial import Trial
from toolkit.conformance.verdicts import Failed, NotApplicable

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"


@dataclass(frozen=True)
class Rule:
    """One `check_*` function, what it is about, where SageMaker says so, and what to do where it fails.

    `about` is "train", "serve" or "image"; `source` is a page of the Developer Guide by its file's stem, or a sentence.
    """

    check: Callable[[Trial], str]
    about: str
    source: str
    to_do: str

    @property
    def name(self) -> str:
        """The function's name without `check_`, in dashes."""
        return self.check.__name__.removeprefix("check_").replace("_", "-")

    @property
    def sentence(self) -> str:
        """The rule in words: the first line of the function's docstring."""
        return inspect.getdoc(self.check).partition("\n")[0].removesuffix(".")


@dataclass(frozen=True)
class Result:
    """How a rule ended: `result` is PASS, FAIL or NOT_APPLICABLE, `seen` is what was seen, or why it does not apply."""

    rule: Rule
    result: str
    seen: str
    log: str = ""


def run(rules: Iterable[Rule], trial: Trial) -> Iterator[Result]:
    """The results of the rules on a trial's target, each as soon as it is known."""
    for rule in rules:
        yield _result(rule, trial)


def _result(rule: Rule, trial: Trial) -> Result:
    trial.last_log = ""
    try:
        return Result(rule, PASS, rule.check(trial))
    except NotApplicable as why:
        return Result(rule, NOT_APPLICABLE, str(why))
    except Failed as failed:
        trial.stop_server()  # which may be in any state now
        return Result(rule, FAIL, str(failed), trial.last_log)
