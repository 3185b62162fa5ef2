"""Whether a container may run: what the ledger says of its image, and nothing else.

Rules: a digest is judged, never a name; what nothing is known of does not pass; of all that was decided about a digest,
the last word counts. A stage that only observes refuses nothing, here too: what it would refuse is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from imagegate.errors import RejectedInputError
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.break_glass import BreakGlass, active_break_glass
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.reference import Container, Reference, is_covered
from imagegate.policy.policy import Mode, Policy, Stage
from imagegate.release.release import History, Outcome, Release

_PASSED = frozenset({Outcome.RELEASED, Outcome.HELD})
_REFUSED = frozenset({Outcome.BLOCKED, Outcome.WITHDRAWN})
_LONGEST_REASON = 300


class DeploymentRule(StrEnum):
    """What a ruling rests on, for machines."""

    PASSED = "passed"
    ALLOWED = "allowed"  # no gate has seen it; the stack's list lets it run
    BREAK_GLASS = "break-glass"  # it did not pass, and somebody lets it run for a while
    UNREADABLE = "unreadable"
    OUTSIDE = "outside"  # of this registry
    UNGUARDED = "unguarded"  # in a repository of no stage
    MISSING = "missing"  # its tag points to nothing
    UNKNOWN = "unknown"  # no gate has seen it
    UNDECIDED = "undecided"  # it is at the gate, or its attempts ended without a word about it
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DeploymentRuling:
    """Whether one container may run, and why. `why` and `todo` are sentences for people."""

    container: Container
    rule: DeploymentRule
    why: str
    todo: tuple[str, ...] = ()
    image: ImageRef | None = None  # where it is one of this registry
    stage: Stage | None = None
    decided_by: Release | None = None

    @property
    def may_run(self) -> bool:
        return self.rule in (DeploymentRule.PASSED, DeploymentRule.ALLOWED, DeploymentRule.BREAK_GLASS)

    @property
    def stops(self) -> bool:
        """Whether a deployment is refused for it."""
        return not self.may_run and (self.stage is None or self.stage.mode is Mode.ENFORCE)

    @property
    def subject(self) -> str:
        """What runs, as exactly as it is known."""
        if self.image:
            return str(self.image)
        return (
            f"{self.container.image} ({self.container.digest})"
            if self.container.digest
            else self.container.image
        )


@dataclass(frozen=True, slots=True)
class Guarded:
    """A container with an image that a stage's gate has to have passed."""

    container: Container
    stage: Stage
    repository: str
    tag: str | None
    digest: Digest | None

    def refused(
        self, rule: DeploymentRule, why: str, todo: str, image: ImageRef | None = None
    ) -> DeploymentRuling:
        return DeploymentRuling(self.container, rule, why, (todo,), image, self.stage)


def locate(
    container: Container, registry: str, policy: Policy, allowed: Sequence[str]
) -> Guarded | DeploymentRuling:
    """Which gate the container's image has to have passed; or a ruling, where that is enough to say."""
    try:
        reference = Reference.parse(container.image)
    except RejectedInputError as error:
        todo = "Correct the image's name in the task definition."
        return DeploymentRuling(
            container, DeploymentRule.UNREADABLE, f"its name cannot be read: {error}", (todo,)
        )
    is_ours = reference.is_in(registry)
    stage = policy.stage_of(reference.path) if is_ours else None
    if stage is not None:
        return Guarded(container, stage, reference.path, reference.tag, container.digest or reference.digest)
    if is_covered(reference, allowed):
        return DeploymentRuling(container, DeploymentRule.ALLOWED, f"the stack allows {reference.name}")
    todo = (
        "Push it to a repository that a stage of the policy guards, and deploy it from there; or let it run as it is: "
        f"add {reference.name} to the stack's parameter DeploymentCheckAllowedImages."
    )
    if is_ours:
        return DeploymentRuling(
            container, DeploymentRule.UNGUARDED, f"no stage of the policy guards {reference.path}", (todo,)
        )
    return DeploymentRuling(
        container, DeploymentRule.OUTSIDE, f"it is not in this registry, but in {reference.host}", (todo,)
    )


def missing(guarded: Guarded) -> DeploymentRuling:
    """Its tag points to nothing, and neither the task definition nor ECS names a digest."""
    name = f"{guarded.repository}:{guarded.tag}"
    todo = f"Push {name}, or name an image that is there."
    return guarded.refused(DeploymentRule.MISSING, f"{name} does not exist", todo)


def rule(
    guarded: Guarded, image: ImageRef, own: History, indexes: Sequence[tuple[Digest, History]]
) -> DeploymentRuling:
    """Whether the digest passed its stage's gate: by itself, or as a platform of an index that did.

    `indexes`: each of `own.indexes`, with its history.
    """
    words = [word for _, history in indexes if (word := last_word(history.attempts, guarded.stage))]
    passing = max((word for word in words if passes(word, guarded.stage)), key=_when, default=None)
    word = last_word(own.attempts, guarded.stage)
    if word is None or (passing and not passes(word, guarded.stage) and _when(passing) > _when(word)):
        word = passing or word or max(words, key=_when, default=None)
    if word is None:
        newest = next(iter([*own.attempts, *(a for _, history in indexes for a in history.attempts)]), None)
        return _without_a_word(guarded, image, newest)
    if passes(word, guarded.stage):
        why = f"passed the {guarded.stage.name} gate in attempt {word.attempt}"
        return DeploymentRuling(guarded.container, DeploymentRule.PASSED, why, (), image, guarded.stage, word)
    todo = (
        f"See what would make it pass: imagegate status {word.image}",
        "Until then, deploy an image that is released.",
    )
    why = f"did not pass the {guarded.stage.name} gate: {refusal(word)}"
    return DeploymentRuling(guarded.container, DeploymentRule.REFUSED, why, todo, image, guarded.stage, word)


def let_through(ruling: DeploymentRuling, granted: Sequence[BreakGlass], now: datetime) -> DeploymentRuling:
    """The same ruling, unless somebody has broken the glass for the image. Nothing lets in what is ambiguous."""
    word = ruling.decided_by
    if ruling.may_run or ruling.image is None or (word and word.is_ambiguous):
        return ruling
    glass = active_break_glass(granted, ruling.image, now, word.revoked.at if word and word.revoked else None)
    return replace(ruling, rule=DeploymentRule.BREAK_GLASS, why=f"{glass}; {ruling.why}") if glass else ruling


def last_word(attempts: Sequence[Release], stage: Stage) -> Release | None:
    """The newest attempt that says something: one that is open, failed or was overtaken may say nothing."""
    return next((release for release in attempts if passes(release, stage) or _refuses(release)), None)


def passes(release: Release, stage: Stage) -> bool:
    is_settled = release.outcome in _PASSED or (release.is_open and release.soaks_until is not None)
    return (
        is_settled
        and release.verdict == VerdictOutcome.PASS
        and release.signature is not None
        and release.revoked is None
        and release.stage == stage.name
    )


def _refuses(release: Release) -> bool:
    """Also before it is closed: what the judge blocked does not wait for the announcement."""
    if release.revoked:
        return True
    if release.outcome in _REFUSED or release.verdict not in (None, VerdictOutcome.PASS):
        return True
    return release.outcome in _PASSED and (release.verdict is None or release.signature is None)


def _when(release: Release) -> datetime:
    if release.revoked:
        return release.revoked.at
    return release.closed_at or release.started_at


def _without_a_word(guarded: Guarded, image: ImageRef, newest: Release | None) -> DeploymentRuling:
    if newest is None:
        todo = f"Have it judged: imagegate release {guarded.repository}:{guarded.tag or 'TAG'}"
        return guarded.refused(
            DeploymentRule.UNKNOWN, f"no {guarded.stage.name} gate has seen it", todo, image
        )
    attempt = f"attempt {newest.attempt} at the {newest.stage} gate"
    if newest.is_open:
        why = f"{attempt} is not over"
        todo = f"Wait, then deploy again: imagegate status {newest.image} --wait"
    elif newest.outcome in _PASSED:
        why = f"it passed the gate of {newest.stage}, and its repository belongs to {guarded.stage.name} now"
        todo = f"Have it judged again: imagegate release {guarded.repository}:{guarded.tag or 'TAG'}"
    else:
        why = f"{attempt} ended {newest.outcome}, without releasing it"
        todo = f"Look, then release it again: imagegate status {newest.image}"
    return DeploymentRuling(
        guarded.container, DeploymentRule.UNDECIDED, why, (todo,), image, guarded.stage, newest
    )


def refusal(release: Release) -> str:
    """The attempt, when, and its first reason: a person wants to know it without looking it up."""
    if release.revoked:
        return f"its signature was {str(release.revoked)[:_LONGEST_REASON]}"
    at = f"in attempt {release.attempt} on {_when(release):%Y-%m-%d %H:%M} UTC"
    if release.outcome is Outcome.WITHDRAWN:
        return f"withdrawn {at}, the image was deleted"
    if release.verdict == VerdictOutcome.PASS:
        return f"{release.outcome} {at} without a signature"
    said = [reason["message"] for reason in release.reasons if reason["action"] == "enforce"]
    verdict = "blocked" if release.outcome is Outcome.BLOCKED else f"judged {release.verdict}"
    return f"{verdict} {at}" + (f": {said[0][:_LONGEST_REASON]}" if said else "")
