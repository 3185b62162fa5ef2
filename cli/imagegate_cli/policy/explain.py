"""What `imagegate policy explain` says of a repository: its stage's effective policy, and the waivers about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagegate.policy.policy import Policy, Stage
from imagegate.policy.waiver import Waiver, WaiverTerms
from imagegate_cli.policy import effective as policy_effective
from imagegate_cli.policy.effective import PolicyPart
from imagegate_cli.policy.source import PolicyFile


@dataclass(frozen=True, slots=True)
class StandingWaiver:
    """A waiver with where it is from, and its state."""

    waiver: Waiver
    origin: str  # `line 12`, or who granted it
    state: str
    counts: bool

    def as_json(self) -> dict[str, Any]:
        told = {"id": self.waiver.id, **self.waiver.as_json()}
        return {"waiver": told, "from": self.origin, "counts": self.counts, "state": self.state}


@dataclass(frozen=True, slots=True)
class Explained:
    """All that holds for one repository."""

    repository: str
    source: str
    digest: str
    stage: Stage
    scanner: str
    settings: list[PolicyPart]
    rules: list[PolicyPart]
    unused: list[str]
    waivers: list[StandingWaiver]


def explained(source: PolicyFile, policy: Policy, stage: Stage, repository: str, now: datetime) -> Explained:
    rules = policy_effective.rules(source.examined, stage.name)
    written = {rule.path for rule in rules}
    every = (".".join(place) for place in policy_effective.RULES_IN_ORDER)
    return Explained(
        repository=repository,
        source=source.name,
        digest=str(policy.digest),
        stage=stage,
        scanner=str(policy.scanner),
        settings=policy_effective.settings(source.examined, stage.name),
        rules=rules,
        unused=[path for path in every if path not in written],
        waivers=_waivers(source, policy, repository, now),
    )


def _waivers(source: PolicyFile, policy: Policy, repository: str, now: datetime) -> list[StandingWaiver]:
    line_of = source.examined.document.line_of
    told = [(waiver, f"line {line_of(('waivers', n))}") for n, waiver in enumerate(policy.waivers)]
    told += [(waiver, f"granted by {waiver.granted_by}") for waiver in source.grants]
    about = [(waiver, origin) for waiver, origin in told if _may_cover(waiver, repository)]
    return [_standing(waiver, origin, policy.waiver_terms, now) for waiver, origin in about]


def _may_cover(waiver: Waiver, repository: str) -> bool:
    """By its digest it may be about any image."""
    return waiver.covers_image(repository, [waiver.digest] if waiver.digest else [])


def _standing(waiver: Waiver, origin: str, terms: WaiverTerms, now: datetime) -> StandingWaiver:
    fault = waiver.fault(now, terms)
    left = (waiver.expires - now.date()).days
    when = "ends today" if not left else f"ends in {left} day{'s' if left != 1 else ''}"
    until_fix = ", or with a fix" if waiver.until_fix else ""
    state = f"{when}, on {waiver.expires}{until_fix}" if fault is None else f"does not count: {fault}"
    return StandingWaiver(waiver, origin, state, fault is None)


def as_json(found: Explained) -> dict[str, Any]:
    """`settings` and `rules` are objects of path, value, from (layer, line); rules have action and action_from, too."""
    return {
        "repository": found.repository,
        "policy": {"source": found.source, "digest": found.digest, "scanner": found.scanner},
        "stage": found.stage.name,
        "settings": [part.as_json() for part in found.settings],
        "rules": [part.as_json() for part in found.rules],
        "unused": found.unused,
        "waivers": [waiver.as_json() for waiver in found.waivers],
    }
