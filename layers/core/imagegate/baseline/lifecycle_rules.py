"""The lifecycle policy of a baseline, rendered from counts and ages.

Source: Amazon ECR user guide, "Lifecycle policy parameters". Each pattern has a rule of its own, because several
patterns of one rule must all match. Rules for tags come first: they shield their images from the rules below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagegate.baseline.terms import ExpiryRule, Lifecycle

# The shortest time in the archive before a rule may expire an image.
ARCHIVED_DAYS = 90
_EXPIRE = {"type": "expire"}
_ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def lifecycle_document(lifecycle: Lifecycle) -> dict[str, Any] | None:
    """Return the lifecycle policy, or None if the baseline has no rule."""
    if lifecycle.document is not None:
        return dict(lifecycle.document)
    rules = [{"rulePriority": number, **rule} for number, rule in enumerate(_rules(lifecycle), 1)]
    return {"rules": rules} if rules else None


def _rules(lifecycle: Lifecycle) -> Iterator[dict[str, Any]]:
    action = _ARCHIVE if lifecycle.archives else _EXPIRE
    for rule in lifecycle.rules or ():
        yield {"description": _describe(rule), "selection": _selection(rule), "action": action}
    if lifecycle.untagged_days is not None:
        selection = {"tagStatus": "untagged", **_older_than(lifecycle.untagged_days)}
        yield {
            "description": f"untagged, older than {lifecycle.untagged_days} days",
            "selection": selection,
            "action": _EXPIRE,
        }
    yield from _rules_for_all(lifecycle, action)
    if lifecycle.archives or lifecycle.not_pulled_days is not None:
        selection = {"tagStatus": "any", "storageClass": "archive", "countType": "sinceImageTransitioned"}
        yield {
            "description": f"archived for {ARCHIVED_DAYS} days",
            "selection": {**selection, "countUnit": "days", "countNumber": ARCHIVED_DAYS},
            "action": _EXPIRE,
        }


def _rules_for_all(lifecycle: Lifecycle, action: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the one rule for all images: ECR takes one for each storage class."""
    if lifecycle.not_pulled_days is not None:
        days = lifecycle.not_pulled_days
        selection = {"tagStatus": "any", "countType": "sinceImagePulled"}
        yield {
            "description": f"not pulled for {days} days",
            "selection": {**selection, "countUnit": "days", "countNumber": days},
            "action": _ARCHIVE,
        }
    elif lifecycle.max_images is not None:
        yield {
            "description": f"more than {lifecycle.max_images} images",
            "selection": {"tagStatus": "any", **_more_than(lifecycle.max_images)},
            "action": action,
        }


def _describe(rule: ExpiryRule) -> str:
    limit = f"more than {rule.count}" if rule.count is not None else f"older than {rule.days} days"
    return f"{rule.pattern}: {limit}"


def _selection(rule: ExpiryRule) -> dict[str, Any]:
    limit = _more_than(rule.count) if rule.count is not None else _older_than(rule.days or 1)
    return {"tagStatus": "tagged", "tagPatternList": [rule.pattern], **limit}


def _more_than(count: int) -> dict[str, Any]:
    return {"countType": "imageCountMoreThan", "countNumber": count}


def _older_than(days: int) -> dict[str, Any]:
    return {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
