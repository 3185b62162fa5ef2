"""State machines of CloudFormation: moto puts them into the backend that does not execute, and drops properties."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.stepfunctions import models
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from sandbox.settings import Settings

_original_attribute: Callable[..., Any] = models.StateMachine.get_cfn_attribute


def _definition(properties: dict[str, Any]) -> str:
    text = properties.get("DefinitionString") or properties["Definition"]
    if not isinstance(text, str):
        text = json.dumps(text)
    for name, value in (properties.get("DefinitionSubstitutions") or {}).items():
        text = text.replace(f"${{{name}}}", value if isinstance(value, str) else json.dumps(value))
    return str(text)


def _camel(value: Any) -> Any:
    """Convert keys to the API's case: CloudFormation writes `Level`, the API `level`."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _create_resource(
    _cls: Any,
    /,
    resource_name: str,
    cloudformation_json: dict[str, Any],
    account_id: str,
    region_name: str,
    **_: Any,
) -> Any:
    properties = cloudformation_json["Properties"]
    return stepfunctions_parser_backends[account_id][region_name].create_state_machine(
        name=properties.get("StateMachineName", resource_name),
        definition=_definition(properties),
        roleArn=properties["RoleArn"],
        tags=_camel(properties.get("Tags", [])),
        loggingConfiguration=_camel(properties.get("LoggingConfiguration")),
        tracingConfiguration=_camel(properties.get("TracingConfiguration")),
        sm_type=properties.get("StateMachineType", "STANDARD"),
    )


def _update_resource(
    _cls: Any,
    /,
    original_resource: Any,
    new_resource_name: str,
    cloudformation_json: dict[str, Any],
    account_id: str,
    region_name: str,
) -> Any:
    properties = cloudformation_json["Properties"]
    return stepfunctions_parser_backends[account_id][region_name].update_state_machine(
        original_resource.arn,
        definition=_definition(properties),
        role_arn=properties["RoleArn"],
        logging_configuration=_camel(properties.get("LoggingConfiguration")),
        tracing_configuration=_camel(properties.get("TracingConfiguration")),
    )


def _attribute(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_cfn_attribute(self: Any, attribute_name: str) -> Any:
        return self.arn if attribute_name == "Arn" else original(self, attribute_name)

    return get_cfn_attribute


def install(_settings: Settings) -> None:
    """Create them with substitutions, type, logging and tracing; `Ref` is the ARN."""
    resource = models.StateMachine
    models.stepfunctions_backends = stepfunctions_parser_backends
    resource.cloudformation_name_type = staticmethod(lambda: "StateMachineName")
    resource.has_cfn_attr = classmethod(lambda _cls, attribute: attribute in {"Arn", "Name"})
    resource.get_cfn_attribute = _attribute(_original_attribute)
    resource.create_from_cloudformation_json = classmethod(_create_resource)
    resource.update_from_cloudformation_json = classmethod(_update_resource)
