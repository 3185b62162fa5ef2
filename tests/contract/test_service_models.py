"""Calls of AWS, and error codes that the code names, against botocore's models of the services.

A client is of type `Any` in most places, so that no type checker sees a wrong name; and no test has AWS.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for folder in ("layers/core/imagegate/aws", "layers/core/imagegate/notation", "cli/imagegate_cli")
    for path in (ROOT / folder).rglob("*.py")
)
SERVICES = (
    *("cloudformation", "cloudtrail", "dynamodb", "ec2", "ecr", "ecs", "eks", "events", "iam", "inspector2"),
    *("kms", "lambda", "s3", "securityhub", "signer", "sns", "sqs", "stepfunctions", "sts"),
)
# Codes that every service may give, whatever its model has (AWS API references, "Common errors"; AWS SDKs and Tools
# reference guide, "Retry behavior"), and those of S3 and of CloudFormation, whose models name few.
COMMON = {
    *("AccessDenied", "AccessDeniedException", "AuthorizationErrorException", "ExpiredTokenException"),
    *("InvalidAccessKeyId", "InvalidAction", "InvalidSignatureException", "UnknownOperationException"),
    *("UnrecognizedClientException", "ValidationException", "ThrottlingException", "ExpiredToken"),
    *(
        "RequestThrottledException",
        "ThrottleException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "RequestExpired",
    ),
    *("PreconditionFailed", "ConditionalRequestConflict", "ValidationError"),
}
# Methods of the client factory, of every client, and of our own objects that have the name of a service.
OWN = {"cache_clear", "generate_presigned_url", "get", "profile_arn"}
# Functions that get the name of the method.
BY_NAME = {"read", "_document", "_listed", "_list", "_list_tags", "_pages", "get_paginator"}
CAUGHT = {f"{name}.exceptions" for name in (*SERVICES, "self._client")}


def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def operations() -> dict[str, list[frozenset[str]]]:
    """Return the parameters of each operation of each service, by the name of its method."""
    found: dict[str, list[frozenset[str]]] = {}
    for service in map(model, SERVICES):
        for name in service.operation_names:
            shape = service.operation_model(name).input_shape
            found.setdefault(xform_name(name), []).append(frozenset(shape.members if shape else ()))
    return found


@cache
def error_codes() -> frozenset[str]:
    shapes = [shape for service in map(model, SERVICES) for shape in service.error_shapes]
    return frozenset(name for shape in shapes for name in (shape.error_code, shape.name)) | COMMON


def calls(path: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the method and the named parameters of each call of a client, also of one that is called by its name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        given = frozenset(word.arg for word in node.keywords if word.arg)
        called = ast.unparse(node.func).rpartition(".")[2]
        if called in BY_NAME:
            yield from ((text, given) for text in map(constant, node.args) if "_" in text and text.islower())
        elif isinstance(node.func, ast.Attribute) and is_client(node.func.value):
            yield node.func.attr, given


def is_client(node: ast.expr) -> bool:
    """Say whether it is `client(…)`, `self._client`, or a name such as `ecr`."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("client", "clients", "_step_functions", "_kms")
    return ast.unparse(node).removeprefix("self.").strip("_") in {*SERVICES, "client", "functions", "trail"}


def constant(node: ast.AST | None) -> str:
    """Return a constant text, or "" for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def codes(path: Path) -> Iterator[str]:
    """Yield the codes that the code translates or compares, and the exceptions of clients that it catches."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (constant(key) for key, value in pairs if constant(key) and is_error(value))
        elif isinstance(node, ast.Compare) and "['Code']" in ast.unparse(node.left):
            compared = (constant(part) for one in node.comparators for part in ast.walk(one))
            yield from filter(None, compared)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in CAUGHT:
            yield node.attr
        elif isinstance(node, ast.Constant) and is_code(constant(node)):
            yield constant(node)


def is_error(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.endswith("Error")


def is_code(text: str) -> bool:
    return text.endswith("Exception") and text.isalnum() and text[0].isupper()


def test_every_call_is_one_of_a_service_with_parameters_that_it_has() -> None:
    known = operations()
    wrong = [
        (path.name, method, sorted(given))
        for path in MODULES
        for method, given in calls(path)
        if method not in OWN and not any(given <= parameters for parameters in known.get(method, ()))
    ]
    assert wrong == []


def test_every_error_code_is_one_of_a_service() -> None:
    wrong = {(path.name, code) for path in MODULES for code in codes(path) if code not in error_codes()}
    assert wrong == set()


def test_the_calls_and_codes_are_found() -> None:
    found = {method for path in MODULES for method, _ in calls(path)}
    assert found >= {"describe_images", "sign_payload", "batch_import_findings", "lookup_events", "invoke"}
    assert found >= {
        "list_services",
        "get_lifecycle_policy",
        "simulate_principal_policy",
        "list_object_versions",
    }
    named = {code for path in MODULES for code in codes(path)}
    assert named >= {"ScanNotFoundException", "NoSuchEntityException", "KMSInvalidMacException", "NoSuchKey"}
