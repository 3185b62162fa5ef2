"""A second reading of what must stay and of ECR's lifecycle rules, by brute force and without code of the subjects.

It looks at the whole registry, again and again until nothing changes. It is slow, and does not try to be anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

DAY = timedelta(days=1)


@dataclass
class Truth:
    """The state of one repository, as the benchmark made it. Images are `StoredImage`; the rest is plain."""

    repository: str
    now: datetime
    images: dict[Any, Any]  # by digest
    running: set[Any] = field(default_factory=set)  # digests
    running_tags: set[str] = field(default_factory=set)
    undecided: set[Any] = field(default_factory=set)  # in a release that runs, or held
    announced: list[tuple[datetime, Any]] = field(default_factory=list)  # when each release ended
    current_later: set[Any] = field(default_factory=set)
    rules: list[tuple[str | None, int | None, int | None]] = field(default_factory=list)  # tag, days, number
    keep_releases: int = 10


def used(truth: Truth) -> set[Any]:
    """Return the digests that somebody uses by themselves."""
    last = []
    for _, digest in sorted(truth.announced, key=lambda one: one[0], reverse=True):
        if digest not in last:
            last.append(digest)
    found = truth.running | truth.undecided | set(last[: truth.keep_releases]) | truth.current_later
    for digest, image in truth.images.items():
        pulled = image.pulled_at and truth.now - image.pulled_at <= 30 * DAY
        young = truth.now - (image.activated_at or image.pushed_at) < DAY
        named = any(
            tag == "keep" or tag.startswith("keep-") or tag in truth.running_tags for tag in image.tags
        )
        if pulled or young or named or image.status == "ACTIVATING":
            found.add(digest)
    return found & set(truth.images)


def needed(truth: Truth) -> set[Any]:
    """Return all that must stay: what is used, its wholes, what no rule lets go, and all that belongs to these."""
    images = truth.images
    # What contains or is described by something that is used is used.
    kept = _closed(
        used(truth),
        lambda kept: {one for one in images for part in kept if _belongs(images[part], images[one])},
    )
    kept |= {digest for digest in images if not _may_go(truth, digest)}
    return _closed(
        kept, lambda kept: {one for one in images for whole in kept if _belongs(images[one], images[whole])}
    )


def _closed(kept: set[Any], related: Callable[[set[Any]], set[Any]]) -> set[Any]:
    """Add what is related to something in the set, until nothing is new."""
    while new := related(kept) - kept:
        kept = kept | new
    return kept


def _belongs(part: Any, whole: Any) -> bool:
    """Say whether one is a part or evidence of the other."""
    return part.digest in whole.children or is_evidence_of(part, whole.digest)


def is_evidence_of(image: Any, digest: Any) -> bool:
    hexadecimal = str(digest).split(":")[1]
    return image.subject == digest or any(re.match(f"sha256-{hexadecimal}($|[.])", tag) for tag in image.tags)


def _may_go(truth: Truth, digest: Any) -> bool:
    """Say whether the rules let an image go; parts without tags, and evidence, have no rule of their own."""
    image = truth.images[digest]
    others = [other for other in truth.images.values() if other.digest != digest]
    if any(is_evidence_of(image, other.digest) for other in others):
        return True
    if not image.tags and any(digest in other.children for other in others):
        return True
    orphan = image.subject or any(tag.startswith("sha256-") for tag in image.tags)
    return all(_lets_go(truth, image, tag) for tag in ([None] if orphan or not image.tags else image.tags))


def _lets_go(truth: Truth, image: Any, tag: str | None) -> bool:
    for pattern, days, number in truth.rules:
        if not _fits(pattern, tag):
            continue
        if days is None and number is None:
            return False
        age = truth.now - (image.activated_at or image.pushed_at)
        is_old = days is None or age > days * DAY
        # The most that a number lets go: images with such a tag that are at least as new as this one.
        newer = [
            other
            for other in truth.images.values()
            if any(_fits(pattern, one) for one in other.tags) and other.pushed_at > image.pushed_at
        ]
        return is_old and (number is None or len(newer) >= number or tag is None)
    return False


def _fits(pattern: str | None, tag: str | None) -> bool:
    if pattern is None or tag is None:
        return pattern is None and tag is None
    return re.fullmatch(pattern.replace("*", ".*"), tag) is not None


def expire_by_text(rules: list[dict[str, Any]], images: Iterable[Any], now: datetime) -> dict[Any, int]:
    """Return what ECR's rules expire, by the sentences of the user guide, image by image.

    `rules`: as in the JSON, each with its tag patterns, countType and countNumber; every action is to expire.
    """
    stored = list(images)
    contained = {child for image in stored for child in image.children}
    about = {image.digest for image in stored if any(image.subject == other.digest for other in stored)}
    candidates = [image for image in stored if image.digest not in contained | about]
    marked: dict[Any, int] = {}
    for image in candidates:
        # "An image is expired by exactly one or zero rules": the first rule whose tags it has decides.
        fitting = [
            rule for rule in sorted(rules, key=lambda one: one["rulePriority"]) if _selects(rule, image)
        ]
        if fitting and _is_over(fitting[0], image, candidates, now):
            marked[image.digest] = fitting[0]["rulePriority"]
    return marked


def _selects(rule: dict[str, Any], image: Any) -> bool:
    selection = rule["selection"]
    kinds: dict[str, Callable[[], bool]] = {
        "any": lambda: True,
        "untagged": lambda: len(image.tags) == 0,
        "tagged": lambda: all(
            any(re.fullmatch(pattern.replace("*", ".*"), tag) for tag in image.tags)
            for pattern in selection["tagPatternList"]
        ),
    }
    return kinds[selection["tagStatus"]]()


def _is_over(rule: dict[str, Any], image: Any, images: list[Any], now: datetime) -> bool:
    number = rule["selection"]["countNumber"]
    if rule["selection"]["countType"] == "sinceImagePushed":
        return bool(now - image.pushed_at > number * DAY)
    newer = [one for one in images if _selects(rule, one) and one.pushed_at > image.pushed_at]
    return bool(len(newer) >= number)
