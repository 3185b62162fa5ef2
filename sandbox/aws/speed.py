"""moto lists its folder for each request, reads JSON as YAML, parses a state machine for each execution, sorts a
whole table for each query, and looks for other names of each part of its items.

Here each is done once, or only as far as it matters.
"""

from __future__ import annotations

import json
import threading
from functools import lru_cache
from typing import Any

from botocore.model import MapShape
from moto import backends
from moto.cloudformation.models import Stack
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

from sandbox.aws.patching import Patches
from sandbox.settings import Settings

_patches = Patches()
_list_modules_native = backends.list_of_moto_modules
_parse_template_native = Stack.parse_template
_parse_machine_native = AmazonStateLanguageParser.parse
_query_native = Table.query
_all_items_native = Table.all_items
_serialize_map_native = BaseJSONSerializer._serialize_type_map
_querying = threading.local()


@lru_cache
def _list_modules() -> frozenset[str]:
    return frozenset(_list_modules_native())


def _parse_template(template: str) -> dict[str, Any]:
    """Read a template in JSON as JSON: as YAML it takes seconds."""
    try:
        return dict(json.loads(template))
    except ValueError:
        return _parse_template_native(template)


@lru_cache(maxsize=16)
def _parse_tree(definition: str) -> Any:
    return _parse_machine_native(definition)[1]


def _parse_machine(definition: str) -> tuple[EvalComponent, Any]:
    """Return the components, which belong to one execution, and the tree of the definition, which does not change."""
    tree = _parse_tree(definition)
    return Preprocessor().visit(tree), tree


def _query(self: Table, hash_key: Any, *rest: Any, **named: Any) -> Any:
    """Query the items of one partition, or of an index all of them; moto sorts its results itself."""
    index_name = rest[6]
    partitions = list(self.items.values()) if index_name else [self.items.get(hash_key, {})]
    _querying.items = [item for partition in partitions for item in _items_of(partition)]
    try:
        return _query_native(self, hash_key, *rest, **named)
    finally:
        del _querying.items


def _items_of(partition: Any) -> list[Item]:
    """Return the items of a hash key; in a table without a range key there is one."""
    return [partition] if isinstance(partition, Item) else list(partition.values())


def _all_items(self: Table) -> list[Item]:
    return _querying.items if hasattr(_querying, "items") else _all_items_native(self)


def _serialize_map(self: Any, serialized: dict[str, Any], value: Any, shape: MapShape, key: str) -> None:
    """Write an item of DynamoDB as it is: moto keeps it in the form of the wire."""
    if shape.value.name == "AttributeValue":
        serialized[key] = value
    else:
        _serialize_map_native(self, serialized, value, shape, key)


def install(settings: Settings) -> None:
    _patches.set(backends, "list_of_moto_modules", _list_modules)
    _patches.set(Stack, "parse_template", staticmethod(_parse_template))
    _patches.set(AmazonStateLanguageParser, "parse", staticmethod(_parse_machine))
    _patches.set(BaseJSONSerializer, "_serialize_type_map", _serialize_map)
    _patches.set(Table, "query", _query)
    _patches.set(Table, "all_items", _all_items)


def stop() -> None:
    _patches.undo()
