"""The policy file as a whole, in its long form: what keys there are, what they may say, and what they become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from imagegate.oci.image import Digest
from imagegate.policy.file.approval import Approval
from imagegate.policy.file.findings import FindingsShape, PackagesShape
from imagegate.policy.file.image import AlertsShape, EvidenceShape, ImageShape
from imagegate.policy.file.shape import Shape
from imagegate.policy.file.values import (
    Region,
    RegistryName,
    RoleArn,
    Soak,
    SpanOrOff,
    TagGlob,
    Text,
    Timeout,
)
from imagegate.policy.file.waivers import TermsShape, WaiverShape
from imagegate.policy.policy import (
    Arrival,
    Entry,
    Mode,
    Policy,
    RemoteRegistry,
    RepositoryPattern,
    Scanner,
    Stage,
)
from imagegate.policy.replication import Replication

_IsGated = Literal["gated", "not_gated"]
_REPLICATION = Replication(())
_STAGE: Stage = Stage("", RepositoryPattern(""))


class ScanShape(Shape):
    """What is asked of the scan itself."""

    timeout: Timeout = Field(
        default=_STAGE.scan_timeout,
        description="No scan result in this time is a refusal, never a pass: 30s to 24h. Default: 30m.",
    )
    max_scan_age: SpanOrOff = Field(
        default=None, description="An older result is not good enough. off, the default: any age will do."
    )


class ReplicationShape(Shape):
    """Copies by ECR's own replication, which the registry's settings say; here it is only waited for."""

    regions: list[Region] = Field(
        default=[],
        description="A promotion into this stage is over when ECR has copied the image to these Regions.",
        examples=[["eu-west-1", "us-east-1"]],
    )
    timeout: Timeout = Field(
        default=_REPLICATION.timeout,
        description="What has not come by then is an alert, and the release is over.",
    )

    def replication(self) -> Replication | None:
        return Replication(tuple(self.regions), self.timeout) if self.regions else None


class ArrivalsShape(Shape):
    """Images that arrive without a push. Pushes are always gated: that is what a stage is."""

    replication: _IsGated = Field(default="gated", description="Images that ECR replicates from elsewhere.")
    pull_through_cache: _IsGated = Field(
        default="gated", description="Images that a pull-through cache brings."
    )

    def not_gated(self) -> frozenset[Arrival]:
        said = {Arrival.REPLICATION: self.replication, Arrival.PULL_THROUGH_CACHE: self.pull_through_cache}
        return frozenset(arrival for arrival, word in said.items() if word == "not_gated")


class GateShape(Shape):
    """What a stage may say about its gate."""

    promote_tags: Annotated[list[TagGlob], Field(min_length=1)] = Field(
        default=list(_STAGE.promote_tags),
        description="Which tags go along to the next stage, as patterns. Default: all.",
        examples=[["v*"]],
    )
    mode: Literal["enforce", "observe"] = Field(
        default="enforce",
        description="enforce: what does not pass stays. observe: all is judged and goes on; what passed is signed.",
    )
    approval: Approval = Field(
        default=None,
        description="About the way in: images are held before this stage until people let them in. none, required "
        "(whoever may decide), or who, how many, and until when.",
    )
    soak: Soak = Field(
        default=_STAGE.soak,
        description="An image stays in this stage so long after its push; then it is judged again and goes on. off.",
    )
    sign_platforms: bool = Field(
        default=False,
        description="Sign each platform of an index too, for deployers that check the platform's digest.",
    )
    arrivals: ArrivalsShape = Field(
        default_factory=ArrivalsShape, description="Images that arrive without a push: gated, or left alone."
    )
    replication: ReplicationShape = Field(
        default_factory=ReplicationShape, description="Which copies by ECR are waited for."
    )
    scan: ScanShape = Field(default_factory=ScanShape, description="What is asked of the scan itself.")
    findings: FindingsShape = Field(
        default_factory=FindingsShape, description="Which findings count, and how many may be there."
    )
    packages: PackagesShape = Field(
        default_factory=PackagesShape, description="Which packages an image may have."
    )
    image: ImageShape = Field(
        default_factory=ImageShape, description="What the image itself must be like, findings aside."
    )
    evidence: EvidenceShape = Field(
        default_factory=EvidenceShape,
        description="What must have been attached to the image, and what is attached to it.",
    )
    alerts: AlertsShape = Field(
        default_factory=AlertsShape,
        description="log or alert, by the severity of the worst finding. A refusal is always an alert.",
    )


class StageShape(GateShape):
    """One stage: its repositories, where its images go, and its gate."""

    repositories: Text = Field(
        description="The stage's repositories; {app} stands for the application, once.",
        examples=["{app}-dev"],
    )
    promotes_to: Text | None = Field(
        default=None, description="The stage that images go to when they pass. Left out: the last one."
    )
    entry: Literal["promotion", "open"] | None = Field(
        default=None,
        description="What comes in, where another stage promotes into this one. promotion, the default there: what was "
        "promoted; a push straight into it is refused. open: every push too, past the stages before.",
    )
    registry: RegistryName | None = Field(
        default=None,
        description="The stage is in another account or Region: its ECR registry. The stack there guards it.",
        examples=["210987654321.dkr.ecr.eu-west-1.amazonaws.com"],
    )
    role: RoleArn | None = Field(
        default=None,
        description="The role that is taken to push there; the stack's parameter PromotionRoles lists it, too.",
        examples=["arn:aws:iam::210987654321:role/imagegate-promotion"],
    )

    @property
    def elsewhere(self) -> RemoteRegistry | None:
        return RemoteRegistry(self.registry, self.role) if self.registry and self.role else None

    def stage(self, name: str, *, is_entered: bool) -> Stage:
        """`is_entered`: another stage of the policy promotes into it."""
        by_default = Entry.PROMOTION if is_entered else Entry.OPEN
        return Stage(
            name=name,
            repositories=RepositoryPattern(self.repositories),
            elsewhere=self.elsewhere,
            replication=self.replication.replication(),
            entry=Entry(self.entry) if self.entry else by_default,
            promotes_to=self.promotes_to,
            promote_tags=tuple(self.promote_tags),
            mode=Mode(self.mode),
            approval=self.approval.terms() if self.approval else None,
            soak=self.soak,
            scan_timeout=self.scan.timeout,
            max_scan_age=self.scan.max_scan_age,
            findings=self.findings.finding_rules(self.packages),
            image=self.image.image_rules(),
            evidence=self.evidence.evidence_rules(),
            alerts=self.alerts.attention(),
            not_gated=self.arrivals.not_gated(),
            sign_platforms=self.sign_platforms,
        )


class PolicyShape(Shape):
    """The policy of imagegate: which repositories form which stages, and what passes each stage's gate."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    scanner: Literal["basic", "enhanced"] = Field(
        default="basic",
        description="What ECR scans with, and so what rules may count on. enhanced: Amazon Inspector, which also "
        "says what can be fixed and what is exploited.",
    )
    waiver_terms: TermsShape = Field(
        default_factory=TermsShape, description="What waivers must be, here and at run time."
    )
    defaults: GateShape = Field(
        default_factory=GateShape,
        description="What holds for every stage that does not say otherwise: mappings key by key, all else as a whole.",
    )
    stages: Annotated[dict[str, StageShape], Field(min_length=1)] = Field(
        description="The stages by name; images go from one to the next."
    )
    waivers: list[WaiverShape] = Field(
        default_factory=list,
        description="What may pass nevertheless: for some images, for a reason, until a day. Reviewed with the file.",
    )

    def policy(self, digest: Digest) -> Policy:
        entered = {shape.promotes_to for shape in self.stages.values()}
        stages: Mapping[str, Stage] = {
            name: shape.stage(name, is_entered=name in entered) for name, shape in self.stages.items()
        }
        waivers = tuple(shape.waiver() for shape in self.waivers)
        return Policy(digest, stages, waivers, self.waiver_terms.terms(), Scanner(self.scanner))
