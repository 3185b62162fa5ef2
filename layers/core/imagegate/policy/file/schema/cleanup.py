"""The shape of clean-up: rules in order, and what is kept whatever they say."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from imagegate.policy.cleanup import CleanupRule, CleanupSchedule, CleanupTerms, ImageUser
from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.values import (
    ArchiveTime,
    LongDuration,
    LongDurationOrOff,
    Region,
    RoleArn,
    TagGlob,
    Text,
)
from imagegate.policy.file.yaml import describe

_TERMS = CleanupTerms()
_MAX_ENTRIES = 50


def _true(value: object) -> object:
    if value is not True:
        raise ValueError(f"must be true, not {describe(value)}: leave it out instead")
    return value


_True = Annotated[bool, BeforeValidator(_true)]


class CleanupRuleShape(Shape):
    """A rule about tags, or about untagged images. The first rule about a tag counts."""

    tags: TagGlob | None = Field(
        default=None, description="The tags that it is about, as a pattern.", examples=["v*"]
    )
    untagged: _True | None = Field(
        default=None, description="true: it is about images without a tag, instead of `tags`."
    )
    repositories: Text = Field(
        default="*",
        description="Only in these repositories of the stage, as a pattern. Default: all.",
        examples=["legacy-*"],
    )
    older_than: LongDuration | None = Field(
        default=None, description="Images go when they were pushed before that time."
    )
    keep_last: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        default=None,
        description="So many of the newest images with such a tag stay. With older_than, both must be exceeded.",
    )
    never: _True | None = Field(default=None, description="true: what it is about is never cleaned up.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tags is None) == (self.untagged is None):
            raise ValueError("needs tags or untagged, one of them")
        has_condition = self.older_than is not None or self.keep_last is not None
        if has_condition == (self.never is not None):
            raise ValueError("needs older_than, keep_last or both; or never alone")
        return self

    def rule(self) -> CleanupRule:
        return CleanupRule(self.tags, self.repositories, self.older_than, self.keep_last)


class ImageUserShape(Shape):
    """An account that runs images of this registry."""

    role: RoleArn = Field(
        description="A role there, assumed to list what runs. If it does not answer, nothing is cleaned up.",
        examples=["arn:aws:iam::210987654321:role/imagegate-usage"],
    )
    regions: Annotated[list[Region], Field(max_length=_MAX_ENTRIES)] = Field(
        default=[], description="The Regions where it runs them. Default: that of the stack."
    )


class CleanupShape(Shape):
    """Which images `imagegate cleanup` may take. Nothing goes that runs, is released, or is needed otherwise."""

    rules: Annotated[list[CleanupRuleShape], Field(max_length=_MAX_ENTRIES)] = Field(
        default=[],
        description="The rules in order. An image goes only if the rule of each of its tags lets it go; a tag without "
        "a rule keeps it. Default: none, and nothing goes.",
        examples=[[{"untagged": True, "older_than": "7d"}, {"tags": "v*", "keep_last": 10}]],
    )
    keep: Annotated[list[TagGlob], Field(max_length=_MAX_ENTRIES)] = Field(
        default=[], description="Tags that keep their image, as patterns, beside keep and keep-*."
    )
    keep_releases: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=_TERMS.keep_releases,
        description="So many of the last releases of each repository stay, to go back to. Default: 10.",
    )
    pulled_within: LongDurationOrOff = Field(
        default=_TERMS.pulled_within,
        description="What was pulled in this time stays. off: pulls do not matter. Default: 30d.",
    )
    archive: ArchiveTime | None = Field(
        default=None,
        description="Images are archived, and deleted after this time: 90d to 3650d. off: deleted at once. Default: "
        "90d in stages that promote to no other, off in the others.",
    )
    used_by: Annotated[list[ImageUserShape], Field(max_length=_MAX_ENTRIES)] = Field(
        default=[], description="Other accounts that run images of this registry."
    )

    scheduled: Literal["report", "apply"] = Field(
        default="report",
        description="The daily clean-up: report plans and sends a message; apply takes the images, too, if the stack's "
        "parameter ScheduledCleanup is apply. Default: report.",
    )

    def terms(self, *, is_last: bool) -> CleanupTerms:
        """Return the terms. `is_last`: the stage promotes to no other."""
        by_default = timedelta(days=90) if is_last and self.rules else None
        return CleanupTerms(
            rules=tuple(shape.rule() for shape in self.rules),
            keep=tuple(self.keep),
            keep_releases=self.keep_releases,
            pulled_within=self.pulled_within,
            archive=(self.archive or None) if self.archive is not None else by_default,
            scheduled=CleanupSchedule(self.scheduled),
            used_by=tuple(ImageUser(one.role, tuple(one.regions)) for one in self.used_by),
        )
