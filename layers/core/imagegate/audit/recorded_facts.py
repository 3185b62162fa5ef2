"""Checks of an image by the facts of its decision and the rules of today's policy: age, labels, base, provenance.

The gate's own rules decide, so that the audit and the gate never disagree about a rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imagegate.audit.finding import AdvisedRemedy
from imagegate.errors import RejectedInputError
from imagegate.gate.facts import ImageFacts
from imagegate.gate.image_rules import Violation, violations
from imagegate.policy import rules
from imagegate.policy.rules import Rule, active

if TYPE_CHECKING:
    from imagegate.audit.image import AuditedImage, AuditTerms
    from imagegate.audit.report import CheckOutcome
    from imagegate.policy.policy import Stage

_REBUILD = AdvisedRemedy(
    "build it again from today's base and packages, and push that", "imagegate status {image}"
)


def check_recorded_facts(image: AuditedImage, terms: AuditTerms) -> Iterator[CheckOutcome]:
    """Check each rule that the policy has today; the age also without a rule."""
    yield from _age(image, terms)
    stage, facts = image.stage, _facts(image)
    for check, rule, value in _rules(stage):
        if active(value) is None:
            continue  # the policy asks for nothing
        if facts is None:
            why = image.no_decision or "its decision is older than facts in records"
            yield image.unknown(check, f"no decision tells: {why}")
            continue
        violated = [
            one for one in violations(stage.image, stage.evidence, facts, terms.now) if one.rule == rule
        ]
        yield _outcome(image, check, violated)


def _rules(stage: Stage) -> tuple[tuple[str, str, Rule[Any] | None], ...]:
    return (
        ("image-labels-missing", rules.LABELS, stage.image.labels),
        ("image-base-foreign", rules.BASE, stage.image.base_images),
        ("image-provenance-missing", rules.PROVENANCE, stage.evidence.require_provenance),
    )


def _outcome(image: AuditedImage, check: str, found: list[Violation]) -> CheckOutcome:
    faults = [one for one in found if not one.is_unknown]
    if found and not faults:
        return image.unknown(check, found[0].message)
    advice = next((one.advice for one in faults if one.advice), _REBUILD.text)
    remedy = AdvisedRemedy(advice, _REBUILD.command)
    decision = image.release.decision if image.release else None
    return image.result(check, "; ".join(one.message for one in faults), remedy, decision)


def _facts(image: AuditedImage) -> ImageFacts | None:
    """Return the facts of the decision, or None if it has none that can be read."""
    if image.decision is None or image.decision.facts is None:
        return None
    try:
        return ImageFacts.from_json(image.decision.facts)
    except (KeyError, TypeError, ValueError, RejectedInputError):
        return None


def _age(image: AuditedImage, terms: AuditTerms) -> Iterator[CheckOutcome]:
    """Check the age since the first push that is known; the decision knows the push into the first stage."""
    facts, rule = _facts(image), active(image.stage.image.max_age)
    times = [facts.first_pushed_at if facts else None, image.stored.pushed_at if image.stored else None]
    known = [one for one in times if one]
    if not known:
        yield image.unknown("image-old", "nobody knows when it was pushed")
        return
    age, limit = terms.now - min(known), rule.value if rule else terms.limits.max_age
    fault = f"it was pushed {age.days} days ago, on {min(known):%Y-%m-%d} (at most {limit.days} days)"
    yield image.result("image-old", fault if age > limit else "", _REBUILD)
