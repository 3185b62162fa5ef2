"""The shape of the limits of the audit in a policy file."""

from pydantic import Field

from imagegate.policy.audit_rules import AuditLimits
from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.values import LongDuration, Size

_LIMITS = AuditLimits()


class AuditShape(Shape):
    """The limits of what a repository stores, for the audit. They block nothing."""

    max_age: LongDuration = Field(
        default=_LIMITS.max_age,
        description="An older image is a finding, unless image.max_age of its stage says another age. Default: 90d.",
        examples=["60d"],
    )
    max_repository_size: Size = Field(
        default=_LIMITS.max_repository_size,
        description="A larger repository is a finding. Compressed; shared layers count once. Default: 100GiB.",
        examples=["50GB"],
    )

    def limits(self) -> AuditLimits:
        return AuditLimits(self.max_age, self.max_repository_size)
