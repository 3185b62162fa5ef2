"""Faults of shape in sentences: pydantic's errors, unknown keys, and keys without a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from imagegate.policy.file.inheritance import LABELS
from imagegate.policy.file.schema.policy import GateShape, StageShape
from imagegate.policy.file.yaml import Path, PathFault, describe, did_you_mean

_EXPECTED = {
    "int_type": "a whole number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_KEYS_OF_STAGES_ALONE = frozenset(
    (key,) for key in StageShape.model_fields if key not in GateShape.model_fields
)


def shape_faults(error: ValidationError) -> Iterator[PathFault]:
    """Yield pydantic's errors as sentences, with their paths in the long form."""
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        yield path, _explain(detail, path)


def empty_faults(data: Any, path: Path = ()) -> Iterator[PathFault]:
    """Yield the keys and items without a value, with their paths in the file."""
    if data is None and not _may_be_empty(path):
        yield path, "is empty: write a value, or take it out"
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, part in items:
        yield from empty_faults(part, (*path, key))


def _may_be_empty(path: Path) -> bool:
    """Return True for whole parts of the file, whose fault pydantic names, and for `promotes_to:` of older files."""
    is_part = len(path) < 2 or (len(path) == 2 and path[0] in ("stages", "waivers"))
    return is_part or (path[0] == "stages" and path[2:] == ("promotes_to",))


def _explain(detail: Any, path: Path) -> str:
    """Return a sentence for an error. The types of errors: pydantic documentation, "Validation Errors"."""
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return _explain_unknown_key(path)
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


def _explain_unknown_key(path: Path) -> str:
    if path[0] == "defaults" and path[1:] in _KEYS_OF_STAGES_ALONE:
        return "every stage has its own: write it there"
    if path[-3:-1] == LABELS:
        return "unknown key: beside value or action, labels go into value: {…}"
    known = _keys_at(path[:-1])
    if path[-1] == "limit" and "value" in known:
        return "unknown key (did you mean value?)"
    return "unknown key" + did_you_mean(path[-1], known)


def _keys_at(path: Path) -> list[str]:
    """Return the keys that the mapping at a path of the long form may have."""
    from imagegate.policy.file.schema.whole import PolicyFileShape

    keys = [part for part in path if isinstance(part, str)]
    if path[:1] == ("stages",):
        del keys[1:2]  # the name of the stage
    if path[:1] == ("baseline",):
        del keys[2:3]  # the name of the stage, or the pattern of the repositories
    shapes: list[type[BaseModel]] = [PolicyFileShape]
    for key in keys:
        fields = [shape.model_fields[key] for shape in shapes if key in shape.model_fields]
        shapes = [inner for field in fields for inner in _shapes_in(field.annotation)]
    return [key for shape in shapes for key in shape.model_fields]


def _shapes_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the shapes in a type: of a list or a mapping those of its items, of a union those of its members."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _shapes_in(argument)
