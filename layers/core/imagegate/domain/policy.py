"""The policy: which repositories form which stages, and what an image must satisfy to pass each stage's gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from imagegate.domain.finding import Severity
from imagegate.domain.image import Digest
from imagegate.domain.waiver import Waiver

APP = "{app}"


class Action(StrEnum):
    ENFORCE = "enforce"
    WARN = "warn"
    OFF = "off"


class Arrival(StrEnum):
    """How an image came into a repository."""

    PUSH = "push"
    REPLICATION = "replication"
    PULL_THROUGH_CACHE = "pull through cache"


class Mode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"  # judges everything, blocks nothing, signs only what passed


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule with a number: more than `limit` is a violation."""

    limit: int
    action: Action = Action.ENFORCE


DEFAULT_MAX_FINDINGS: Mapping[Severity, Limit] = {
    Severity.CRITICAL: Limit(0),
    Severity.HIGH: Limit(5),
    Severity.MEDIUM: Limit(20),
    Severity.UNDEFINED: Limit(20),
}


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
class Stage:
    """One stage and its gate. `approval_required` is about the way in: images are held before this stage."""

    name: str
    repositories: RepositoryPattern
    promotes_to: str | None = None
    promote_tags: tuple[str, ...] = ("*",)
    mode: Mode = Mode.ENFORCE
    approval_required: bool = False
    scan_timeout: timedelta = timedelta(minutes=30)
    max_findings: Mapping[Severity, Limit] = field(default_factory=lambda: dict(DEFAULT_MAX_FINDINGS))
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

    def stage_of(self, repository: str) -> Stage | None:
        """The stage whose gate guards `repository`; None: not managed. Patterns never overlap."""
        return next((s for s in self.stages.values() if s.repositories.app_of(repository) is not None), None)

    def waiver(self, rule: str, repository: str, now: datetime) -> Waiver | None:
        return next((waiver for waiver in self.waivers if waiver.counts(rule, repository, now)), None)

    def next_stage(self, stage: Stage) -> Stage | None:
        return self.stages[stage.promotes_to] if stage.promotes_to else None

    def target_of(self, repository: str) -> str | None:
        """The repository to which an image of `repository` is promoted."""
        stage = self.stage_of(repository)
        following = self.next_stage(stage) if stage else None
        if stage is None or following is None:
            return None
        return following.repositories.repository_of(stage.repositories.app_of(repository) or "")
