"""The deployed stack: its outputs name the resources that the command line uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from imagegate.oci.image import Digest
from imagegate.release.release import Release
from imagegate_cli.faults import NotFoundError

# Imported where they are used: boto3 would make even --help slow.
if TYPE_CHECKING:
    from datetime import datetime

    from imagegate.aws.ecr import Ecr
    from imagegate.aws.grants import DynamoGrants
    from imagegate.aws.ledger import DynamoLedger
    from imagegate.aws.records import S3Records
    from imagegate.grants.power import Power
    from imagegate.policy.policy import Policy
    from imagegate_cli.decisions.calling import ReleaseOrders

_DOMAINS = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True)
class Stack:
    """One installation of imagegate."""

    name: str
    arn: str  # arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/ID
    outputs: Mapping[str, str]

    def output(self, name: str) -> str:
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

    def decider(self, power: Power) -> str:
        """ARN of the function that decides, as the URL of this power calls it."""
        partition = self.arn.split(":")[1]
        return f"arn:{partition}:lambda:{self.region}:{self.account}:function:{self.name}-decide:{power}"

    @cached_property
    def ledger(self) -> DynamoLedger:
        from imagegate.aws.ledger import DynamoLedger

        return DynamoLedger(self.output("LedgerTable"))

    @cached_property
    def images(self) -> Ecr:
        from imagegate.aws.ecr import Ecr

        return Ecr(self.registry)

    @cached_property
    def starter(self) -> ReleaseOrders:
        from imagegate_cli.decisions.calling import ReleaseOrders

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
    def policy(self) -> Policy:
        """The deployed policy; releases that run may be pinned to an earlier one."""
        return self.records.policy(Digest.parse(self.output("PolicyDigest")))

    @cached_property
    def policy_content(self) -> bytes:
        """The deployed policy's file, as it was written."""
        from imagegate.aws.clients import client

        digest = Digest.parse(self.output("PolicyDigest"))
        key = f"policies/sha256/{digest.hex}.yaml"
        found = client("s3").get_object(Bucket=self.output("RecordsBucket"), Key=key)
        return digest.check(found["Body"].read(), key)

    @cached_property
    def installed_at(self) -> datetime | None:
        """Images that were pushed before this are left alone. None: nothing was noted. Only reads."""
        from imagegate.aws import ledger_items as items
        from imagegate.aws.clients import client

        key = items.key(items.INSTALLATION, items.INSTALLATION)
        table = self.output("LedgerTable")
        found = client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
        return items.read_installation(found["Item"]) if "Item" in found else None

    def execution_arn(self, release: Release) -> str:
        machine = self.output("ReleaseStateMachine")
        return f"{machine.replace(':stateMachine:', ':execution:')}:{release.execution_name}"


def find_stack(name: str) -> Stack:
    """Raise `NotFoundError` when nothing of that name is deployed here."""
    from botocore.exceptions import ClientError

    from imagegate.aws.clients import client

    cloudformation: Any = client("cloudformation")
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        region = cloudformation.meta.region_name
        message = f"no stack {name} in {region}: deploy it (make deploy), or name yours with --stack or IMAGEGATE_STACK"
        raise NotFoundError(message) from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    return Stack(name, found["StackId"], outputs)
