"""The audit of a large registry: its requests, its time and its memory.

`python -m benchmarks.audit --repositories 10000 --images-per-repository 100 --json FILE` writes one object:
repositories, images, seconds (of this machine), simulated_seconds (of the services), api_calls by operation, throttled,
peak_mib, findings, not_assessed (repositories); and for the report that is put
together of all results, and follows one before: report_seconds, report_kib, peak_with_report_mib.

The product runs as it does in Lambda, with its adapters. Below them, Amazon ECR, DynamoDB and S3 are simulated: a call
takes 50 ms, threads call at the same time, and if there are more calls of one operation in a second than its rate,
they are throttled. ECR publishes the rate of BatchGetImage (2,000); `--rate` is that of the others. A group of ten
manifests is an index, its two parts, two pieces of evidence and five other images; six are released, and the newest is
in use. Results are written out one by one, as the function writes them.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.audit_report import StoredResults, measure_report
from benchmarks.output import write_result
from benchmarks.reconcile import _NOW, _POLICY, Cloud, RepositoryPages, SimulatedThreads
from imagegate.audit.image import AuditTerms
from imagegate.aws import clients, dynamodb, records
from imagegate.aws.audit.settings import EcrAuditSettings
from imagegate.aws.cleanup import images as stored_images
from imagegate.aws.dynamodb import DynamoTable, typed
from imagegate.aws.ecr import images as ecr_images
from imagegate.aws.ecr import settings as ecr_settings
from imagegate.aws.ecr.registry import own_registry
from imagegate.aws.ecr.scans import EcrScans
from imagegate.aws.ledger import DynamoLedger, keys
from imagegate.aws.ledger.cleaned import DynamoCleanedImages
from imagegate.aws.ledger.release_item import write_release
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.baseline.section import RegistryBaseline
from imagegate.cleanup.usage import UsedImages
from imagegate.findings.versions import VERSIONS
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import OCI_INDEX, OCI_MANIFEST, Digest, ImageRef
from imagegate.policy.file.load import load_policy
from imagegate.policy.policy import Mode, Policy
from imagegate.release.release import Outcome, Release, StartReason
from imagegate.risk.risk import Judgement, RiskState
from imagegate.workflow.audit.images import AuditImages
from imagegate.workflow.audit.sboms import ReadSboms
from imagegate.workflow.audit.settings import AuditSettings
from imagegate.workflow.audit.walk import AuditRepositories
from imagegate.workflow.cleanup.inventory import ReadInventory
from imagegate.workflow.watch.sweep import Workers

REGISTRY, ACCOUNT, REGION = "123456789012.dkr.ecr.eu-central-1.amazonaws.com", "123456789012", "eu-central-1"
_HOME = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/"
_TEN = 10
_INDEX, _PARTS, _EVIDENCE = 0, (1, 2), (8, 9)  # among ten manifests; the others are images of their own
_RATES = {"ecr:BatchGetImage": 2_000}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure an audit over simulated services.")
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--images-per-repository", type=int, default=100, help="manifests of each repository")
    parser.add_argument("--rate", type=int, default=500, help="calls of one operation a second")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    if min(arguments.repositories, arguments.images_per_repository) < 1:
        parser.error("--repositories and --images-per-repository must be 1 or more")
    write_result(
        measure(arguments.repositories, arguments.images_per_repository, arguments.rate), arguments.json
    )
    return 0


def measure(repositories: int, images: int, rate: int = 500) -> dict[str, Any]:
    """Return the numbers of an audit of a registry of that size."""
    policy = load_policy(_POLICY).policy
    if policy is None:
        raise RuntimeError("the policy has faults")
    cloud = AuditedCloud(repositories, images, 0, rate, policy=policy)
    for adapter in (ecr_images, ecr_settings, stored_images, dynamodb, records):
        adapter.client = cloud.client  # type: ignore[attr-defined]
    began, totals = time.monotonic(), [0, 0, 0]
    with tempfile.TemporaryFile("w+") as file:
        results, walk = StoredResults(file), _walk(cloud, policy)
        for name, part in walk.run(stored_images.EcrStoredImages(REGISTRY).repositories()):
            results.add(name, part)
            totals[0] += part.images
            totals[1] += len(part.findings)
            totals[2] += bool(part.not_assessed)
        measured = _numbers(cloud, repositories, totals, time.monotonic() - began)
        return measured | measure_report(results, walk, policy)


def _numbers(cloud: AuditedCloud, repositories: int, totals: Sequence[int], seconds: float) -> dict[str, Any]:
    return {
        "repositories": repositories,
        "images": totals[0],
        "seconds": round(seconds, 1),
        "simulated_seconds": round(cloud.clock.now, 1),
        "api_calls": dict(sorted(cloud.calls.items())),
        "throttled": cloud.throttled,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "findings": totals[1],
        "not_assessed": totals[2],
    }


@dataclass
class AuditedCloud(Cloud):
    """ECR with repositories of equal size, a ledger that knows their releases, and their decisions in S3."""

    policy: Policy = field(kw_only=True)

    def client(self, service: str) -> Any:
        """Return what takes the place of `imagegate.aws.clients.client` in the adapters."""
        services = {"ecr": AuditedEcr, "dynamodb": AuditedDynamo, "s3": AuditedS3, "sts": AuditedSts}
        return services[service](self)

    def call(self, operation: str) -> None:
        usual, self.rate = self.rate, _RATES.get(operation, self.rate)
        try:
            super().call(operation)
        finally:
            self.rate = usual

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
        "imagePushedAt": _NOW - timedelta(hours=number),
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
                    "repositoryArn": _HOME + name,
                    "imageTagMutability": "MUTABLE" if name.endswith("7-dev") else "IMMUTABLE",
                    "imageScanningConfiguration": {"scanOnPush": True},
                    "encryptionConfiguration": {"encryptionType": "AES256"},
                }
            ]
        }

    def get_lifecycle_policy(self, **_: Any) -> Any:
        self.cloud.call("ecr:GetLifecyclePolicy")
        raise _refusal("LifecyclePolicyNotFoundException", "GetLifecyclePolicy")

    def get_repository_policy(self, **_: Any) -> Any:
        self.cloud.call("ecr:GetRepositoryPolicy")
        raise _refusal("RepositoryPolicyNotFoundException", "GetRepositoryPolicy")

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


def _refusal(code: str, operation: str) -> ClientError:
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
    judgement = Judgement(_NOW, RiskState.FINE, _NOW)
    due = "2026-11-22T12:00:00.000000Z"
    image = ImageRef.of(repository, digest)
    return typed({**keys.judged_again(image), "since": due, "judgement": json.dumps(judgement.as_json())})


def _release_item(policy: Policy, repository: str, number: int) -> dict[str, Any]:
    image = ImageRef(repository, Digest(digest_of(repository, number)))
    first = number - number % _TEN
    evidence = [Digest(digest_of(repository, first + place)) for place in _EVIDENCE]
    at = _NOW - timedelta(hours=number)
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
        judged_at=_NOW,
        scans=[{"completedAt": "2026-11-20T00:00:00Z"}],
        facts=ImageFacts(image, first_pushed_at=_NOW).as_json(),
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


def _walk(cloud: AuditedCloud, policy: Policy) -> AuditRepositories:
    images, store = stored_images.EcrStoredImages(REGISTRY), records.S3Records("records")
    cleaned = DynamoCleanedImages(DynamoTable("ledger"))
    contents = AuditImages(
        inventory=ReadInventory(images, cleaned, store),
        ledger=DynamoLedger("ledger"),
        records=store,
        policy=policy,
        running=UsedImages(),
        terms=AuditTerms(now=_NOW),
        home=_HOME,
        sboms=ReadSboms(own_registry),  # the policy prohibits no package
        is_continuous=EcrScans(images).is_continuous,
        satisfies=VERSIONS.satisfies,
    )
    settings = AuditSettings(
        settings=EcrAuditSettings(),
        images=images,
        policy=policy,
        baseline=RegistryBaseline(),
        registry=GateRegistry(
            ACCOUNT, REGION, gate_roles=(f"arn:aws:iam::{ACCOUNT}:role/imagegate-promote",)
        ),
    )
    workers = Workers(SimulatedThreads(cloud.clock, clients.MOST_THREADS), clients.MOST_THREADS)

    def sleep(seconds: float) -> None:
        cloud.clock.now += seconds

    return AuditRepositories(
        auditors=[settings, contents], policy=policy, home=_HOME, workers=workers, sleep=sleep
    )


if __name__ == "__main__":
    raise SystemExit(main())
