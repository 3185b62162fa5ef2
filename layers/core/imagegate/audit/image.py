"""An image that was released or that is in use, with all that the audit knows about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Self

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, ResourceKind
from imagegate.audit.report import CheckOutcome, CheckPassed, NotAssessed
from imagegate.deployment.check import last_decided_attempt
from imagegate.policy.audit_rules import AuditLimits
from imagegate.policy.rules import PROHIBITED

if TYPE_CHECKING:
    from imagegate.gate.decision_record import Decision
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.policy.policy import Policy, Stage
    from imagegate.policy.waiver import Waiver
    from imagegate.release.release import Release
    from imagegate.risk.risk import Judgement, Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTerms:
    """The limits of the audit where no gate has a rule.

    `waivers`: the ids of the waivers that count today; `of_packages`: those that let a prohibited package in.
    """

    now: datetime
    waivers: frozenset[str] = frozenset()
    of_packages: tuple[Waiver, ...] = ()
    limits: AuditLimits = field(default_factory=AuditLimits)

    @classmethod
    def of(cls, policy: Policy, waivers: Iterable[Waiver], now: datetime) -> Self:
        """Return the policy's limits, with those of its waivers and of these that count at this time."""
        every = (*policy.waivers, *waivers)
        counting = [one for one in every if one.fault(now, policy.waiver_terms) is None]
        of_packages = tuple(one for one in counting if one.rule == PROHIBITED)
        ids = frozenset(one.id for one in counting)
        return cls(now=now, waivers=ids, of_packages=of_packages, limits=policy.audit)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedImage:
    """An image that was released, or that is in use: the current release of its repository, or one that runs.

    `attempts` are newest first. `stored` is None if the registry does not have it any more. `decision` is None if its
    record cannot be read; `no_decision` says why, and `is_proven_missing` if it is certain that there is none.
    """

    image: ImageRef
    resource: AuditedResource
    stage: Stage
    owner: str | None = None
    attempts: Sequence[Release] = ()
    of_indexes: Sequence[Release] = ()  # attempts of indexes that it is a platform of
    stored: StoredImage | None = None
    siblings: Collection[Digest] = ()  # all that the repository stores
    runs: bool = False
    judgement: Judgement | None = None
    risk: Risk | None = None
    decision: Decision | None = None
    no_decision: str = ""
    is_proven_missing: bool = False

    @property
    def release(self) -> Release | None:
        """The attempt that decides about it, or None."""
        return last_decided_attempt(self.attempts, self.stage)

    def result(self, check: str, fault: str, remedy: AdvisedRemedy, *evidence: Digest | None) -> CheckOutcome:
        """Return a finding if there is a fault, else that the check passes. `{image}` in a command is its name."""
        if not fault:
            return CheckPassed(CATALOGUE[check])
        command = remedy.command and remedy.command.replace("{image}", str(self.image))
        return AuditFinding(
            check=CATALOGUE[check],
            resource=self.resource,
            detail=fault,
            remedy=replace(remedy, command=command),
            evidence=tuple(str(one) for one in evidence if one),
            owner=self.owner,
        )

    def unknown(self, check: str, reason: str) -> CheckOutcome:
        """Return that the check cannot be made."""
        return NotAssessed(CATALOGUE[check], self.resource, reason)


def image_resource(
    home: str, image: ImageRef, stage: str | None, tags: Iterable[str] = ()
) -> AuditedResource:
    """Return the resource. `home`: the beginning of the ARNs of repositories, up to `repository/`."""
    arn = f"{home}{image.repository}/{image.digest}"
    tag = min(tags, default=None)
    return AuditedResource(ResourceKind.IMAGE, arn, image.repository, str(image.digest), tag, stage)
