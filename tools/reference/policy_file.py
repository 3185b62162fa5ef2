"""Every key of the policy file, from its JSON Schema (`imagegate policy schema`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.reference.markdown import NOTE, code, sentence, table

SCHEMA = Path(__file__).parents[2] / "layers/policy/policy.schema.json"
# As a reader meets them: the file, its stages, then the parts of a stage.
_FIRST = (
    "Stage",
    "Gate",
    "Findings",
    "Max",
    "Limit",
    "Grace",
    "NoGrace",
    "Packages",
    "Prohibited",
    "Image",
    "Evidence",
)
_INTRODUCTION = """\
# Policy file: every key

Every key of `layers/policy/policy.yaml`, from the JSON Schema that editors complete it by
(`layers/policy/policy.schema.json`, which `imagegate policy schema` prints). [The rules](policy.md) says what each rule
asks; [Write a policy](../how-to/write-a-policy.md) is where to begin.

**The long form.** Every rule can be written as its value, as `{value: …, action: enforce}`, or as `off`. The action
`enforce` blocks what does not comply, `warn` only reports it, `off` does not check it. A filter (`only_fixable`,
`grace`, `no_grace`, `no_worse_than`) takes `enforce` and `off` only.
"""


def page() -> str:
    """Return the page `docs/reference/policy-file.md`."""
    schema = json.loads(SCHEMA.read_text())
    lines = [NOTE, "", _INTRODUCTION, "## The file", "", *_part(schema)]
    definitions: dict[str, Any] = schema["$defs"]
    for name in sorted(definitions, key=_place):
        lines += [f"## {name}", "", *_part(_own(name, definitions))]
    return "\n".join(lines)


def _own(name: str, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition; of a stage without the keys of its gate, which have a part of their own."""
    schema: dict[str, Any] = definitions[name]
    if name != "Stage":
        return schema
    keys = {
        key: value
        for key, value in schema["properties"].items()
        if key not in definitions["Gate"]["properties"]
    }
    return {
        **schema,
        "properties": keys,
        "description": f"{schema['description']} It takes every key of Gate, too.",
    }


def _place(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def _part(schema: Mapping[str, Any]) -> Iterator[str]:
    if "description" in schema:
        yield from (sentence(schema["description"]), "")
    if "properties" not in schema:
        yield from (f"Takes {_form(schema)}.", "")
        return
    required = schema.get("required", ())
    rows = [_row(key, value, key in required) for key, value in schema["properties"].items()]
    yield from table(("key", "takes", "default", "description"), rows)


def _row(key: str, schema: Mapping[str, Any], is_required: bool) -> list[str]:
    default = "**required**" if is_required else code(_yaml(schema["default"])) if "default" in schema else ""
    examples = " or ".join(code(_yaml(one)) for one in schema.get("examples", ()))
    description = sentence(schema.get("description", ""))
    return [
        code(key),
        _form(schema),
        default,
        f"{description} Example: {examples}" if examples else description,
    ]


def _form(schema: Mapping[str, Any]) -> str:
    """Describe what values a schema takes, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return _choice(schema["anyOf"])
    if "const" in schema:
        return code(_yaml(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(_yaml(one)) for one in schema["enum"])
    if schema.get("type") == "array":
        return f"a list: {_form(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"names with {_form(schema['additionalProperties'])}"
    if schema.get("type") == "object" and "properties" not in schema:
        return "a mapping"
    if schema.get("type") == "object":
        return ", ".join(f"{code(key)}: {_form(value)}" for key, value in schema["properties"].items())
    return _scalar(schema)


def _choice(options: list[Mapping[str, Any]]) -> str:
    is_rule = any(option.get("description") == "The long form." for option in options)
    plain = [option for option in options if option.get("description") != "The long form."]
    forms = [_form(option) for option in plain if not (is_rule and option.get("const") == "off")]
    return " or ".join(dict.fromkeys(forms)) + (", or the long form" if is_rule else "")


def _scalar(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "a value")
    # A text that YAML may read as a number, such as 1.0.
    name = (
        "text"
        if kind == "string" or isinstance(kind, list)
        else {"integer": "a number", "number": "a number", "boolean": "`true` or `false`"}.get(kind, kind)
    )
    if "minimum" in schema and "maximum" in schema:
        return f"{name}, {schema['minimum']} to {schema['maximum']}"
    return name


def _yaml(value: object) -> str:
    """Return a value as people write it in the file."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
