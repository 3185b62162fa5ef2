"""The creation of a stack's resources: one function per type, through the service's own API.

So botocore checks every property, and the service itself says what exists afterwards.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.core.common_models import CloudFormationModel

from sandbox.clients import client
from sandbox.settings import Settings

Properties = dict[str, Any]


@dataclass(slots=True)
class Created:
    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Context:
    """The arguments with which a resource is created: the API as an administrator, its generated name."""

    settings: Settings
    credentials: dict[str, str]
    name: str = ""
    clients: dict[str, Any] = field(default_factory=dict)

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call the API; leave out absent values and give scalars the type that the API wants."""
        if service not in self.clients:
            self.clients[service] = client(self.settings, self.credentials, service)
        api = self.clients[service]
        shape = api.meta.service_model.operation_model(operation).input_shape
        given = {name: value for name, value in parameters.items() if value is not None}
        return dict(api._make_api_call(operation, coerce(given, shape)))


def coerce(value: Any, shape: Any) -> Any:
    """Convert scalars to the API's types: CloudFormation takes "3" for 3 and 3 for "3", the APIs do not."""
    kind = shape.type_name if shape else ""
    if kind == "structure" and isinstance(value, dict):
        return {name: coerce(item, shape.members.get(name)) for name, item in value.items()}
    if kind == "list" and isinstance(value, list):
        return [coerce(item, shape.member) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {name: coerce(item, shape.value) for name, item in value.items()}
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
creators: dict[str, tuple[Creator, frozenset[str]]] = {}


def resource(type_name: str, *attributes: str) -> Callable[[Creator], Creator]:
    """Register how to create a type, and which attributes `Fn::GetAtt` returns."""

    def register(create: Creator) -> Creator:
        creators[type_name] = (create, frozenset(attributes))
        class_for.cache_clear()
        return create

    return register


class CreationContext:
    """The sandbox's settings, and the credentials with which CloudFormation acts."""

    settings: Settings
    credentials: ClassVar[dict[str, str]] = {}
    clients: ClassVar[dict[str, Any]] = {}


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
        create, _ = creators[cls.type_name]
        context = Context(
            CreationContext.settings, CreationContext.credentials, resource_name, CreationContext.clients
        )
        return cls(create(context, cloudformation_json.get("Properties") or {}))


@functools.cache
def class_for(type_name: str) -> type[Resource]:
    _, attributes = creators[type_name]
    members = {"type_name": type_name, "attribute_names": attributes}
    return type(type_name.replace("::", ""), (Resource,), members)


def tags_of(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}


def drop_properties(properties: Properties, *names: str) -> Properties:
    return {name: value for name, value in properties.items() if name not in names}
