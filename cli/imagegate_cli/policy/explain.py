"""The result of `imagegate policy explain`: the effective policy of a repository, and the waivers that cover it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagegate.policy.policy import Policy, Stage
from imagegate.policy.waiver import Waiver, WaiverTerms
from imagegate.text import counted
from imagegate_cli.policy import effective as policy_effective
from imagegate_cli.policy.effective import PolicyPart
from imagegate_cli.policy.source import PolicyFile


@dataclass(frozen=True, slots=True)
class ExplainedWaiver:
    """A waiver with its origin and its state."""

    waiver: Waiver
    origin: str  # `line 12`, or who granted it
    state: str
    counts: bool

    def as_json(self) -> dict[str, Any]:
        waiver = {"id": self.waiver.id, **self.waiver.as_json()}
        return {"waiver": waiver, "from": self.origin, "counts": self.counts, "state": self.state}


@dataclass(frozen=True, slots=True)
class Explanation:
    """The policy of one repository."""

    repository: str
    source: str
    digest: str
    stage: Stage
    scanner: str
    settings: list[PolicyPart]
    rules: list[PolicyPart]
    unused: list[str]
    waivers: list[ExplainedWaiver]


def explain(source: PolicyFile, policy: Policy, stage: Stage, repository: str, now: datetime) -> Explanation:
    """Return the policy of the repository, which belongs to the stage."""
    rules = policy_effective.rules(source.examined, stage.name)
    written = {rule.path for rule in rules}
    every = (".".join(place) for place in policy_effective.RULES_IN_ORDER)
    return Explanation(
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


def _waivers(source: PolicyFile, policy: Policy, repository: str, now: datetime) -> list[ExplainedWaiver]:
    line_of = source.examined.document.line_of
    waivers = [(waiver, f"line {line_of(('waivers', n))}") for n, waiver in enumerate(policy.waivers)]
    waivers += [(waiver, f"granted by {waiver.granted_by}") for waiver in source.grants]
    return [
        _explained_waiver(waiver, origin, policy.waiver_terms, now)
        for waiver, origin in waivers
        if _may_cover(waiver, repository)
    ]


def _may_cover(waiver: Waiver, repository: str) -> bool:
    """Tell whether the waiver may cover images of the repository; a digest may be that of any image."""
    return waiver.covers_image(repository, [waiver.digest] if waiver.digest else [])


def _explained_waiver(waiver: Waiver, origin: str, terms: WaiverTerms, now: datetime) -> ExplainedWaiver:
    fault = waiver.fault(now, terms)
    left = (waiver.expires - now.date()).days
    when = f"ends in {counted(left, 'day')}" if left else "ends today"
    until_fix = ", or with a fix" if waiver.until_fix else ""
    state = f"{when}, on {waiver.expires}{until_fix}" if fault is None else f"does not count: {fault}"
    return ExplainedWaiver(waiver, origin, state, fault is None)


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation. A setting has path, value and from (layer, line); a rule also action and action_from."""
    return {
        "repository": explanation.repository,
        "policy": {
            "source": explanation.source,
            "digest": explanation.digest,
            "scanner": explanation.scanner,
        },
        "stage": explanation.stage.name,
        "settings": [part.as_json() for part in explanation.settings],
        "rules": [part.as_json() for part in explanation.rules],
        "unused": explanation.unused,
        "waivers": [waiver.as_json() for waiver in explanation.waivers],
    }
