"""The policy file's JSON Schema (draft 2020-12), made from its shapes: editors complete and explain keys by it.

It accepts everything that the parser accepts. Rules about several stages are only in the parser.
"""

from __future__ import annotations

import json
import re
from typing import Any

from imagegate.policy.file.schema.whole import PolicyFileShape

_NULL = {"type": "null"}
_OFF = {"const": "off", "description": "Nobody looks, whatever defaults say."}
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = ("LimitShape", "ProhibitedShape")
_STAGE_NAME = "^[a-z][a-z0-9-]{0,30}$"
_RULE = {"value", "action"}


def schema() -> dict[str, Any]:
    """Return the schema."""
    made: dict[str, Any] = _each(PolicyFileShape.model_json_schema(), _plainer)
    definitions: dict[str, Any] = made.pop("$defs")
    _complete(definitions)
    # A part that is used more than once has a name. Every other rule is written where it is used.
    rules = {name: part for name, part in definitions.items() if "anyOf" in part and name not in _NAMED}
    rules = {name: _each(part, _referring({})) for name, part in rules.items()}
    made["properties"]["stages"]["propertyNames"] = {"pattern": _STAGE_NAME}
    named = {_short(name): part for name, part in definitions.items() if name not in rules}
    document = {
        "$schema": _DRAFT,
        "title": "Policy of imagegate",
        **made,
        "$defs": dict(sorted(named.items())),
    }
    completed: dict[str, Any] = _each(document, _referring(rules))
    return completed


def text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _each(part: Any, change: Any) -> Any:
    """Apply the change to every object, from the innermost part outwards."""
    if isinstance(part, dict):
        return change({key: _each(inner, change) for key, inner in part.items()})
    return [_each(inner, change) for inner in part] if isinstance(part, list) else part


def _plainer(part: dict[str, Any]) -> dict[str, Any]:
    """Remove what pydantic adds and nobody needs: null, titles that repeat the keys, defaults of whole parts."""
    if isinstance(part.get("title"), str):
        part.pop("title")
    if "default" in part and not isinstance(part["default"], bool | int) and not _is_word(part):
        part.pop("default")
    if _NULL in part.get("anyOf", ()):
        options = [option for option in part.pop("anyOf") if option != _NULL]
        part = {**(options[0] if len(options) == 1 else {"anyOf": options}), **part}
    is_free = part.get("type") == "string" and "enum" not in part and "const" not in part
    if is_free and re.search(part.get("pattern", ""), "1.0"):
        # YAML reads 1.0 as a number; the parser reads it as text.
        part["type"] = ["string", "number"]
    return part


def _is_word(part: dict[str, Any]) -> bool:
    return isinstance(part["default"], str) and ("enum" in part or "const" in part)


def _complete(definitions: dict[str, Any]) -> None:
    """Add the short forms, which the parser expands before pydantic sees them."""
    for name, definition in definitions.items():
        properties = definition.get("properties", {})
        if name == "LimitShape":
            properties["limit"] = {
                **properties["value"],
                "deprecated": True,
                "description": "The same as value.",
            }
        if set(properties) >= _RULE:
            definitions[name] = _rule(definition)
        elif "undefined" in properties:
            text_of = {**properties["undefined"], "description": "What enhanced scanning calls undefined."}
            properties["untriaged"] = text_of
    url = {
        "type": "string",
        "description": "A package URL, or a name.",
        "examples": ["pkg:npm/event-stream@3.3.6"],
    }
    definitions["ProhibitedShape"] = {"anyOf": [url, definitions["ProhibitedShape"]]}
    next_stage = definitions["StageShape"]["properties"]["promotes_to"]
    next_stage["type"] = [*next_stage["type"], "null"]


def _rule(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a rule's three forms: the plain value, the long form, or off."""
    value = {key: part for key, part in definition["properties"]["value"].items() if key != "description"}
    return {"anyOf": [value, {**definition, "description": "The long form."}, _OFF]}


def _short(name: str) -> str:
    return name.removesuffix("Shape")


def _referring(rules: dict[str, Any]) -> Any:
    """Return a change that replaces a reference by its rule, or renames it; other keys stay."""

    def change(part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        name = part["$ref"].rpartition("/")[2]
        beside = {key: inner for key, inner in part.items() if key != "$ref"}
        return {**rules[name], **beside} if name in rules else {"$ref": f"#/$defs/{_short(name)}", **beside}

    return change
