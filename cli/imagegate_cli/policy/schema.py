"""The policy file's JSON Schema (draft 2020-12): made from its shapes, so that editors complete and explain every key.

It accepts all that the parser accepts; what stands between stages, only the parser knows.
"""

from __future__ import annotations

import json
import re
from typing import Any

from imagegate.policy.file.model import PolicyShape

_NULL = {"type": "null"}
_OFF = {"const": "off", "description": "Nobody looks, whatever defaults say."}
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = ("LimitShape", "ProhibitedShape")
_STAGE_NAME = "^[a-z][a-z0-9-]{0,30}$"
_RULE = {"value", "action"}


def schema() -> dict[str, Any]:
    made: dict[str, Any] = _each(PolicyShape.model_json_schema(), _plainer)
    definitions: dict[str, Any] = made.pop("$defs")
    _complete(definitions)
    # What is used more than once has a name; each other rule stands where it is used.
    rules = {name: part for name, part in definitions.items() if "anyOf" in part and name not in _NAMED}
    rules = {name: _each(part, _referring({})) for name, part in rules.items()}
    made["properties"]["stages"]["propertyNames"] = {"pattern": _STAGE_NAME}
    named = {_short(name): part for name, part in definitions.items() if name not in rules}
    found = {"$schema": _DRAFT, "title": "Policy of imagegate", **made, "$defs": dict(sorted(named.items()))}
    completed: dict[str, Any] = _each(found, _referring(rules))
    return completed


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _each(part: Any, change: Any) -> Any:
    """From the innermost part outwards."""
    if isinstance(part, dict):
        return change({key: _each(inner, change) for key, inner in part.items()})
    return [_each(inner, change) for inner in part] if isinstance(part, list) else part


def _plainer(part: dict[str, Any]) -> dict[str, Any]:
    """Without what pydantic adds: nobody writes null, titles repeat the keys, defaults of whole parts say nothing."""
    if isinstance(part.get("title"), str):
        part.pop("title")
    if "default" in part and not isinstance(part["default"], bool | int) and not _is_word(part):
        part.pop("default")
    if _NULL in part.get("anyOf", ()):
        kept = [option for option in part.pop("anyOf") if option != _NULL]
        part = {**(kept[0] if len(kept) == 1 else {"anyOf": kept}), **part}
    is_free = part.get("type") == "string" and "enum" not in part and "const" not in part
    if is_free and re.search(part.get("pattern", ""), "1.0"):
        # YAML reads 1.0 as a number; the parser takes it for the text that it is.
        part["type"] = ["string", "number"]
    return part


def _is_word(part: dict[str, Any]) -> bool:
    return isinstance(part["default"], str) and ("enum" in part or "const" in part)


def _complete(definitions: dict[str, Any]) -> None:
    """What the parser brings into the long form before pydantic sees it."""
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
            said = {**properties["undefined"], "description": "What enhanced scanning calls undefined."}
            properties["untriaged"] = said
    url = {
        "type": "string",
        "description": "A package URL, or a name.",
        "examples": ["pkg:npm/event-stream@3.3.6"],
    }
    definitions["ProhibitedShape"] = {"anyOf": [url, definitions["ProhibitedShape"]]}
    next_stage = definitions["StageShape"]["properties"]["promotes_to"]
    next_stage["type"] = [*next_stage["type"], "null"]


def _rule(definition: dict[str, Any]) -> dict[str, Any]:
    """The plain value, the long form, or off."""
    value = {key: part for key, part in definition["properties"]["value"].items() if key != "description"}
    return {"anyOf": [value, {**definition, "description": "The long form."}, _OFF]}


def _short(name: str) -> str:
    return name.removesuffix("Shape")


def _referring(rules: dict[str, Any]) -> Any:
    """Follow or rename a reference; what stands beside it stays."""

    def change(part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        name = part["$ref"].rpartition("/")[2]
        beside = {key: inner for key, inner in part.items() if key != "$ref"}
        return {**rules[name], **beside} if name in rules else {"$ref": f"#/$defs/{_short(name)}", **beside}

    return change
