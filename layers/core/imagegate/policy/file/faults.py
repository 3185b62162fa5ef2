"""Faults of shape as a person says them: what pydantic found, and keys without a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from imagegate.policy.file.inheritance import LABELS
from imagegate.policy.file.model import GateShape, PolicyShape, StageShape
from imagegate.policy.file.yaml import Path, describe, did_you_mean

_EXPECTED = {
    "int_type": "a whole number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
# What stages alone may say.
_OF_STAGES = frozenset((key,) for key in StageShape.model_fields if key not in GateShape.model_fields)


def shape_faults(error: ValidationError) -> Iterator[tuple[Path, str]]:
    """Pydantic's errors, with their paths in the long form."""
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        yield path, _explain(detail, path)


def empty_faults(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Keys and items without a value; the paths are those of the file."""
    if data is None and not _has_sentence(path):
        yield path, "is empty: write a value, or take it out"
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, part in items:
        yield from empty_faults(part, (*path, key))


def _has_sentence(path: Path) -> bool:
    """Whole parts of the file, of which pydantic says what they must be; and older files may say `promotes_to:`."""
    is_part = len(path) < 2 or (len(path) == 2 and path[0] in ("stages", "waivers"))
    return is_part or (path[0] == "stages" and path[2:] == ("promotes_to",))


def _explain(detail: Any, path: Path) -> str:
    """Pydantic documentation, "Validation Errors"."""
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(path)
        case "missing":
            return "is missing"
        case "literal_error":
            expected = context["expected"]
            words = re.findall(r"'([^']*)'", expected)
            return f"must be {expected}, not {describe(value)}" + did_you_mean(value, words)
        case "value_error":
            return str(context["error"])
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "greater_than_equal":
            return f"must be {context['ge']} or more, not {value}"
        case "less_than_equal":
            return f"must be {context['le']} or less, not {value}"
        case kind:
            return f"must be {_EXPECTED.get(kind, detail['msg'])}, not {describe(value)}"


def _unknown(path: Path) -> str:
    if path[0] == "defaults" and path[1:] in _OF_STAGES:
        return "every stage has its own: write it there"
    if path[-3:-1] == LABELS:
        return "unknown key: beside value or action, labels go into value: {…}"
    known = keys_at(path[:-1])
    if path[-1] == "limit" and "value" in known:
        return "unknown key (did you mean value?)"
    return "unknown key" + did_you_mean(path[-1], known)


def keys_at(path: Path) -> list[str]:
    """The keys that the mapping at a path of the long form may have."""
    keys = [part for part in path if isinstance(part, str)]
    if path[:1] == ("stages",):
        del keys[1:2]  # its name
    shapes: list[type[BaseModel]] = [PolicyShape]
    for key in keys:
        shapes = [inner for shape in shapes if key in shape.model_fields for inner in _shapes(shape, key)]
    return [key for shape in shapes for key in shape.model_fields]


def _shapes(shape: type[BaseModel], key: str) -> Iterator[type[BaseModel]]:
    return _shapes_in(shape.model_fields[key].annotation)


def _shapes_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Of a list or a mapping those of its items, of a union those of its members."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _shapes_in(argument)
