"""Which images of a repository go, and why each other one stays. Every doubt keeps an image."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.canonical_json import timestamp
from imagegate.cleanup.graph import RepositoryGraph
from imagegate.lifecycle.stored_image import StorageStatus, newest_first, people_tags

if TYPE_CHECKING:
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest
    from imagegate.policy.cleanup import CleanupRule, CleanupTerms

# For so long the reconciler looks for pushes whose event was lost, and pull times come late.
_YOUNG = timedelta(days=1)
_LEAST_ARCHIVED = timedelta(days=90)


class CleanupAction(StrEnum):
    DELETE = "delete"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class GoingImage:
    """An image that goes, and why. `wholes`: what it is a part or evidence of, and goes with."""

    image: StoredImage
    action: CleanupAction
    because: str
    wholes: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class CleanupSelection:
    """The images that go, in an order in which they may go one by one, and the reasons of those that stay."""

    going: Mapping[Digest, GoingImage]
    kept: Mapping[Digest, Sequence[str]]
    graph: RepositoryGraph = field(repr=False)


def select_images(
    repository: str,
    images: Iterable[StoredImage],
    terms: CleanupTerms,
    protected: Mapping[Digest, Sequence[str]],
    now: datetime,
) -> CleanupSelection:
    """Decide about all images of one repository. `protected`: the reasons that others know why an image has to stay."""
    graph = RepositoryGraph.of(images)
    ruled = _by_rules(repository, graph, terms, now)
    reasons: dict[Digest, list[str]] = {digest: [] for digest in graph.images}
    for digest, image in graph.images.items():
        reasons[digest] += [*protected.get(digest, ()), *_own_reasons(image, graph, terms, now)]
    for digest in [digest for digest, why in reasons.items() if why]:
        for whole in graph.above([digest]) - {digest}:
            reasons[whole].append(f"its part or evidence {digest.short} {reasons[digest][0]}")
    for digest, verdict in ruled.items():
        reasons[digest] += [verdict.keeps] if verdict.keeps else []
    kept = {digest for digest, why in reasons.items() if why}
    for digest in graph.needed(kept) - kept:
        reasons[digest].append("belongs to an image that stays")
    going = _in_order(graph, {digest for digest, why in reasons.items() if why}, ruled, terms)
    for digest, why in reasons.items():
        if digest not in going and not why:
            is_archived = graph.images[digest].status is StorageStatus.ARCHIVED
            why.append("is in the archive already" if is_archived else "is named as evidence of itself")
    stays = {digest: tuple(dict.fromkeys(why)) for digest, why in reasons.items() if why}
    return CleanupSelection(going, stays, graph)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The answer of the rules about an image: why it goes, or why it stays."""

    goes: str = ""
    keeps: str = ""


def _by_rules(
    repository: str, graph: RepositoryGraph, terms: CleanupTerms, now: datetime
) -> dict[Digest, _Verdict]:
    """Return the verdict of the rules on each image, apart from untagged parts and evidence of another one.

    A tag of people is one, also on evidence: whoever may push could call any image the evidence of an old one.
    """
    own = [
        image for image in graph.images.values() if people_tags(image) or not graph.subjects.get(image.digest)
    ]
    ranks = _ranks(repository, own, terms)
    verdicts: dict[Digest, _Verdict] = {}
    for image in own:
        if image.tags or not graph.indexes.get(image.digest):
            verdicts[image.digest] = _verdict(repository, image, terms, ranks, now)
    return verdicts


def _ranks(
    repository: str, images: list[StoredImage], terms: CleanupTerms
) -> dict[tuple[CleanupRule, Digest], int]:
    """Return the rank of each image among those of each of its rules: 0 for the newest."""
    by_rule: dict[CleanupRule, list[StoredImage]] = {}
    for image in images:
        for rule in {terms.rule_of(tag, repository) for tag in _ruled_tags(image)} - {None}:
            if rule is not None:
                by_rule.setdefault(rule, []).append(image)
    return {
        (rule, image.digest): rank
        for rule, members in by_rule.items()
        for rank, image in enumerate(newest_first(members))
    }


def _ruled_tags(image: StoredImage) -> Sequence[str | None]:
    """Return the tags that rules are about. Evidence without another tag, whose image is gone, counts as untagged."""
    return people_tags(image) or [None]


def _verdict(
    repository: str,
    image: StoredImage,
    terms: CleanupTerms,
    ranks: Mapping[tuple[CleanupRule, Digest], int],
    now: datetime,
) -> _Verdict:
    """Return what the rules of all its tags say. Each of them can keep the image."""
    because: list[str] = []
    for tag in _ruled_tags(image):
        name = "an image without tags" if tag is None else f"the tag {tag}"
        rule = terms.rule_of(tag, repository)
        if rule is None:
            return _Verdict(keeps=f"no rule is about {name}")
        if rule.keeps_all:
            return _Verdict(keeps=f"a rule never lets {name} go")
        if rule.keep_last is not None and ranks[rule, image.digest] < rule.keep_last:
            return _Verdict(keeps=f"it is among the last {rule.keep_last} of {rule.tags or 'the untagged'}")
        if rule.older_than and now - image.begins <= rule.older_than:
            return _Verdict(keeps=f"it is not older than the rule ({rule}) says")
        because.append(str(rule))
    return _Verdict(goes="; ".join(dict.fromkeys(because)))


def _own_reasons(image: StoredImage, graph: RepositoryGraph, terms: CleanupTerms, now: datetime) -> list[str]:
    """Return why the image itself has to stay, whatever the rules say."""
    reasons = [f"has the tag {tag}, which keeps it" for tag in sorted(image.tags) if terms.keeps(tag)]
    if now - image.begins < _YOUNG:
        reasons.append("was pushed or restored less than a day ago")
    if image.pulled_at and terms.pulled_within and now - image.pulled_at <= terms.pulled_within:
        reasons.append(f"was pulled on {timestamp(image.pulled_at)}")
    if image.status is StorageStatus.ACTIVATING:
        reasons.append("is being restored from the archive")
    if image.status is StorageStatus.ARCHIVED and not graph.wholes(image.digest):
        until = (image.archived_at or now) + max(terms.archive or _LEAST_ARCHIVED, _LEAST_ARCHIVED)
        reasons += [f"is in the archive until {timestamp(until)}"] if now < until else []
    return reasons


def _in_order(
    graph: RepositoryGraph,
    kept: Container[Digest],
    ruled: Mapping[Digest, _Verdict],
    terms: CleanupTerms,
) -> dict[Digest, GoingImage]:
    """Return what goes: an index before its parts, an image before its evidence, so that a stop leaves no half."""
    going: dict[Digest, GoingImage] = {}
    waiting = [digest for digest in graph.images if digest not in kept]
    while waiting:
        ready = [digest for digest in waiting if all(whole in going for whole in graph.wholes(digest))]
        for digest in sorted(ready, key=lambda one: (graph.images[one].begins, one)):
            image, wholes = graph.images[digest], graph.wholes(digest)
            because = ruled[digest].goes if digest in ruled else "goes with what it belongs to"
            action = _action(image, [going[whole] for whole in wholes], terms)
            going[digest] = GoingImage(image, action, because, tuple(dict.fromkeys(wholes)))
        if not ready:
            break  # manifests cannot contain each other, but tags of evidence could say so: they stay
        waiting = [digest for digest in waiting if digest not in going]
    return {
        digest: one
        for digest, one in going.items()
        if not (one.action is CleanupAction.ARCHIVE and one.image.status is StorageStatus.ARCHIVED)
    }


def _action(image: StoredImage, wholes: Sequence[GoingImage], terms: CleanupTerms) -> CleanupAction:
    """Return what is done with it. A part or evidence is deleted only if all that it belongs to is."""
    if wholes:
        is_deleted = all(one.action is CleanupAction.DELETE for one in wholes)
    else:
        is_deleted = terms.archive is None or image.status is StorageStatus.ARCHIVED
    return CleanupAction.DELETE if is_deleted else CleanupAction.ARCHIVE
