"""Adapters behind the ports, made from the function's settings on first use."""

from __future__ import annotations

import os
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from imagegate.clock import utc_now
from imagegate.oci.image import Digest
from imagegate.settings import setting

# Imported where they are used: a function that does not sign never loads cryptography.
if TYPE_CHECKING:
    from imagegate.aws.board_pages import S3BoardPages
    from imagegate.aws.ecr.images import EcrImages
    from imagegate.aws.ecr.scans import EcrScans
    from imagegate.aws.ecs.revisions import Ecs
    from imagegate.aws.ecs.tasks import EcsTasks
    from imagegate.aws.grants import DynamoGrants
    from imagegate.aws.iam import IamPeople
    from imagegate.aws.inspector import Inspector
    from imagegate.aws.kms import KmsApprovalLinks
    from imagegate.aws.ledger.ledger import DynamoLedger
    from imagegate.aws.ledger.notices import DynamoNotices
    from imagegate.aws.link_decider import LambdaDecider
    from imagegate.aws.records import S3Records, S3SbomExports
    from imagegate.aws.signer import AwsSigner
    from imagegate.aws.sns import SnsNotifications
    from imagegate.aws.stepfunctions import LambdaStarter, StepFunctionsTasks, StepFunctionsWorkflow
    from imagegate.aws.sts import StsIdentities, UsedProofs
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.baseline.section import RegistryBaseline
    from imagegate.events.proven import CheckCaller
    from imagegate.findings.finding import Versions
    from imagegate.notices.console import ConsoleLinks
    from imagegate.oci.client import HttpRegistry
    from imagegate.policy.policy import Policy, RemoteRegistry
    from imagegate.workflow.watch.sweep import Workers


def now() -> datetime:
    return utc_now()


@cache
def images() -> EcrImages:
    from imagegate.aws.ecr.images import EcrImages

    return EcrImages(setting("REGISTRY"))


@cache
def scans() -> EcrScans:
    from imagegate.aws.ecr.scans import EcrScans

    return EcrScans(images())


@cache
def ecs() -> Ecs:
    from imagegate.aws.ecs.revisions import Ecs

    return Ecs()


@cache
def ecs_tasks() -> EcsTasks:
    from imagegate.aws.ecs.tasks import EcsTasks

    return EcsTasks(setting("REGISTRY"))


@cache
def registry() -> HttpRegistry:
    from imagegate.aws.ecr.registry import own_registry

    return own_registry()


@cache
def registry_at(remote: RemoteRegistry) -> HttpRegistry:
    """Return the registry of another account or Region, for images from the stack's own."""
    from imagegate.aws.ecr.registry import RemoteEcr
    from imagegate.oci.client import HttpRegistry

    ecr = RemoteEcr(remote)
    return HttpRegistry(ecr.log_in, source=registry(), layers=ecr.layers)


@cache
def ledger() -> DynamoLedger:
    from imagegate.aws.ledger.ledger import DynamoLedger

    return DynamoLedger(setting("LEDGER_TABLE"))


@cache
def notices() -> DynamoNotices:
    """Return a part of the ledger, for a function that needs nothing else of it."""
    from imagegate.aws.dynamodb import DynamoTable
    from imagegate.aws.ledger.notices import DynamoNotices

    return DynamoNotices(DynamoTable(setting("LEDGER_TABLE")))


@cache
def records() -> S3Records:
    from imagegate.aws.records import S3Records

    return S3Records(setting("RECORDS_BUCKET"), parsed_policy())


def parsed_policy() -> tuple[Digest, Digest] | None:
    """Return the digests of the deployed policy's file and of what it was read as, or None without a policy."""
    digests = [Digest.parse(text) for text in os.environ.get("PARSED_POLICY", "").split()]
    return (digests[0], digests[1]) if digests else None


@cache
def sbom_exports() -> S3SbomExports:
    from imagegate.aws.records import S3SbomExports

    return S3SbomExports(setting("RECORDS_BUCKET"))


@cache
def board_pages() -> S3BoardPages:
    from imagegate.aws.board_pages import S3BoardPages

    return S3BoardPages(setting("BOARD_BUCKET"))


@cache
def signer() -> AwsSigner:
    from imagegate.aws.signer import AwsSigner
    from imagegate.notation.revocation import AwsRevocations

    roots = frozenset(root.strip().lower() for root in setting("TRUSTED_ROOTS").split(","))
    return AwsSigner(setting("SIGNING_PROFILE_PREFIX"), roots, AwsRevocations())


@cache
def grants() -> DynamoGrants:
    from imagegate.aws.grants import DynamoGrants

    return DynamoGrants(setting("GRANTS_TABLE"))


@cache
def approval_links() -> KmsApprovalLinks:
    """Return the links; only functions that make some need the address of the page."""
    from imagegate.aws.kms import KmsApprovalLinks

    return KmsApprovalLinks(setting("APPROVAL_KEY"), lambda: setting("APPROVAL_PAGE_URL"))


@cache
def identities() -> StsIdentities:
    from imagegate.aws.sts import StsIdentities

    return StsIdentities()


@cache
def used_proofs() -> UsedProofs:
    from imagegate.aws.sts import UsedProofs

    return UsedProofs(setting("LEDGER_TABLE"))


def caller_check() -> CheckCaller:
    from imagegate.events.proven import CheckCaller

    return CheckCaller(identities, used_proofs)


@cache
def link_decider() -> LambdaDecider:
    from imagegate.aws.link_decider import LambdaDecider

    return LambdaDecider(setting("DECIDE_FUNCTION"))


@cache
def intelligence() -> Inspector:
    from imagegate.aws.inspector import Inspector

    return Inspector()


@cache
def workers() -> Workers:
    """Return as many threads as the clients have connections."""
    from concurrent.futures import ThreadPoolExecutor

    from imagegate.aws.clients import MOST_THREADS
    from imagegate.workflow.watch.sweep import Workers

    return Workers(ThreadPoolExecutor(MOST_THREADS), MOST_THREADS)


def versions() -> Versions:
    from imagegate.findings.versions import VERSIONS

    return VERSIONS


@cache
def workflow() -> StepFunctionsWorkflow:
    from imagegate.aws.stepfunctions import StepFunctionsWorkflow

    return StepFunctionsWorkflow(setting("STATE_MACHINE_ARN"))


@cache
def tasks() -> StepFunctionsTasks:
    from imagegate.aws.stepfunctions import StepFunctionsTasks

    return StepFunctionsTasks()


@cache
def starter() -> LambdaStarter:
    from imagegate.aws.stepfunctions import LambdaStarter

    return LambdaStarter(setting("START_FUNCTION"))


@cache
def people() -> IamPeople:
    from imagegate.aws.iam import IamPeople

    return IamPeople()


@cache
def notifications() -> SnsNotifications:
    from imagegate.aws.sns import SnsNotifications

    return SnsNotifications(
        setting("ALERTS_TOPIC"), lambda repository: policy().owner_of(repository), board_link()
    )


def board_link() -> str:
    """Return the console's link to the board for messages, or an empty text if the stack makes none."""
    from imagegate.notices.console import ConsoleLinks

    bucket = os.environ.get("BOARD_BUCKET", "")
    return ConsoleLinks(setting("REGISTRY"), bucket).object("index.html") if bucket else ""


def console() -> ConsoleLinks:
    """Return the console of this account and Region, for links in messages."""
    from imagegate.notices.console import ConsoleLinks

    return ConsoleLinks(setting("REGISTRY"), setting("RECORDS_BUCKET"))


@cache
def approval_mails() -> SnsNotifications:
    from imagegate.aws.sns import SnsNotifications

    return SnsNotifications(setting("APPROVALS_TOPIC"))


@cache
def policy() -> Policy:
    """Return the policy of this deployment; running releases read the one that they started with."""
    return records().policy(Digest.parse(setting("POLICY_DIGEST")))


@cache
def baseline(policy: Digest) -> RegistryBaseline:
    """Return the baseline of a policy. No gate needs it, so it is read apart from the policy (ADR 49)."""
    return records().baseline(policy)


def gate_registry() -> GateRegistry:
    """Return the registry of the stack, with the roles by which the gate pushes into it."""
    from imagegate.baseline.repository_policy import GateRegistry

    account, _, rest = setting("REGISTRY").partition(".dkr.ecr.")
    roles = tuple(setting("PUSH_ROLES").split(","))
    return GateRegistry(account, rest.partition(".")[0], roles[0].split(":")[1], roles)
