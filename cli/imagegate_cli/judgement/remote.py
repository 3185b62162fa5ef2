"""Judging of an image in ECR as in the pipeline, with all facts of the stack, and without writing anything."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Policy, Stage
from imagegate.release.release import EcrImage, Release, StartReason
from imagegate.workflow.examination.examine import ExaminedImage, ExamineImage
from imagegate.workflow.examination.looks import NotYet
from imagegate_cli.faults import NotFoundError
from imagegate_cli.judgement.opinion import Opinion
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.releases.find import image_of, missing
from imagegate_cli.stack import Stack


def judge_image(
    stack: Stack, reference: RepositoryReference, policy: Policy, stage: Stage, name: str, now: datetime
) -> Opinion:
    """Judge an image. Raise `NotFoundError` if there is no image, or no result of a scan yet."""
    image = image_of(stack, reference)
    if image is None:
        raise missing(stack, reference)
    ecr_image = stack.images.facts(image)
    release = _release(image, ecr_image, stage, policy, now)
    latest = stack.ledger.latest(image)
    if latest is not None:
        release = replace(release, clean_since=latest.clean_since)
    examined = _examine_twice(_examine(stack), policy, stage, release, ecr_image)
    if isinstance(examined, NotYet):
        raise NotFoundError(f"{reference}: its scan is not over yet: {examined.why}; try again in a while")
    return Opinion(
        subject=str(reference),
        digest=image.digest,
        stage=stage,
        policy=policy.digest,
        policy_name=name,
        judged=examined.found,
        now=examined.now,
        scanners=(str(policy.scanner),),
        repository=image.repository,
        waiver_terms=policy.waiver_terms,
    )


def _examine_twice(
    examine: ExamineImage, policy: Policy, stage: Stage, release: Release, ecr_image: EcrImage
) -> ExaminedImage | NotYet:
    """Examine the image; if the first scan ever is clean, examine it again after a pause to confirm that."""
    first = release.started_at
    examined = examine.run(policy, stage, release, ecr_image, first)
    if isinstance(examined, ExaminedImage) or not examined.clean_since:
        return examined
    pause = max(examined.clean_since.values()) + examine.second_look - first
    with Spinner("nothing is found so far; a second look confirms it in a minute"):
        time.sleep(max(pause.total_seconds(), 0))
    seen_before = replace(release, clean_since=examined.clean_since)
    return examine.run(policy, stage, seen_before, ecr_image, first + pause)


def _release(image: ImageRef, ecr_image: EcrImage, stage: Stage, policy: Policy, now: datetime) -> Release:
    """Return the release that a push of all its tags would start."""
    return Release(
        image=image,
        attempt=1,
        stage=stage.name,
        policy=policy.digest,
        tags=ecr_image.tags,
        reason=StartReason.OPERATOR,
        started_at=now,
        pushed_at=ecr_image.pushed_at,
    )


def _examine(stack: Stack) -> ExamineImage:
    from imagegate.aws.ecr.registry import own_registry
    from imagegate.aws.grants import DynamoGrants
    from imagegate.aws.inspector import Inspector
    from imagegate.aws.records import S3Records
    from imagegate.aws.signer import AwsSigner
    from imagegate.findings.versions import VERSIONS
    from imagegate.notation.revocation import AwsRevocations

    roots = frozenset(stack.output("TrustedRoots").split(","))
    return ExamineImage(
        images=stack.images,
        scans=stack.scans,
        ledger=stack.ledger,
        records=S3Records(stack.output("RecordsBucket")),
        grants=DynamoGrants(stack.output("GrantsTable")),
        registry=own_registry,
        signer=lambda: AwsSigner(stack.output("SigningProfilePrefix"), roots, AwsRevocations()),
        intelligence=Inspector,
        versions=VERSIONS,
        why_never=lambda *_: None,  # asking would start scans
    )
