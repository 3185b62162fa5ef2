"""The parts of a clean-up of a deployed stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagegate.workflow.cleanup.parts import CleanupParts

if TYPE_CHECKING:
    from imagegate_cli.stack import Stack


def open_parts(stack: Stack) -> CleanupParts:
    """Return the parts of a deployed stack."""
    from imagegate.aws.cleanup.images import EcrStoredImages
    from imagegate.aws.cleanup.users import AwsImageUsers
    from imagegate.aws.dynamodb import DynamoTable
    from imagegate.aws.ecr.scans import EcrScans
    from imagegate.aws.inspector import Inspector
    from imagegate.aws.ledger.cleaned import DynamoCleanedImages

    images = EcrStoredImages(stack.registry)
    return CleanupParts(
        images=images,
        users=AwsImageUsers(stack.registry),
        ledger=stack.ledger,
        cleaned=DynamoCleanedImages(DynamoTable(stack.output("LedgerTable"))),
        records=stack.records,
        scans=EcrScans(images),
        usage=Inspector(),
        policy=stack.policy,
        installed_at=stack.installed_at,
    )
