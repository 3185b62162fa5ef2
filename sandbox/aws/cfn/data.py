"""DynamoDB and S3: the CloudFormation types."""

from __future__ import annotations

from typing import Any

from sandbox.aws.cfn.creation import Context, Created, Properties, drop_properties, resource


@resource("AWS::DynamoDB::Table", "Arn", "StreamArn")
def _table(context: Context, properties: Properties) -> Created:
    name = properties.get("TableName", context.name)
    recovery = properties.get("PointInTimeRecoverySpecification")
    expiry = properties.get("TimeToLiveSpecification")
    own = ("TableName", "PointInTimeRecoverySpecification", "TimeToLiveSpecification")
    settings = drop_properties(properties, *own, "SSESpecification", "StreamSpecification")
    if stream := properties.get("StreamSpecification"):
        settings["StreamSpecification"] = {"StreamEnabled": True, **stream}
    if encryption := properties.get("SSESpecification"):
        settings["SSESpecification"] = {
            "Enabled": encryption["SSEEnabled"],
            **drop_properties(encryption, "SSEEnabled"),
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
    made = {**drop_properties(rule, *own), "Filter": {"Prefix": rule.get("Prefix", "")}}
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
            **drop_properties(value, "Rule"),
            **({"Rule": value["Rule"]} if "Rule" in value else {}),
        },
    ),
}


@resource("AWS::S3::BucketPolicy")
def _bucket_policy(context: Context, properties: Properties) -> Created:
    bucket = properties["Bucket"]
    context.call("s3", "PutBucketPolicy", Bucket=bucket, Policy=properties["PolicyDocument"])
    return Created(bucket)
