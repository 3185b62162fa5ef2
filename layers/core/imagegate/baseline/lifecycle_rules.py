"""The lifecycle policy of a baseline, from counts and ages.

Each pattern has a rule of its own, because several patterns of one rule must all match. Rules for tags come first:
they shield their images from the rules below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imagegate.lifecycle.rules import CountType, LifecycleAction, LifecycleRule, StorageClass, TagStatus

if TYPE_CHECKING:
    from imagegate.baseline.terms import Lifecycle

# The shortest time in the archive before a rule may expire an image.
ARCHIVED_DAYS = 90


def lifecycle_document(lifecycle: Lifecycle) -> dict[str, Any] | None:
    """Return the lifecycle policy, or None if the baseline has no rule."""
    if lifecycle.document is not None:
        return dict(lifecycle.document)
    rules = [replace(rule, priority=number).as_json() for number, rule in enumerate(_rules(lifecycle), 1)]
    return {"rules": rules} if rules else None


def _rules(lifecycle: Lifecycle) -> Iterator[LifecycleRule]:
    """Yield the rules by priority; each has the priority 0 here."""
    action = LifecycleAction.TRANSITION if lifecycle.archives else LifecycleAction.EXPIRE
    for rule in lifecycle.rules or ():
        by, number = (CountType.MORE_THAN, rule.count) if rule.count else (CountType.PUSHED, rule.days or 1)
        limit = f"more than {number}" if rule.count else f"older than {number} days"
        yield LifecycleRule(
            0,
            TagStatus.TAGGED,
            by,
            number or 1,
            action,
            patterns=(rule.pattern,),
            description=f"{rule.pattern}: {limit}",
        )
    if (days := lifecycle.untagged_days) is not None:
        text = f"untagged, older than {days} days"
        yield LifecycleRule(0, TagStatus.UNTAGGED, CountType.PUSHED, days, description=text)
    yield from _rules_for_all(lifecycle, action)
    if lifecycle.archives or lifecycle.not_pulled_days is not None:
        yield LifecycleRule(
            0,
            TagStatus.ANY,
            CountType.TRANSITIONED,
            ARCHIVED_DAYS,
            storage_class=StorageClass.ARCHIVE,
            description=f"archived for {ARCHIVED_DAYS} days",
        )


def _rules_for_all(lifecycle: Lifecycle, action: LifecycleAction) -> Iterator[LifecycleRule]:
    """Yield the one rule for all images: ECR takes one for each storage class."""
    if (days := lifecycle.not_pulled_days) is not None:
        text = f"not pulled for {days} days"
        yield LifecycleRule(
            0, TagStatus.ANY, CountType.PULLED, days, LifecycleAction.TRANSITION, description=text
        )
    elif (number := lifecycle.max_images) is not None:
        text = f"more than {number} images"
        yield LifecycleRule(0, TagStatus.ANY, CountType.MORE_THAN, number, action, description=text)
