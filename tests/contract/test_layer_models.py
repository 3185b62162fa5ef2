"""The models of AWS services in the layer: they have each operation that a function may call, whole."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

ROOT = Path(__file__).parents[2]
# Operations that the template allows, and that no function calls through botocore.
CALLED_BY_OTHERS = {
    "ecr": {  # registries take layers over HTTP, and ECR asks for these rights
        *("CompleteLayerUpload", "GetDownloadUrlForLayer", "InitiateLayerUpload", "UploadLayerPart"),
    },
    "inspector2": {"CreateSbomExport", "GetSbomExport"},  # by the state machine
    "kms": {  # by the services that encrypt
        *("CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey", "ReEncrypt"),
    },
    "s3": {"AbortMultipartUpload", "DeleteObject", "PutObjectAcl"},  # by Inspector, and denied
    "stepfunctions": {"StopExecution"},  # by the state machine of a map
}
_PREFIXES = {"states": "stepfunctions"}


def load_build() -> ModuleType:
    """Return the script that builds the layer, as a module."""
    spec = importlib.util.spec_from_file_location("layer_build", ROOT / "layers/core/build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILD = load_build()
CALLED = BUILD.words(ROOT / "layers/core/imagegate")


def load_model(service: str) -> dict[str, Any]:
    model: dict[str, Any] = Loader().load_service_model(service, "service-2")
    return model


def allowed_operations(service: str, model: dict[str, Any]) -> set[str]:
    """Return the operations of this service that a statement of the template names."""
    named = re.findall(r"\b([a-z0-9]+):([A-Z]\w+)", (ROOT / "template.yaml").read_text())
    return {action for prefix, action in named if _PREFIXES.get(prefix, prefix) == service} & set(
        model["operations"]
    )


@pytest.mark.parametrize("service", BUILD.SERVICES)
def test_each_operation_that_a_role_allows_is_kept(service: str) -> None:
    model = load_model(service)
    kept = set(BUILD.reduce_model(model, CALLED)["operations"])
    assert allowed_operations(service, model) - kept == CALLED_BY_OTHERS.get(service, set())
    assert kept


def describe(shape: Shape | None, described: dict[str, Any]) -> Any:
    """Describe a shape with all its members; note each shape once."""
    if shape and shape.name not in described:
        described[shape.name] = [shape.type_name, shape.serialization, shape.metadata]
        below = [getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)]
        for member in [*below, *getattr(shape, "members", {}).values()]:
            describe(member, described)
    return described


@pytest.mark.parametrize("service", BUILD.SERVICES)
def test_what_is_kept_is_the_same_with_each_of_its_shapes(service: str) -> None:
    whole = load_model(service)
    reduced = BUILD.reduce_model(whole, CALLED)
    before, after = ServiceModel(whole, service), ServiceModel(reduced, service)
    for name in after.operation_names:
        for part in ("input_shape", "output_shape"):
            shapes = [getattr(model.operation_model(name), part) for model in (before, after)]
            assert describe(shapes[0], {}) == describe(shapes[1], {})
    assert [shape.name for shape in after.error_shapes] == [shape.name for shape in before.error_shapes]


def test_an_operation_is_kept_if_a_source_has_its_method_and_dropped_otherwise(tmp_path: Path) -> None:
    (tmp_path / "ec2.py").write_text('client("ec2").describe_images()\nfor page in pages("list_x_v2"): ...\n')
    shapes: dict[str, Any] = {
        "Request": {"type": "structure", "members": {"shape": {"shape": "Text"}}},
        "Text": {"type": "string"},
        "Other": {"type": "string"},
        "Fault": {"type": "structure", "members": {}, "exception": True},
    }
    operations = {name: {"input": {"shape": "Request"}} for name in ("DescribeImages", "ListXV2")}
    model = {"operations": {**operations, "RunInstances": {"input": {"shape": "Other"}}}, "shapes": shapes}
    reduced = BUILD.reduce_model(model, BUILD.words(tmp_path))
    assert reduced["operations"] == operations
    assert set(reduced["shapes"]) == {"Request", "Text", "Fault"}
