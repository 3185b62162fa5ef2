"""Clean-up against AWS: each request and answer is checked against the service's own model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagegate.aws.cleanup import images as images_module
from imagegate.aws.cleanup import preview as preview_module
from imagegate.aws.cleanup import users as users_module
from imagegate.aws.cleanup.images import EcrStoredImages
from imagegate.aws.cleanup.preview import preview_lifecycle
from imagegate.aws.cleanup.users import AwsImageUsers
from imagegate.aws.dynamodb import DynamoTable
from imagegate.aws.ecr import images as ecr_module
from imagegate.aws.ledger.cleaned import DynamoCleanedImages
from imagegate.cleanup.cleaned import CleanedImage
from imagegate.cleanup.selection import CleanupAction
from imagegate.errors import AccessRefusedError, ImageNotFoundError, ServiceUnavailableError
from imagegate.lifecycle.preview import PreviewedEffect
from imagegate.lifecycle.rules import LifecycleAction
from imagegate.lifecycle.stored_image import StorageStatus
from imagegate.oci.image import OCI_INDEX, Digest, ImageRef
from imagegate.policy.cleanup import ImageUser
from tests.component.modelled_aws import ModelledAws, modelled, refused
from tests.fakes.world import DEV, REGISTRY

__all__ = ["modelled"]
AT = datetime(2026, 11, 1, tzinfo=UTC)
ROLE = "arn:aws:iam::210987654321:role/imagegate-reader"
CLUSTER = "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
SERVICE = "arn:aws:ecs:eu-central-1:123456789012:service/main/s"


@pytest.fixture
def aws(modelled: ModelledAws, monkeypatch: pytest.MonkeyPatch) -> ModelledAws:
    for module in (images_module, preview_module, users_module, ecr_module):
        monkeypatch.setattr(module, "client", modelled.client)
    return modelled


def digest(number: int) -> Digest:
    return Digest.of(f"{number}".encode())


def requests_of(aws: ModelledAws, name: str) -> list[dict[str, Any]]:
    return [params for operation, params in aws.requests if operation == name]


# Images


def test_deletions_are_batches_of_at_most_100_by_digest(aws: ModelledAws) -> None:
    kept, gone = digest(3), digest(204)

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        codes = {str(kept): "ImageReferencedByManifestList", str(gone): "ImageNotFound"}
        asked = [one["imageDigest"] for one in params["imageIds"]]
        failures = [
            {"imageId": {"imageDigest": one}, "failureCode": codes[one], "failureReason": "no"}
            for one in asked
            if one in codes
        ]
        return {"imageIds": params["imageIds"], "failures": failures}

    aws.answers["ecr:BatchDeleteImage"] = answer
    wanted = [digest(number) for number in range(205)]
    assert EcrStoredImages(REGISTRY).delete(DEV, wanted) == {kept: "ImageReferencedByManifestList: no"}
    sent = [params["imageIds"] for params in requests_of(aws, "ecr:BatchDeleteImage")]
    assert [len(ids) for ids in sent] == [100, 100, 5]
    assert [one for ids in sent for one in ids] == [{"imageDigest": str(one)} for one in wanted]


def test_silence_about_an_image_is_no_deletion(aws: ModelledAws) -> None:
    first, second = digest(1), digest(2)
    aws.answers["ecr:BatchDeleteImage"] = lambda _: {"imageIds": [{"imageDigest": str(first)}]}
    assert EcrStoredImages(REGISTRY).delete(DEV, [first, second]) == {
        second: "ECR does not say that it was deleted"
    }


def test_an_image_is_archived_by_its_digest(aws: ModelledAws) -> None:
    aws.answers["ecr:UpdateImageStorageClass"] = lambda _: {"imageStatus": "ARCHIVED"}
    assert EcrStoredImages(REGISTRY).archive(ImageRef(DEV, digest(1))) == ""
    assert requests_of(aws, "ecr:UpdateImageStorageClass") == [
        {
            "repositoryName": DEV,
            "imageId": {"imageDigest": str(digest(1))},
            "targetStorageClass": "ARCHIVE",
        }
    ]


@pytest.mark.parametrize("code", ["ImageNotFoundException", "ImageStorageClassUpdateNotSupportedException"])
def test_an_image_that_ecr_does_not_archive_is_named(aws: ModelledAws, code: str) -> None:
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        raise refused(aws.client("ecr"), "UpdateImageStorageClass", code)

    aws.answers["ecr:UpdateImageStorageClass"] = answer
    assert EcrStoredImages(REGISTRY).archive(ImageRef(DEV, digest(1))) == f"{code}: no"


def test_all_pages_are_described_and_archived_images_are_among_them(aws: ModelledAws) -> None:
    first = {
        "imageDigest": str(digest(1)),
        "imageTags": ["v1"],
        "imagePushedAt": AT,
        "lastRecordedPullTime": AT,
        "imageSizeInBytes": 7,
        "imageManifestMediaType": OCI_INDEX,
    }
    second = {
        "imageDigest": str(digest(2)),
        "imagePushedAt": AT,
        "imageStatus": "ARCHIVED",
        "lastArchivedAt": AT,
        "subjectManifestDigest": str(digest(1)),
    }
    pages = {None: ([first], "more"), "more": ([second], None)}

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        details, token = pages[params.get("nextToken")]
        return {"imageDetails": details} | ({"nextToken": token} if token else {})

    aws.answers["ecr:DescribeImages"] = answer
    one, other = EcrStoredImages(REGISTRY).stored(DEV)
    assert (one.digest, one.tags, one.is_index, one.size) == (digest(1), frozenset({"v1"}), True, 7)
    assert (one.status, one.pulled_at) == (StorageStatus.ACTIVE, AT)
    assert (other.digest, other.subject, other.archived_at) == (digest(2), digest(1), AT)
    assert other.status is StorageStatus.ARCHIVED
    for params in requests_of(aws, "ecr:DescribeImages"):
        assert (params["filter"], params["maxResults"]) == ({"imageStatus": "ANY"}, 1000)


@pytest.mark.parametrize("refuses", [True, False])
def test_an_image_that_is_gone_or_archived_hides_no_other(aws: ModelledAws, refuses: bool) -> None:
    """ECR may refuse a list with an image that it does not describe, or leave that image out."""
    gone, archived = str(digest(150)), str(digest(3))

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        asked = [one["imageDigest"] for one in params["imageIds"]]
        assert len(asked) <= 100
        hidden = {gone} if params.get("filter") == {"imageStatus": "ANY"} else {gone, archived}
        if refuses and hidden & set(asked):
            raise refused(aws.client("ecr"), "DescribeImages", "ImageNotFoundException")
        there = [one for one in asked if one not in hidden]
        return {"imageDetails": [{"imageDigest": one, "imagePushedAt": AT} for one in there]}

    aws.answers["ecr:DescribeImages"] = answer
    wanted = [digest(number) for number in range(151)]
    found = EcrStoredImages(REGISTRY).stored(DEV, wanted)
    assert {one.digest for one in found} == set(wanted[:150])
    assert len(found) == 150


def test_a_role_is_found_in_the_list_of_exclusions_without_its_path(aws: ModelledAws) -> None:
    pages: dict[str | None, dict[str, Any]] = {
        None: {"pullTimeUpdateExclusions": ["arn:aws:iam::123456789012:role/x"], "nextToken": "more"},
        "more": {"pullTimeUpdateExclusions": ["arn:aws:iam::123456789012:role/team/cleaner"]},
    }
    caller = {"Arn": "arn:aws:sts::123456789012:assumed-role/cleaner/me"}
    aws.answers["ecr:ListPullTimeUpdateExclusions"] = lambda params: pages[params.get("nextToken")]
    aws.answers["sts:GetCallerIdentity"] = lambda _: caller
    assert not EcrStoredImages(REGISTRY).reads_are_pulls()
    caller["Arn"] = "arn:aws:sts::123456789012:assumed-role/somebody/me"
    assert EcrStoredImages(REGISTRY).reads_are_pulls()


# Previews


def test_a_preview_is_waited_for_and_read_to_its_end(aws: ModelledAws) -> None:
    def result(number: int) -> dict[str, Any]:
        return {
            "imageDigest": str(digest(number)),
            "action": {"type": "EXPIRE"},
            "appliedRulePriority": number,
        }

    pages: Iterator[dict[str, Any]] = iter(
        [
            {"status": "IN_PROGRESS"},
            {"status": "COMPLETE", "previewResults": [result(1)], "nextToken": "more"},
            {"status": "COMPLETE", "previewResults": [result(2)]},
        ]
    )
    pauses: list[float] = []
    aws.answers["ecr:StartLifecyclePolicyPreview"] = lambda _: {"status": "IN_PROGRESS"}
    aws.answers["ecr:GetLifecyclePolicyPreview"] = lambda _: next(pages)
    assert preview_lifecycle(DEV, "{}" * 50, pauses.append) == {
        digest(number): PreviewedEffect(LifecycleAction.EXPIRE, number) for number in (1, 2)
    }
    assert len(pauses) == 1
    assert requests_of(aws, "ecr:GetLifecyclePolicyPreview")[-1]["nextToken"] == "more"


@pytest.mark.parametrize("status", ["FAILED", "EXPIRED", "IN_PROGRESS"])
def test_a_preview_that_does_not_end_well_is_an_error(aws: ModelledAws, status: str) -> None:
    aws.answers["ecr:StartLifecyclePolicyPreview"] = lambda _: {}
    aws.answers["ecr:GetLifecyclePolicyPreview"] = lambda _: {"status": status}
    with pytest.raises(ServiceUnavailableError, match=DEV):
        preview_lifecycle(DEV, "{}" * 50, lambda _: None)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("RepositoryNotFoundException", ImageNotFoundError),
        ("LifecyclePolicyPreviewInProgressException", ServiceUnavailableError),
    ],
)
def test_a_preview_that_cannot_begin_says_why(aws: ModelledAws, code: str, error: type[Exception]) -> None:
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        raise refused(aws.client("ecr"), "StartLifecyclePolicyPreview", code)

    aws.answers["ecr:StartLifecyclePolicyPreview"] = answer
    with pytest.raises(error, match=DEV):
        preview_lifecycle(DEV, "{}" * 50, lambda _: None)


# What runs


def name(number: int) -> str:
    return f"{REGISTRY}/{DEV}@{digest(number)}"


def everything_runs(aws: ModelledAws) -> None:
    """Answer with another image at each place where one can be in use."""
    definitions = {
        "service:1": 12,
        "family": 13,
        "deployment:1": 14,
        "set:1": 15,
        "revision:1": 16,
    }
    by_tag = f"{REGISTRY}/{DEV}:v1"
    aws.answers |= {
        "ecs:ListClusters": lambda _: {"clusterArns": [CLUSTER]},
        "ecs:ListTasks": lambda _: {"taskArns": ["t"]},
        "ecs:DescribeTasks": lambda _: {
            "tasks": [
                {
                    "taskArn": "t",
                    "taskDefinitionArn": "of-a-daemon:1",
                    "containers": [{"image": by_tag, "imageDigest": str(digest(1))}],
                }
            ]
        },
        "ecs:ListServices": lambda p: (
            {"serviceArns": [f"{SERVICE}{n}" for n in range(10)], "nextToken": "more"}
            if "nextToken" not in p
            else {"serviceArns": [SERVICE]}
        ),
        "ecs:DescribeServices": lambda p: {
            "services": [
                {
                    "serviceArn": arn,
                    "clusterArn": CLUSTER,
                    "taskDefinition": "service:1",
                    "deployments": [{"taskDefinition": "deployment:1"}],
                    "taskSets": [{"taskDefinition": "set:1"}],
                    "currentServiceRevisions": [{"arn": "now"}],
                }
                for arn in p["services"]
                if arn == SERVICE
            ],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in p["services"] if arn != SERVICE],
        },
        "ecs:ListServiceDeployments": lambda _: {
            "serviceDeployments": [{"targetServiceRevisionArn": "next"}]
        },
        "ecs:DescribeServiceRevisions": lambda p: {
            "serviceRevisions": [
                {
                    "taskDefinition": "revision:1",
                    "containerImages": [
                        {"image": by_tag, "imageDigest": str(digest({"now": 2, "next": 3}[arn]))}
                    ],
                }
                for arn in p["serviceRevisionArns"]
            ]
        },
        "ecs:ListTaskDefinitionFamilies": lambda _: {"families": ["family"]},
        "ecs:DescribeTaskDefinition": lambda p: {
            "taskDefinition": {"containerDefinitions": [{"image": name(definitions[p["taskDefinition"]])}]}
        },
        "lambda:ListFunctions": lambda _: {
            "Functions": [
                {"FunctionName": "f", "Version": version, "PackageType": kind}
                for version, kind in (("$LATEST", "Image"), ("1", "Image"), ("2", "Zip"))
            ]
        },
        "lambda:GetFunction": lambda p: {
            "Code": {"ImageUri": by_tag, "ResolvedImageUri": name({"$LATEST": 21, "1": 22}[p["Qualifier"]])}
        },
        "eks:ListClusters": lambda _: {"clusters": ["k"]},
    }


def test_everything_that_uses_an_image_is_found(aws: ModelledAws) -> None:
    everything_runs(aws)
    used = AwsImageUsers(REGISTRY).used([])
    assert {image.digest for image in used.by_digest} >= {
        digest(number) for number in (1, 2, 3, 12, 13, 14, 15, 16, 21, 22)
    }
    assert set(used.by_tag) <= {(DEV, "v1")}
    assert (DEV, "v1") in used.by_tag
    assert used.clusters == ("k",)
    assert all(len(p["services"]) <= 10 for p in requests_of(aws, "ecs:DescribeServices"))
    assert requests_of(aws, "lambda:ListFunctions")[0]["FunctionVersion"] == "ALL"


def other_account(aws: ModelledAws, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Answer for the account of the role, too; the clients that were made with its credentials are returned."""
    made: list[tuple[str, str, str]] = []

    def client_with(service: str, credentials: dict[str, str], region: str) -> Any:
        made.append((service, credentials["AccessKeyId"], region))
        return aws.client(service)

    monkeypatch.setattr(users_module, "client_with", client_with)
    keys = {
        "AccessKeyId": "A" * 16,
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": AT,
    }
    aws.answers["sts:AssumeRole"] = lambda _: {"Credentials": keys}
    return made


def test_other_accounts_are_read_by_their_roles_in_each_region(
    aws: ModelledAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything_runs(aws)
    made = other_account(aws, monkeypatch)
    AwsImageUsers(REGISTRY).used([ImageUser(ROLE, ("eu-west-1", "us-east-1"))])
    assert [params["RoleArn"] for params in requests_of(aws, "sts:AssumeRole")] == [ROLE]
    assert set(made) == {
        (service, "A" * 16, region)
        for service in ("ecs", "lambda", "eks")
        for region in ("eu-west-1", "us-east-1")
    }


SILENT = ["sts:AssumeRole", "ecs:ListClusters", "ecs:DescribeTasks", "ecs:DescribeServices"]
SILENT += ["ecs:DescribeServiceRevisions", "ecs:DescribeTaskDefinition", "lambda:ListFunctions"]
SILENT += ["lambda:GetFunction", "eks:ListClusters"]


@pytest.mark.parametrize("operation", SILENT)
def test_an_account_that_does_not_answer_stops_the_clean_up(
    aws: ModelledAws, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    everything_runs(aws)
    made = other_account(aws, monkeypatch)
    answer = aws.answers[operation]

    def silent(params: dict[str, Any]) -> dict[str, Any]:
        if made or operation == "sts:AssumeRole":  # the own account has answered
            service, name = operation.split(":")
            raise refused(aws.client(service), name, "AccessDeniedException")
        return answer(params)

    aws.answers[operation] = silent
    with pytest.raises(AccessRefusedError, match=ROLE):
        AwsImageUsers(REGISTRY).used([ImageUser(ROLE, ("eu-west-1",))])


DESCRIBED = {
    "ecs:DescribeTasks": "tasks",
    "ecs:DescribeServices": "services",
    "ecs:DescribeServiceRevisions": "serviceRevisions",
}


@pytest.mark.parametrize("operation", DESCRIBED)
@pytest.mark.parametrize("failures", [[], [{"arn": "x", "reason": "THROTTLED"}], [{"arn": "x"}]])
def test_an_answer_that_leaves_something_out_is_none(
    aws: ModelledAws, operation: str, failures: list[dict[str, str]]
) -> None:
    """Amazon ECS answers with 200 for what it does not describe."""
    everything_runs(aws)
    answer = aws.answers[operation]
    aws.answers[operation] = lambda p: {**answer(p), DESCRIBED[operation]: [], "failures": failures}
    with pytest.raises(ServiceUnavailableError, match="Amazon ECS described 0 of"):
        AwsImageUsers(REGISTRY).used([])


# Notes in the ledger


def test_what_was_taken_stays_in_the_ledger_and_the_last_note_counts(aws_account: None) -> None:
    with mock_aws():
        dynamodb: Any = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        cleaned = DynamoCleanedImages(DynamoTable("ledger"))
        notes = [
            CleanedImage(ImageRef(DEV, digest(n)), CleanupAction.ARCHIVE, digest(1000), AT, "old")
            for n in range(30)  # more than one write takes
        ]
        cleaned.note_cleaned(notes)
        assert [cleaned.cleaned(one.image) for one in notes] == notes
        again = CleanedImage(notes[0].image, CleanupAction.DELETE, digest(1001), AT, "older")
        cleaned.note_cleaned([again])
        assert cleaned.cleaned(again.image) == again
        assert cleaned.cleaned(ImageRef(DEV, digest(99))) is None
        items = dynamodb.scan(TableName="ledger")["Items"]
        assert {item["pk"]["S"].split("#")[0] for item in items} == {"CLEANED"}
        assert not any("expiresAt" in item or "ttl" in item for item in items)
