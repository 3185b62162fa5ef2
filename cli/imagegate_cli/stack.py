"""The deployed stack. Its outputs name the resources that the command line uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from imagegate_cli.faults import NotFoundError

# Imported where they are used, so that a command loads only what it needs.
if TYPE_CHECKING:
    from datetime import datetime

    from imagegate.aws.ecr.images import EcrImages
    from imagegate.aws.ecr.scans import EcrScans
    from imagegate.aws.grants import DynamoGrants
    from imagegate.aws.ledger.ledger import DynamoLedger
    from imagegate.aws.records import S3Records
    from imagegate.grants.power import Power
    from imagegate.oci.image import Digest
    from imagegate.policy.policy import Policy
    from imagegate.release.release import Release
    from imagegate.workflow.cleanup.parts import CleanupParts
    from imagegate.workflow.decide.rollback import PlanRollback
    from imagegate_cli.dead_letters.queue import DeadLetterQueue
    from imagegate_cli.decisions.client import ReleaseOrders

_DOMAINS = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True)
class Stack:
    """One installation of imagegate. Each resource is opened at its first use."""

    name: str
    arn: str  # arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/ID
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)

    def output(self, name: str) -> str:
        """Return an output of the stack. Raises `NotFoundError` if the stack has no such output."""
        try:
            return self.outputs[name]
        except KeyError:
            message = f"the stack {self.name} has no output {name}: is it imagegate's, and fully deployed?"
            raise NotFoundError(message) from None

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @property
    def registry(self) -> str:
        domain = _DOMAINS.get(self.arn.split(":")[1], "amazonaws.com")
        return f"{self.account}.dkr.ecr.{self.region}.{domain}"

    @cached_property
    def trusted_roots(self) -> frozenset[str]:
        """SHA-256 of each root certificate that the stack trusts, in hexadecimal."""
        return frozenset(self.output("TrustedRoots").split(","))

    @cached_property
    def signing_profiles(self) -> dict[str, str]:
        """The ARN of each stage's signing profile, without version."""
        from imagegate.aws.signer import AwsSigner

        signer = AwsSigner(self.output("SigningProfilePrefix"), frozenset())
        return {stage: signer.profile_arn(stage) for stage in self.policy.stages}

    @cached_property
    def rollback_planning(self) -> PlanRollback:
        """Finds the release that a repository can go back to."""
        from imagegate.aws.ecr.registry import own_registry
        from imagegate.aws.signer import AwsSigner
        from imagegate.notation.revocation import AwsRevocations
        from imagegate.workflow.decide.rollback import PlanRollback

        def signer() -> AwsSigner:
            return AwsSigner(self.output("SigningProfilePrefix"), self.trusted_roots, AwsRevocations())

        return PlanRollback(
            images=self.images, ledger=self.ledger, registry=own_registry, signer=signer, policy=self.policy
        )

    @cached_property
    def caller_arn(self) -> str:
        """The ARN of the caller. STS answers this to everyone, without any permission."""
        from imagegate.aws.clients import client

        arn: str = client("sts").get_caller_identity()["Arn"]
        return arn

    @cached_property
    def repository_uris(self) -> dict[str, str]:
        """The URI of each repository by its name, as images are pulled from it."""
        from imagegate.aws.clients import client

        pages = client("ecr").get_paginator("describe_repositories").paginate()
        return {one["repositoryName"]: one["repositoryUri"] for page in pages for one in page["repositories"]}

    def has_repository(self, name: str) -> bool:
        """Tell whether the repository exists; True if the caller may not know."""
        from botocore.exceptions import ClientError

        from imagegate.aws.clients import client

        try:
            client("ecr").describe_repositories(repositoryNames=[name])
        except ClientError as error:
            return error.response["Error"]["Code"] != "RepositoryNotFoundException"
        return True

    def decider(self, power: Power) -> str:
        """Return the ARN of the function `decide` with the alias of this power."""
        partition = self.arn.split(":")[1]
        return f"arn:{partition}:lambda:{self.region}:{self.account}:function:{self.name}-decide:{power}"

    @cached_property
    def ledger(self) -> DynamoLedger:
        from imagegate.aws.ledger.ledger import DynamoLedger

        return DynamoLedger(self.output("LedgerTable"))

    @cached_property
    def images(self) -> EcrImages:
        from imagegate.aws.ecr.images import EcrImages

        return EcrImages(self.registry)

    @cached_property
    def scans(self) -> EcrScans:
        """The scans of the registry's images."""
        from imagegate.aws.ecr.scans import EcrScans

        return EcrScans(self.images)

    @cached_property
    def starter(self) -> ReleaseOrders:
        from imagegate_cli.decisions.client import ReleaseOrders

        return ReleaseOrders(self)

    @cached_property
    def records(self) -> S3Records:
        from imagegate.aws.records import S3Records

        return S3Records(self.output("RecordsBucket"))

    @cached_property
    def grants(self) -> DynamoGrants:
        from imagegate.aws.grants import DynamoGrants

        return DynamoGrants(self.output("GrantsTable"))

    @cached_property
    def cleanup(self) -> CleanupParts:
        from imagegate_cli.cleanup.parts import open_parts

        return open_parts(self)

    @cached_property
    def dead_letters(self) -> DeadLetterQueue:
        from imagegate.aws.clients import client
        from imagegate_cli.dead_letters.queue import DeadLetterQueue

        return DeadLetterQueue(client("sqs"), self.output("DeadLettersQueue"))

    @property
    def policy_digest(self) -> Digest:
        """The digest of the deployed policy file."""
        from imagegate.oci.image import Digest

        return Digest.parse(self.output("PolicyDigest"))

    @cached_property
    def policy(self) -> Policy:
        """The deployed policy. A release keeps the one that it started with."""
        return self.records.policy(self.policy_digest)

    @cached_property
    def policy_content(self) -> bytes:
        """The bytes of the deployed policy file."""
        from imagegate.aws.clients import client

        digest = self.policy_digest
        key = f"policies/sha256/{digest.hex}.yaml"
        response = client("s3").get_object(Bucket=self.output("RecordsBucket"), Key=key)
        return digest.check(response["Body"].read(), key)

    @cached_property
    def installed_at(self) -> datetime | None:
        """The time of the installation, or None if the ledger has none. Images pushed before it are ignored."""
        return self.ledger.installation()

    def execution_arn(self, release: Release) -> str:
        machine = self.output("ReleaseStateMachine")
        return f"{machine.replace(':stateMachine:', ':execution:')}:{release.execution_name}"


def find_stack(name: str) -> Stack:
    """Find the stack of that name. Raises `NotFoundError` if account and Region have none."""
    from botocore.exceptions import ClientError

    from imagegate.aws.clients import client

    cloudformation: Any = client("cloudformation")
    try:
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        region = cloudformation.meta.region_name
        message = f"no stack {name} in {region}: deploy it (make deploy), or name yours with --stack or IMAGEGATE_STACK"
        raise NotFoundError(message) from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", [])}
    parameters = {
        one["ParameterKey"]: one.get("ParameterValue", "") for one in described.get("Parameters", ())
    }
    return Stack(name, described["StackId"], outputs, parameters)
