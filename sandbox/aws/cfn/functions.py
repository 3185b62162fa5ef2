"""Lambda: the CloudFormation types."""

from __future__ import annotations

import json

from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend
from moto.cloudformation.exceptions import ValidationError
from moto.iam.models import iam_backends

from sandbox.aws.cfn.creation import Context, Created, Properties, drop_properties, resource, tags_of
from sandbox.aws.iam.policies import statements_of
from sandbox.settings import ACCOUNT


@resource("AWS::Lambda::Function", "Arn")
def _function(context: Context, properties: Properties) -> Created:
    name = properties.get("FunctionName", context.name)[:64]
    _check_trust(properties["Role"], "lambda.amazonaws.com")
    own = ("FunctionName", "Tags", "ReservedConcurrentExecutions", "Code")
    created = context.call(
        "lambda",
        "CreateFunction",
        FunctionName=name,
        Code=_code(properties["Code"]),
        Tags=tags_of(properties) or None,
        **drop_properties(properties, *own),
    )
    fn = get_backend(context.settings.account, context.settings.region).get_function(name)
    fn.logging_config = properties.get("LoggingConfig", {})
    fn.reserved_concurrency = properties.get("ReservedConcurrentExecutions")
    return Created(name, {"Arn": created["FunctionArn"]})


def _check_trust(role_arn: str, service: str) -> None:
    """Check that the role lets the service assume it; moto checks only that the role exists."""
    role = iam_backends[ACCOUNT]["aws"].get_role_by_arn(role_arn)
    document = json.loads(role.assume_role_policy_document)
    trusted = [one["Principal"].get("Service") or [] for one in statements_of(document)]
    if not any(service in ([one] if isinstance(one, str) else one) for one in trusted):
        raise ValidationError(message=f"The role {role_arn} cannot be assumed by {service}.")


def _code(code: Properties) -> Properties:
    if "ZipFile" not in code:
        return code
    archive = LambdaFunction._create_zipfile_from_plaintext_code(code["ZipFile"])
    return {"ZipFile": archive}


@resource("AWS::Lambda::LayerVersion", "LayerVersionArn")
def _layer(context: Context, properties: Properties) -> Created:
    named = {"LayerName": context.name, **properties}
    arn = context.call("lambda", "PublishLayerVersion", **named)["LayerVersionArn"]
    return Created(arn, {"LayerVersionArn": arn})


@resource("AWS::Lambda::Version", "Version", "FunctionArn")
def _version(context: Context, properties: Properties) -> Created:
    function = properties["FunctionName"]
    described = {key: properties[key] for key in ("Description", "CodeSha256") if key in properties}
    version = context.call("lambda", "PublishVersion", FunctionName=function, **described)["Version"]
    function_version = context.call("lambda", "GetFunction", FunctionName=function, Qualifier=version)
    arn = function_version["Configuration"]["FunctionArn"]
    return Created(arn, {"Version": version, "FunctionArn": arn})


@resource("AWS::Lambda::Alias", "AliasArn")
def _alias(context: Context, properties: Properties) -> Created:
    arn = context.call("lambda", "CreateAlias", **properties)["AliasArn"]
    return Created(arn, {"AliasArn": arn})


@resource("AWS::Lambda::EventInvokeConfig")
def _event_invoke_config(context: Context, properties: Properties) -> Created:
    context.call("lambda", "PutFunctionEventInvokeConfig", **properties)
    return Created(f"{properties['FunctionName']}|{properties['Qualifier']}")


@resource("AWS::Lambda::Permission", "Id")
def _permission(context: Context, properties: Properties) -> Created:
    arn = properties["FunctionName"]
    name, _, qualifier = arn.rpartition(":") if arn.count(":") == 7 else (arn, "", None)
    context.call(
        "lambda",
        "AddPermission",
        StatementId=context.name,
        Qualifier=qualifier,
        **{**properties, "FunctionName": name},
    )
    return Created(context.name, {"Id": context.name})


@resource("AWS::Lambda::Url", "FunctionUrl", "FunctionArn")
def _url(context: Context, properties: Properties) -> Created:
    named = {**drop_properties(properties, "TargetFunctionArn")}
    named["FunctionName"] = properties["TargetFunctionArn"]
    made = context.call("lambda", "CreateFunctionUrlConfig", **named)
    arn = made["FunctionArn"]
    return Created(arn, {"FunctionArn": arn, "FunctionUrl": made["FunctionUrl"]})
