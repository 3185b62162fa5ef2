"""Clean-up: which images of a stage may go, as the policy says. `imagegate.cleanup` decides which of them do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

# Always kept, beside what the policy names.
KEPT_TAGS = ("keep", "keep-*")


@dataclass(frozen=True, slots=True)
class CleanupRule:
    """A rule about tags, or about images without one. Without a condition, it keeps what it is about.

    `tags`: a glob, or None for images without tags. If it has both an age and a number, both must be exceeded.
    """

    tags: str | None
    repositories: str = "*"
    older_than: timedelta | None = None  # since the push, or since it was restored
    keep_last: int | None = None  # the newest images that have such a tag

    @property
    def keeps_all(self) -> bool:
        return self.older_than is None and self.keep_last is None

    def is_about(self, tag: str | None, repository: str) -> bool:
        """Say whether it is the rule of this tag, or of images without one (None), in this repository."""
        same = tag is None if self.tags is None else tag is not None and fnmatchcase(tag, self.tags)
        return same and fnmatchcase(repository, self.repositories)

    def __str__(self) -> str:
        what = "untagged" if self.tags is None else f"tag {self.tags}"
        age = f" older than {_days(self.older_than)}" if self.older_than else ""
        number = f", not among the last {self.keep_last}" if self.keep_last is not None else ""
        return f"{what}{age}{number}"


class CleanupSchedule(StrEnum):
    """The reactions of the scheduled clean-up to images that may go."""

    REPORT = "report"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class ImageUser:
    """An account that runs images of this registry. `role`: ARN of a role there that may list what runs."""

    role: str
    regions: tuple[str, ...] = ()  # none: the Region of the stack


@dataclass(frozen=True, slots=True)
class CleanupTerms:
    """The clean-up of one stage. Without rules nothing goes; a tag that no rule is about is kept."""

    rules: tuple[CleanupRule, ...] = ()
    keep: tuple[str, ...] = ()  # globs of tags
    keep_releases: int = 10  # the last releases of each repository, to go back to
    pulled_within: timedelta | None = timedelta(days=30)
    archive: timedelta | None = (
        None  # images stay in the archive for so long before they are deleted; None: at once
    )
    used_by: tuple[ImageUser, ...] = ()
    scheduled: CleanupSchedule = CleanupSchedule.REPORT

    def rule_of(self, tag: str | None, repository: str) -> CleanupRule | None:
        """Return the first rule about the tag, or about images without one (None), or None if no rule is."""
        return next((rule for rule in self.rules if rule.is_about(tag, repository)), None)

    def keeps(self, tag: str) -> bool:
        """Say whether the tag keeps its image whatever the rules say."""
        return any(fnmatchcase(tag, glob) for glob in (*KEPT_TAGS, *self.keep))


def _days(duration: timedelta) -> str:
    return (
        f"{duration.days}d"
        if duration % timedelta(days=1) == timedelta()
        else f"{duration // timedelta(hours=1)}h"
    )
