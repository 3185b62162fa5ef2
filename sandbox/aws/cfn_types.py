"""The CloudFormation types that moto ignores or cuts short, each created through its service's own API.

`Policy` and pattern documents are given as objects and become JSON where the API wants text (`coerced`).
"""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from sandbox.aws.cloudformation import Context, Created, Properties, resource


def _tags(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}


def _without(properties: Properties, *names: str) -> Properties:
    return {name: value for name, value in properties.items() if name not in names}


# Lambda


@resource("AWS::Lambda::Function", "Arn")
def _function(context: Context, properties: Properties) -> Created:
    name = properties.get("FunctionName", context.name)[:64]
    own = ("FunctionName", "Tags", "ReservedConcurrentExecutions", "Code")
    created = context.call(
        "lambda",
        "CreateFunction",
        FunctionName=name,
        Code=_code(properties["Code"]),
        Tags=_tags(properties) or None,
        **_without(properties, *own),
    )
    fn = get_backend(context.settings.account, context.settings.region).get_function(name)
    fn.logging_config = properties.get("LoggingConfig", {})
    fn.reserved_concurrency = properties.get("ReservedConcurrentExecutions")
    return Created(name, {"Arn": created["FunctionArn"]})


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
    version = context.call("lambda", "PublishVersion", FunctionName=function)["Version"]
    found = context.call("lambda", "GetFunction", FunctionName=function, Qualifier=version)
    arn = found["Configuration"]["FunctionArn"]
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
    named = {**_without(properties, "TargetFunctionArn")}
    named["FunctionName"] = properties["TargetFunctionArn"]
    made = context.call("lambda", "CreateFunctionUrlConfig", **named)
    arn = made["FunctionArn"]
    return Created(arn, {"FunctionArn": arn, "FunctionUrl": made["FunctionUrl"]})


# Identity and keys


@resource("AWS::IAM::Role", "Arn", "RoleId")
def _role(context: Context, properties: Properties) -> Created:
    name = properties.get("RoleName", context.name)[:64]
    own = ("RoleName", "Policies", "ManagedPolicyArns")
    role = context.call("iam", "CreateRole", RoleName=name, **_without(properties, *own))["Role"]
    for policy in properties.get("Policies") or []:
        # AWS takes a policy without a version; moto does not.
        document = {"Version": "2012-10-17", **policy["PolicyDocument"]}
        named = {"PolicyName": policy["PolicyName"], "PolicyDocument": document}
        context.call("iam", "PutRolePolicy", RoleName=name, **named)
    for arn in properties.get("ManagedPolicyArns") or []:
        context.call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    return Created(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})


@resource("AWS::IAM::Policy", "Id")
def _policy(context: Context, properties: Properties) -> Created:
    document = {name: properties[name] for name in ("PolicyName", "PolicyDocument")}
    for role in properties.get("Roles") or []:
        context.call("iam", "PutRolePolicy", RoleName=role, **document)
    return Created(context.name, {"Id": context.name})


@resource("AWS::IAM::ManagedPolicy", "PolicyArn")
def _managed_policy(context: Context, properties: Properties) -> Created:
    named = {"PolicyName": properties.get("ManagedPolicyName", context.name)}
    document = _without(properties, "ManagedPolicyName", "Roles", "Users", "Groups")
    arn = context.call("iam", "CreatePolicy", **named, **document)["Policy"]["Arn"]
    for role in properties.get("Roles") or []:
        context.call("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
    return Created(arn, {"PolicyArn": arn})


@resource("AWS::KMS::Key", "Arn", "KeyId")
def _key(context: Context, properties: Properties) -> Created:
    own = ("KeyPolicy", "Enabled", "EnableKeyRotation", "PendingWindowInDays", "Tags")
    tags = [{"TagKey": k, "TagValue": v} for k, v in _tags(properties).items()]
    policy = properties.get("KeyPolicy")
    made = context.call("kms", "CreateKey", Policy=policy, Tags=tags or None, **_without(properties, *own))[
        "KeyMetadata"
    ]
    if str(properties.get("EnableKeyRotation")).lower() == "true":
        context.call("kms", "EnableKeyRotation", KeyId=made["KeyId"])
    return Created(made["KeyId"], {"Arn": made["Arn"], "KeyId": made["KeyId"]})


@resource("AWS::KMS::Alias")
def _key_alias(context: Context, properties: Properties) -> Created:
    context.call("kms", "CreateAlias", **properties)
    return Created(properties["AliasName"])


# Data


@resource("AWS::DynamoDB::Table", "Arn", "StreamArn")
def _table(context: Context, properties: Properties) -> Created:
    name = properties.get("TableName", context.name)
    recovery = properties.get("PointInTimeRecoverySpecification")
    expiry = properties.get("TimeToLiveSpecification")
    own = ("TableName", "PointInTimeRecoverySpecification", "TimeToLiveSpecification")
    settings = _without(properties, *own, "SSESpecification", "StreamSpecification")
    if stream := properties.get("StreamSpecification"):
        settings["StreamSpecification"] = {"StreamEnabled": True, **stream}
    if encryption := properties.get("SSESpecification"):
        settings["SSESpecification"] = {
            "Enabled": encryption["SSEEnabled"],
            **_without(encryption, "SSEEnabled"),
        }
    made = context.call("dynamodb", "CreateTable", TableName=name, **settings)["TableDescription"]
    if recovery:
        context.call(
            "dynamodb",
            "UpdateContinuousBackups",
            TableName=name,
            PointInTimeRecoverySpecification=recovery,
        )
    if expiry:
        context.call("dynamodb", "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=expiry)
    attributes = {"Arn": made["TableArn"], "StreamArn": made.get("LatestStreamArn")}
    return Created(name, attributes)


@resource("AWS::S3::Bucket", "Arn", "DomainName", "RegionalDomainName")
def _bucket(context: Context, properties: Properties) -> Created:
    # Bucket names have no upper case.
    name = properties.get("BucketName", context.name).lower()[:63]
    region = context.settings.region
    context.call(
        "s3",
        "CreateBucket",
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": region},
        ObjectLockEnabledForBucket=properties.get("ObjectLockEnabled"),
    )
    for given, (operation, parameter, translate) in _BUCKET_PARTS.items():
        if properties.get(given):
            value = translate(properties[given])
            context.call("s3", operation, Bucket=name, **{parameter: value})
    if tags := properties.get("Tags"):
        context.call("s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": tags})
    domain = f"{name}.s3.{region}.amazonaws.com"
    attributes = {"Arn": f"arn:aws:s3:::{name}", "RegionalDomainName": domain}
    return Created(name, {**attributes, "DomainName": f"{name}.s3.amazonaws.com"})


def _as_is(value: Any) -> Any:
    return value


def _encryption(value: Properties) -> Properties:
    rules = [
        {
            ("ApplyServerSideEncryptionByDefault" if k.startswith("ServerSide") else k): v
            for k, v in rule.items()
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"Rules": rules}


def _lifecycle(value: Properties) -> Properties:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Properties) -> Properties:
    own = ("Id", "ExpirationInDays", "Prefix", "NoncurrentVersionExpirationInDays")
    made = {**_without(rule, *own), "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "Id" in rule:
        made["ID"] = rule["Id"]
    if "ExpirationInDays" in rule:
        made["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if "NoncurrentVersionExpirationInDays" in rule:
        days = rule["NoncurrentVersionExpirationInDays"]
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    return made


_BUCKET_PARTS: dict[str, tuple[str, str, Any]] = {
    "VersioningConfiguration": ("PutBucketVersioning", "VersioningConfiguration", _as_is),
    "BucketEncryption": (
        "PutBucketEncryption",
        "ServerSideEncryptionConfiguration",
        _encryption,
    ),
    "PublicAccessBlockConfiguration": (
        "PutPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        _as_is,
    ),
    "OwnershipControls": ("PutBucketOwnershipControls", "OwnershipControls", _as_is),
    "LifecycleConfiguration": (
        "PutBucketLifecycleConfiguration",
        "LifecycleConfiguration",
        _lifecycle,
    ),
    "ObjectLockConfiguration": (
        "PutObjectLockConfiguration",
        "ObjectLockConfiguration",
        lambda value: {
            **_without(value, "Rule"),
            **({"Rule": value["Rule"]} if "Rule" in value else {}),
        },
    ),
}


@resource("AWS::S3::BucketPolicy")
def _bucket_policy(context: Context, properties: Properties) -> Created:
    bucket = properties["Bucket"]
    context.call("s3", "PutBucketPolicy", Bucket=bucket, Policy=properties["PolicyDocument"])
    return Created(bucket)


# Messages


@resource("AWS::SNS::Topic", "TopicArn", "TopicName")
def _topic(context: Context, properties: Properties) -> Created:
    name = properties.get("TopicName", context.name)
    own = ("TopicName", "Tags", "Subscription")
    made = context.call(
        "sns",
        "CreateTopic",
        Name=name,
        Attributes=_without(properties, *own) or None,
        Tags=properties.get("Tags"),
    )
    arn = made["TopicArn"]
    for subscription in properties.get("Subscription") or []:
        context.call("sns", "Subscribe", TopicArn=arn, **subscription)
    return Created(arn, {"TopicArn": arn, "TopicName": name})


@resource("AWS::SNS::Subscription", "Arn")
def _subscription(context: Context, properties: Properties) -> Created:
    own = ("TopicArn", "Protocol", "Endpoint", "Region")
    made = context.call(
        "sns",
        "Subscribe",
        TopicArn=properties["TopicArn"],
        Protocol=properties["Protocol"],
        Endpoint=properties.get("Endpoint"),
        Attributes=_without(properties, *own) or None,
        ReturnSubscriptionArn=True,
    )
    return Created(made["SubscriptionArn"], {"Arn": made["SubscriptionArn"]})


@resource("AWS::SNS::TopicPolicy", "Id")
def _topic_policy(context: Context, properties: Properties) -> Created:
    for topic in properties["Topics"]:
        context.call(
            "sns",
            "SetTopicAttributes",
            TopicArn=topic,
            AttributeName="Policy",
            AttributeValue=properties["PolicyDocument"],
        )
    return Created(context.name, {"Id": context.name})


@resource("AWS::SQS::Queue", "Arn", "QueueName", "QueueUrl")
def _queue(context: Context, properties: Properties) -> Created:
    name = properties.get("QueueName", context.name)[:80]
    attributes = _without(properties, "QueueName", "Tags")
    made = context.call(
        "sqs",
        "CreateQueue",
        QueueName=name,
        Attributes=attributes or None,
        tags=_tags(properties) or None,
    )
    url = made["QueueUrl"]
    arn = f"arn:aws:sqs:{context.settings.region}:{context.settings.account}:{name}"
    return Created(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})


@resource("AWS::SQS::QueuePolicy", "Id")
def _queue_policy(context: Context, properties: Properties) -> Created:
    for queue in properties["Queues"]:
        policy = {"Policy": properties["PolicyDocument"]}
        context.call("sqs", "SetQueueAttributes", QueueUrl=queue, Attributes=policy)
    return Created(context.name, {"Id": context.name})


@resource("AWS::Events::Rule", "Arn")
def _rule(context: Context, properties: Properties) -> Created:
    name = properties.get("Name", context.name)[:64]
    targets = properties.get("Targets") or []
    settings = _without(properties, "Name", "Targets")
    arn = context.call("events", "PutRule", Name=name, **settings)["RuleArn"]
    if targets:
        bus = properties.get("EventBusName")
        context.call("events", "PutTargets", Rule=name, EventBusName=bus, Targets=targets)
    return Created(name, {"Arn": arn})


# Watching


@resource("AWS::Logs::LogGroup", "Arn")
def _log_group(context: Context, properties: Properties) -> Created:
    name = properties.get("LogGroupName", context.name)
    own = ("LogGroupName", "RetentionInDays", "KmsKeyId", "Tags")
    context.call(
        "logs",
        "CreateLogGroup",
        logGroupName=name,
        kmsKeyId=properties.get("KmsKeyId"),
        tags=_tags(properties) or None,
        **{key[0].lower() + key[1:]: value for key, value in _without(properties, *own).items()},
    )
    if days := properties.get("RetentionInDays"):
        context.call("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=days)
    region, account = context.settings.region, context.settings.account
    return Created(name, {"Arn": f"arn:aws:logs:{region}:{account}:log-group:{name}:*"})


@resource("AWS::Logs::MetricFilter")
def _metric_filter(context: Context, properties: Properties) -> Created:
    name = properties.get("FilterName", context.name)
    transformations = [
        {key[0].lower() + key[1:]: value for key, value in item.items() if key != "Dimensions"}
        for item in properties["MetricTransformations"]
    ]
    context.call(
        "logs",
        "PutMetricFilter",
        logGroupName=properties["LogGroupName"],
        filterName=name,
        filterPattern=properties.get("FilterPattern", ""),
        metricTransformations=transformations,
    )
    return Created(name)


@resource("AWS::CloudWatch::Alarm", "Arn")
def _alarm(context: Context, properties: Properties) -> Created:
    name = properties.get("AlarmName", context.name)
    context.call("cloudwatch", "PutMetricAlarm", AlarmName=name, **_without(properties, "AlarmName"))
    region, account = context.settings.region, context.settings.account
    return Created(name, {"Arn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"})
