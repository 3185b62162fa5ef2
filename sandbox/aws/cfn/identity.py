"""IAM and KMS: the CloudFormation types."""

from __future__ import annotations

from sandbox.aws.cfn.creation import Context, Created, Properties, drop_properties, resource, tags_of


@resource("AWS::IAM::Role", "Arn", "RoleId")
def _role(context: Context, properties: Properties) -> Created:
    name = properties.get("RoleName", context.name)[:64]
    own = ("RoleName", "Policies", "ManagedPolicyArns")
    role = context.call("iam", "CreateRole", RoleName=name, **drop_properties(properties, *own))["Role"]
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
    document = drop_properties(properties, "ManagedPolicyName", "Roles", "Users", "Groups")
    arn = context.call("iam", "CreatePolicy", **named, **document)["Policy"]["Arn"]
    for role in properties.get("Roles") or []:
        context.call("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
    return Created(arn, {"PolicyArn": arn})


@resource("AWS::KMS::Key", "Arn", "KeyId")
def _key(context: Context, properties: Properties) -> Created:
    own = ("KeyPolicy", "Enabled", "EnableKeyRotation", "PendingWindowInDays", "Tags")
    tags = [{"TagKey": k, "TagValue": v} for k, v in tags_of(properties).items()]
    policy = properties.get("KeyPolicy")
    made = context.call(
        "kms", "CreateKey", Policy=policy, Tags=tags or None, **drop_properties(properties, *own)
    )["KeyMetadata"]
    if str(properties.get("EnableKeyRotation")).lower() == "true":
        context.call("kms", "EnableKeyRotation", KeyId=made["KeyId"])
    return Created(made["KeyId"], {"Arn": made["Arn"], "KeyId": made["KeyId"]})


@resource("AWS::KMS::Alias")
def _key_alias(context: Context, properties: Properties) -> Created:
    context.call("kms", "CreateAlias", **properties)
    return Created(properties["AliasName"])
