"""Plans, simulations and their numbers, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate.cleanup.cleaned import CleanedImage
from imagegate.cleanup.plan import CleanupPlan, PlannedImage
from imagegate.cleanup.savings import Savings
from imagegate.lifecycle.danger import Danger
from imagegate.lifecycle.simulation import LifecycleEffect
from imagegate.oci.image import Digest
from imagegate.workflow.cleanup.apply import AppliedPlan
from imagegate_cli.output.terminal import say


def show_plan(name: Digest, plan: CleanupPlan) -> None:
    """Print the images that go with their reasons, and how many stay for which reason."""
    say(f"{plan.repository}: {plan.savings}")
    for step in plan.steps:
        tags = ", ".join(step.tags) or "no tag"
        say(f"  {step.action}  {step.digest}  {tags}  ({'; '.join(step.reasons)})")
    kept = Counter(_kind(image.reasons[0]) for image in plan.kept)
    for reason, number in kept.most_common():
        say(f"  keep    {number} × {reason}")
    say(f"  plan    {name}")


def _kind(reason: str) -> str:
    """Return a reason without what differs from image to image."""
    return reason.split(" on ")[0].split(" sha256:")[0]


def plan_as_json(name: Digest, plan: CleanupPlan) -> dict[str, Any]:
    """Return the plan of a repository for `--json`."""
    return {
        "repository": plan.repository,
        "plan": str(name),
        "steps": [image_as_json(step) for step in plan.steps],
        "kept": [image_as_json(image) for image in plan.kept],
        **savings_as_json(plan.savings),
    }


def image_as_json(image: PlannedImage) -> dict[str, Any]:
    return {
        "digest": str(image.digest),
        "tags": list(image.tags),
        "action": image.action and str(image.action),
        "reasons": list(image.reasons),
    }


def savings_as_json(savings: Savings) -> dict[str, Any]:
    """Return the totals. Money is in dollars a month."""
    return {
        "images": savings.images,
        "deleted": savings.deleted,
        "archived": savings.archived,
        "bytesBefore": savings.bytes_before,
        "bytesAfter": savings.bytes_after,
        "dollarsAMonth": savings.cents_a_month / 100,
        "exact": savings.is_exact,
    }


def show_simulation(effects: Mapping[Digest, LifecycleEffect], dangers: Sequence[Danger]) -> None:
    """Print the effects rule by rule, and the dangers."""
    ordered = sorted(
        effects.values(), key=lambda one: (one.rule.priority if one.rule else 0, one.image.begins)
    )
    for effect in ordered:
        tags = ", ".join(sorted(effect.image.tags)) or "no tag"
        by = f"rule {effect.rule.priority}" if effect.rule else f"with {effect.because_of}"
        say(f"{by}  {effect.action}  {effect.image.digest}  {tags}  {timestamp(effect.image.pushed_at)}")
    for danger in dangers:
        rule = f"rule {danger.rule} " if danger.rule else ""
        digest = f"{danger.digest}: " if danger.digest else ""
        word = "danger" if danger.is_grave else "note"
        say(f"{word}: {digest}{rule}{danger.sentence}")


def effect_as_json(effect: LifecycleEffect) -> dict[str, Any]:
    return {
        "digest": str(effect.image.digest),
        "tags": sorted(effect.image.tags),
        "pushedAt": timestamp(effect.image.pushed_at),
        "action": str(effect.action),
        "rule": effect.rule.priority if effect.rule else None,
        "becauseOf": effect.because_of and str(effect.because_of),
    }


def danger_as_json(danger: Danger) -> dict[str, Any]:
    return {
        "kind": str(danger.kind),
        "rule": danger.rule,
        "digest": danger.digest and str(danger.digest),
        "sentence": danger.sentence,
    }


def show_applied(plans: Mapping[Digest, CleanupPlan], applied: Mapping[Digest, AppliedPlan]) -> None:
    """Print what was done in each repository."""
    for name, done in applied.items():
        words = f"{len(done.deleted)} deleted, {len(done.archived)} archived"
        say(f"{plans[name].repository}: {words}{'; stopped, some are left' if done.is_stopped else ''}")
        for digest, why in done.failed.items():
            say(f"  left    {digest}  ({why})")


def applied_as_json(plan: CleanupPlan, done: AppliedPlan) -> dict[str, Any]:
    return {
        "repository": plan.repository,
        "deleted": [str(digest) for digest in done.deleted],
        "archived": [str(digest) for digest in done.archived],
        "failed": {str(digest): why for digest, why in done.failed.items()},
        "stopped": done.is_stopped,
    }


def note_in_words(note: CleanedImage) -> str:
    return f"{note.image}: {note.action} on {timestamp(note.at)} ({note.because}), by the plan {note.plan}"


def note_as_json(note: CleanedImage) -> dict[str, Any]:
    return {
        "image": str(note.image),
        "action": str(note.action),
        "at": timestamp(note.at),
        "because": note.because,
        "plan": str(note.plan),
    }
