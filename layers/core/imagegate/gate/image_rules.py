"""The rules about the image itself: age, size, labels, base, platforms, user, tags and attached evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TypeVar

from imagegate.gate.facts import ImageFacts, PlatformFacts
from imagegate.oci.image import Digest
from imagegate.oci.image_config import ImageConfig, RunsAs
from imagegate.policy import rules
from imagegate.policy.rules import EvidenceRules, ImageRules, Rule, active

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that the image violates, or that it may violate, because a fact is unknown."""

    rule: str
    message: str
    action: rules.Action
    is_unknown: bool = False
    platform: Digest | None = None  # the platform that violates it; None: the image as a whole


def violations(
    image: ImageRules, evidence: EvidenceRules, facts: ImageFacts, now: datetime
) -> Iterator[Violation]:
    """Yield a violation for each rule that the image does not satisfy."""
    yield from _age(image, facts, now)
    yield from _tags(image, facts)
    yield from _platforms(image, facts)
    # If the platforms are unknown, nothing is known about the image.
    for platform in facts.platforms or (PlatformFacts(facts.image.digest),):
        yield from _of_platform(image, platform, len(facts.platforms) > 1)
    yield from _evidence(evidence, facts)


def _age(image: ImageRules, facts: ImageFacts, now: datetime) -> Iterator[Violation]:
    if (rule := active(image.max_age)) is None:
        return
    if facts.first_pushed_at is None:
        yield _unknown(rules.AGE, rule, "when the image was first pushed")
    elif now - facts.first_pushed_at > rule.value:
        first = f"{facts.first_pushed_at:%Y-%m-%d}"
        days = (now - facts.first_pushed_at) // timedelta(days=1)
        yield Violation(
            rules.AGE, f"first pushed {days} days ago, on {first} (at most {_days(rule.value)})", rule.action
        )


def _days(span: timedelta) -> str:
    days, rest = divmod(span, timedelta(days=1))
    return f"{days} days" if days and not rest else f"{span // timedelta(hours=1)} hours"


def _tags(image: ImageRules, facts: ImageFacts) -> Iterator[Violation]:
    if rule := active(image.tags):
        others = [tag for tag in sorted(facts.tags) if not _matches(tag, rule.value)]
        if others:
            yield Violation(
                rules.TAGS,
                f"tagged {', '.join(others)}; tags must match {' or '.join(rule.value)}",
                rule.action,
            )
    if rule := active(image.forbidden_tags):
        forbidden = [tag for tag in sorted(facts.tags) if _matches(tag, rule.value)]
        if forbidden:
            yield Violation(
                rules.FORBIDDEN_TAGS, f"tagged {', '.join(forbidden)}, which no image may be", rule.action
            )


def _platforms(image: ImageRules, facts: ImageFacts) -> Iterator[Violation]:
    if (rule := active(image.platforms)) is None:
        return
    present = {_platform(platform) for platform in facts.platforms}
    if None in present or not present:
        yield _unknown(rules.PLATFORMS, rule, "what the image is built for")
        return
    names = {name for name in present if name}
    lacking = [p for p in sorted(rule.value) if not any(n == p or n.startswith(p + "/") for n in names)]
    if lacking:
        yield Violation(
            rules.PLATFORMS,
            f"not built for {', '.join(lacking)}; only for {', '.join(sorted(names))}",
            rule.action,
        )


def _platform(facts: PlatformFacts) -> str | None:
    return facts.platform or (facts.config.platform if facts.config else "") or None


def _of_platform(image: ImageRules, facts: PlatformFacts, is_one_of_many: bool) -> Iterator[Violation]:
    prefix = f"{facts.platform}: " if is_one_of_many and facts.platform else ""
    for violation in (
        *_layers(facts),
        *_size(image, facts),
        *_of_config(image, facts),
        *_base(image, facts),
    ):
        yield replace(violation, message=prefix + violation.message, platform=facts.digest)


def _layers(facts: PlatformFacts) -> Iterator[Violation]:
    """Check the layers, whatever the policy says: a layer that no scanner reads would run without a scan."""
    if facts.unread_layers:
        types = ", ".join(dict.fromkeys(facts.unread_layers))
        yield Violation(
            rules.LAYERS, f"has layers that no scanner reads, of the type {types}", rules.Action.ENFORCE
        )


def _size(image: ImageRules, facts: PlatformFacts) -> Iterator[Violation]:
    if (rule := active(image.max_size)) is None:
        return
    if facts.size is None:
        yield _unknown(rules.SIZE, rule, "how large the image is")
    elif facts.size > rule.value:
        yield Violation(
            rules.SIZE, f"{megabytes(facts.size)} compressed (at most {megabytes(rule.value)})", rule.action
        )


def megabytes(size: int) -> str:
    """Return a size in decimal megabytes, as registries show it: `1,234 MB`."""
    return f"{-(-size // 1_000_000):,} MB"


def _of_config(image: ImageRules, facts: PlatformFacts) -> Iterator[Violation]:
    if rule := active(image.non_root):
        yield from _non_root(rule, image.user_names, facts.config)
    if labels := active(image.labels):
        if facts.config is None:
            yield _unknown(rules.LABELS, labels, "which labels it has: its config is missing")
            return
        wrong = [
            _label(name, pattern, facts.config.labels.get(name))
            for name, pattern in labels.value.items()
            if not _matches(facts.config.labels.get(name), (pattern,))
        ]
        if wrong:
            yield Violation(rules.LABELS, "; ".join(wrong), labels.action)


def _non_root(rule: Rule[bool], names: bool | None, config: ImageConfig | None) -> Iterator[Violation]:
    if config is None:
        yield _unknown(rules.NON_ROOT, rule, "which user it runs as: its config is missing")
    elif rule.value and config.runs_as is RunsAs.ROOT:
        yield Violation(
            rules.NON_ROOT, f"runs as root (USER: {config.user or 'none, which is root'})", rule.action
        )
    elif rule.value and config.runs_as is RunsAs.NAMED and not names:
        what = f"whether the user {config.user} is root: write a number, such as USER 10001"
        yield _unknown(rules.NON_ROOT, rule, what)


def _label(name: str, pattern: str, value: str | None) -> str:
    return f"no label {name}" if value is None else f"label {name} is {value!r}, not {pattern}"


def _base(image: ImageRules, facts: PlatformFacts) -> Iterator[Violation]:
    if (rule := active(image.base_images)) is None:
        return
    if not facts.base_is_known:
        yield _unknown(rules.BASE, rule, "what the image is built on")
    elif facts.base is None:
        claim = (
            f"; it claims {facts.claimed_base}, and its layers do not prove it" if facts.claimed_base else ""
        )
        yield Violation(
            rules.BASE, f"built on no released image of {' or '.join(rule.value)}{claim}", rule.action
        )
    elif facts.base.stage not in rule.value:
        yield Violation(
            rules.BASE,
            f"built on {facts.base} of {facts.base.stage}, not on one of {' or '.join(rule.value)}",
            rule.action,
        )


def _evidence(evidence: EvidenceRules, facts: ImageFacts) -> Iterator[Violation]:
    if rule := active(evidence.require_signature):
        if facts.signature is None:
            yield _unknown(rules.SIGNATURE, rule, "whether the gate before signed it")
        elif rule.value and (facts.signature.problem or not facts.signature.found):
            problem = facts.signature.problem or "carries no signature of the gate before"
            yield Violation(rules.SIGNATURE, problem, rule.action)
    if builders := active(evidence.require_provenance):
        if facts.provenance is None:
            yield _unknown(rules.PROVENANCE, builders, "whether it has a provenance")
        elif facts.provenance.problem:
            yield Violation(rules.PROVENANCE, facts.provenance.problem, builders.action)
        elif not any(_matches(builder, builders.value) for builder in facts.provenance.found):
            by = ", ".join(facts.provenance.found)
            yield Violation(
                rules.PROVENANCE, f"built by {by}, not by {' or '.join(builders.value)}", builders.action
            )


def _matches(text: str | None, globs: tuple[str, ...]) -> bool:
    return text is not None and any(fnmatchcase(text, glob) for glob in globs)


def _unknown(name: str, rule: Rule[T], what: str) -> Violation:
    return Violation(name, f"it is not known {what}", rule.action, is_unknown=True)
