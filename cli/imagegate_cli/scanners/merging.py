"""Merging of the findings of several scanners about one image into one list.

Rules: a finding of several scanners counts once, with the worst severity and all facts that any scanner knows. Two
findings of the same scanner stay two, so the merged list never has fewer findings than any one report. The order of
the reports does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

from imagegate.findings.finding import Finding
from imagegate_cli.scanners.naming import CVE
from imagegate_cli.scanners.package_merging import (
    ANY_PACKAGE,
    merge_answers,
    merge_fixable,
    merge_packages,
    names_of_packages,
)
from imagegate_cli.scanners.report import SCANNERS, ScannerReport
from imagegate_cli.scanners.severities import worst


def merge(reports: Sequence[ScannerReport]) -> list[Finding]:
    """Merge the findings of reports about the same image. The findings of a single report stay unchanged."""
    if len(reports) == 1:
        return list(reports[0].findings)
    groups = _FindingGroups()
    ordered = sorted(map(_sortable, reports), key=lambda one: one[:2])
    for number, (_, _, findings) in enumerate(ordered):
        for finding in findings:
            groups.place(finding, number)
    for number, (_, _, findings) in enumerate(ordered):
        for finding in findings:
            groups.inform(finding, number)
    knowledge = _Knowledge(finding for report in reports for finding in report.findings)
    return [knowledge.complete(group.merged()) for group in groups.all]


def _sortable(report: ScannerReport) -> tuple[int, list[str], list[Finding]]:
    """Return the sort key of a report, which does not depend on the order of files, and its findings."""
    texts = sorted((repr(finding), position) for position, finding in enumerate(report.findings))
    return (
        SCANNERS.index(report.scanner),
        [text for text, _ in texts],
        [report.findings[position] for _, position in texts],
    )


@dataclass(slots=True)
class _Facts:
    """The facts about a vulnerability that do not depend on the package."""

    exploit: bool | None = None
    known_exploited: bool | None = None
    epss: float | None = None
    published: str | None = None
    cvss: float | None = None

    def learn(self, other: _Facts | Finding) -> None:
        """Combine two sources: yes wins over no, no over unknown; the highest scores, the earliest day."""
        self.exploit = merge_answers((self.exploit, other.exploit))
        self.known_exploited = merge_answers((self.known_exploited, other.known_exploited))
        self.epss = max((one for one in (self.epss, other.epss) if one is not None), default=None)
        self.cvss = max((one for one in (self.cvss, other.cvss) if one is not None), default=None)
        self.published = min((one for one in (self.published, other.published) if one), default=None)


@dataclass(slots=True)
class _Group:
    """The parts of one merged finding: at most one finding of each report, and other findings that inform it."""

    members: dict[int, Finding] = field(default_factory=dict)
    informers: list[Finding] = field(default_factory=list)
    firsts: set[str] = field(default_factory=set)  # the main names of its members
    cves: set[str] = field(default_factory=set)

    def add(self, finding: Finding, report: int) -> None:
        self.members[report] = finding
        self.firsts.add(finding.vulnerability)
        self.cves.update(_cves(finding))

    def contradicts(self, finding: Finding) -> bool:
        """Return whether the kinds or the CVEs differ: two CVEs are two vulnerabilities, even of one advisory."""
        if any(member.kind is not finding.kind for member in self.members.values()):
            return True
        cves = _cves(finding)
        return bool(cves and self.cves) and self.cves.isdisjoint(cves)

    def merged(self) -> Finding:
        informers = [*self.members.values(), *self.informers]
        return informers[0] if len(informers) == 1 else _merged(list(self.members.values()), informers)


class _FindingGroups:
    """The groups, indexed by the names of the vulnerability and its packages."""

    def __init__(self) -> None:
        self.all: list[_Group] = []
        self._by_name = _Places()
        # Only for findings without a CVE: an advisory alone makes them equal to another finding.
        self._by_advisory = _Places()

    def place(self, finding: Finding, report: int) -> None:
        """Add a finding to the most similar group that has no finding of this report yet, or to a new one."""
        free = [number for number in self._alike(finding) if report not in self.all[number].members]
        same_name = (number for number in free if finding.vulnerability in self.all[number].firsts)
        number = next(same_name, free[0] if free else len(self.all))
        if not free:
            self.all.append(_Group())
        self.all[number].add(finding, report)
        self._by_name.add(finding, number)
        if not _cves(finding):
            self._by_advisory.add(finding, number)

    def inform(self, finding: Finding, report: int) -> None:
        """Add a finding as information to similar groups that have no finding of this report."""
        for number in self._alike(finding):
            if report not in self.all[number].members:
                self.all[number].informers.append(finding)

    def _alike(self, finding: Finding) -> list[int]:
        """Return the groups that share a name and a package with it; no package matches every package."""
        cves = _cves(finding)
        numbers = self._by_name.find(cves or finding.names, finding)
        if cves:
            numbers |= self._by_advisory.find(finding.names, finding)
        return [number for number in sorted(numbers) if not self.all[number].contradicts(finding)]


class _Places:
    """An index of group numbers by vulnerability name and package."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], set[int]] = {}
        self._named: dict[str, set[int]] = {}

    def add(self, finding: Finding, number: int) -> None:
        for name in finding.names:
            self._named.setdefault(name, set()).add(number)
            for package in names_of_packages(finding):
                self._at.setdefault((name, package), set()).add(number)

    def find(self, names: Sequence[str], finding: Finding) -> set[int]:
        if not finding.packages:
            return set().union(*(self._named.get(name, ()) for name in names))
        packages = (*names_of_packages(finding), ANY_PACKAGE)
        return set().union(*(self._at.get((name, package), ()) for name in names for package in packages))


class _Knowledge:
    """The facts about each vulnerability, by its names. Two CVEs of one advisory keep separate facts."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._by_name: dict[str, _Facts] = {}
        self._by_advisory: dict[str, _Facts] = {}  # only from findings without a CVE
        for finding in findings:
            for name in finding.names:
                self._by_name.setdefault(name, _Facts()).learn(finding)
                if not _cves(finding):
                    self._by_advisory.setdefault(name, _Facts()).learn(finding)

    def complete(self, finding: Finding) -> Finding:
        has_cve = bool(_cves(finding))
        known = _Facts()
        for name in finding.names:
            by_name = self._by_advisory if has_cve and not name.startswith(CVE) else self._by_name
            known.learn(by_name.get(name, _Facts()))
        return replace(finding, **asdict(known))


def _merged(members: Sequence[Finding], informers: Sequence[Finding]) -> Finding:
    """Merge the members into one finding; `informers` are all findings that know something about it."""
    name, *aliases = _names(members)
    packages = merge_packages(members, informers)
    severity = worst(one.severity for one in informers)
    gravest = worst(one.at_worst or one.severity for one in informers)
    return Finding(
        vulnerability=name,
        severity=severity,
        at_worst=gravest if gravest is not severity else None,
        packages=packages,
        aliases=tuple(aliases),
        fixable=merge_fixable(packages, informers),
        url=next((one.url for one in informers if one.url), None),
        kind=members[0].kind,
        arn=next((one.arn for one in informers if one.arn), None),
        description=next((one.description for one in informers if one.description), None),
    )


def _cves(finding: Finding) -> list[str]:
    return [name for name in finding.names if name.startswith(CVE)]


def _names(members: Iterable[Finding]) -> list[str]:
    """Return all names; the main name of a member comes first, a CVE if there is one."""
    firsts = [member.vulnerability for member in members]
    firsts.sort(key=lambda name: not name.startswith(CVE))
    return list(dict.fromkeys([*firsts, *(name for member in members for name in member.names)]))
