"""CloudFormation: moto ignores many types, drops properties, forgets some DependsOn and keeps nulls in lists.

Types are functions registered with `@resource`: they get the resolved properties and call the service's own API, so
that botocore checks every property and whatever exists afterwards is what the service says. A type that nobody
registered and that moto does not know fails the stack.
"""

from __future__ import annotations

import functools
import importlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from moto.awslambda.utils import get_backend
from moto.cloudformation import models as stack_models
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException, ValidationError
from moto.core.common_models import CloudFormationModel

from sandbox.aws.patching import Patches
from sandbox.clients import client
from sandbox.settings import Settings

Properties = dict[str, Any]


@dataclass(slots=True)
class Created:
    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Context:
    """What a resource is created with: the API as an administrator, its generated name."""

    settings: Settings
    credentials: dict[str, str]
    name: str = ""
    clients: dict[str, Any] = field(default_factory=dict)

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Calls the API; absent values are left out, scalars take the type that the API wants."""
        if service not in self.clients:
            self.clients[service] = client(self.settings, self.credentials, service)
        api = self.clients[service]
        shape = api.meta.service_model.operation_model(operation).input_shape
        given = {name: value for name, value in parameters.items() if value is not None}
        return dict(api._make_api_call(operation, coerced(given, shape)))


def coerced(value: Any, shape: Any) -> Any:
    """CloudFormation takes "3" for 3 and 3 for "3"; the APIs do not."""
    kind = shape.type_name if shape else ""
    if kind == "structure" and isinstance(value, dict):
        return {name: coerced(item, shape.members.get(name)) for name, item in value.items()}
    if kind == "list" and isinstance(value, list):
        return [coerced(item, shape.member) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {name: coerced(item, shape.value) for name, item in value.items()}
    if kind == "boolean" and isinstance(value, str):
        return value.lower() == "true"
    if kind in ("integer", "long") and isinstance(value, str):
        return int(value)
    if kind in ("double", "float") and isinstance(value, (str, int)):
        return float(value)
    if kind == "string" and isinstance(value, (dict, list)):
        return json.dumps(value)  # policy documents
    return as_text(value) if kind == "string" else value


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


Creator = Callable[[Context, Properties], Created]
_creators: dict[str, tuple[Creator, frozenset[str]]] = {}


def resource(type_name: str, *attributes: str) -> Callable[[Creator], Creator]:
    """Registers how to create a type, and which attributes `Fn::GetAtt` finds."""

    def register(create: Creator) -> Creator:
        _creators[type_name] = (create, frozenset(attributes))
        _class_for.cache_clear()
        return create

    return register


class _State:
    settings: Settings
    credentials: ClassVar[dict[str, str]] = {}
    clients: ClassVar[dict[str, Any]] = {}
    answers: ClassVar[dict[str, dict[str, Any]]] = {}  # of custom resources, by token


class Resource(CloudFormationModel):
    type_name = ""
    attribute_names: frozenset[str] = frozenset()

    def __init__(self, created: Created) -> None:
        self.physical_resource_id = created.physical_id
        self.attributes = created.attributes

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.type_name

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in cls.attribute_names

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        if attribute_name not in self.attributes:
            raise UnformattedGetAttTemplateException()
        return self.attributes[attribute_name]

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> Resource:
        create, _ = _creators[cls.type_name]
        context = Context(_State.settings, _State.credentials, resource_name, _State.clients)
        return cls(create(context, cloudformation_json.get("Properties") or {}))


@functools.cache
def _class_for(type_name: str) -> type[Resource]:
    _, attributes = _creators[type_name]
    members = {"type_name": type_name, "attribute_names": attributes}
    return type(type_name.replace("::", ""), (Resource,), members)


class CustomResource(CloudFormationModel):
    """Backed by a function that answers with a PUT to the ResponseURL. Waits for it."""

    def __init__(self, physical_id: str, data: Mapping[str, Any]) -> None:
        self.physical_resource_id = physical_id
        self.data = data

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return True  # known only when it has answered

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        if attribute_name not in self.data:
            raise ValidationError(
                message="CustomResource attribute error: Vendor response doesn't contain "
                f"{attribute_name} attribute in object {self.physical_resource_id}"
            )
        return self.data[attribute_name]

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> CustomResource:
        properties = cloudformation_json["Properties"]
        token = str(uuid.uuid4())
        event = {
            "RequestType": "Create",
            "ServiceToken": properties["ServiceToken"],
            "ResponseURL": f"{_State.settings.endpoint}/sandbox-api/cfn-response/{token}",
            "StackId": kwargs["StackId"],
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": kwargs["LogicalId"],
            "ResourceType": kwargs["ResourceType"],
            "ResourceProperties": _as_texts(properties),
        }
        answer = _ask(event, token, account_id, region_name)
        if answer["Status"] != "SUCCESS":
            raise ValidationError(message=str(answer.get("Reason") or "no reason given"))
        return cls(answer["PhysicalResourceId"], answer.get("Data") or {})


def _as_texts(value: Any) -> Any:
    """A custom resource gets every scalar as text."""
    if isinstance(value, dict):
        return {name: _as_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_texts(item) for item in value]
    return as_text(value)


def _ask(event: dict[str, Any], token: str, account_id: str, region: str) -> dict[str, Any]:
    headers: dict[str, str] = {}
    payload = get_backend(account_id, region).invoke(
        event["ServiceToken"], None, json.dumps(event), {}, headers
    )
    if "x-amz-function-error" in headers:
        error = json.loads(payload)
        reason = f"{error.get('errorType')}: {error.get('errorMessage')}"
        return {"Status": "FAILED", "Reason": f"{event['ServiceToken']} failed: {reason}"}
    missing = {"Status": "FAILED", "Reason": "the function ended without an answer"}
    return _State.answers.pop(token, missing)


def take_answer(token: str, body: bytes) -> None:
    """A custom resource's PUT to its ResponseURL."""
    _State.answers[token] = json.loads(body)


_patches = Patches()
_find_native = parsing.resource_class_from_type
_clean_native = parsing.clean_json
_create_native = parsing.parse_and_create_resource
_create_all_native = stack_models.Stack.create_resources


def _class_from_type(type_name: str) -> type[CloudFormationModel]:
    if type_name in _creators:
        return _class_for(type_name)
    if type_name.startswith("Custom::") or type_name == "AWS::CloudFormation::CustomResource":
        return CustomResource
    if type_name not in parsing.get_model_map():
        raise ValidationError(message="the sandbox cannot create it")
    return _find_native(type_name)


def _clean(value: Any, resources: Any) -> Any:
    """AWS::NoValue vanishes from lists too."""
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
        # Whatever goes wrong while creating is this resource's failure.
        reason = getattr(error, "message", "") or str(error)
        raise ResourceFailedError(logical_id, definition["Type"], reason) from error


def _create_all(stack: Any) -> None:
    try:
        _create_all_native(stack)
    except ResourceFailedError as error:
        stack.status, stack.status_reason = "CREATE_FAILED", str(error.message)
        stack._add_stack_event("CREATE_FAILED", resource_status_reason=stack.status_reason)
        # The maps are lazy: looking at a failed stack must not try again.
        made = stack.resource_map
        made._resource_json_map = {
            name: definition
            for name, definition in made._resource_json_map.items()
            if name in made._parsed_resources
        }
        stack.output_map = parsing.OutputMap(made, {}, stack.stack_id)


def _existing(stack: Any) -> list[Any]:
    """moto lists what a condition left out as well."""
    return [made for made in stack.resource_map.values() if made is not None]


def use_credentials(credentials: dict[str, str]) -> None:
    """Whom CloudFormation acts for: the one who deploys."""
    _State.credentials = credentials
    _State.clients = {}


def install(settings: Settings) -> None:
    _State.settings = settings
    importlib.import_module("sandbox.aws.cfn_types")  # registers itself
    _patches.set(parsing, "resource_class_from_type", _class_from_type)
    _patches.set(parsing, "clean_json", _clean)
    _patches.set(parsing, "parse_and_create_resource", _create)
    _patches.set(stack_models.Stack, "create_resources", _create_all)
    _patches.set(stack_models.Stack, "stack_resources", property(_existing))


def stop() -> None:
    _patches.undo()
