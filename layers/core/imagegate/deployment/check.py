"""The check of a deployment: whether a container may run, by what the ledger knows of its image.

Rules: a digest is checked, never a name. An unknown image does not pass. If there are several decisions about a digest,
the latest counts. A stage that only observes refuses nothing here either; the ruling says what it would refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.errors import RejectedInputError
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.break_glass import BreakGlass, active_break_glass
from imagegate.oci.reference import Container, Reference, is_covered
from imagegate.policy.policy import Mode, Policy, Stage
from imagegate.release.release import History, Outcome, Release

if TYPE_CHECKING:
    from imagegate.oci.image import Digest, ImageRef

_PASSED = frozenset({Outcome.RELEASED, Outcome.HELD})
_REFUSED = frozenset({Outcome.BLOCKED, Outcome.WITHDRAWN})
_LONGEST_REASON = 300


class DeploymentRule(StrEnum):
    """The rule that a ruling rests on, for programs."""

    PASSED = "passed"
    ALLOWED = "allowed"  # no gate has judged it; the stack's list lets it run
    BREAK_GLASS = "break-glass"  # it did not pass, and somebody lets it run for a while
    UNREADABLE = "unreadable"
    OUTSIDE = "outside"  # of this registry
    UNGUARDED = "unguarded"  # in a repository of no stage
    MISSING = "missing"  # its tag points to nothing
    UNKNOWN = "unknown"  # no gate has judged it
    UNDECIDED = "undecided"  # it is at the gate, or its attempts ended without a decision
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DeploymentRuling:
    """A ruling on one container: whether it may run. `why` and `todo` are sentences for people."""

    container: Container
    rule: DeploymentRule
    why: str
    todo: tuple[str, ...] = ()
    image: ImageRef | None = None  # if it is in this registry
    stage: Stage | None = None
    decided_by: Release | None = None

    @property
    def may_run(self) -> bool:
        return self.rule in (DeploymentRule.PASSED, DeploymentRule.ALLOWED, DeploymentRule.BREAK_GLASS)

    @property
    def stops(self) -> bool:
        """True if the deployment is refused because of it."""
        return not self.may_run and (self.stage is None or self.stage.mode is Mode.ENFORCE)

    @property
    def subject(self) -> str:
        """The image, by its digest where that is known."""
        if self.image:
            return str(self.image)
        return (
            f"{self.container.image} ({self.container.digest})"
            if self.container.digest
            else self.container.image
        )


@dataclass(frozen=True, slots=True)
class Guarded:
    """A container whose image must have passed the gate of a stage."""

    container: Container
    stage: Stage
    repository: str
    tag: str | None
    digest: Digest | None

    def ruling(
        self,
        rule: DeploymentRule,
        why: str,
        *todo: str,
        image: ImageRef | None = None,
        decided_by: Release | None = None,
    ) -> DeploymentRuling:
        return DeploymentRuling(self.container, rule, why, todo, image, self.stage, decided_by)


def find_gate(
    container: Container, registry: str, policy: Policy, allowed: Sequence[str]
) -> Guarded | DeploymentRuling:
    """Return the gate that the container's image must have passed, or a ruling if its name is enough to decide."""
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


def rule_missing_tag(guarded: Guarded) -> DeploymentRuling:
    """Rule on a tag that does not exist, where neither the task definition nor ECS names a digest."""
    name = f"{guarded.repository}:{guarded.tag}"
    todo = f"Push {name}, or name an image that is there."
    return guarded.ruling(DeploymentRule.MISSING, f"{name} does not exist", todo)


def rule_on_image(
    guarded: Guarded, image: ImageRef, own: History, indexes: Sequence[tuple[Digest, History]]
) -> DeploymentRuling:
    """Rule on an image: did it pass its stage's gate, by itself or as a platform of an index that passed?

    `own`: the history of its digest. `indexes`: each of `own.indexes`, with its history.
    """
    attempt = _deciding_attempt(guarded.stage, own, indexes)
    if attempt is None:
        newest = next(iter([*own.attempts, *(a for _, history in indexes for a in history.attempts)]), None)
        return _rule_undecided(guarded, image, newest)
    if passes(attempt, guarded.stage):
        why = f"passed the {guarded.stage.name} gate in attempt {attempt.attempt}"
        return guarded.ruling(DeploymentRule.PASSED, why, image=image, decided_by=attempt)
    return guarded.ruling(
        DeploymentRule.REFUSED,
        f"did not pass the {guarded.stage.name} gate: {explain_refusal(attempt)}",
        f"See what would make it pass: imagegate status {attempt.image}",
        "Until then, deploy an image that is released.",
        image=image,
        decided_by=attempt,
    )


def _deciding_attempt(
    stage: Stage, own: History, indexes: Sequence[tuple[Digest, History]]
) -> Release | None:
    """Return the attempt that decides, or None if nothing is decided.

    It is the image's own latest decided attempt, unless one of its indexes passed after that refused it.
    """
    of_indexes = [a for _, history in indexes if (a := last_decided_attempt(history.attempts, stage))]
    passing = max((a for a in of_indexes if passes(a, stage)), key=_decided_at, default=None)
    attempt = last_decided_attempt(own.attempts, stage)
    if attempt is None or (
        passing and not passes(attempt, stage) and _decided_at(passing) > _decided_at(attempt)
    ):
        return passing or attempt or max(of_indexes, key=_decided_at, default=None)
    return attempt


def apply_break_glass(
    ruling: DeploymentRuling, granted: Sequence[BreakGlass], now: datetime
) -> DeploymentRuling:
    """Return the same ruling, or one that lets the image run by an active break-glass. Ambiguous images never run."""
    attempt = ruling.decided_by
    if ruling.may_run or ruling.image is None or (attempt and attempt.is_ambiguous):
        return ruling
    revoked_at = attempt.revoked.at if attempt and attempt.revoked else None
    glass = active_break_glass(granted, ruling.image, now, revoked_at)
    return replace(ruling, rule=DeploymentRule.BREAK_GLASS, why=f"{glass}; {ruling.why}") if glass else ruling


def last_decided_attempt(attempts: Sequence[Release], stage: Stage) -> Release | None:
    """Return the newest attempt that passed or was refused, or None.

    An attempt that is open, failed or was superseded may have no decision.
    """
    return next((release for release in attempts if passes(release, stage) or _refuses(release)), None)


def passes(release: Release, stage: Stage) -> bool:
    """Return True if the attempt passed the gate of this stage, is signed, and is not revoked."""
    return has_passed(release) and release.stage == stage.name


def has_passed(release: Release) -> bool:
    """Return True if the attempt passed its gate, is signed, and is not revoked."""
    is_settled = release.outcome in _PASSED or (release.is_open and release.soaks_until is not None)
    return (
        is_settled
        and release.verdict == VerdictOutcome.PASS
        and release.signature is not None
        and release.revoked is None
    )


def _refuses(release: Release) -> bool:
    """Return True for a refused attempt, open or closed: a blocking verdict counts before it is announced."""
    if release.revoked:
        return True
    if release.outcome in _REFUSED or release.verdict not in (None, VerdictOutcome.PASS):
        return True
    return release.outcome in _PASSED and (release.verdict is None or release.signature is None)


def _decided_at(release: Release) -> datetime:
    if release.revoked:
        return release.revoked.at
    return release.closed_at or release.started_at


def _rule_undecided(guarded: Guarded, image: ImageRef, newest: Release | None) -> DeploymentRuling:
    if newest is None:
        todo = f"Have it judged: imagegate release {guarded.repository}:{guarded.tag or 'TAG'}"
        why = f"no {guarded.stage.name} gate has seen it"
        return guarded.ruling(DeploymentRule.UNKNOWN, why, todo, image=image)
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
    return guarded.ruling(DeploymentRule.UNDECIDED, why, todo, image=image, decided_by=newest)


def explain_refusal(release: Release) -> str:
    """Return which attempt was refused, when, and its first reason, as part of a sentence."""
    if release.revoked:
        return f"its signature was {str(release.revoked)[:_LONGEST_REASON]}"
    at = f"in attempt {release.attempt} on {_decided_at(release):%Y-%m-%d %H:%M} UTC"
    if release.outcome is Outcome.WITHDRAWN:
        return f"withdrawn {at}, the image was deleted"
    if release.verdict == VerdictOutcome.PASS:
        return f"{release.outcome} {at} without a signature"
    messages = [reason["message"] for reason in release.reasons if reason["action"] == "enforce"]
    verdict = "blocked" if release.outcome is Outcome.BLOCKED else f"judged {release.verdict}"
    return f"{verdict} {at}" + (f": {messages[0][:_LONGEST_REASON]}" if messages else "")
