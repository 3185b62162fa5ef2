"""Rules for the template that no linter holds: least privilege, nothing lost, nothing unsaid."""

from __future__ import annotations

import copy
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from samtranslator.yaml_helper import yaml_parse

from imagegate.events.decide_call import LINKS_ALIAS
from imagegate.workflow.replicate import PAUSE
from tools.translated import packaged, translated

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "template.yaml").read_text()
TEMPLATE: dict[str, Any] = yaml_parse(TEXT)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
PACKAGED = packaged(TEMPLATE)


def of_type(name: str) -> dict[str, dict[str, Any]]:
    return {key: value["Properties"] for key, value in RESOURCES.items() if value["Type"] == name}


FUNCTIONS = of_type("AWS::Serverless::Function")
ROLES = of_type("AWS::IAM::Role")


def statements(role: str) -> list[dict[str, Any]]:
    return [s for policy in ROLES[role]["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


def who_may(action: str) -> set[str]:
    return {role for role in ROLES for s in statements(role) if action in actions(s)}


def test_every_parameter_is_described_and_constrained() -> None:
    constraints = {"AllowedValues", "AllowedPattern", "MinValue"}
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        assert constraints & set(parameter), name


def test_every_output_is_described() -> None:
    assert all(output["Description"] for output in TEMPLATE["Outputs"].values())


def test_the_stack_says_the_version_of_the_code_that_published_its_policy() -> None:
    assert TEMPLATE["Outputs"]["Version"]["Value"] == {"Fn::GetAtt": ["PublishedPolicy", "Version"]}
    handler = (ROOT / "functions/publish_policy/handler.py").read_text()
    assert '"Version": __version__' in handler


@pytest.mark.parametrize("name", FUNCTIONS)
class TestFunction:
    def test_has_a_role_a_log_group_and_a_failure_destination_of_its_own(self, name: str) -> None:
        base = name.removesuffix("Function")
        function = FUNCTIONS[name]
        assert function["Role"] == {"Fn::GetAtt": [f"{base}Role", "Arn"]}
        assert function["LoggingConfig"] == {"LogGroup": {"Ref": f"{base}Logs"}}
        assert RESOURCES[f"{base}Logs"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        on_failure = function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
        assert on_failure == {"Type": "SQS", "Destination": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}
        assert "sqs:SendMessage" in [a for s in statements(f"{base}Role") for a in actions(s)]

    def test_has_code_a_description_and_sane_limits(self, name: str) -> None:
        function = {**TEMPLATE["Globals"]["Function"], **FUNCTIONS[name]}
        assert (ROOT / function["CodeUri"] / "handler.py").is_file()
        assert function["Description"]
        assert 1 <= function["Timeout"] <= 900
        assert 128 <= function["MemorySize"] <= 2048

    def test_is_published_whenever_anything_about_it_changes(self, name: str) -> None:
        """In the template; tests/contract/test_template_versions.py has the values that it gets when it is deployed."""
        published = (
            FUNCTIONS[name].get("AutoPublishAlias"),
            FUNCTIONS[name].get("AutoPublishAliasAllProperties"),
        )
        assert published == ((None, None) if name == "PublishPolicyFunction" else ("live", True))

    def test_has_no_event_that_could_be_lost_without_a_trace(self, name: str) -> None:
        for event in FUNCTIONS[name].get("Events", {}).values():
            properties = event["Properties"]
            assert properties["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}
            assert properties["RetryPolicy"]["MaximumRetryAttempts"] >= 2


def test_no_folder_of_functions_is_left_out() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert {function["CodeUri"].removeprefix("functions/") for function in FUNCTIONS.values()} == folders


@pytest.mark.parametrize("role", ROLES)
class TestRole:
    def test_names_each_need(self, role: str) -> None:
        sids = [statement["Sid"] for statement in statements(role)]
        assert len(sids) == len(set(sids))

    def test_grants_no_wildcard_action_and_no_managed_policy(self, role: str) -> None:
        assert "ManagedPolicyArns" not in ROLES[role]
        assert not [action for s in statements(role) for action in actions(s) if "*" in action]

    def test_serves_one_function(self, role: str) -> None:
        users = [name for name, f in FUNCTIONS.items() if f["Role"] == {"Fn::GetAtt": [role, "Arn"]}]
        assert users == (
            []
            if role in ("ReleaseRole", "AuditMachineRole", "AuditTimeRole")
            else [role.removesuffix("Role") + "Function"]
        )


def test_a_role_is_made_with_the_permissions_that_lambda_asks_for() -> None:
    """Lambda refuses a function whose role lacks them; a policy beside the role, or a new one, would come too late."""
    roles = {name: function["Role"]["Fn::GetAtt"][0] for name, function in FUNCTIONS.items()}
    machines = [one["Role"]["Fn::GetAtt"][0] for one in of_type("AWS::Serverless::StateMachine").values()]
    assert (
        {*roles.values(), *machines}
        == who_may("xray:PutTraceSegments")
        == who_may("xray:PutTelemetryRecords")
    )
    kept = {roles[name] for name, function in FUNCTIONS.items() if "EventInvokeConfig" in function}
    assert kept
    assert kept <= who_may("sqs:SendMessage")


def test_the_workflow_may_deliver_its_log() -> None:
    """Step Functions refuses a machine whose role may not (Step Functions guide, "Logging in CloudWatch Logs")."""
    needed = {f"logs:{verb}LogDelivery" for verb in ("Create", "Get", "Update", "Delete")} | {
        f"logs:{rest}"
        for rest in (
            "ListLogDeliveries",
            "PutResourcePolicy",
            "DescribeResourcePolicies",
            "DescribeLogGroups",
        )
    }
    for machine in of_type("AWS::Serverless::StateMachine").values():
        role = machine["Role"]["Fn::GetAtt"][0]
        assert machine["Logging"]["Level"] == "ERROR"
        assert needed <= {action for statement in statements(role) for action in actions(statement)}


def test_who_reads_scans_may_ask_inspector_too() -> None:
    """Under enhanced scanning ECR asks Inspector with the permissions of its caller; without them all fails."""
    readers = who_may("ecr:DescribeImageScanFindings")
    assert readers == {
        "OnScanCompletedRole",
        "ReconcileRole",
        "AwaitScanRole",
        "JudgeImageRole",
        "JudgeAgainRole",
    }
    for role in readers:
        own = next(one for one in statements(role) if one["Sid"] == "ReadEnhancedScans")
        assert own["Action"] == ["inspector2:ListFindings", "inspector2:ListCoverage"], role
    # How the registry is scanned, and when the image was pushed, decide whether a result counts.
    assert readers <= who_may("ecr:GetRegistryScanningConfiguration") & who_may("ecr:DescribeImages")


def test_the_judge_waits_as_long_as_the_state_machine_pauses() -> None:
    variables = FUNCTIONS["JudgeImageFunction"]["Environment"]["Variables"]
    machine = yaml_parse((ROOT / "statemachines/release.asl.yaml").read_text())
    assert int(variables["SECOND_LOOK_SECONDS"]) == machine["States"]["Look Again"]["Seconds"] == 60
    assert variables["SCAN_TIMEOUT_SHARE"] == "1"


def test_every_star_as_a_resource_or_principal_says_why() -> None:
    lines = [line for line in TEXT.splitlines() if re.search(r'(Resource|Principal|AWS): "\*"', line)]
    assert lines
    assert [line for line in lines if " # " not in line and "  # " not in line] == []


@pytest.mark.parametrize(
    ("action", "roles"),
    [
        ("signer:SignPayload", {"SignImageRole"}),
        ("signer:PutSigningProfile", {"PublishPolicyRole"}),
        ("states:StartExecution", {"StartReleaseRole", "AuditMachineRole", "AuditTimeRole"}),
        ("ecr:PutImage", {"SignImageRole", "AttachSbomRole", "PromoteImageRole"}),
        ("ecr:CreateRepository", {"PromoteImageRole"}),
        (
            "sns:Publish",
            {
                "AnnounceRole",
                "ReconcileRole",
                "CheckDeploymentRole",
                "DecideRole",
                "JudgeAgainRole",
                "AuditRole",
            },
        ),
        ("signer:RevokeSignature", {"DecideRole"}),
        (
            "lambda:InvokeFunction",
            {"ReleaseRole", "OnScanCompletedRole", "ReconcileRole", "DecideRole", "ApprovalPageRole"}
            | {"AuditMachineRole"},
        ),
        ("kms:VerifyMac", {"ApprovalPageRole", "DecideRole"}),
        ("kms:GenerateMac", {"AnnounceRole"}),
        (
            "s3:PutObject",
            {"JudgeImageRole", "JudgeAgainRole", "MakeBoardRole", "PublishPolicyRole", "AuditRole"},
        ),
    ],
)
def test_only_roles_that_need_a_permission_have_it(action: str, roles: set[str]) -> None:
    assert who_may(action) == roles


def test_every_rule_may_send_undelivered_events_to_the_dead_letter_queue() -> None:
    rules = {f"{name}{event}" for name, function in FUNCTIONS.items() for event in function.get("Events", {})}
    rules |= set(of_type("AWS::Events::Rule"))
    [statement] = RESOURCES["DeadLettersPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    named = [source["Fn::If"][1] if "Fn::If" in source else source for source in sources]
    assert sorted(source["Fn::GetAtt"][0] for source in named) == sorted(rules)


# What is kept for all functions is written item by item.
@pytest.mark.parametrize("role", ROLES)
def test_a_role_writes_items_of_the_ledger_only_by_their_keys(role: str) -> None:
    writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}
    for statement in statements(role):
        if not writes & set(actions(statement)) or statement["Resource"] == {"Fn::GetAtt": ["Grants", "Arn"]}:
            continue
        assert statement["Resource"] == {"Fn::GetAtt": ["Ledger", "Arn"]}
        assert set(actions(statement)) <= writes | {"dynamodb:GetItem"}, statement["Sid"]
        assert statement["Condition"]["Null"] == {"dynamodb:LeadingKeys": False}
        keys = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        assert all(re.fullmatch(r"[A-Z]+#\*|INSTALLATION", key) for key in keys), statement["Sid"]


@pytest.mark.parametrize("role", ROLES)
def test_nobody_deletes_images_or_records_or_reads_whole_tables(role: str) -> None:
    taken = {action for s in statements(role) for action in actions(s)}
    assert not {a for a in taken if re.match(r"(ecr|s3|kms):.*(Delete|Purge)|dynamodb:(Scan|PartiQL)", a)}
    deleted = [s["Sid"] for s in statements(role) if "dynamodb:DeleteItem" in actions(s)]
    assert deleted in ([], ["EndWaits"], ["KeepTokens"], ["KeepTheQueue", "KeepRisks"])


def test_iam_knows_every_permission_of_the_template() -> None:
    """ECR's referrers are listed by whoever may read manifests."""
    assert who_may("ecr:ListImageReferrers") == set()


def test_records_are_written_once_and_never_deleted() -> None:
    policy = RESOURCES["RecordsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    rules = {statement["Sid"]: statement for statement in policy}
    kept = [
        {"Fn::Sub": f"${{Records.Arn}}/{folder}/*"}
        for folder in ("decisions", "findings", "waivers", "policies", "cleanup")
    ]
    assert [
        rules["OnlyTheJudgeWritesDecisions"]["Resource"],
        rules["OnlyADeployWritesPolicies"]["Resource"],
    ] == [
        kept[:3],
        kept[3],
    ]
    for sid, action, condition in (
        ("NothingIsWrittenTwice", "s3:PutObject", {"Null": {"s3:if-none-match": True}}),
        ("NothingIsDeleted", ["s3:DeleteObject", "s3:DeleteObjectVersion"], None),
    ):
        rule = rules[sid]
        assert (rule["Effect"], rule["Principal"], rule["Action"]) == ("Deny", "*", action)
        reports = [{"Fn::Sub": "${Records.Arn}/audit/*"}] if sid == "NothingIsDeleted" else []
        assert (rule["Resource"], rule.get("Condition")) == ([*kept, *reports], condition)


def test_the_key_is_granted_to_aws_alone() -> None:
    policy = RESOURCES["Key"]["Properties"]["KeyPolicy"]["Statement"]
    [grants] = [statement for statement in policy if "kms:CreateGrant" in actions(statement)]
    assert grants["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": True}


def test_only_the_judge_writes_decisions_and_only_a_deploy_writes_policies() -> None:
    written = {
        role: statement["Resource"]
        for role in ROLES
        for statement in statements(role)
        if "s3:PutObject" in actions(statement)
    }
    assert written == {
        "JudgeImageRole": [
            {"Fn::Sub": "${Records.Arn}/decisions/*"},
            {"Fn::Sub": "${Records.Arn}/findings/*"},
            {"Fn::Sub": "${Records.Arn}/waivers/*"},
        ],
        "JudgeAgainRole": {"Fn::Sub": "${Records.Arn}/later-findings/*"},
        "AuditRole": {"Fn::Sub": "${Records.Arn}/audit/*"},
        "PublishPolicyRole": {"Fn::Sub": "${Records.Arn}/policies/*"},
        "MakeBoardRole": {"Fn::Sub": "${BoardBucket.Arn}/*"},
    }


def test_sboms_are_written_by_inspector_and_pass_through() -> None:
    """User guide of Amazon Inspector, "Exporting findings reports": the statements of bucket and key."""
    source = "arn:${AWS::Partition}:inspector2:${AWS::Region}:${AWS::AccountId}:report/*"
    only_for_us = {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": {"Fn::Sub": source}},
    }
    bucket = RESOURCES["RecordsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    key = RESOURCES["Key"]["Properties"]["KeyPolicy"]["Statement"]
    for allowed in (one for one in [*bucket, *key] if one["Sid"].startswith("Inspector")):
        assert allowed["Principal"] == {"Service": "inspector2.amazonaws.com"}
        assert allowed["Condition"] == only_for_us
    named = {one["Sid"]: one for one in bucket}
    assert named["InspectorWritesSboms"]["Resource"] == {"Fn::Sub": "${Records.Arn}/sboms/*"}
    assert named["OnlyServicesWriteSboms"]["Resource"] == {"Fn::Sub": "${Records.Arn}/sboms/*"}
    [rule, runs] = RESOURCES["Records"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert (runs["Prefix"], runs["ExpirationInDays"]) == ("audit/runs/", 30)  # and never the reports
    assert (rule["Prefix"], rule["Status"]) == ("sboms/", "Enabled")


def test_one_function_writes_grants_and_those_that_judge_read_them() -> None:
    allowed = {
        role: set(actions(statement))
        for role in ROLES
        for statement in statements(role)
        if "Grants.Arn" in str(statement["Resource"]) or "'Grants', 'Arn'" in str(statement["Resource"])
    }
    assert allowed == {
        "DecideRole": {"dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "ApprovalPageRole": {"dynamodb:Query"},
        "StartReleaseRole": {"dynamodb:Query"},
        "CheckDeploymentRole": {"dynamodb:Query"},
        "JudgeImageRole": {"dynamodb:Query"},
        "JudgeAgainRole": {"dynamodb:Query"},
        "AuditRole": {"dynamodb:Query"},
        "MakeBoardRole": {"dynamodb:Query"},
        "PromoteImageRole": {"dynamodb:Query"},
        "ReconcileRole": {"dynamodb:Query"},
    }


def test_the_check_at_deployment_is_off_unless_somebody_switches_it_on() -> None:
    parameters = TEMPLATE["Parameters"]
    assert parameters["DeploymentCheck"]["Default"] == "off"
    assert parameters["DeploymentCheckOnError"]["Default"] == "closed"
    assert parameters["DeploymentCheckAllowedImages"]["Default"] == ""
    assert TEMPLATE["Conditions"]["HasDeploymentCheck"] == {"Fn::Equals": [{"Ref": "DeploymentCheck"}, "on"]}
    made = {name: one for name, one in translated(PACKAGED)["Resources"].items() if "CheckDeployment" in name}
    assert {one["Type"].rpartition("::")[2] for one in made.values()} == {
        *(
            "Function",
            "Version",
            "Alias",
            "EventInvokeConfig",
            "Rule",
            "Permission",
            "LogGroup",
            "Role",
            "Alarm",
        ),
    }
    assert {name for name, one in made.items() if one.get("Condition") != "HasDeploymentCheck"} == set()
    assert TEMPLATE["Outputs"]["CheckDeploymentFunction"]["Condition"] == "HasDeploymentCheck"


def test_the_board_is_off_unless_somebody_switches_it_on_and_only_its_function_writes_it() -> None:
    assert TEMPLATE["Parameters"]["Board"]["Default"] == "off"
    assert TEMPLATE["Conditions"]["HasBoard"] == {"Fn::Equals": [{"Ref": "Board"}, "on"]}
    made = {name: one for name, one in translated(PACKAGED)["Resources"].items() if "Board" in name}
    assert len(made) > 9
    assert {name for name, one in made.items() if one.get("Condition") != "HasBoard"} == set()
    assert TEMPLATE["Outputs"]["BoardBucket"]["Condition"] == "HasBoard"
    blocked = made["BoardBucket"]["Properties"]["PublicAccessBlockConfiguration"]
    assert list(blocked.values()) == [True] * 4
    rules = {one["Sid"]: one for one in made["BoardPolicy"]["Properties"]["PolicyDocument"]["Statement"]}
    assert rules["OnlyOverTls"]["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert rules["OnlyItsFunctionWritesTheBoard"]["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["MakeBoardRole", "Arn"]}}
    }


def test_the_check_at_deployment_reads_and_can_make_nothing_pass() -> None:
    [written] = [one for one in statements("CheckDeploymentRole") if "dynamodb:PutItem" in actions(one)]
    assert written["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["NOTICE#*"]},
        "Null": {"dynamodb:LeadingKeys": False},
    }
    allowed = {action for one in statements("CheckDeploymentRole") for action in actions(one)}
    assert {action for action in allowed if action.startswith(("ecs:", "ecr:", "dynamodb:", "s3:"))} == {
        "ecs:DescribeServiceRevisions",
        "ecs:DescribeTaskDefinition",
        "ecr:BatchGetImage",
        "s3:GetObject",
        "dynamodb:Query",
        "dynamodb:PutItem",
    }


def test_iam_identifies_the_caller_of_decide() -> None:
    assert FUNCTIONS["DecideFunction"]["FunctionUrlConfig"] == {"AuthType": "AWS_IAM"}


def test_the_approval_page_reads_and_asks_and_can_write_nothing() -> None:
    allowed = {action for one in statements("ApprovalPageRole") for action in actions(one)}
    assert allowed == {
        *("logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"),
        *("kms:VerifyMac", "dynamodb:GetItem", "dynamodb:Query", "s3:GetObject", "ecr:BatchGetImage"),
        *("lambda:InvokeFunction", "xray:PutTraceSegments", "xray:PutTelemetryRecords"),
    }
    [asked] = [one for one in statements("ApprovalPageRole") if "lambda:InvokeFunction" in actions(one)]
    name = FUNCTIONS["DecideFunction"]["FunctionName"]["Fn::Sub"]
    alias = RESOURCES["DecideByLinkAlias"]["Properties"]
    assert (alias["Name"], alias["FunctionName"]) == (LINKS_ALIAS, {"Ref": "DecideFunction"})
    # By the other alias, whoever calls it directly could say to be anybody.
    assert asked["Resource"]["Fn::Sub"].endswith(f":function:{name}:{LINKS_ALIAS}")


def test_the_approval_page_is_open_to_everybody_but_not_to_all_at_once() -> None:
    assert FUNCTIONS["ApprovalPageFunction"]["FunctionUrlConfig"] == {"AuthType": "NONE"}
    public = {
        name for name, one in FUNCTIONS.items() if one.get("FunctionUrlConfig", {}).get("AuthType") == "NONE"
    }
    assert public == {"ApprovalPageFunction"}


def test_pushes_take_no_function_away_from_people() -> None:
    """Others have no limit: where they are throttled they wait. 0 is for accounts that can reserve none."""
    reserved = {
        name: one["ReservedConcurrentExecutions"]
        for name, one in FUNCTIONS.items()
        if "ReservedConcurrentExecutions" in one
    }
    parameter = "ApprovalPageConcurrency"
    choice = {"Fn::If": [f"Has{parameter}", {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}
    assert reserved == {"ApprovalPageFunction": choice, "DecideFunction": choice}
    assert TEMPLATE["Conditions"][f"Has{parameter}"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}
    number = TEMPLATE["Parameters"][parameter]
    assert (number["Default"], number["MinValue"]) == (5, 0)
    assert f"fewer than {100 + len(reserved) * number['Default']} functions" in number["Description"]


def test_links_are_authenticated_by_a_key_of_their_own_that_is_kept_and_only_for_that() -> None:
    key = RESOURCES["ApprovalKey"]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert (key["Properties"]["KeySpec"], key["Properties"]["KeyUsage"]) == (
        "HMAC_256",
        "GENERATE_VERIFY_MAC",
    )
    used = [one for role in ROLES for one in statements(role) if "ApprovalKey" in str(one["Resource"])]
    assert used
    for statement in used:
        assert statement["Condition"] == {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}}
        assert set(actions(statement)) <= {"kms:GenerateMac", "kms:VerifyMac"}


def test_mail_is_sent_for_problems_alarms_and_the_digest_only() -> None:
    mail = RESOURCES["AlertsByMail"]["Properties"]
    assert mail["FilterPolicy"] == {
        "alert": ["alert", "block", "digest", {"exists": False}],
        "later": [{"exists": False}],
    }


@pytest.mark.parametrize("table", of_type("AWS::DynamoDB::Table"))
def test_tables_are_kept_encrypted_and_recoverable(table: str) -> None:
    properties = RESOURCES[table]["Properties"]
    kept = (RESOURCES[table]["DeletionPolicy"], RESOURCES[table]["UpdateReplacePolicy"])
    assert kept == ("RetainExceptOnCreate", "Retain")
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"]["SSEType"] == "KMS"


def test_the_bucket_is_versioned_encrypted_private_and_kept() -> None:
    bucket = RESOURCES["Records"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in bucket["Properties"]


def test_alarms_watch_faults() -> None:
    text = str(of_type("AWS::CloudWatch::Alarm"))
    for metric in ("Failed", "Aborted", "TimedOut"):
        assert f"Executions{metric}" in text
    assert "ApproximateNumberOfMessagesVisible" in text


def versions(template: dict[str, Any]) -> set[str]:
    """Return the logical ids of the function versions that SAM publishes; a new one goes live behind the alias."""
    return {
        key
        for key, value in translated(template)["Resources"].items()
        if value["Type"] == "AWS::Lambda::Version"
    }


@pytest.mark.parametrize(
    ("layer", "renewed"),
    [
        (
            "PolicyLayer",
            {
                "StartReleaseFunction",
                "ReconcileFunction",
                "JudgeAgainFunction",
                "AuditFunction",
                "DecideFunction",
                "CheckDeploymentFunction",
                "AnnounceFunction",
                "MakeBoardFunction",
            },
        ),
        ("CoreLayer", set(FUNCTIONS) - {"PublishPolicyFunction"}),
    ],
)
def test_a_change_of_a_layer_goes_live(layer: str, renewed: set[str]) -> None:
    """Without it the alias stays on the old policy or code, and nobody notices."""
    changed = copy.deepcopy(PACKAGED)
    changed["Resources"][layer]["Properties"]["ContentUri"] = f"s3://bucket/{layer}-2"
    new = versions(changed) - versions(PACKAGED)
    assert {re.sub(r"Version[0-9a-f]+$", "", key) for key in new} == renewed


def test_a_lock_does_not_replace_the_bucket() -> None:
    """ObjectLockDays may be set later; a bucket that is replaced would leave its records behind."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::S3::Bucket").schema
    assert not [name for name in schema["createOnlyProperties"] if "Lock" in name]


def test_a_wait_for_replicas_fits_into_the_history_of_an_execution() -> None:
    """A history has at most 25,000 events (Step Functions guide, "Quotas"); a round of the wait has nine."""
    replicas = yaml_parse((ROOT / "statemachines/release.asl.yaml").read_text())["States"]["Await Replicas"]
    assert (replicas["Type"], replicas["Next"]) == ("Wait", "Promote Image")
    rounds = timedelta(hours=24) / PAUSE
    assert rounds * 9 < 25_000 * 0.6


def test_only_events_of_this_registry_come_in() -> None:
    """Buses pass on events of other accounts and Regions, where repositories and digests may be the same."""
    rules = [
        one["Properties"]["EventPattern"]
        for one in translated(PACKAGED)["Resources"].values()
        if one["Type"] == "AWS::Events::Rule" and "EventPattern" in one["Properties"]
    ]
    of_registries = [one for one in rules if {"aws.ecr", "aws.inspector2"} & {*one["source"]}]
    assert len(of_registries) > 6
    for pattern in of_registries:
        by_place = pattern.get("account"), pattern.get("region")
        here = [{"Ref": "AWS::AccountId"}], [{"Ref": "AWS::Region"}]
        assert by_place == here or "${AWS::Region}:${AWS::AccountId}" in str(pattern["resources"]), pattern
