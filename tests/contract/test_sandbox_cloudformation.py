"""CloudFormation's behaviour that moto lacks without our patches: one test per gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.cfn.custom import answer_to, take_answer
from sandbox.deployment.template import check_parameters
from tests.contract.served_cloud import FIXTURES, ServedCloud, start
from tests.patience import eventually


@pytest.fixture(scope="module")
def resources(cloud: ServedCloud) -> dict[str, str]:
    listed = cloud.client("cloudformation").describe_stack_resources(StackName="imagegate")
    return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in listed["StackResources"]}


def test_conditions_decide_which_resources_are_created(cloud: ServedCloud, resources: dict[str, str]) -> None:
    assert "ByMail" not in resources
    assert "OnlyWithMail" not in cloud.outputs


def test_a_custom_resource_gets_text_and_gives_attributes(cloud: ServedCloud) -> None:
    seen = json.loads(cloud.outputs["Seen"])
    assert (seen["Fail"], seen["Flag"]) == ("false", "true")
    assert seen["Source"].endswith(":layer:DataLayer:1")
    assert cloud.outputs["Sentence"] == (
        f"imagegate in eu-central-1: digest of {seen['Source']} costs ${{money}}"
    )


def test_resources_that_need_a_custom_resource_are_created_after_it(cloud: ServedCloud) -> None:
    function = cloud.client("lambda").get_function_configuration(FunctionName=cloud.outputs["WhereFunction"])
    assert function["Environment"]["Variables"]["DIGEST"].startswith("digest of ")


def test_a_function_keeps_its_layers_version_and_alias(cloud: ServedCloud) -> None:
    client, name = cloud.client("lambda"), cloud.outputs["WhereFunction"]
    alias = client.get_alias(FunctionName=name, Name="live")
    assert (alias["AliasArn"], alias["FunctionVersion"]) == (cloud.outputs["Where"], "1")
    layers = client.get_function_configuration(FunctionName=name)["Layers"]
    assert len(layers) == 2


def test_an_asynchronous_configuration_is_kept(cloud: ServedCloud) -> None:
    config = cloud.client("lambda").get_function_event_invoke_config(
        FunctionName=cloud.outputs["WhereFunction"], Qualifier="live"
    )
    assert config["MaximumRetryAttempts"] == 1
    assert ":sqs:" in config["DestinationConfig"]["OnFailure"]["Destination"]


def test_rules_may_call_their_function(cloud: ServedCloud) -> None:
    policy = cloud.client("lambda").get_policy(FunctionName=cloud.outputs["WhereFunction"], Qualifier="live")
    statements = json.loads(policy["Policy"])["Statement"]
    sources = [one["Condition"]["ArnLike"]["AWS:SourceArn"] for one in statements]
    assert len(sources) == 2
    assert {one["Resource"] for one in statements} == {cloud.outputs["Where"]}
    assert {one["Principal"]["Service"] for one in statements} == {"events.amazonaws.com"}


def test_rules_keep_pattern_state_retries_and_dead_letters(cloud: ServedCloud) -> None:
    events = cloud.client("events")
    rules = {rule["Name"]: rule for rule in events.list_rules()["Rules"]}
    assert rules[cloud.outputs["Rule"]]["State"] == "DISABLED"
    pushed = next(name for name in rules if "WherePushed" in name)
    assert json.loads(rules[pushed]["EventPattern"])["detail"]["image-tag"] == [{"exists": True}]
    target = events.list_targets_by_rule(Rule=pushed)["Targets"][0]
    assert target["Arn"] == cloud.outputs["Where"]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}
    assert ":sqs:" in target["DeadLetterConfig"]["Arn"]


def test_a_table_is_recoverable_encrypted_and_protected(cloud: ServedCloud) -> None:
    client, name = cloud.client("dynamodb"), cloud.outputs["Table"]
    table = client.describe_table(TableName=name)["Table"]
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert table["DeletionProtectionEnabled"]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == cloud.outputs["Key"]
    assert table["GlobalSecondaryIndexes"][0]["IndexName"] == "by-day"
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == "ENABLED"
    assert expiry["AttributeName"] == "expires"


def test_a_bucket_is_versioned_encrypted_and_private(cloud: ServedCloud) -> None:
    client, name = cloud.client("s3"), {"Bucket": cloud.outputs["Bucket"]}
    assert client.get_bucket_versioning(**name)["Status"] == "Enabled"
    rules = client.get_bucket_encryption(**name)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    assert default["KMSMasterKeyID"] == cloud.outputs["Key"]
    block = client.get_public_access_block(**name)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    rule = client.get_bucket_lifecycle_configuration(**name)["Rules"][0]
    assert (rule["ID"], rule["Expiration"]["Days"]) == ("old", 30)
    assert json.loads(client.get_bucket_policy(**name)["Policy"])["Statement"]


def test_queues_topics_keys_logs_and_alarms_keep_their_settings(cloud: ServedCloud) -> None:
    queue = cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.outputs["DeadLetters"], AttributeNames=["All"]
    )["Attributes"]
    topic = cloud.client("sns").get_topic_attributes(TopicArn=cloud.outputs["Topic"])["Attributes"]
    kms, key = cloud.client("kms"), cloud.outputs["Key"]
    alarm = cloud.client("cloudwatch").describe_alarms(AlarmNames=[cloud.outputs["Alarm"]])
    logs = cloud.client("logs").describe_log_groups(logGroupNamePrefix=cloud.outputs["Logs"])
    assert queue["MessageRetentionPeriod"] == "1209600"
    assert "events.amazonaws.com" in queue["Policy"]
    assert queue["KmsMasterKeyId"] == topic["KmsMasterKeyId"] == key
    assert "cloudwatch.amazonaws.com" in topic["Policy"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    assert kms.describe_key(KeyId="alias/imagegate-probe")["KeyMetadata"]["Arn"] == key
    assert alarm["MetricAlarms"][0]["TreatMissingData"] == "notBreaching"
    assert logs["logGroups"][0]["retentionInDays"] == 7


def test_a_state_machine_runs_with_its_substitutions(cloud: ServedCloud) -> None:
    states = cloud.client("stepfunctions")
    started = states.start_execution(stateMachineArn=cloud.outputs["Machine"], input='{"a": 1}')

    def look() -> Any:
        answer = states.describe_execution(executionArn=started["executionArn"])
        return answer if answer["status"] != "RUNNING" else None

    ended = eventually(look)
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"a": 1})


def test_a_refusing_custom_resource_fails_the_deploy_with_its_reason(tmp_path: Path) -> None:
    template = FIXTURES / "cloud" / "template.yaml"
    process = start(tmp_path / "state", template, "--parameter", "Fail=true")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Published (Custom::Published): the policy is not valid" in printed


def test_an_answer_that_is_too_long_fails_the_resource() -> None:
    answer = {"Status": "SUCCESS", "Data": {"Text": "a" * 4096}}
    take_answer("token", json.dumps(answer).encode())
    assert answer_to("token") == {"Status": "FAILED", "Reason": "Response object is too long."}


def reason(cloud: ServedCloud, stack: str, resources: dict[str, Any]) -> str:
    """Return why a stack with these resources fails."""
    client, body = cloud.client("cloudformation"), json.dumps({"Resources": resources})
    client.create_stack(StackName=stack, TemplateBody=body)
    found = client.describe_stacks(StackName=stack)["Stacks"][0]
    assert found["StackStatus"] == "CREATE_FAILED"
    return str(found["StackStatusReason"])


def test_a_type_that_nobody_can_create_fails_the_stack(cloud: ServedCloud) -> None:
    why = reason(cloud, "unknown", {"Thing": {"Type": "AWS::AppConfig::Nothing"}})
    assert why == "Thing (AWS::AppConfig::Nothing): the sandbox cannot create it"


def test_a_misspelt_property_fails_the_stack(cloud: ServedCloud) -> None:
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Tresholt": 1}}
    why = reason(cloud, "misspelt", {"Loud": alarm})
    assert why.startswith("Loud (AWS::CloudWatch::Alarm)")
    assert "Tresholt" in why


def test_dependencies_are_created_first_even_if_another_resource_needs_them(
    cloud: ServedCloud,
) -> None:
    alias = {"AliasName": "alias/first", "TargetKeyId": "missing"}
    queue = {"Type": "AWS::SQS::Queue", "DependsOn": "Broken"}
    needs_queue = {"QueueName": {"Fn::Sub": "after-${Queue.QueueName}"}}
    resources = {
        "Needing": {"Type": "AWS::SQS::Queue", "Properties": needs_queue},
        "Queue": queue,
        "Broken": {"Type": "AWS::KMS::Alias", "Properties": alias},
    }
    # The queue would be made on behalf of the one that needs it, before what it depends on fails.
    assert reason(cloud, "order", resources).startswith("Broken (AWS::KMS::Alias)")
    queues = cloud.client("sqs").list_queues(QueueNamePrefix="order-").get("QueueUrls", [])
    assert queues == []


def test_a_parameter_must_meet_its_constraints() -> None:
    known = {"Size": {"AllowedValues": [1, 2]}, "Name": {"AllowedPattern": "[a-z]+"}}
    template = {"Parameters": known}
    assert check_parameters(template, {"Size": "2", "Name": "abc"})
    for wrong in ({"Size": "3"}, {"Name": "ABC"}, {"Other": "1"}):
        with pytest.raises(ValueError, match="parameter"):
            check_parameters(template, wrong)


def test_a_function_needs_a_role_that_lambda_may_take(cloud: ServedCloud) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}
    document = {"Version": "2012-10-17", "Statement": [trust | {"Action": "sts:AssumeRole"}]}
    function = {
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Code": {"ZipFile": "pass"},
        "Handler": "index.handler",
        "Runtime": "python3.13",
    }
    resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
    }
    assert "cannot be assumed by lambda.amazonaws.com" in reason(cloud, "trust", resources)
