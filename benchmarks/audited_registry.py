"""A large registry in a simulated cloud, as an audit sees it: its images, their releases and their decisions.

A group of ten manifests is an index, its two parts, two pieces of evidence and five other images; six are released, and
the newest is in use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.simulated_cloud import NOW, Cloud, RepositoryPages
from imagegate.aws.dynamodb import typed
from imagegate.aws.ledger import keys
from imagegate.aws.ledger.release_item import write_release
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import OCI_INDEX, OCI_MANIFEST, Digest, ImageRef
from imagegate.policy.policy import Mode, Policy
from imagegate.release.release import Outcome, Release, StartReason
from imagegate.risk.risk import Judgement, RiskState

REGISTRY, ACCOUNT, REGION = "123456789012.dkr.ecr.eu-central-1.amazonaws.com", "123456789012", "eu-central-1"
HOME = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/"
_TEN = 10
_INDEX, _PARTS, _EVIDENCE = 0, (1, 2), (8, 9)  # among ten manifests; the others are images of their own
_RATES = {"ecr:BatchGetImage": 2_000}


@dataclass
class AuditedCloud(Cloud):
    """ECR with repositories of equal size, a ledger that knows their releases, and their decisions in S3."""

    policy: Policy = field(kw_only=True)
    rates: Mapping[str, int] = field(default_factory=lambda: _RATES)

    def client(self, service: str) -> Any:
        """Return what takes the place of `imagegate.aws.clients.client` in the adapters."""
        services = {"ecr": AuditedEcr, "dynamodb": AuditedDynamo, "s3": AuditedS3, "sts": AuditedSts}
        return services[service](self)

    def group(self, repository: str, start: int) -> list[dict[str, Any]]:
        """Return ten manifests as DescribeImages has them, cut at the size of the repository."""
        numbers = range(start, min(start + _TEN, self.images))
        names = {number: digest_of(repository, number) for number in numbers}
        return [_detail(number, names, start) for number in numbers]


def digest_of(repository: str, number: int) -> str:
    """Return the digest of one manifest. Only the content of indexes is ever read, so only theirs is of a content."""
    is_index = number % _TEN == _INDEX
    content = index_of(repository, number) if is_index else f"{repository} {number}"
    return f"sha256:{sha256(content.encode()).hexdigest()}"


def index_of(repository: str, number: int) -> str:
    """Return the index with this number."""
    children = [digest_of(repository, number + place) for place in _PARTS]
    manifests = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": 500,
            "platform": {"os": "linux", "architecture": name},
        }
        for digest, name in zip(children, ("amd64", "arm64"), strict=True)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})


def _detail(number: int, names: dict[int, str], start: int) -> dict[str, Any]:
    place = number - start
    detail: dict[str, Any] = {
        "imageDigest": names[number],
        "imagePushedAt": NOW - timedelta(hours=number),
        "imageSizeInBytes": 50_000_000,
        "imageManifestMediaType": OCI_INDEX if place == _INDEX else OCI_MANIFEST,
    }
    if place in _EVIDENCE:
        detail["subjectManifestDigest"] = names[start]
    elif place not in _PARTS:
        detail["imageTags"] = [f"1.{number}"]
    return detail


@dataclass
class AuditedEcr:
    """The operations of ECR that an audit uses."""

    cloud: AuditedCloud

    def get_paginator(self, operation: str) -> Any:
        pages = {"describe_repositories": RepositoryPages, "describe_images": AuditedImagePages}
        return pages[operation](self.cloud)

    def describe_repositories(self, repositoryNames: list[str]) -> Any:  # noqa: N803 - botocore's name
        self.cloud.call("ecr:DescribeRepositories")
        [name] = repositoryNames
        return {
            "repositories": [
                {
                    "repositoryName": name,
                    "repositoryArn": HOME + name,
                    "imageTagMutability": "MUTABLE" if name.endswith("7-dev") else "IMMUTABLE",
                    "imageScanningConfiguration": {"scanOnPush": True},
                    "encryptionConfiguration": {"encryptionType": "AES256"},
                }
            ]
        }

    def get_lifecycle_policy(self, **_: Any) -> Any:
        self.cloud.call("ecr:GetLifecyclePolicy")
        raise refusal("LifecyclePolicyNotFoundException", "GetLifecyclePolicy")

    def get_repository_policy(self, **_: Any) -> Any:
        self.cloud.call("ecr:GetRepositoryPolicy")
        raise refusal("RepositoryPolicyNotFoundException", "GetRepositoryPolicy")

    def list_tags_for_resource(self, **_: Any) -> Any:
        self.cloud.call("ecr:ListTagsForResource")
        return {"tags": []}

    def get_registry_scanning_configuration(self) -> Any:
        self.cloud.call("ecr:GetRegistryScanningConfiguration")
        return {"scanningConfiguration": {"scanType": "BASIC"}}

    def batch_get_repository_scanning_configuration(self, **_: Any) -> Any:
        self.cloud.call("ecr:BatchGetRepositoryScanningConfiguration")
        return {"scanningConfigurations": [{"scanOnPush": True, "scanFrequency": "SCAN_ON_PUSH"}]}

    def list_pull_time_update_exclusions(self, **_: Any) -> Any:
        self.cloud.call("ecr:ListPullTimeUpdateExclusions")
        return {}

    def batch_get_image(self, repositoryName: str, imageIds: list[Any], **_: Any) -> Any:  # noqa: N803 - as above
        self.cloud.call("ecr:BatchGetImage")
        wanted = {one["imageDigest"] for one in imageIds}
        found = []
        for start in range(0, self.cloud.images, _TEN):
            if (digest := digest_of(repositoryName, start)) in wanted:
                named = {"imageDigest": digest}
                content = {
                    "imageManifest": index_of(repositoryName, start),
                    "imageManifestMediaType": OCI_INDEX,
                }
                found.append({"imageId": named, **content})
        return {"images": found}


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass
class AuditedImagePages:
    cloud: AuditedCloud

    def paginate(self, *, repositoryName: str, **paging: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 - as above
        size = paging["PaginationConfig"]["PageSize"]
        for start in range(0, self.cloud.images, size):
            self.cloud.call("ecr:DescribeImages")
            groups = range(start, min(start + size, self.cloud.images), _TEN)
            yield {
                "imageDetails": [one for first in groups for one in self.cloud.group(repositoryName, first)]
            }


@dataclass
class AuditedDynamo:
    """The ledger: releases by repository, judgements, and no rollbacks."""

    cloud: AuditedCloud

    def query(self, **request: Any) -> dict[str, Any]:
        values = request["ExpressionAttributeValues"]
        if request.get("IndexName") != "by-repository":
            self.cloud.call("dynamodb:Query")
            return {"Items": []}
        repository, size = values[":by"]["S"], request["Limit"]
        start = int(request.get("ExclusiveStartKey", {"at": {"N": "0"}})["at"]["N"])
        self.cloud.call("dynamodb:Query")
        released = [
            number for number in range(self.cloud.images) if number % _TEN not in (*_PARTS, *_EVIDENCE)
        ]
        items = [_release_item(self.cloud.policy, repository, number) for number in released[start:][:size]]
        more = {"LastEvaluatedKey": {"at": {"N": str(start + size)}}} if start + size < len(released) else {}
        return {"Items": items, **more}

    def batch_get_item(self, RequestItems: Any) -> dict[str, Any]:  # noqa: N803 - as above
        self.cloud.call("dynamodb:BatchGetItem")
        [(table, request)] = RequestItems.items()
        asked = [key["pk"]["S"] for key in request["Keys"] if key["pk"]["S"].startswith("AGAIN#")]
        return {"Responses": {table: [_judged_item(pk) for pk in asked if _is_newest(pk)]}}


def _is_newest(pk: str) -> bool:
    repository, _, digest = pk.removeprefix("AGAIN#").rpartition("@")
    return digest == digest_of(repository, _INDEX)


def _judged_item(pk: str) -> dict[str, Any]:
    repository, _, digest = pk.removeprefix("AGAIN#").rpartition("@")
    judgement = Judgement(NOW, RiskState.FINE, NOW)
    due = "2026-11-22T12:00:00.000000Z"
    image = ImageRef.of(repository, digest)
    return typed({**keys.judged_again(image), "since": due, "judgement": json.dumps(judgement.as_json())})


def _release_item(policy: Policy, repository: str, number: int) -> dict[str, Any]:
    image = ImageRef(repository, Digest(digest_of(repository, number)))
    first = number - number % _TEN
    evidence = [Digest(digest_of(repository, first + place)) for place in _EVIDENCE]
    at = NOW - timedelta(hours=number)
    stage = policy.stage_of(repository)
    release = Release(
        image=image,
        attempt=1,
        stage=stage.name if stage else "",
        policy=policy.digest,
        tags=frozenset({f"1.{number}"}),
        reason=StartReason.PUSH,
        started_at=at,
        outcome=Outcome.RELEASED,
        closed_at=at,
        verdict="PASS",
        decision=decision_of(policy.digest, image, stage.name if stage else ""),
        signature=evidence[0],
        evidence=(evidence[1],),
    )
    return typed(write_release(release))


def decision_of(policy: Digest, image: ImageRef, stage: str) -> Digest:
    """Return the digest of a decision about the image. Only those of images in use are read, so only they are kept."""
    if str(image.digest) != digest_of(image.repository, _INDEX):
        return policy
    decision = Decision(
        registry=REGISTRY,
        image=image,
        media_type=OCI_INDEX,
        size=500,
        attempt=1,
        stage=stage,
        mode=Mode.ENFORCE,
        policy=policy,
        verdict=VerdictOutcome.PASS,
        judged_at=NOW,
        scans=[{"completedAt": "2026-11-20T00:00:00Z"}],
        facts=ImageFacts(image, first_pushed_at=NOW).as_json(),
    )
    content = decision.encode()
    _CONTENTS[Digest.of(content)] = content
    if len(_CONTENTS) > _KEPT:
        del _CONTENTS[next(iter(_CONTENTS))]
    return Digest.of(content)


# The last decisions that the ledger has named: one of each repository that is audited now.
_CONTENTS: dict[Digest, bytes] = {}
_KEPT = 256


@dataclass
class AuditedS3:
    cloud: AuditedCloud

    def get_object(self, Key: str, **_: Any) -> Any:  # noqa: N803 - as above
        self.cloud.call("s3:GetObject")
        digest = Digest.parse("sha256:" + Path(Key).stem)
        return {"Body": BytesIO(_CONTENTS[digest])}


@dataclass
class AuditedSts:
    cloud: AuditedCloud

    def get_caller_identity(self) -> Any:
        self.cloud.call("sts:GetCallerIdentity")
        return {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/imagegate-audit/session"}
