"""The shape of the policy file as a whole: stages, gates, waivers."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from imagegate.oci.image import Digest
from imagegate.policy.file.schema.approval import Approval
from imagegate.policy.file.schema.audit import AuditShape
from imagegate.policy.file.schema.cleanup import CleanupShape
from imagegate.policy.file.schema.findings import FindingsShape, PackagesShape
from imagegate.policy.file.schema.image import AlertsShape, EvidenceShape, ImageShape
from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.schema.waivers import TermsShape, WaiverShape
from imagegate.policy.file.values import (
    LongDurationOrOff,
    OwnerName,
    Region,
    RegistryName,
    RoleArn,
    Soak,
    TagGlob,
    Text,
    Timeout,
)
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

_Gating = Literal["gated", "not_gated"]
_REPLICATION = Replication(())
_STAGE: Stage = Stage("", RepositoryPattern(""))


class ScanShape(Shape):
    """The rules about the scan itself."""

    timeout: Timeout = Field(
        default=_STAGE.scan_timeout,
        description="Without a scan result in this time the image is refused: 30s to 24h. Default: 30m.",
    )
    max_scan_age: LongDurationOrOff = Field(
        default=None, description="An older scan result is not accepted. off, the default: any age is."
    )


class ReplicationShape(Shape):
    """The copies by ECR's replication that are waited for. The settings of the registry configure the replication."""

    regions: list[Region] = Field(
        default=[],
        description="A promotion into this stage ends when ECR has copied the image to these Regions.",
        examples=[["eu-west-1", "us-east-1"]],
    )
    timeout: Timeout = Field(
        default=_REPLICATION.timeout,
        description="After this time the release ends, and missing copies are an alert.",
    )

    def replication(self) -> Replication | None:
        return Replication(tuple(self.regions), self.timeout) if self.regions else None


class ArrivalsShape(Shape):
    """The ways in which images arrive without a push. Pushed images are always gated."""

    replication: _Gating = Field(
        default="gated", description="Images that ECR replicates from other registries."
    )
    pull_through_cache: _Gating = Field(
        default="gated", description="Images that a pull-through cache brings."
    )

    def not_gated(self) -> frozenset[Arrival]:
        gating = {Arrival.REPLICATION: self.replication, Arrival.PULL_THROUGH_CACHE: self.pull_through_cache}
        return frozenset(arrival for arrival, word in gating.items() if word == "not_gated")


class GateShape(Shape):
    """The gate of a stage, or the defaults for all gates."""

    promote_tags: Annotated[list[TagGlob], Field(min_length=1)] = Field(
        default=list(_STAGE.promote_tags),
        description="The tags that are promoted to the next stage, as patterns. Default: all.",
        examples=[["v*"]],
    )
    mode: Literal["enforce", "observe"] = Field(
        default="enforce",
        description="enforce: an image that does not pass is blocked. observe: it goes on, too, but is not signed.",
    )
    approval: Approval = Field(
        default=None,
        description="Images are held before this stage until people approve them. none, required (by anybody with the "
        "power to approve), or a mapping: who, how many, and until when.",
    )
    soak: Soak = Field(
        default=_STAGE.soak,
        description="How long an image stays in this stage before it is judged again and goes on. Or off.",
    )
    sign_platforms: bool = Field(
        default=False,
        description="Sign each platform of an index too, for deployers that verify the platform's digest.",
    )
    security_hub: bool = Field(
        default=False,
        description="AWS Security Hub has a finding for each released image of the stage that is at risk. It has to be "
        "enabled in the account and Region of the stack.",
    )
    arrivals: ArrivalsShape = Field(
        default_factory=ArrivalsShape.model_construct,
        description="Whether images that arrive without a push are gated.",
    )
    replication: ReplicationShape = Field(
        default_factory=ReplicationShape.model_construct,
        description="The copies by ECR that a promotion waits for.",
    )
    scan: ScanShape = Field(
        default_factory=ScanShape.model_construct, description="The rules about the scan itself."
    )
    findings: FindingsShape = Field(
        default_factory=FindingsShape.model_construct,
        description="The rules about findings: which count, and how many may.",
    )
    packages: PackagesShape = Field(
        default_factory=PackagesShape.model_construct, description="The rules about packages."
    )
    image: ImageShape = Field(
        default_factory=ImageShape.model_construct,
        description="The rules about the image itself, apart from its findings.",
    )
    evidence: EvidenceShape = Field(
        default_factory=EvidenceShape.model_construct,
        description="The evidence that an image must carry, and the SBOM that is attached to it.",
    )
    alerts: AlertsShape = Field(
        default_factory=AlertsShape.model_construct,
        description="log or alert, by the severity of the worst finding. A refusal is always an alert.",
    )
    cleanup: CleanupShape = Field(
        default_factory=CleanupShape.model_construct, description="Which images `imagegate cleanup` may take."
    )


class StageShape(GateShape):
    """One stage: its repositories, where its images go, and its gate."""

    repositories: Text = Field(
        description="The stage's repositories, with {app} once in place of the application.",
        examples=["{app}-dev"],
    )
    promotes_to: Text | None = Field(
        default=None,
        description="The stage that images go to when they pass. Without it, this is the last stage.",
    )
    entry: Literal["promotion", "open"] | None = Field(
        default=None,
        description="Which images come in, if another stage promotes into this one. promotion, the default: only "
        "promoted images; a direct push is refused. open: every push too, past the gates of the stages before.",
    )
    registry: RegistryName | None = Field(
        default=None,
        description="The ECR registry of a stage in another account or Region. The stack there guards it.",
        examples=["210987654321.dkr.ecr.eu-west-1.amazonaws.com"],
    )
    role: RoleArn | None = Field(
        default=None,
        description="The role to assume for pushes there. The stack's parameter PromotionRoles must list it too.",
        examples=["arn:aws:iam::210987654321:role/imagegate-promotion"],
    )

    @property
    def remote(self) -> RemoteRegistry | None:
        return RemoteRegistry(self.registry, self.role) if self.registry and self.role else None

    def stage(self, name: str, *, is_entered: bool) -> Stage:
        """Return the stage. `is_entered`: another stage of the policy promotes into it."""
        by_default = Entry.PROMOTION if is_entered else Entry.OPEN
        return Stage(
            name=name,
            repositories=RepositoryPattern(self.repositories),
            remote=self.remote,
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
            cleanup=self.cleanup.terms(is_last=self.promotes_to is None),
            security_hub=self.security_hub,
        )


class PolicyShape(Shape):
    """The part of a policy file that is the policy: which repositories form which stages, and what passes each gate."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    scanner: Literal["basic", "enhanced"] = Field(
        default="basic",
        description="The scanning of the registry. enhanced: Amazon Inspector, which also reports fixes and known "
        "exploits; rules that need these are faults with basic.",
    )
    waiver_terms: TermsShape = Field(
        default_factory=TermsShape.model_construct, description="The terms for waivers, here and at run time."
    )
    defaults: GateShape = Field(
        default_factory=GateShape.model_construct,
        description="Values for every stage without its own: mappings are merged by key, others replaced as a whole.",
    )
    stages: Annotated[dict[str, StageShape], Field(min_length=1)] = Field(
        description="The stages by name; images go from one to the next."
    )
    owners: dict[str, OwnerName] = Field(
        default_factory=dict,
        description="Who gets messages about which repositories: patterns of repositories or applications, each with a "
        "team or a mail address. The first that matches counts. Messages have it as the attribute owner.",
        examples=[{"shop-*": "payments", "*": "platform@example.com"}],
    )
    audit: AuditShape = Field(
        default_factory=AuditShape.model_construct,
        description="The limits of what a repository stores, for imagegate audit. They block nothing.",
    )
    waivers: list[WaiverShape] = Field(
        default_factory=list,
        description="What is waived for some images, for a reason, until a day. Reviewed with the file.",
    )

    def policy(self, digest: Digest) -> Policy:
        """Return the policy. `digest`: of the file."""
        entered = {shape.promotes_to for shape in self.stages.values()}
        stages: Mapping[str, Stage] = {
            name: shape.stage(name, is_entered=name in entered) for name, shape in self.stages.items()
        }
        waivers = tuple(shape.waiver() for shape in self.waivers)
        terms, scanner = self.waiver_terms.terms(), Scanner(self.scanner)
        return Policy(digest, stages, waivers, terms, scanner, self.owners, self.audit.limits())
