"""Finds the images from before the installation that can be adopted, and says why others are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Self

import click

from imagegate.canonical_json import timestamp
from imagegate.duration import UNITS
from imagegate.errors import ImageNotFoundError, RejectedInputError
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Policy
from imagegate.release.release import EcrImage, Release
from imagegate.workflow.examination.contents import may_be_artifact
from imagegate_cli.faults import CannotTellError, NotFoundError
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.stack import Stack

_RATE = re.compile(r"([0-9]{1,4})/(s|m|h)")
_GLOB = re.compile(r"[A-Za-z0-9._/*?\[\]!-]+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of repositories and tags: `shop-*`, or `shop-*:v1.*`."""

    repositories: str
    tags: str = "*"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a pattern. Raises `RejectedInputError` if it can match no image."""
        repositories, colon, tags = text.partition(":")
        for part in (repositories, tags if colon else "*"):
            if not _GLOB.fullmatch(part):
                raise RejectedInputError(f"no image can match {text!r}")
        return cls(repositories, tags if colon else "*")

    def __str__(self) -> str:
        return self.repositories if self.tags == "*" else f"{self.repositories}:{self.tags}"


class PatternType(click.ParamType[Pattern]):
    """A pattern on the command line."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pattern:
        try:
            return value if isinstance(value, Pattern) else Pattern.parse(value)
        except RejectedInputError as error:
            self.fail(f"{error}; write 'shop-*', or 'shop-*:v1.*' with the tags")


class RateType(click.ParamType[float]):
    """A rate such as `10/m`, as the seconds from one start to the next."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _RATE.fullmatch(value)
        if not match or not int(match[1]):
            self.fail(f"{value!r} is no rate; write 10/m, 1/s or 100/h")
        return UNITS[match[2]].total_seconds() / int(match[1])


@dataclass(frozen=True, slots=True)
class AdoptableImage:
    """A tagged image that the pattern matches. `left_out` says why it is not started; empty if it is."""

    image: ImageRef
    tags: tuple[str, ...]
    pushed_at: datetime
    left_out: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.image.repository,
            "digest": str(self.image.digest),
            "tags": list(self.tags),
            "pushed_at": timestamp(self.pushed_at),
            "left_out": self.left_out or None,
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """The images that an adoption would start, and those that it leaves out."""

    start: Sequence[AdoptableImage]  # the first push first
    left_out: Sequence[AdoptableImage]
    unmanaged: Sequence[str]  # repositories of no stage
    more: int = 0  # images beyond the limit

    def as_json(self, started: int | None) -> dict[str, Any]:
        """Return the images, and the number of started ones; null if none were to be started."""
        return {
            "started": started,
            "images": [one.as_json() for one in self.start],
            "left_out": [one.as_json() for one in self.left_out],
            "unmanaged": list(self.unmanaged),
            "more": self.more,
        }


def preview(stack: Stack, pattern: Pattern, stage: str | None, limit: int | None) -> Preview:
    """Find the images that the pattern matches. Raises `NotFoundError` if no repository matches."""
    policy = stack.policy
    if stage is not None and stage not in policy.stages:
        raise CannotTellError(f"no stage {stage!r}; there are {', '.join(policy.stages)}")
    installed_at = stack.installed_at
    if installed_at is None:
        raise CannotTellError("the ledger does not say when imagegate was installed: is it fully deployed?")
    names = [name for name in stack.images.repositories() if fnmatchcase(name, pattern.repositories)]
    if not names:
        account = f"account {stack.account}, {stack.region}"
        raise NotFoundError(f"no repository matches {pattern.repositories} in {account}")
    ours = [name for name in names if _is_of(policy, name, stage)]
    look = _Look(stack, policy, installed_at, _tags_of_targets(stack, policy, ours))
    wanted_images = [(facts, _wanted(pattern, facts)) for facts in _images(stack, ours)]
    found = map_with_spinner(
        "looking at images", [pair for pair in wanted_images if pair[1]], lambda pair: look.at(*pair)
    )
    found.sort(key=lambda one: one.pushed_at)
    start = [one for one in found if not one.left_out]
    return Preview(
        start=start[:limit],
        left_out=[one for one in found if one.left_out],
        unmanaged=[name for name in names if policy.stage_of(name) is None],
        more=len(start) - len(start[:limit]),
    )


def _is_of(policy: Policy, repository: str, stage: str | None) -> bool:
    stage_of = policy.stage_of(repository)
    return stage_of is not None and stage in (None, stage_of.name)


def _wanted(pattern: Pattern, facts: EcrImage) -> tuple[str, ...]:
    return tuple(tag for tag in sorted(facts.tags) if fnmatchcase(tag, pattern.tags))


def _images(stack: Stack, repositories: Sequence[str]) -> Iterator[EcrImage]:
    for listed in map_with_spinner("listing images", repositories, lambda name: _tagged(stack, name)):
        yield from listed


def _tagged(stack: Stack, repository: str) -> list[EcrImage]:
    try:
        return list(stack.images.tagged(repository))
    except ImageNotFoundError:
        return []


def _tags_of_targets(
    stack: Stack, policy: Policy, repositories: Sequence[str]
) -> dict[str, dict[str, Digest]]:
    """Return the digests of all tags in the next stages' repositories of this registry."""
    all_targets = {target for name in repositories if (target := policy.target_of(name))}
    targets = sorted(target for target in all_targets if policy.stage_of(target))
    listed = map_with_spinner("listing the next stages", targets, lambda name: _tagged(stack, name))
    return {
        target: {tag: facts.image.digest for facts in images for tag in facts.tags}
        for target, images in zip(targets, listed, strict=True)
    }


@dataclass(frozen=True, slots=True)
class _Look:
    """Decides whether an image is started, and says why not."""

    stack: Stack
    policy: Policy
    installed_at: datetime
    targets: Mapping[str, Mapping[str, Digest]]

    def at(self, facts: EcrImage, tags: tuple[str, ...]) -> AdoptableImage:
        return AdoptableImage(facts.image, tags, facts.pushed_at, self._left_out(facts, tags))

    def _left_out(self, facts: EcrImage, tags: tuple[str, ...]) -> str:
        if facts.pushed_at >= self.installed_at:
            return "newer than the installation"
        latest = self.stack.ledger.latest(facts.image)
        if latest is not None:
            return _begun(latest)
        try:
            if may_be_artifact(self.stack.images.manifest(facts.image)):
                return "no image, but an artifact"
        except ImageNotFoundError:
            return "gone"
        except RejectedInputError as error:
            return str(error).partition(": ")[2] or str(error)
        return self._would_move(facts.image, tags)

    def _would_move(self, image: ImageRef, tags: tuple[str, ...]) -> str:
        """Tell which tag of the next stage the release would move. Tags from before the gate have no claim."""
        stage, target = self.policy.stage_of(image.repository), self.policy.target_of(image.repository)
        following = self.policy.next_stage(stage) if stage else None
        if stage is None or target is None or following is None or following.approval:
            return ""
        for tag in filter(stage.promotes, tags):
            present = self.targets.get(target, {}).get(tag)
            if present not in (None, image.digest) and self.stack.ledger.holder(target, tag) is None:
                return f"would move {target}:{tag} from another image"
        return ""


def _begun(latest: Release) -> str:
    if latest.is_open:
        return f"has begun (attempt {latest.attempt})"
    return f"already {latest.outcome} in attempt {latest.attempt}"
