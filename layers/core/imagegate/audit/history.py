"""A report after the one before: what is new, what is still there, and what is resolved; and what is waived.

Rules: nothing is resolved by an error, by a check that was not made, or by a look at other repositories. A resolved
finding is in one report, and then no more; if it comes back, it is new. Waivers come last, and count as of today.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imagegate.audit.finding import AuditFinding, FindingState, ResourceKind
from imagegate.baseline.registry import REGISTRY
from imagegate.policy.audit_rules import AUDIT

if TYPE_CHECKING:
    from imagegate.audit.checks import AuditCheck
    from imagegate.audit.report import AuditReport, NotAssessed
    from imagegate.policy.waiver import Waiver, WaiverTerms


def follow(previous: AuditReport | None, current: AuditReport) -> AuditReport:
    """Return the current report with the state of each finding, and with those of the previous one that are over."""
    known = {one.id: one for one in previous.findings} if previous else {}
    known = {name: one for name, one in known.items() if one.state is not FindingState.RESOLVED}
    findings = [_followed(one, known.pop(one.id, None), current) for one in current.findings]
    sight = _Sight(current)
    findings += [_ended(one, sight, current.taken_at) for one in known.values()]
    return replace(current, results=replace(current.results, findings=tuple(findings)))


def _followed(finding: AuditFinding, before: AuditFinding | None, report: AuditReport) -> AuditFinding:
    first_seen = (before and before.first_seen) or report.taken_at
    return replace(finding, state=FindingState.OPEN if before else FindingState.NEW, first_seen=first_seen)


def _ended(finding: AuditFinding, sight: _Sight, now: datetime) -> AuditFinding:
    """Return the finding as resolved, or as open if the report cannot tell."""
    finding = replace(finding, waiver=None, waived_until=None, waiver_reason=None)
    if sight.reaches(finding):
        return replace(finding, state=FindingState.RESOLVED, resolved_at=now)
    return replace(finding, state=FindingState.OPEN)


class _Sight:
    """The things that a report can tell about."""

    def __init__(self, report: AuditReport) -> None:
        self._made = frozenset(report.results.counts)
        self._scope = report.scope
        self._unread = {(one.check.id, _place(one)) for one in report.results.not_assessed}

    def reaches(self, finding: AuditFinding) -> bool:
        check, resource = finding.check.id, finding.resource
        if check not in self._made or not self._is_in_scope(resource.repository):
            return False
        places = (resource.arn, resource.repository, ResourceKind.REGISTRY)
        return not any((check, place) in self._unread for place in places)

    def _is_in_scope(self, repository: str | None) -> bool:
        if not self._scope:
            return True
        return repository is not None and any(fnmatchcase(repository, glob) for glob in self._scope)


def _place(unread: NotAssessed) -> str | None:
    """Return what the reason is about: all of the registry, all of a repository, or one thing."""
    resource = unread.resource
    if resource.kind is ResourceKind.REGISTRY:
        return ResourceKind.REGISTRY
    return resource.repository if resource.kind is ResourceKind.REPOSITORY else resource.arn


def waive(report: AuditReport, waivers: Iterable[Waiver], terms: WaiverTerms, now: datetime) -> AuditReport:
    """Return the report with the findings waived that a waiver of the policy covers and that are not resolved.

    A waiver names the check (`audit.repository-public`), or the rule of the gate that says the same.
    """
    by_rule: dict[str, list[Waiver]] = {}
    for waiver in waivers:
        if waiver.rule and waiver.fault(now, terms) is None:
            by_rule.setdefault(waiver.rule, []).append(waiver)
    findings = tuple(_waived(one, by_rule) for one in report.findings)
    return replace(report, results=replace(report.results, findings=findings))


def _waived(finding: AuditFinding, by_rule: dict[str, list[Waiver]]) -> AuditFinding:
    if finding.state is FindingState.RESOLVED:
        return finding
    waivers = [waiver for rule in rules_of(finding.check) for waiver in by_rule.get(rule, ())]
    waiver = next((one for one in waivers if _covers(one, finding)), None)
    if waiver is None:
        return finding
    return replace(
        finding,
        state=FindingState.WAIVED,
        waiver=waiver.id,
        waived_until=waiver.expires,
        waiver_reason=waiver.reason,
    )


def rules_of(check: AuditCheck) -> list[str]:
    """Return the names under which a waiver can name the check."""
    return [AUDIT + check.id, *([check.rule] if check.rule else [])]


def _covers(waiver: Waiver, finding: AuditFinding) -> bool:
    """Return True if the waiver is about the resource. One of a package is weighed by the gate's own rules instead."""
    resource = finding.resource
    if waiver.package is not None or (waiver.digest and str(waiver.digest) != resource.digest):
        return False
    return waiver.repositories is None or fnmatchcase(resource.repository or REGISTRY, waiver.repositories)
