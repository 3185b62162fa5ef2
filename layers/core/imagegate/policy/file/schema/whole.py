"""The shape of a policy file with the section `baseline`. Only files that have the section are read by it."""

from pydantic import Field

from imagegate.policy.file.schema.baseline import BaselineShape
from imagegate.policy.file.schema.policy import PolicyShape


class PolicyFileShape(PolicyShape):
    """The policy of imagegate: which repositories form which stages, and what passes each stage's gate."""

    baseline: BaselineShape = Field(
        default_factory=BaselineShape.model_construct,
        description="The settings of repositories and of the registry in Amazon ECR: see imagegate baseline.",
    )
