"""The outcome of a trial, computed in another way than the gate does: with every answer that a scanner left open.

A rule that holds for all answers holds; a rule that depends on them is unknown. An answer is True if the rule holds,
False if it is violated, None if that is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from imagegate.findings.finding import Finding, Package
from imagegate.findings.scan import WaitOutcome
from imagegate.gate.facts import PlatformFacts
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy import rules
from imagegate.policy.rules import Action, GraceStart, ProhibitedPackage, Rule
from imagegate.policy.waiver import Waiver
from tests.unit.samples import DAY
from tests.unit.trials import Platform, Trial, satisfies

Answer = bool | None


def outcome(trial: Trial) -> VerdictOutcome:
    """Return refused if one rule is surely violated, passed if none is or may be."""
    answers = {answer for action, answer in _answers(trial) if action is Action.ENFORCE}
    if False in answers:
        return VerdictOutcome.BLOCK
    return VerdictOutcome.ERROR if None in answers else VerdictOutcome.PASS


def _answers(trial: Trial) -> Iterator[tuple[Action, Answer]]:
    for platform in trial.platforms:
        yield from _of_scan(trial, platform)
        yield from _or_waived(trial, _of_platform(trial, platform.facts))
    yield from _or_waived(trial, _of_image(trial))


# scans


def _of_scan(trial: Trial, platform: Platform) -> Iterator[tuple[Action, Answer]]:
    refused = platform.status is None and trial.waited is WaitOutcome.UNSUPPORTED
    if platform.status == "UNSUPPORTED_IMAGE" or refused:
        yield Action.ENFORCE, waives_rule(trial, rules.UNSUPPORTED)
    elif platform.status not in ("COMPLETE", "ACTIVE"):
        yield Action.ENFORCE, False
    else:
        yield Action.ENFORCE, None if any(platform.hidden.values()) else True
        yield Action.ENFORCE, _is_recent(trial, platform)
        yield from _of_findings(trial, platform.findings)


def _is_recent(trial: Trial, platform: Platform) -> Answer:
    if trial.stage.max_scan_age is None:
        return True
    if platform.completed_at is None:
        return None
    return trial.now - datetime.fromisoformat(platform.completed_at) <= trial.stage.max_scan_age


# findings


def _of_findings(trial: Trial, findings: tuple[Finding, ...]) -> Iterator[tuple[Action, Answer]]:
    asked = trial.stage.findings
    for kind, limit in asked.max_of_kind.items():
        counted = [one for one in findings if one.kind is kind and not waives(trial, one)]
        yield limit.action, len(counted) <= limit.value
    by_severity = [one for one in findings if one.kind not in asked.max_of_kind]
    for severity, limit in asked.max.items():
        answers = [counts(trial, finding) for finding in by_severity if finding.severity is severity]
        surely, perhaps = answers.count(True), answers.count(None)
        yield limit.action, surely + perhaps <= limit.value or (False if surely > limit.value else None)
    for finding in findings:
        if asked.deny:
            is_denied = not asked.deny.value.isdisjoint(finding.names) and not waives(trial, finding)
            yield asked.deny.action, not is_denied
        if asked.prohibited:
            answers = [_allowed(trial, package, asked.prohibited.value) for package in finding.packages]
            yield asked.prohibited.action, False if False in answers else None if None in answers else True


def _allowed(trial: Trial, package: Package, prohibited: tuple[ProhibitedPackage, ...]) -> Answer:
    if waives_rule(trial, rules.PROHIBITED, package):
        return True
    answers = [_is_one(package, one) for one in prohibited]
    return False if True in answers else None if None in answers else True


def _is_one(package: Package, prohibited: ProhibitedPackage) -> Answer:
    if not fnmatchcase(package.name, prohibited.name):
        return False
    if prohibited.ecosystem and package.ecosystem != prohibited.ecosystem:
        return False
    if not prohibited.versions:
        return True
    if package.installed is None or _is_odd(package):
        return None
    return satisfies(package.installed, prohibited.versions, package.ecosystem)


def _is_odd(package: Package) -> bool:
    return package.installed is not None and not package.installed.isdecimal()


def counts(trial: Trial, finding: Finding) -> Answer:
    """Return whether the finding counts against the limit of its severity."""
    if waives(trial, finding):
        return False
    is_fix_told = finding.fixable is not None
    answers = set[bool]().union(*(_counts(trial, certain, is_fix_told) for certain in _certain(finding)))
    return answers.pop() if len(answers) == 1 else None


def _certain(finding: Finding) -> Iterator[Finding]:
    """Yield the finding with each combination of open answers."""
    answers = (finding.fixable, finding.exploit, finding.known_exploited)
    scores = (0.0, 1.0) if finding.epss is None else (finding.epss,)
    for fixable, exploit, known in product(*map(_possible, answers)):
        for epss in scores:
            yield replace(finding, fixable=fixable, exploit=exploit, known_exploited=known, epss=epss)


def _possible(value: Answer) -> tuple[bool, ...]:
    return (False, True) if value is None else (value,)


def _counts(trial: Trial, finding: Finding, is_fix_told: bool) -> set[bool]:
    """Return the possible results for a finding that is known except for the time of its fix."""
    asked = trial.stage.findings
    if finding.severity in asked.only_fixable and not finding.fixable:
        return {False}
    if asked.no_worse_than_next and trial.baseline is not None and set(finding.places) <= trial.baseline:
        return {False}
    if finding.severity not in asked.grace or _is_urgent(trial, finding):
        return {True}
    grace = asked.grace[finding.severity]
    if asked.grace_starts is GraceStart.SEEN:
        return {_ages(trial, finding, of_fix=False) >= grace}
    if finding.fixable and not is_fix_told:
        return {False, True}  # nobody saw since when
    return {_ages(trial, finding, of_fix=True) >= grace}


def _ages(trial: Trial, finding: Finding, of_fix: bool) -> timedelta:
    """Return the longest time for which one of its places is known, or has a fix; without either it never gets old."""
    ages = [-DAY * 10_000]
    for place in finding.places:
        clock = trial.clocks.get(place)
        start = (clock.fix_seen_at if of_fix else clock.seen_at) if clock else None
        if start is None and (finding.fixable or not of_fix):
            start = trial.now
        if start is not None:
            ages.append(trial.now - start)
    return max(ages)


def _is_urgent(trial: Trial, finding: Finding) -> bool:
    no_grace = trial.stage.findings.no_grace
    return bool(
        (no_grace.known_exploited and finding.known_exploited)
        or (no_grace.exploit_available and finding.exploit)
        or (no_grace.epss is not None and (finding.epss or 0) >= no_grace.epss)
    )


# waivers


def waives(trial: Trial, finding: Finding) -> bool:
    """Return whether the waiver covers the finding in every package."""
    return bool(finding.packages) and all(
        any(_waives_in(trial, waiver, finding, package) for waiver in trial.all_waivers)
        for package in finding.packages
    )


def _waives_in(trial: Trial, waiver: Waiver, finding: Finding, package: Package) -> bool:
    ended = waiver.until_fix and (package.fixed is not None or finding.fixable is not False)
    named = waiver.vulnerability in finding.names and _is_named(waiver, package)
    return named and not ended and is_good(trial, waiver)


def waives_rule(trial: Trial, rule: str, package: Package | None = None) -> bool:
    return any(
        waiver.rule == rule and is_good(trial, waiver) and (package is None or _is_named(waiver, package))
        for waiver in trial.all_waivers
    )


def _is_named(waiver: Waiver, package: Package) -> bool:
    purl = (package.purl or "").split("?")[0]
    return waiver.package in ("*", package.name, purl, purl.split("@")[0])


def is_good(trial: Trial, waiver: Waiver) -> bool:
    """Return whether the statement is about this image, and nothing refutes it today."""
    digests = {trial.image.image.digest, *(platform.facts.digest for platform in trial.platforms)}
    narrow = waiver.digest is not None or (waiver.repositories or "*") != "*"
    longest = timedelta(days=trial.waiver_terms.max_days)
    return (
        (waiver.digest is None or waiver.digest in digests)
        and fnmatchcase(trial.image.image.repository, waiver.repositories or "*")
        and narrow
        and (waiver.package != "*" or waiver.digest is not None)
        and (waiver.vulnerability is not None or waiver.rule in rules.WAIVABLE)
        and trial.now.date() <= waiver.expires
        and (waiver.withdrawn_at is None or trial.now < waiver.withdrawn_at)
        and (waiver.granted_at is None or waiver.expires <= waiver.granted_at.date() + longest)
        and (waiver.ticket is not None or not trial.waiver_terms.needs_ticket)
    )


# the image


def _or_waived(
    trial: Trial, rules: Iterator[tuple[str, Rule[Any] | None, Answer]]
) -> Iterator[tuple[Action, Answer]]:
    for name, rule, answer in rules:
        if rule is not None:
            yield rule.action, answer or waives_rule(trial, name) or answer


def _of_platform(trial: Trial, facts: PlatformFacts) -> Iterator[tuple[str, Rule[Any] | None, Answer]]:
    asked, config = trial.stage.image, facts.config
    most, labels, bases = asked.max_size, asked.labels, asked.base_images
    yield rules.SIZE, most, None if facts.size is None or most is None else facts.size <= most.value
    wanted = labels.value if labels else {}
    yield rules.LABELS, labels, None if config is None else _has(config.labels, wanted)
    good = facts.base is not None and bases is not None and facts.base.stage in bases.value
    yield rules.BASE, bases, good if facts.base_is_known else None
    yield rules.NON_ROOT, asked.non_root, None if config is None else config.user == "10001"


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(name in labels and fnmatchcase(labels[name], glob) for name, glob in wanted.items())


def _of_image(trial: Trial) -> Iterator[tuple[str, Rule[Any] | None, Answer]]:
    asked, image = trial.stage.image, trial.image
    age, tags, platforms = asked.max_age, asked.forbidden_tags, asked.platforms
    first = image.first_pushed_at
    yield rules.AGE, age, None if first is None or age is None else trial.now - first <= age.value
    yield rules.FORBIDDEN_TAGS, tags, tags is not None and image.tags.isdisjoint(tags.value)
    names = {platform.facts.platform for platform in trial.platforms}
    yield rules.PLATFORMS, platforms, platforms is not None and platforms.value <= names
    signature = image.signature
    signed = None if signature is None else not signature.problem
    yield rules.SIGNATURE, trial.stage.evidence.require_signature, signed
