"""The policy: which repositories form which stages, and what an image must satisfy to pass each stage's gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from imagegate.findings.finding import Severity
from imagegate.oci.image import Digest
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.replication import Replication
from imagegate.policy.rules import (
    DEFAULT_ALERTS,
    Attention,
    EvidenceRules,
    FindingRules,
    ImageRules,
    active,
)
from imagegate.policy.waiver import Waiver, WaiverTerms

APP = "{app}"


class Arrival(StrEnum):
    """How an image came into a repository."""

    PUSH = "push"
    REPLICATION = "replication"
    PULL_THROUGH_CACHE = "pull through cache"


class Mode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"  # judges everything, blocks nothing, signs only what passed


class Entry(StrEnum):
    """What a stage admits."""

    PROMOTION = "promotion"  # what a stage before has promoted; everything else is refused
    OPEN = "open"  # whatever is pushed into its repositories


class Scanner(StrEnum):
    """What the registry scans with, as the policy counts on it."""

    BASIC = "basic"
    ENHANCED = "enhanced"


@dataclass(frozen=True, slots=True)
class RepositoryPattern:
    """A repository name in which `{app}` stands for the application: `shop/{app}-dev`."""

    text: str

    @property
    def _affixes(self) -> tuple[str, str] | None:
        before, placeholder, after = self.text.partition(APP)
        return (before, after) if placeholder else None

    def app_of(self, repository: str) -> str | None:
        """The application in `repository`, `""` for a pattern without `{app}`, or None: no match."""
        if self._affixes is None:
            return "" if repository == self.text else None
        before, after = self._affixes
        if not (repository.startswith(before) and repository.endswith(after)):
            return None
        return repository[len(before) : len(repository) - len(after)] or None

    def repository_of(self, app: str) -> str:
        return self.text.replace(APP, app)

    def overlaps(self, other: RepositoryPattern) -> bool:
        """Whether some repository name would belong to both."""
        if self._affixes is None:
            return other.app_of(self.text) is not None
        if other._affixes is None:
            return self.app_of(other.text) is not None
        (before, after), (others_before, others_after) = self._affixes, other._affixes
        one_begins = before.startswith(others_before) or others_before.startswith(before)
        return one_begins and (after.endswith(others_after) or others_after.endswith(after))


@dataclass(frozen=True, slots=True)
class RemoteRegistry:
    """A registry of another account or Region. Its own stack guards what arrives there."""

    registry: str  # ACCOUNT.dkr.ecr.REGION.amazonaws.com
    role: str  # ARN of the role that may push there


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage and its gate. `approval` is about the way in: images are held before this stage."""

    name: str
    repositories: RepositoryPattern
    elsewhere: RemoteRegistry | None = None  # None: in the registry of this stack
    replication: Replication | None = None  # waited for by whoever promotes into this stage
    entry: Entry = Entry.OPEN
    promotes_to: str | None = None
    promote_tags: tuple[str, ...] = ("*",)
    mode: Mode = Mode.ENFORCE
    approval: ApprovalTerms | None = None
    soak: timedelta = timedelta()  # an image stays so long before it is judged again, and goes on
    scan_timeout: timedelta = timedelta(minutes=30)
    max_scan_age: timedelta | None = None  # an older result says too little; None: any age will do
    findings: FindingRules = field(default_factory=FindingRules)
    image: ImageRules = field(default_factory=ImageRules)
    evidence: EvidenceRules = field(default_factory=EvidenceRules)
    alerts: Mapping[Severity | None, Attention] = field(default_factory=lambda: dict(DEFAULT_ALERTS))
    not_gated: frozenset[Arrival] = frozenset()  # images that arrive so are left alone; pushes never are
    sign_platforms: bool = False  # for deployers that check the platform's digest instead of the index's

    def promotes(self, tag: str) -> bool:
        return self.promotes_to is not None and any(fnmatchcase(tag, glob) for glob in self.promote_tags)


@dataclass(frozen=True, slots=True)
class Policy:
    """A validated policy. `digest` is the sha256 of the file's bytes: what `sha256sum policy.yaml` prints."""

    digest: Digest
    stages: Mapping[str, Stage]
    waivers: tuple[Waiver, ...] = ()
    waiver_terms: WaiverTerms = field(default_factory=WaiverTerms)
    scanner: Scanner = Scanner.BASIC

    @property
    def timed(self) -> frozenset[Severity]:
        """The severities for which some stage grants time: their clocks start at the first gate."""
        return frozenset(severity for stage in self.stages.values() for severity in stage.findings.grace)

    @property
    def base_stages(self) -> frozenset[str]:
        """The stages whose released images others may be built upon."""
        rules = (active(stage.image.base_images) for stage in self.stages.values())
        return frozenset(name for rule in rules if rule for name in rule.value)

    def stage_of(self, repository: str) -> Stage | None:
        """The stage whose gate guards `repository` here; None: not managed. Patterns never overlap."""
        here = (stage for stage in self.stages.values() if stage.elsewhere is None)
        return next((stage for stage in here if stage.repositories.app_of(repository) is not None), None)

    def next_stage(self, stage: Stage) -> Stage | None:
        return self.stages[stage.promotes_to] if stage.promotes_to else None

    def stages_before(self, stage: Stage) -> list[Stage]:
        """The stages that promote to this one."""
        return [other for other in self.stages.values() if other.promotes_to == stage.name]

    def before(self, repository: str) -> list[str]:
        """The repositories of this registry from which images are promoted into `repository`."""
        stage = self.stage_of(repository)
        if stage is None:
            return []
        app = stage.repositories.app_of(repository) or ""
        return [other.repositories.repository_of(app) for other in self.stages_before(stage)]

    def entrances(self, repository: str) -> list[str]:
        """The repositories in which the ways to this one begin: itself where no stage leads here."""
        found, ends = [repository], []
        for name in found:
            before = [one for one in self.before(name) if one not in found]
            found += before
            ends += [] if before else [name]
        return ends

    def origin_of(self, repository: str) -> str:
        """The repository in which images of this one begin their way: what names an application in all its stages."""
        at, seen = repository, {repository}
        while (before := self._before(at)) is not None and before not in seen:
            seen.add(before)
            at = before
        return at

    def _before(self, repository: str) -> str | None:
        """None where no stage, or more than one, leads into this one."""
        before = self.before(repository)
        return before[0] if len(before) == 1 else None

    def target_of(self, repository: str) -> str | None:
        """The repository to which an image of `repository` is promoted; with its registry where that is elsewhere."""
        stage = self.stage_of(repository)
        following = self.next_stage(stage) if stage else None
        if stage is None or following is None:
            return None
        name = following.repositories.repository_of(stage.repositories.app_of(repository) or "")
        return f"{following.elsewhere.registry}/{name}" if following.elsewhere else name
