"""Judging an image in ECR as the pipeline would, with all that the stack knows, and without writing anything."""

from __future__ import annotations

from datetime import datetime

from cli.faults import NotFoundError
from cli.judgement.opinion import Opinion
from cli.reference import Reference
from cli.releases import image_of, missing
from cli.stack import Stack
from imagegate.domain.image import ImageRef
from imagegate.domain.policy import Policy, Stage
from imagegate.domain.release import Facts, Release, StartReason
from imagegate.steps.examine import ExamineImage, Wait


def judge_image(
    stack: Stack, reference: Reference, policy: Policy, stage: Stage, name: str, now: datetime
) -> Opinion:
    """Raises `NotFoundError` where there is no image, or no result of a scan."""
    image = image_of(stack, reference)
    if image is None:
        raise missing(stack, reference)
    here = stack.images.facts(image)
    examined = _examine(stack).run(
        policy, stage, _release(image, here, stage, policy, now), here, Wait(), now
    )
    if examined is None:
        raise NotFoundError(f"{reference}: its scan is not over yet; try again in a while")
    return Opinion(
        subject=str(reference),
        digest=image.digest,
        stage=stage,
        policy=policy.digest,
        policy_name=name,
        judged=examined.found,
        now=now,
        scanners=(str(policy.scanner),),
    )


def _release(image: ImageRef, here: Facts, stage: Stage, policy: Policy, now: datetime) -> Release:
    """What a push of all its tags would begin."""
    return Release(
        image=image,
        attempt=1,
        stage=stage.name,
        policy=policy.digest,
        tags=here.tags,
        reason=StartReason.OPERATOR,
        started_at=now,
        pushed_at=here.pushed_at,
    )


def _examine(stack: Stack) -> ExamineImage:
    from imagegate.adapters.grants import DynamoGrants
    from imagegate.adapters.inspector import Inspector
    from imagegate.adapters.notation_revocation import AwsRevocations
    from imagegate.adapters.records import S3Records
    from imagegate.adapters.registry import HttpRegistry
    from imagegate.adapters.signer import AwsSigner
    from imagegate.adapters.versions import VERSIONS

    roots = frozenset(stack.output("TrustedRoots").split(","))
    return ExamineImage(
        images=stack.images,
        scans=stack.images,
        ledger=stack.ledger,
        records=S3Records(stack.output("RecordsBucket")),
        grants=DynamoGrants(stack.output("GrantsTable")),
        registry=HttpRegistry,
        signer=lambda: AwsSigner(stack.output("SigningProfilePrefix"), roots, AwsRevocations()),
        intelligence=Inspector,
        versions=VERSIONS,
    )
