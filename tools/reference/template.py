"""The parameters and outputs of the stack, from `template.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from tools.reference.markdown import NOTE, code, sentence, table

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
_INTRODUCTION = """\
# Template: parameters and outputs

The parameters that `make deploy` asks for, and the outputs of the deployed stack. Both are in `template.yaml`.
[Install and deploy](../how-to/install.md) says how.
"""


def page() -> str:
    """Return the page `docs/reference/template.md`."""
    template = yaml_parse(TEMPLATE.read_text())
    lines = [NOTE, "", _INTRODUCTION, "## Parameters", "", *_parameters(template)]
    rows = [
        [code(name), sentence(output["Description"]), _condition(output)]
        for name, output in template["Outputs"].items()
    ]
    return "\n".join([*lines, "## Outputs", "", *table(("output", "description", "only if"), rows)])


def _parameters(template: Mapping[str, Any]) -> Iterator[str]:
    """Yield one table for each group, as the console shows them."""
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        parameters = {name: template["Parameters"][name] for name in group["Parameters"]}
        rows = [
            [code(name), _takes(one), _default(one), sentence(one["Description"])]
            for name, one in parameters.items()
        ]
        yield from (f"### {group['Label']['default']}", "")
        yield from table(("parameter", "takes", "default", "description"), rows)


def _takes(parameter: Mapping[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(code(value) for value in parameter["AllowedValues"])
    if "MinValue" in parameter:
        return f"{parameter['MinValue']} to {parameter['MaxValue']}"
    return sentence(parameter.get("ConstraintDescription", "text"))


def _default(parameter: Mapping[str, Any]) -> str:
    return code(parameter["Default"]) if str(parameter["Default"]) else "empty"


def _condition(output: Mapping[str, Any]) -> str:
    return code(output["Condition"]) if "Condition" in output else ""
