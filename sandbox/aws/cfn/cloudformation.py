"""CloudFormation: moto ignores many types, drops properties, forgets some DependsOn and keeps nulls in lists.

The types are in `cfn`. A type that neither `cfn` nor moto has fails the stack.
"""

from __future__ import annotations

from typing import Any

from moto.cloudformation import models as stack_models
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.core.common_models import CloudFormationModel

from sandbox.aws.cfn import creators
from sandbox.aws.cfn.creation import CreationContext, class_for
from sandbox.aws.cfn.custom import CustomResource
from sandbox.aws.patching import Patches
from sandbox.settings import Settings

_patches = Patches()
_find_native = parsing.resource_class_from_type
_clean_native = parsing.clean_json
_create_native = parsing.parse_and_create_resource
_create_all_native = stack_models.Stack.create_resources


def _class_from_type(type_name: str) -> type[CloudFormationModel]:
    if type_name in creators:
        return class_for(type_name)
    if type_name.startswith("Custom::") or type_name == "AWS::CloudFormation::CustomResource":
        return CustomResource
    if type_name not in parsing.get_model_map():
        raise ValidationError(message="the sandbox cannot create it")
    return _find_native(type_name)


def _clean(value: Any, resources: Any) -> Any:
    """Remove AWS::NoValue from maps and from lists."""
    if isinstance(value, list):
        items = (_clean(item, resources) for item in value)
        return [item for item in items if item is not None]
    return _clean_native(value, resources)


class ResourceFailedError(ValidationError):
    def __init__(self, logical_id: str, type_name: str, reason: str) -> None:
        super().__init__(message=f"{logical_id} ({type_name}): {reason}")
        self.logical_id, self.type_name, self.reason = logical_id, type_name, reason


def _create(
    logical_id: str, definition: dict[str, Any], resources: Any, account_id: str, region_name: str
) -> Any:
    condition = definition.get("Condition")
    if condition and not resources.lazy_condition_map[condition]:
        return None
    depends_on = definition.get("DependsOn") or []
    for other in [depends_on] if isinstance(depends_on, str) else depends_on:
        resources[other]
    try:
        return _create_native(logical_id, definition, resources, account_id, region_name)
    except ResourceFailedError:
        raise
    except Exception as error:
        # Any error while creating is this resource's failure.
        reason = getattr(error, "message", "") or str(error)
        raise ResourceFailedError(logical_id, definition["Type"], reason) from error


def _create_all(stack: Any) -> None:
    try:
        _create_all_native(stack)
    except ResourceFailedError as error:
        stack.status, stack.status_reason = "CREATE_FAILED", str(error.message)
        stack._add_stack_event("CREATE_FAILED", resource_status_reason=stack.status_reason)
        # The maps are lazy: reading a failed stack must not create again.
        made = stack.resource_map
        made._resource_json_map = {
            name: definition
            for name, definition in made._resource_json_map.items()
            if name in made._parsed_resources
        }
        stack.output_map = parsing.OutputMap(made, {}, stack.stack_id)


def _existing_resources(stack: Any) -> list[Any]:
    """Return the resources whose condition holds; moto lists the others as well."""
    return [made for made in stack.resource_map.values() if made is not None]


def use_credentials(credentials: dict[str, str]) -> None:
    """Set the credentials with which CloudFormation acts: those of the user who deploys."""
    CreationContext.credentials = credentials
    CreationContext.clients = {}


def install(settings: Settings) -> None:
    CreationContext.settings = settings
    _patches.set(parsing, "resource_class_from_type", _class_from_type)
    _patches.set(parsing, "clean_json", _clean)
    _patches.set(parsing, "parse_and_create_resource", _create)
    _patches.set(stack_models.Stack, "create_resources", _create_all)
    _patches.set(stack_models.Stack, "stack_resources", property(_existing_resources))


def stop() -> None:
    _patches.undo()
