"""Hyperparameters as a plugin declares them (a pydantic model) and as a job sends them (a map of strings).

SageMaker hands every value over as a string, and its clients spell values in their own ways: `str(value)` of Python
(`True`, `['msd']`), JSON (`true`, `["msd"]`), JSON encoded again (`"\\"5\\""`), whole numbers as `5.0`. All are read.
"""

from __future__ import annotations

import ast
import difflib
import json
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from toolkit.errors import BadHyperparameter


class Hyperparameters(BaseModel):
    """What a plugin's hyperparameters derive from: unknown names are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


def parse(
    model: type[Hyperparameters], given: Mapping[str, Any], ignored: frozenset[str] = frozenset()
) -> Hyperparameters:
    """The job's hyperparameters as the plugin's model.

    Names in `ignored`, and those of SageMaker's own machinery (a leading `_` or `sagemaker_`), are passed over.
    Raises BadHyperparameter, one clause for each value that cannot be.
    """
    values = {name: value for name, value in given.items() if not _is_platform_name(name) and name not in ignored}
    plain = {name: _read(value, model.model_fields.get(name)) for name, value in values.items()}
    try:
        return model(**plain)
    except ValidationError as error:
        raise BadHyperparameter("; ".join(_sentences(error, model, values))) from error


def describe(field: FieldInfo) -> str:
    """What a field must be, in words: `an integer of at least 1`."""
    words = " or ".join(_type_words(kind) for kind in _alternatives(field.annotation))
    return f"{words} {' and '.join(_limits(field.metadata))}".strip()


def _is_platform_name(name: str) -> bool:
    return name.startswith(("_", "sagemaker_"))


def _read(value: Any, field: FieldInfo | None) -> Any:
    """A string as the value that it spells; what spells nothing stays a string."""
    if not isinstance(value, str) or field is None:
        return value
    text = _without_quotes(value.strip())
    kinds = [_bare(kind) for kind in _alternatives(field.annotation)]
    if any(typing.get_origin(kind) is list for kind in kinds) and text.startswith(("[", "(")):
        return _list(text)
    if bool in kinds:
        return {"true": True, "false": False}.get(text.lower(), text)
    return _whole_number(text) if int in kinds else text


def _without_quotes(text: str) -> str:
    """The text inside any layers of JSON string quotes."""
    while len(text) > 1 and text[0] == text[-1] == '"':
        try:
            text = json.loads(text)
        except ValueError:
            return text
    return text


def _list(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = read(text)
            return list(value) if isinstance(value, list | tuple) else text
    return text


def _whole_number(text: str) -> Any:
    """The whole number that a text spells, also as `5.0`; the text itself where it spells none."""
    with suppress(ValueError):
        return int(text)  # first, because float has no more than 53 bits
    with suppress(ValueError):
        return int(float(text)) if float(text).is_integer() else text
    return text


def _sentences(error: ValidationError, model: type[Hyperparameters], given: Mapping[str, Any]):
    """One clause for each hyperparameter in error, in the order that pydantic met them."""
    told = set()
    for problem in error.errors():
        name = problem["loc"][0] if problem["loc"] else None
        if name in told:
            continue
        told.add(name)
        yield _sentence(name, problem, model, given)


def _sentence(
    name: str | None, problem: Mapping[str, Any], model: type[Hyperparameters], given: Mapping[str, Any]
) -> str:
    if name is None:
        return problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"unknown hyperparameter {name!r}{_nearest(name, model)}"
    wanted = describe(model.model_fields[name])
    if problem["type"] == "missing":
        return f"hyperparameter {name!r} is required; it must be {wanted}"
    return f"hyperparameter {name!r} must be {wanted}; got {given[name]!r}"


def _nearest(name: str, model: type[Hyperparameters]) -> str:
    near = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.5)
    known = ", ".join(sorted(model.model_fields))
    return f"; did you mean {near[0]!r}?" if near else f"; the known ones are {known}"


def _alternatives(annotation: Any) -> list[Any]:
    """The members of a union but None, or the annotation alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    return [annotation]


def _bare(kind: Any) -> Any:
    """The type inside `Annotated`, or the type itself."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _type_words(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Annotated:
        bare, *metadata = typing.get_args(kind)
        flat = [limit for part in metadata for limit in getattr(part, "metadata", [part])]
        return f"{_type_words(bare)} {' and '.join(_limits(flat))}".strip()
    if typing.get_origin(kind) is Literal:
        options = [repr(option) for option in typing.get_args(kind)]
        return f"one of {', '.join(options)}" if len(options) > 1 else options[0]
    if typing.get_origin(kind) is list:
        return f"a list, each {_type_words(typing.get_args(kind)[0])}"
    return {int: "an integer", float: "a number", bool: "true or false", str: "text"}.get(kind, str(kind))


def _limits(metadata: list[Any]) -> list[str]:
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    return [f"{words[name]} {getattr(limit, name)}" for limit in metadata for name in words if hasattr(limit, name)]
