"""The plan of one repository: a record of what goes, of what stays, and why; and whether it still holds.

A plan is content-addressed. It is applied only if nothing has changed since, beside what the plan itself has done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from imagegate.canonical_json import canonical_json, parse_timestamp, timestamp
from imagegate.cleanup.savings import Savings, count_savings
from imagegate.cleanup.selection import CleanupAction, CleanupSelection
from imagegate.errors import RejectedInputError
from imagegate.lifecycle.stored_image import StorageStatus
from imagegate.oci.image import Digest

if TYPE_CHECKING:
    from imagegate.lifecycle.stored_image import StoredImage

PLAN_SCHEMA, RUN_SCHEMA = "imagegate.cleanup-plan/v1", "imagegate.cleanup-run/v1"


class InvalidPlanError(RejectedInputError):
    """A record that is no plan of a clean-up."""


@contextmanager
def _record(content: bytes, schema: str) -> Iterator[dict[str, Any]]:
    """Yield the document of a record. Raises `InvalidPlanError` if it is no record of this schema."""
    try:
        raw = json.loads(content)
        if raw["schema"] != schema:
            raise InvalidPlanError(f"not a record of the schema {schema}: {raw['schema']!r}")
        yield raw
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidPlanError(f"not a record of the schema {schema}: {error!r}") from error


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image as the plan saw it. `action` is None for an image that stays."""

    digest: Digest
    tags: tuple[str, ...]
    pulled_at: str | None
    status: StorageStatus
    reasons: tuple[str, ...]
    action: CleanupAction | None = None
    wholes: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()
    subject: Digest | None = None

    def as_json(self) -> dict[str, Any]:
        raw: dict[str, Any] = {
            "digest": str(self.digest),
            "tags": list(self.tags),
            "pulledAt": self.pulled_at,
            "status": str(self.status),
            "reasons": list(self.reasons),
        }
        more = {
            "action": self.action and str(self.action),
            "wholes": [str(one) for one in self.wholes],
            "children": [str(one) for one in self.children],
            "subject": self.subject and str(self.subject),
        }
        return raw | {key: value for key, value in more.items() if value}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        subject, action = raw.get("subject"), raw.get("action")
        return cls(
            digest=Digest.parse(raw["digest"]),
            tags=tuple(map(str, raw["tags"])),
            pulled_at=raw["pulledAt"],
            status=StorageStatus(raw["status"]),
            reasons=tuple(map(str, raw["reasons"])),
            action=CleanupAction(action) if action else None,
            wholes=tuple(map(Digest.parse, raw.get("wholes", ()))),
            children=tuple(map(Digest.parse, raw.get("children", ()))),
            subject=Digest.parse(subject) if subject else None,
        )


@dataclass(frozen=True, slots=True)
class CleanupPlan:
    """The plan of one repository. `steps` are in the order in which they are done."""

    registry: str
    repository: str
    stage: str
    policy: Digest
    at: datetime
    steps: tuple[PlannedImage, ...]
    kept: tuple[PlannedImage, ...]
    savings: Savings

    def as_record(self) -> bytes:
        """Return the record in its one byte form."""
        numbers = self.savings
        return canonical_json(
            {
                "schema": PLAN_SCHEMA,
                "registry": self.registry,
                "repository": self.repository,
                "stage": self.stage,
                "policy": str(self.policy),
                "at": timestamp(self.at),
                "steps": [step.as_json() for step in self.steps],
                "kept": [image.as_json() for image in self.kept],
                "bytes": {
                    "before": numbers.bytes_before,
                    "after": numbers.bytes_after,
                    "exact": numbers.is_exact,
                },
            }
        )

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return the plan of a record. Raises `InvalidPlanError`."""
        with _record(content, PLAN_SCHEMA) as raw:
            steps = tuple(map(PlannedImage.from_json, raw["steps"]))
            kept = tuple(map(PlannedImage.from_json, raw["kept"]))
            actions = [step.action for step in steps]
            return cls(
                registry=str(raw["registry"]),
                repository=str(raw["repository"]),
                stage=str(raw["stage"]),
                policy=Digest.parse(raw["policy"]),
                at=parse_timestamp(raw["at"]),
                steps=steps,
                kept=kept,
                savings=Savings(
                    images=len(steps) + len(kept),
                    deleted=actions.count(CleanupAction.DELETE),
                    archived=actions.count(CleanupAction.ARCHIVE),
                    bytes_before=int(raw["bytes"]["before"]),
                    bytes_after=int(raw["bytes"]["after"]),
                    is_exact=bool(raw["bytes"]["exact"]),
                ),
            )


def make_plan(
    selection: CleanupSelection, *, registry: str, repository: str, stage: str, policy: Digest, at: datetime
) -> CleanupPlan:
    """Return the plan that carries out this selection."""
    images = selection.graph.images
    steps = tuple(
        _planned(one.image, (one.because,), one.action, one.wholes) for one in selection.going.values()
    )
    kept = tuple(_planned(images[digest], selection.kept[digest]) for digest in sorted(selection.kept))
    by_action = {action: {step.digest for step in steps if step.action is action} for action in CleanupAction}
    savings = count_savings(
        images.values(), by_action[CleanupAction.DELETE], by_action[CleanupAction.ARCHIVE]
    )
    return CleanupPlan(registry, repository, stage, policy, at, steps, kept, savings)


def _planned(
    image: StoredImage,
    reasons: Sequence[str],
    action: CleanupAction | None = None,
    wholes: tuple[Digest, ...] = (),
) -> PlannedImage:
    return PlannedImage(
        digest=image.digest,
        tags=tuple(sorted(image.tags)),
        pulled_at=timestamp(image.pulled_at) if image.pulled_at else None,
        status=image.status,
        reasons=tuple(reasons),
        action=action,
        wholes=wholes,
        children=image.children,
        subject=image.subject,
    )


def steps_left(plan: CleanupPlan, images: Iterable[StoredImage]) -> list[PlannedImage]:
    """Return the steps that are not done yet. `images`: what the repository has now."""
    by_digest = {image.digest: image for image in images}
    return [
        step
        for step in plan.steps
        if step.digest in by_digest
        and not (
            step.action is CleanupAction.ARCHIVE and by_digest[step.digest].status is StorageStatus.ARCHIVED
        )
    ]


def changes_since(plan: CleanupPlan, images: Iterable[StoredImage]) -> list[str]:
    """Return what has changed since the plan, as sentences, apart from steps that are done: digests, tags, pulls."""
    by_digest = {image.digest: image for image in images}
    planned = {one.digest: one for one in (*plan.steps, *plan.kept)}
    left = {step.digest for step in steps_left(plan, by_digest.values())}
    changes = [f"{digest.short} is new" for digest in by_digest if digest not in planned]
    changes += [f"{one.digest.short} is gone" for one in plan.kept if one.digest not in by_digest]
    for digest, image in by_digest.items():
        was = planned.get(digest)
        if was and was.tags != tuple(sorted(image.tags)):
            changes.append(f"{digest.short} has other tags")
        if (
            was
            and digest in left
            and was.pulled_at != (timestamp(image.pulled_at) if image.pulled_at else None)
        ):
            changes.append(f"{digest.short} was pulled")
        if was and digest in left and was.status is not image.status:
            changes.append(f"{digest.short} is {image.status}")
    return changes


def check_steps(left: Sequence[PlannedImage], selection: CleanupSelection) -> list[str]:
    """Return why steps of the plan must not be done any more, as sentences: what now keeps the images."""
    found = []
    for step in left:
        going = selection.going.get(step.digest)
        if going is None:
            reasons = selection.kept.get(step.digest, ("it is not there",))
            found.append(f"{step.digest.short} {'; '.join(reasons)}")
        elif going.action is not step.action:
            found.append(f"{step.digest.short} is now to {going.action}")
    return found


@dataclass(frozen=True, slots=True)
class CleanupRun:
    """The plans that were made together, by the names of their repositories."""

    registry: str
    at: datetime
    plans: Mapping[str, Digest]

    def as_record(self) -> bytes:
        """Return the record in its one byte form."""
        plans = {repository: str(digest) for repository, digest in self.plans.items()}
        raw = {"schema": RUN_SCHEMA, "registry": self.registry, "at": timestamp(self.at), "plans": plans}
        return canonical_json(raw)

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return the run of a record. Raises `InvalidPlanError`."""
        with _record(content, RUN_SCHEMA) as raw:
            plans = {str(repository): Digest.parse(digest) for repository, digest in raw["plans"].items()}
            return cls(str(raw["registry"]), parse_timestamp(raw["at"]), plans)
