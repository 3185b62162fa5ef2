"""The rules about the image itself: age, size, labels, base, platforms, user, tags and attached evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from imagegate.gate.facts import ImageFacts, PlatformFacts
from imagegate.oci.image_config import ImageConfig, RunsAs
from imagegate.policy import rules
from imagegate.policy.rules import EvidenceRules, ImageRules, Rule, active

if TYPE_CHECKING:
    from imagegate.oci.image import Digest

T = TypeVar("T")
_USER = "add to the Dockerfile, after the last command that needs root: USER 10001"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that the image violates, or that it may violate, because a fact is unknown."""

    rule: str
    message: str
    action: rules.Action
    is_unknown: bool = False
    platform: Digest | None = None  # the platform that violates it; None: the image as a whole
    advice: str = ""  # what makes the image satisfy the rule, with the line or command to paste


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
            rules.AGE,
            f"first pushed {days} days ago, on {first} (at most {_days(rule.value)})",
            rule.action,
            advice="build it again from today's base and packages (docker build --pull --no-cache …), and push that",
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
                advice=f"push it under tags that match {' or '.join(rule.value)} alone",
            )
    if rule := active(image.forbidden_tags):
        forbidden = [tag for tag in sorted(facts.tags) if _matches(tag, rule.value)]
        if forbidden:
            yield Violation(
                rules.FORBIDDEN_TAGS,
                f"tagged {', '.join(forbidden)}, which no image may be",
                rule.action,
                advice=f"push it under another tag than {' or '.join(forbidden)}",
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
            advice=f"docker buildx build --platform {','.join(sorted({*names, *lacking}))} …",
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
            rules.LAYERS,
            f"has layers that no scanner reads, of the type {types}",
            rules.Action.ENFORCE,
            advice="docker buildx build --output type=registry,compression=gzip,force-compression=true …",
        )


def _size(image: ImageRules, facts: PlatformFacts) -> Iterator[Violation]:
    if (rule := active(image.max_size)) is None:
        return
    if facts.size is None:
        yield _unknown(rules.SIZE, rule, "how large the image is")
    elif facts.size > rule.value:
        yield Violation(
            rules.SIZE,
            f"{megabytes(facts.size)} compressed (at most {megabytes(rule.value)})",
            rule.action,
            advice="make it smaller: docker history IMAGE shows how large each layer is",
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
        own = facts.config.labels
        lacking = {name: glob for name, glob in labels.value.items() if not _matches(own.get(name), (glob,))}
        if lacking:
            message = "; ".join(_label(name, glob, own.get(name)) for name, glob in lacking.items())
            lines = " ".join(f'{name}="{_example(glob)}"' for name, glob in lacking.items())
            yield Violation(
                rules.LABELS, message, labels.action, advice=f"add to the Dockerfile: LABEL {lines}"
            )


def _non_root(rule: Rule[bool], names: bool | None, config: ImageConfig | None) -> Iterator[Violation]:
    if config is None:
        yield _unknown(rules.NON_ROOT, rule, "which user it runs as: its config is missing")
    elif rule.value and config.runs_as is RunsAs.ROOT:
        yield Violation(
            rules.NON_ROOT,
            f"runs as root (USER: {config.user or 'none, which is root'})",
            rule.action,
            advice=_USER,
        )
    elif rule.value and config.runs_as is RunsAs.NAMED and not names:
        what = f"whether the user {config.user} is root: write a number, such as USER 10001"
        yield replace(_unknown(rules.NON_ROOT, rule, what), advice=_USER)


def _example(pattern: str) -> str:
    """Return a value for a label: the pattern itself if only one value matches, else a gap to fill in."""
    return "…" if set(pattern) & set("*?[") else pattern


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
            rules.BASE,
            f"built on no released image of {' or '.join(rule.value)}{claim}",
            rule.action,
            advice=_on_a_base(rule.value),
        )
    elif facts.base.stage not in rule.value:
        yield Violation(
            rules.BASE,
            f"built on {facts.base} of {facts.base.stage}, not on one of {' or '.join(rule.value)}",
            rule.action,
            advice=_on_a_base(rule.value),
        )


def _on_a_base(stages: tuple[str, ...]) -> str:
    if not stages:
        return ""  # nothing satisfies such a rule
    return f"build it FROM an image that `imagegate list --stage {stages[0]}` shows as released"


def _evidence(evidence: EvidenceRules, facts: ImageFacts) -> Iterator[Violation]:
    if rule := active(evidence.require_signature):
        if facts.signature is None:
            yield _unknown(rules.SIGNATURE, rule, "whether the gate before signed it")
        elif rule.value and (facts.signature.problem or not facts.signature.found):
            problem = facts.signature.problem or "carries no signature of the gate before"
            advice = "let it pass the gate before this one first; `imagegate status` of it there shows what blocks it"
            yield Violation(rules.SIGNATURE, problem, rule.action, advice=advice)
    if builders := active(evidence.require_provenance):
        if facts.provenance is None:
            yield _unknown(rules.PROVENANCE, builders, "whether it has a provenance")
        elif facts.provenance.problem:
            yield Violation(
                rules.PROVENANCE, facts.provenance.problem, builders.action, advice=_built_by(builders.value)
            )
        elif not any(_matches(builder, builders.value) for builder in facts.provenance.found):
            by = ", ".join(facts.provenance.found)
            yield Violation(
                rules.PROVENANCE,
                f"built by {by}, not by {' or '.join(builders.value)}",
                builders.action,
                advice=_built_by(builders.value),
            )


def _built_by(builders: tuple[str, ...]) -> str:
    if not builders:
        return ""
    builder = _example(builders[0])
    return f"docker buildx build --provenance mode=max,builder-id={builder} … (a builder that matches {builders[0]})"


def _matches(text: str | None, globs: tuple[str, ...]) -> bool:
    return text is not None and any(fnmatchcase(text, glob) for glob in globs)


def _unknown(name: str, rule: Rule[T], what: str) -> Violation:
    return Violation(name, f"it is not known {what}", rule.action, is_unknown=True)
