"""Refusals of IAM that moto lacks without our patches: one test per gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws.iam import used_statements
from sandbox.aws.iam.policies import is_permitted
from sandbox.aws.iam.resource_arns import ServiceCall, condition_keys, deletion_needs, needs, object_keys
from tests.contract.served_cloud import ServedCloud

ACCOUNT = "eu-central-1:123456789012"


def call(cloud: ServedCloud, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Return the result of a function that may do what the fixture's `ServiceCall` may."""
    event = {"service": service, "operation": operation, "parameters": parameters}
    answer: dict[str, Any] = cloud.invoke("Call", event)
    return answer


def refused(answer: dict[str, Any], action: str, resource: str) -> bool:
    expected = f"is not authorized to perform: {action} on resource: {resource}"
    return str(answer.get("message")).endswith(expected) and str(answer["code"])[0] == "A"


def test_a_table_is_readable_and_nothing_else(cloud: ServedCloud) -> None:
    table = cloud.outputs["Table"]
    arn = f"arn:aws:dynamodb:{ACCOUNT}:table/{table}"
    key = {"pk": {"S": "1"}}
    assert "code" not in call(cloud, "dynamodb", "get_item", TableName=table, Key=key)
    assert "code" not in call(cloud, "dynamodb", "get_item", TableName=arn, Key=key)
    answer = call(cloud, "dynamodb", "put_item", TableName=table, Item=key)
    assert refused(answer, "dynamodb:PutItem", arn)
    assert answer["code"] == "AccessDeniedException"


def test_an_index_has_a_permission_of_its_own(cloud: ServedCloud) -> None:
    query = {
        "TableName": cloud.outputs["Table"],
        "KeyConditionExpression": "#day = :day",
        "ExpressionAttributeNames": {"#day": "day"},
        "ExpressionAttributeValues": {":day": {"S": "1"}},
    }
    arn = f"arn:aws:dynamodb:{ACCOUNT}:table/{cloud.outputs['Table']}/index/other"
    assert "code" not in call(cloud, "dynamodb", "query", IndexName="by-day", **query)
    answer = call(cloud, "dynamodb", "query", IndexName="other", **query)
    assert refused(answer, "dynamodb:Query", arn)


def test_a_transaction_needs_the_permission_of_each_item(cloud: ServedCloud) -> None:
    table = cloud.outputs["Table"]
    items = [{"Put": {"TableName": table, "Item": {"pk": {"S": "1"}}}}]
    answer = call(cloud, "dynamodb", "transact_write_items", TransactItems=items)
    assert refused(answer, "dynamodb:PutItem", f"arn:aws:dynamodb:{ACCOUNT}:table/{table}")


def test_permissions_differ_by_repository_name(cloud: ServedCloud) -> None:
    foreign = call(cloud, "ecr", "describe_images", repositoryName="other/app")
    own = call(cloud, "ecr", "describe_images", repositoryName="shop/app")
    assert refused(foreign, "ecr:DescribeImages", f"arn:aws:ecr:{ACCOUNT}:repository/other/app")
    assert own["code"] == "RepositoryNotFoundException"


def test_permissions_differ_by_signing_profile(cloud: ServedCloud) -> None:
    foreign = call(cloud, "signer", "get_signing_profile", profileName="foreign")
    arn = f"arn:aws:signer:{ACCOUNT}:/signing-profiles/foreign"
    assert refused(foreign, "signer:GetSigningProfile", arn)
    assert foreign["code"] == "AccessDeniedException"
    own = call(cloud, "signer", "get_signing_profile", profileName="own")
    assert own["code"] == "ResourceNotFoundException"


def test_an_alias_is_not_the_function(cloud: ServedCloud) -> None:
    function = cloud.outputs["WhereFunction"]
    answer = call(cloud, "lambda", "invoke", FunctionName=function)
    arn = f"arn:aws:lambda:{ACCOUNT}:function:{function}"
    assert refused(answer, "lambda:InvokeFunction", arn)
    allowed = call(cloud, "lambda", "invoke", FunctionName=function, Qualifier="live")
    assert allowed["StatusCode"] == 200


def test_an_explicit_deny_wins(cloud: ServedCloud) -> None:
    answer = call(cloud, "sns", "publish", TopicArn=cloud.outputs["Topic"], Message="m")
    assert refused(answer, "sns:Publish", cloud.outputs["Topic"])
    assert answer["code"] == "AuthorizationError"
    other = call(cloud, "sns", "publish", TopicArn=cloud.outputs["OtherTopic"], Message="m")
    assert "MessageId" in other


def test_a_condition_that_does_not_hold_gives_nothing(cloud: ServedCloud) -> None:
    assert refused(call(cloud, "sqs", "list_queues"), "sqs:ListQueues", "*")


def test_a_condition_that_nobody_knows_gives_nothing(cloud: ServedCloud) -> None:
    answer = call(cloud, "sqs", "create_queue", QueueName="q")
    assert refused(answer, "sqs:CreateQueue", f"arn:aws:sqs:{ACCOUNT}:q")


def test_the_policy_of_a_bucket_keeps_even_administrators_out(cloud: ServedCloud) -> None:
    bucket = cloud.outputs["Bucket"]
    own = call(cloud, "s3", "put_object", Bucket=bucket, Key="own/1", Body="b")
    assert "ETag" in own
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("s3").put_object(Bucket=bucket, Key="own/1", Body=b"")
    cloud.client("s3").put_object(Bucket=bucket, Key="other", Body=b"")
    answer = call(cloud, "s3", "get_object", Bucket=bucket, Key="own/1")
    assert refused(answer, "s3:GetObject", f"arn:aws:s3:::{bucket}/own/1")


def test_encrypted_things_need_their_key_too(cloud: ServedCloud) -> None:
    bucket = cloud.outputs["Bucket"]
    assert "ETag" in call(cloud, "s3", "put_object", Bucket=bucket, Key="own/sealed", Body="b")
    answer = call(cloud, "s3", "get_object", Bucket=bucket, Key="own/sealed")
    assert refused(answer, "kms:Decrypt", cloud.outputs["Key"])


def test_a_user_without_permissions_may_call_get_caller_identity(cloud: ServedCloud) -> None:
    assert "Arn" in call(cloud, "sts", "get_caller_identity")


@pytest.mark.parametrize("service", ["sts", "dynamodb", "s3", "lambda"])
def test_strangers_and_wrong_keys_are_refused(cloud: ServedCloud, service: str) -> None:
    operations = {
        "sts": "get_caller_identity",
        "dynamodb": "list_tables",
        "s3": "list_buckets",
        "lambda": "list_functions",
    }
    unknown = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret"}
    wrong = unknown | {"aws_access_key_id": cloud.env["AWS_ACCESS_KEY_ID"]}
    for credentials in (unknown, wrong):
        with pytest.raises(ClientError) as caught:
            getattr(cloud.client(service, **credentials), operations[service])()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_anonymous_requests_are_refused(cloud: ServedCloud) -> None:
    import boto3

    client: Any = boto3.client(
        "dynamodb",
        region_name="eu-central-1",
        endpoint_url=cloud.env["AWS_ENDPOINT_URL"],
        config=Config(signature_version=UNSIGNED),
    )
    with pytest.raises(ClientError):
        client.list_tables()


def keys_of(operation: str, **parameters: Any) -> Any:
    return condition_keys(ServiceCall("dynamodb", operation, parameters, "1", "x")).get(
        "dynamodb:LeadingKeys"
    )


A, B = {"pk": {"S": "a"}}, {"pk": {"S": "b"}}


@pytest.mark.parametrize(
    ("operation", "parameters", "keys"),
    [
        ("PutItem", {"Item": A}, ["a"]),
        ("UpdateItem", {"Key": A}, ["a"]),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [A, B]}}}, ["a", "b"]),
        (
            "BatchWriteItem",
            {"RequestItems": {"t": [{"PutRequest": {"Item": A}}, {"DeleteRequest": {"Key": B}}]}},
            ["a", "b"],
        ),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"Item": A}}, {"Delete": {"Key": B}}]}, ["a", "b"]),
        (
            "Query",
            {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
                "ExpressionAttributeValues": {":pk": {"S": "a"}, ":sk": {"S": "b"}},
            },
            ["a"],
        ),
        ("Scan", {}, None),
    ],
)
def test_a_request_is_known_by_the_keys_of_all_its_items(
    operation: str, parameters: dict[str, Any], keys: list[str] | None
) -> None:
    assert keys_of(operation, **parameters) == keys


@pytest.mark.parametrize(
    ("values", "allowed"),
    [(["NOTICE#1"], True), (["NOTICE#1", "NOTICE#2"], True), (["NOTICE#1", "IMAGE#1"], False), ([], False)],
)
def test_one_item_of_others_spoils_a_whole_batch(values: list[str], allowed: bool) -> None:
    statement = {
        "Effect": "Allow",
        "Action": "dynamodb:BatchWriteItem",
        "Resource": "*",
        "Condition": {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["NOTICE#*"]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        },
    }
    context = {"dynamodb:LeadingKeys": values} if values else {}
    assert is_permitted([statement], "dynamodb:BatchWriteItem", "table", context) is allowed


def test_several_values_fit_no_operator_for_one() -> None:
    for effect, allowed in (("Allow", False), ("Deny", False)):
        condition = {"StringLike": {"k": "*"}}
        statements: list[dict[str, Any]] = [ALLOW] if effect == "Deny" else []
        statements.append({**ALLOW, "Effect": effect, "Condition": condition})
        assert is_permitted(statements, "s3:GetObject", "arn:aws:s3:::b/key", {"k": ["1", "2"]}) is allowed


def test_a_grant_that_somebody_asks_for_is_for_no_resource_of_aws() -> None:
    context = condition_keys(ServiceCall("kms", "CreateGrant", {"KeyId": "1"}, "1", "x"))
    assert context == {"kms:GrantIsForAWSResource": "false"}


def test_a_revocation_query_needs_permission_for_profile_and_job() -> None:
    profile, job = (
        f"arn:aws:signer:{ACCOUNT}:/signing-profiles/own",
        f"arn:aws:signer:{ACCOUNT}:/signing-jobs/1",
    )
    parameters = {"profileVersionArn": f"{profile}/version", "jobArn": job}
    wanted = needs(ServiceCall("signer", "GetRevocationStatus", parameters, "1", "x"))
    assert wanted == [("signer:GetRevocationStatus", profile), ("signer:GetRevocationStatus", job)]


def test_listing_referrers_needs_the_permission_to_read_manifests() -> None:
    [(action, _)] = needs(ServiceCall("ecr", "ListImageReferrers", {"repositoryName": "shop"}, "1", "x"))
    assert action == "ecr:BatchGetImage"


def test_a_write_says_whether_it_would_replace_something() -> None:
    assert object_keys({"if-none-match": "*"}) == {"s3:if-none-match": "*"}
    assert object_keys({}) == {}


def test_deleting_several_objects_needs_the_permission_for_each() -> None:
    objects = "<Object><Key>a/&amp;1</Key></Object><Object><Key>b</Key><VersionId>1</VersionId></Object>"
    body = f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'
    assert list(deletion_needs("bucket", body.encode())) == [
        ("s3:DeleteObject", "arn:aws:s3:::bucket/a/&1"),
        ("s3:DeleteObjectVersion", "arn:aws:s3:::bucket/b"),
    ]


def test_the_use_of_a_statement_is_recorded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    noted = tmp_path / "used"
    monkeypatch.setenv(used_statements.VARIABLE, str(noted))
    monkeypatch.setattr(used_statements, "_noted", set())
    for owner in (
        "arn:aws:iam::1:role/gate-SomeRole-X",
        "arn:aws:s3:::bucket/a",
        "arn:aws:iam::1:user/ann",
        "*",
    ):
        for _ in range(2):
            used_statements.record_use(owner, [{**ALLOW, "Sid": "Read"}, ALLOW])
    assert noted.read_text() == "gate-SomeRole-X Read\ns3 Read\n"


ALLOW = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}
DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], False),
        ([ALLOW], True),
        ([ALLOW, DENY], False),
        ([ALLOW | {"Action": ["s3:Put*"]}], False),
        ([ALLOW | {"Action": "S3:getobject"}], True),
        ([ALLOW | {"Resource": "arn:aws:s3:::B/*"}], False),
        ([{"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}], True),
        ([ALLOW | {"Condition": {"StringLike": {"k": "v*"}}}], True),
        ([ALLOW | {"Condition": {"StringNotEquals": {"k": "value"}}}], False),
        ([ALLOW | {"Condition": {"StringEquals": {"unknown": "value"}}}], False),
        ([ALLOW | {"Condition": {"NumericLessThan": {"k": "1"}}}], False),
        ([ALLOW, DENY | {"Condition": {"StringEquals": {"k": "other"}}}], True),
        ([ALLOW, DENY | {"Condition": {"NumericLessThan": {"k": "1"}}}], False),
    ],
)
def test_statements_are_read_as_aws_reads_them(statements: list[dict[str, Any]], allowed: bool) -> None:
    context = {"k": "value"}
    assert is_permitted(statements, "s3:GetObject", "arn:aws:s3:::b/key", context) is allowed


def test_the_simulation_of_a_policy_decides_by_identity_and_boundary(cloud: ServedCloud) -> None:
    iam = cloud.client("iam")
    everything = {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}
    never = {"Effect": "Deny", "Action": "ecr:DeleteRepository", "Resource": "*"}
    local = {**everything, "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
    iam.create_group(GroupName="simulated")
    iam.put_group_policy(
        GroupName="simulated", PolicyName="p", PolicyDocument=_document({**everything, "Action": "ecr:Put*"})
    )
    user = iam.create_user(UserName="simulated")["User"]["Arn"]
    iam.add_user_to_group(GroupName="simulated", UserName="simulated")
    trust = _document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
    boundary = iam.create_policy(
        PolicyName="simulated",
        PolicyDocument=_document({**everything, "Action": ["ecr:Put*", "ecr:Delete*"]}),
    )
    role = iam.create_role(
        RoleName="simulated",
        AssumeRolePolicyDocument=trust,
        PermissionsBoundary=boundary["Policy"]["Arn"],
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName="simulated", PolicyName="p", PolicyDocument=_document(local, never))

    def decisions(arn: str, *vpcs: str) -> list[str]:
        vpc = {"ContextKeyName": "aws:SourceVpc", "ContextKeyValues": list(vpcs), "ContextKeyType": "string"}
        answer = iam.simulate_principal_policy(
            PolicySourceArn=arn,
            ActionNames=["ecr:PutImage", "ecr:DeleteRepository", "ecr:GetRepositoryPolicy"],
            ResourceArns=[f"arn:aws:ecr:{ACCOUNT}:repository/simulated"],
            ContextEntries=[vpc] if vpcs else [],
        )
        for one in answer["EvaluationResults"]:
            [own] = one["ResourceSpecificResults"]
            assert own["EvalResourceDecision"] == one["EvalDecision"]
            assert own["EvalResourceName"] != one["EvalResourceName"]
        return [one["EvalDecision"] for one in answer["EvaluationResults"]]

    assert decisions(user) == ["allowed", "implicitDeny", "implicitDeny"]
    assert decisions(role, "vpc-1") == ["allowed", "explicitDeny", "implicitDeny"]
    assert decisions(role) == ["implicitDeny", "explicitDeny", "implicitDeny"]
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        decisions(user.replace("simulated", "nobody"))


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
