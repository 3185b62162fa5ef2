"""A check for needless permissions: compare the template's policies with the statements that the tests used.

`python -m tools.least_privilege FILE`: the sandboxes of a whole test run write FILE, see
`sandbox/aws/iam/used_statements.py`. Exits with 1 if a statement was not used and is not listed below, or is listed and
was used. The sandbox itself refuses the opposite: a need without a statement.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
_SERVICES = {
    "AWS::KMS::Key": "kms",
    "AWS::S3::BucketPolicy": "s3",
    "AWS::SQS::QueuePolicy": "sqs",
    "AWS::SNS::TopicPolicy": "sns",
}
_DOCUMENTS = ("KeyPolicy", "PolicyDocument")

# Statements that no test can use, and why they are needed. `*` means every role.
UNREACHED: Mapping[tuple[str, str], str] = {
    ("*", "WriteItsLog"): "the sandbox keeps logs in files",
    ("*", "RecordTraces"): "tracing is off by default, and the sandbox has no AWS X-Ray",
    ("DecideRole", "KeepWhatFails"): "it answers with a status; Lambda itself may fail to run it",
    ("ApprovalPageRole", "KeepWhatFails"): "it answers with a status; Lambda itself may fail to run it",
    ("MakeBoardRole", "KeepWhatFails"): "nothing of it fails three times",
    ("ReleaseRole", "DeliverItsLog"): "the sandbox keeps logs in files",
    ("AuditMachineRole", "DeliverItsLog"): "the sandbox keeps logs in files",
    ("AuditMachineRole", "StartItsBatches"): "moto runs the batches of a map without executions of their own",
    (
        "AuditMachineRole",
        "FollowItsBatches",
    ): "moto runs the batches of a map without executions of their own",
    ("AuditTimeRole", "StartTheAudit"): "the tests start the audit themselves, at no time of day",
    ("AuditRole", "SeeWhetherTrailsRecord"): "the sandbox has no trails",
    ("s3", "OnlyItsFunctionWritesTheBoard"): "it denies, and nothing else tries to write there",
    ("AuditRole", "AskOtherAccounts"): "the sandbox has one account",
    ("AuditRole", "StorePlans"): "images of the sandbox are too young to go",
    ("AuditRole", "TakeImages"): "images of the sandbox are too young to go",
    ("AuditRole", "NoteWhatGoes"): "images of the sandbox are too young to go",
    ("AuditRole", "SeeClustersOfImages"): "images of the sandbox are too young to go",
    ("PromoteImageRole", "TakeRolesElsewhere"): "the sandbox has one account",
    ("PromoteImageRole", "SeeTheKeysOfRepositories"): "no stack of the tests has a customer's key",
    ("PromoteImageRole", "LetEcrUseTheKeysOfRepositories"): "no stack of the tests has a customer's key",
    ("kms", "AlarmsReachTheTopic"): "alarms exist in the sandbox, and never evaluate",
    ("sns", "AlarmsPublish"): "alarms exist in the sandbox, and never evaluate",
    ("kms", "TablesAreEncryptedByAGrant"): "the sandbox encrypts nothing, and makes no grants",
    (
        "kms",
        "TheAccountAdministersIt",
    ): "the sandbox takes it as given that a key's policy leaves the rest to IAM",
    ("s3", "OnlyOverTls"): "requests on loopback count as encrypted",
}

# Statements that only some runs use: the reconciler runs every five minutes.
SOMETIMES: Mapping[tuple[str, str], str] = {
    ("AwaitScanRole", "SeeWhenImagesWerePushed"): "for a scan that is over before its release waits",
    ("OnScanCompletedRole", "ReadEnhancedScans"): "for an index, while its platforms are scanned one by one",
    ("OnScanCompletedRole", "AskForAnotherAttempt"): "for a result after the time-out",
    ("JudgeAgainRole", "ScanAgain"): "for an image that nobody scanned for a day",
    ("JudgeAgainRole", "AskForRevocations"): "where a stage requires signatures",
    ("JudgeAgainRole", "ReadWhatInspectorKnows"): "where a rule needs it",
    ("AuditRole", "SeeWhatRuns"): "where clusters of Amazon ECS run something",
    ("AuditRole", "SeeImagesOfFunctions"): "where functions are images",
    ("AuditRole", "TellMissingFromForbidden"): "S3 asks for it where a key is missing",
    ("ReconcileRole", "FindTheCurrentImage"): "once an hour, where no event told",
    ("ReconcileRole", "ListTheReleasesThatRun"): "for a release that has been open for a quarter of an hour",
    ("ReconcileRole", "StartScans"): "for a scan that was to begin and did not",
}


def statements(template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield owner and Sid of every statement: the role's logical name, or the service whose resource has the policy."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] in _SERVICES:
            documents = [properties[key] for key in _DOCUMENTS if key in properties]
            owners = [_SERVICES[resource["Type"]]]
        elif resource["Type"] == "AWS::IAM::Role":
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            owners = [name]
        elif resource["Type"] == "AWS::IAM::Policy":
            roles = [role["Fn::If"][1] if "Fn::If" in role else role for role in properties["Roles"]]
            documents, owners = [properties["PolicyDocument"]], [role["Ref"] for role in roles]
        else:
            continue
        for document in documents:
            yield from ((owner, one["Sid"]) for one in document["Statement"] for owner in owners)


def read_used(lines: str) -> set[tuple[str, str]]:
    """Read owner and Sid per line; a role's physical name has its logical name in it."""
    pairs = (line.split() for line in lines.splitlines())
    return {(_logical(owner), sid) for owner, sid in pairs}


def _logical(owner: str) -> str:
    role = re.search(r"\b[A-Z]\w*Role\b", owner)
    return role[0] if role else owner


def faults(template: Mapping[str, Any], seen: set[tuple[str, str]]) -> list[str]:
    """Return one line for each statement that nothing used, and for each that is listed without need."""
    known = set(statements(template))
    listed = {one for one in known if one in UNREACHED or ("*", one[1]) in UNREACHED}
    stale = UNREACHED.keys() - known - {("*", sid) for _, sid in listed - seen}
    return [
        *(
            f"{owner} {sid}: no test uses it"
            for owner, sid in sorted(known - seen - listed - SOMETIMES.keys())
        ),
        *(f"{owner} {sid}: listed as unreached, and used" for owner, sid in sorted(listed & seen)),
        *(f"{owner} {sid}: listed as unreached, and not in the template" for owner, sid in sorted(stale)),
    ]


def main(path: str) -> int:
    found = faults(yaml_parse(TEMPLATE.read_text()), read_used(Path(path).read_text()))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
