"""Several scanners' findings of one image, as one list.

Rules: what several scanners report counts once, with the worst severity and all that any of them knows. Two findings of
the same scanner stay two, so the merged list never counts less than any one of the scanners does. The order of the
reports does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

from imagegate.findings.finding import Finding
from imagegate_cli.scanners.naming import CVE
from imagegate_cli.scanners.report import SCANNERS, ScannerReport, worst
from imagegate_cli.scanners.uniting import ANY_PACKAGE, fixable, names_of_packages, united, yes_or_no


def merge(reports: Sequence[ScannerReport]) -> list[Finding]:
    """The findings of reports about the same image. Those of a single report are not touched."""
    if len(reports) == 1:
        return list(reports[0].findings)
    groups = _FindingGroups()
    ordered = sorted(map(_ordered, reports), key=lambda one: one[:2])
    for number, (_, _, findings) in enumerate(ordered):
        for finding in findings:
            groups.place(finding, number)
    for number, (_, _, findings) in enumerate(ordered):
        for finding in findings:
            groups.inform(finding, number)
    knowledge = _Knowledge(finding for report in reports for finding in report.findings)
    return [knowledge.complete(group.merged()) for group in groups.all]


def _ordered(report: ScannerReport) -> tuple[int, list[str], list[Finding]]:
    """The findings, and what the report is sorted by: nothing that depends on the order of files."""
    texts = sorted((repr(finding), position) for position, finding in enumerate(report.findings))
    return (
        SCANNERS.index(report.scanner),
        [text for text, _ in texts],
        [report.findings[position] for _, position in texts],
    )


@dataclass(slots=True)
class _Known:
    """What scanners know about a vulnerability, whatever package it is in."""

    exploit: bool | None = None
    known_exploited: bool | None = None
    epss: float | None = None
    published: str | None = None

    def learn(self, other: _Known | Finding) -> None:
        """Yes if one says so, no if one says so, else nobody knows; the highest EPSS, the earliest day."""
        self.exploit = yes_or_no((self.exploit, other.exploit))
        self.known_exploited = yes_or_no((self.known_exploited, other.known_exploited))
        self.epss = max((one for one in (self.epss, other.epss) if one is not None), default=None)
        self.published = min((one for one in (self.published, other.published) if one), default=None)


@dataclass(slots=True)
class _Group:
    """One finding to be: at most one finding of each report, and what others say of the same in the same package."""

    members: dict[int, Finding] = field(default_factory=dict)
    informers: list[Finding] = field(default_factory=list)
    firsts: set[str] = field(default_factory=set)  # what its members are called first of all
    cves: set[str] = field(default_factory=set)

    def add(self, finding: Finding, report: int) -> None:
        self.members[report] = finding
        self.firsts.add(finding.vulnerability)
        self.cves.update(_cves(finding))

    def contradicts(self, cves: set[str]) -> bool:
        """Two CVEs are two vulnerabilities, also where one advisory is about both."""
        return bool(cves and self.cves) and self.cves.isdisjoint(cves)

    def merged(self) -> Finding:
        told = [*self.members.values(), *self.informers]
        return told[0] if len(told) == 1 else _merged(list(self.members.values()), told)


class _FindingGroups:
    """The groups, found by a name of the vulnerability and one of its packages."""

    def __init__(self) -> None:
        self.all: list[_Group] = []
        self._by_name = _Places()
        # Of findings that have no CVE: only those can be the same as another for the sake of an advisory.
        self._by_advisory = _Places()

    def place(self, finding: Finding, report: int) -> None:
        """Into the group that is most alike and has nothing of this report yet, or into a new one."""
        free = [number for number in self._alike(finding) if report not in self.all[number].members]
        named = (number for number in free if finding.vulnerability in self.all[number].firsts)
        number = next(named, free[0] if free else len(self.all))
        if not free:
            self.all.append(_Group())
        self.all[number].add(finding, report)
        self._by_name.add(finding, number)
        if not _cves(finding):
            self._by_advisory.add(finding, number)

    def inform(self, finding: Finding, report: int) -> None:
        """Tell it to the groups about the same that have nothing of this report."""
        for number in self._alike(finding):
            if report not in self.all[number].members:
                self.all[number].informers.append(finding)

    def _alike(self, finding: Finding) -> list[int]:
        """They share a name, and a package or one of them names none."""
        cves = _cves(finding)
        found = self._by_name.find(cves or finding.names, finding)
        if cves:
            found |= self._by_advisory.find(finding.names, finding)
        return [number for number in sorted(found) if not self.all[number].contradicts(set(cves))]


class _Places:
    """Numbers of groups by name and package."""

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
    """What is known of each vulnerability by its names. Of two CVEs under one advisory each is known by itself."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._by_name: dict[str, _Known] = {}
        self._by_advisory: dict[str, _Known] = {}  # only of findings that have no CVE
        for finding in findings:
            for name in finding.names:
                self._by_name.setdefault(name, _Known()).learn(finding)
                if not _cves(finding):
                    self._by_advisory.setdefault(name, _Known()).learn(finding)

    def complete(self, finding: Finding) -> Finding:
        has_cve = bool(_cves(finding))
        known = _Known()
        for name in finding.names:
            by_name = self._by_advisory if has_cve and not name.startswith(CVE) else self._by_name
            known.learn(by_name.get(name, _Known()))
        return replace(finding, **asdict(known))


def _merged(members: Sequence[Finding], told: Sequence[Finding]) -> Finding:
    """The members are what is merged; all of `told` know about it."""
    name, *aliases = _names(members)
    packages = united(members, told)
    severity = worst(one.severity for one in told)
    gravest = worst(one.at_worst or one.severity for one in told)
    return Finding(
        vulnerability=name,
        severity=severity,
        at_worst=gravest if gravest is not severity else None,
        packages=packages,
        aliases=tuple(aliases),
        fixable=fixable(packages, told),
        url=next((one.url for one in told if one.url), None),
        arn=next((one.arn for one in told if one.arn), None),
    )


def _cves(finding: Finding) -> list[str]:
    return [name for name in finding.names if name.startswith(CVE)]


def _names(members: Iterable[Finding]) -> list[str]:
    """All names; first comes one that a scanner puts first, a CVE if there is one."""
    firsts = [member.vulnerability for member in members]
    firsts.sort(key=lambda name: not name.startswith(CVE))
    return list(dict.fromkeys([*firsts, *(name for member in members for name in member.names)]))
