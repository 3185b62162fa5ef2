"""The policy: which repositories form which stages, and which rules an image must satisfy at each stage's gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from imagegate.findings.finding import Severity
from imagegate.oci.image import Digest
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.audit_rules import AuditLimits
from imagegate.policy.cleanup import CleanupTerms
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
    """The ways in which an image arrives in a repository."""

    PUSH = "push"
    REPLICATION = "replication"
    PULL_THROUGH_CACHE = "pull through cache"


class Mode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"  # judge everything, block nothing, sign only images that pass


class Entry(StrEnum):
    """The images that a stage admits."""

    PROMOTION = "promotion"  # those that an earlier stage promoted; all others are refused
    OPEN = "open"  # all that are pushed into its repositories


class Scanner(StrEnum):
    """The scanning of the registry that the policy is written for."""

    BASIC = "basic"
    ENHANCED = "enhanced"


@dataclass(frozen=True, slots=True)
class RepositoryPattern:
    """A repository name with the placeholder `{app}` for the application: `shop/{app}-dev`."""

    text: str

    @property
    def _affixes(self) -> tuple[str, str] | None:
        before, placeholder, after = self.text.partition(APP)
        return (before, after) if placeholder else None

    def app_of(self, repository: str) -> str | None:
        """Return the application in `repository`, "" for a pattern without `{app}`, or None if it does not match."""
        if self._affixes is None:
            return "" if repository == self.text else None
        before, after = self._affixes
        if not (repository.startswith(before) and repository.endswith(after)):
            return None
        return repository[len(before) : len(repository) - len(after)] or None

    def repository_of(self, app: str) -> str:
        return self.text.replace(APP, app)

    def overlaps(self, other: RepositoryPattern) -> bool:
        """Return True if a repository name can match both patterns."""
        if self._affixes is None:
            return other.app_of(self.text) is not None
        if other._affixes is None:
            return self.app_of(other.text) is not None
        (before, after), (others_before, others_after) = self._affixes, other._affixes
        one_begins = before.startswith(others_before) or others_before.startswith(before)
        return one_begins and (after.endswith(others_after) or others_after.endswith(after))


@dataclass(frozen=True, slots=True)
class RemoteRegistry:
    """A registry of another account or Region. The stack there guards the images that arrive."""

    registry: str  # ACCOUNT.dkr.ecr.REGION.amazonaws.com
    role: str  # ARN of the role that may push there


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage and its gate. `approval` is needed to enter the stage: images are held before it."""

    name: str
    repositories: RepositoryPattern
    remote: RemoteRegistry | None = None  # None: in the registry of this stack
    replication: Replication | None = None  # a promotion into this stage waits for it
    entry: Entry = Entry.OPEN
    promotes_to: str | None = None
    promote_tags: tuple[str, ...] = ("*",)
    mode: Mode = Mode.ENFORCE
    approval: ApprovalTerms | None = None
    soak: timedelta = timedelta()  # how long an image stays before it is judged again and goes on
    scan_timeout: timedelta = timedelta(minutes=30)
    max_scan_age: timedelta | None = None  # an older scan result is not accepted; None: any age is
    findings: FindingRules = field(default_factory=FindingRules)
    image: ImageRules = field(default_factory=ImageRules)
    evidence: EvidenceRules = field(default_factory=EvidenceRules)
    alerts: Mapping[Severity | None, Attention] = field(default_factory=lambda: dict(DEFAULT_ALERTS))
    not_gated: frozenset[Arrival] = (
        frozenset()
    )  # images that arrive so are not judged; pushed images always are
    sign_platforms: bool = False  # for deployers that verify the digest of the platform, not of the index
    cleanup: CleanupTerms = field(default_factory=CleanupTerms)
    security_hub: bool = False  # AWS Security Hub gets a finding for each released image that is at risk

    def promotes(self, tag: str) -> bool:
        """Return True if images with this tag go on to a next stage."""
        return self.promotes_to is not None and any(fnmatchcase(tag, glob) for glob in self.promote_tags)


@dataclass(frozen=True, slots=True)
class Policy:
    """A validated policy. `digest` is the sha256 of the file's bytes, as `sha256sum policy.yaml` prints it."""

    digest: Digest
    stages: Mapping[str, Stage]
    waivers: tuple[Waiver, ...] = ()
    waiver_terms: WaiverTerms = field(default_factory=WaiverTerms)
    scanner: Scanner = Scanner.BASIC
    owners: Mapping[str, str] = field(default_factory=dict)  # pattern of repositories or applications → owner
    audit: AuditLimits = field(default_factory=AuditLimits)

    @property
    def timed(self) -> frozenset[Severity]:
        """The severities that have a grace period at some stage. Their clocks start at the first gate."""
        return frozenset(severity for stage in self.stages.values() for severity in stage.findings.grace)

    @property
    def base_stages(self) -> frozenset[str]:
        """The stages whose released images other images may be built on."""
        rules = (active(stage.image.base_images) for stage in self.stages.values())
        return frozenset(name for rule in rules if rule for name in rule.value)

    def stage_of(self, repository: str) -> Stage | None:
        """Return the stage whose gate guards `repository` in this registry, or None if no stage does."""
        local_stages = (stage for stage in self.stages.values() if stage.remote is None)
        # The patterns of two stages never overlap.
        return next(
            (stage for stage in local_stages if stage.repositories.app_of(repository) is not None), None
        )

    def owner_of(self, repository: str) -> str | None:
        """Return the owner of a repository by the first pattern that matches it or its application, or None."""
        stage = self.stage_of(repository)
        names = {repository, (stage and stage.repositories.app_of(repository)) or repository}
        return next(
            (
                owner
                for pattern, owner in self.owners.items()
                if any(fnmatchcase(name, pattern) for name in names)
            ),
            None,
        )

    def next_stage(self, stage: Stage) -> Stage | None:
        return self.stages[stage.promotes_to] if stage.promotes_to else None

    def stages_before(self, stage: Stage) -> list[Stage]:
        """Return the stages that promote into this one."""
        return [other for other in self.stages.values() if other.promotes_to == stage.name]

    def repositories_before(self, repository: str) -> list[str]:
        """Return the repositories of this registry from which images are promoted into `repository`."""
        stage = self.stage_of(repository)
        if stage is None:
            return []
        app = stage.repositories.app_of(repository) or ""
        return [other.repositories.repository_of(app) for other in self.stages_before(stage)]

    def way_to(self, repository: str) -> list[str]:
        """Return the repository, and those before it from which its images come, the nearest first."""
        way = [repository]
        for name in way:
            way += [one for one in self.repositories_before(name) if one not in way]
        return way

    def entrances(self, repository: str) -> list[str]:
        """Return the repositories where the promotions into this one begin: itself if no stage promotes into it."""
        visited, first = [repository], []
        for name in visited:
            before = [one for one in self.repositories_before(name) if one not in visited]
            visited += before
            first += [] if before else [name]
        return first

    def origin_of(self, repository: str) -> str:
        """Return the repository where the promotions into this one begin: the name of the application at all stages."""
        origin, visited = repository, {repository}
        while (before := self._only_repository_before(origin)) is not None and before not in visited:
            visited.add(before)
            origin = before
        return origin

    def _only_repository_before(self, repository: str) -> str | None:
        """Return the repository before this one, or None if there is none, or more than one."""
        before = self.repositories_before(repository)
        return before[0] if len(before) == 1 else None

    def target_of(self, repository: str) -> str | None:
        """Return the repository to which images of `repository` are promoted, or None if no stage follows.

        A repository of another registry has the registry before its name.
        """
        stage = self.stage_of(repository)
        following = self.next_stage(stage) if stage else None
        if stage is None or following is None:
            return None
        name = following.repositories.repository_of(stage.repositories.app_of(repository) or "")
        return f"{following.remote.registry}/{name}" if following.remote else name
