"""VEX statements as a sequence in time, in which the latest statement holds.

Rules: one more statement `affected` or `under_investigation` never sets more aside. The order of statements and of
documents never matters. At equal times the stricter statement holds. A statement that may be about a package can
override others, and only a statement that is certainly about it sets a finding aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.findings.finding import Finding, Package
from imagegate.findings.package_url import Match, PackageUrl, write_package_url
from imagegate.gate.vex.image import Image, match_component
from imagegate.policy.waiver import EVERY_PACKAGE, Waiver

if TYPE_CHECKING:
    from imagegate.gate.vex.openvex import Component, Statement, VexDocument
    from imagegate.oci.image import Digest

_CVE = "CVE-"
# Tolerance for clocks of authors that are ahead.
_AHEAD = timedelta(minutes=5)


class StatementHistory:
    """All statements of all documents, seen at one time."""

    def __init__(self, documents: Sequence[VexDocument], now: datetime) -> None:
        self.statements = list(dict.fromkeys(one for document in documents for one in document.statements))
        self._now = now
        self._latest: dict[str, int] = {}
        self._by_name: dict[str, list[Statement]] = {}  # names in capitals: `cve-2026-1` takes back, too
        for document in documents:
            self._latest[document.name] = max(self._latest.get(document.name, 0), document.version)
        for one in self.statements:
            for name in one.names:
                self._by_name.setdefault(name.upper(), []).append(one)

    def why_not(self, statement: Statement) -> str:
        """Say why a statement sets nothing aside, whatever its product; return an empty text if it may."""
        if statement.fault:
            return statement.fault
        for moment in (statement.at, statement.updated):
            if moment and moment > self._now + _AHEAD:
                return f"it is dated {moment:%Y-%m-%d %H:%M} UTC, which is yet to come"
        if statement.document and statement.version < self._latest[statement.document]:
            return f"there is version {self._latest[statement.document]} of its document"
        return ""

    def setting_aside(self, finding: Finding, package: Package, image: Image) -> Statement | None:
        """Return the statement that sets a finding in a package aside, or None."""
        certain = self._favourable(Match.YES, finding, package, image)
        if not certain:
            return None
        contrary = [
            one
            for one in self._about(finding)
            if not one.is_favourable and image.match_statement(one, package)
        ]
        return next((one for one in certain if all(one.holds_against(other) for other in contrary)), None)

    def in_doubt(self, finding: Finding, package: Package, image: Image) -> list[Statement]:
        """Return the statements that would set it aside if they are about it, which is unknown."""
        return self._favourable(Match.PERHAPS, finding, package, image)

    def _favourable(self, match: Match, finding: Finding, package: Package, image: Image) -> list[Statement]:
        """Return the favourable statements with this match, the latest first."""
        favourable = (one for one in self._about(finding) if one.is_favourable and not self.why_not(one))
        return [
            one
            for one in favourable
            if _is_all_of(one, finding) and image.match_statement(one, package) is match
        ]

    def about_others(self, findings: Iterable[Finding], image: Image) -> list[Statement]:
        """Return the statements that would set a finding aside in another product."""
        statements = dict.fromkeys(one for finding in findings for one in self._about(finding))
        return [
            one for one in statements if one.is_favourable and not one.fault and not image.has(one.product)
        ]

    def _about(self, finding: Finding) -> list[Statement]:
        """Return the statements about a finding, the latest first.

        Two CVEs are two vulnerabilities, even if one advisory names both.
        """
        by_identity = {id(one): one for name in finding.names for one in self._by_name.get(name.upper(), ())}
        cves = set(_cves(finding.names))
        statements = [
            one
            for one in by_identity.values()
            if not (cves and _cves(one.names) and cves.isdisjoint(one.names))
        ]
        return sorted(statements, key=_order)

    # Waivers without a scan, for `decide waive --vex`.

    def waivers(
        self, image: Image, repositories: str, digest: Digest | None, expires: date
    ) -> tuple[list[Waiver], list[str]]:
        """Return waivers for everything that is set aside in the given images, and notes on the other statements."""
        waivers: dict[tuple[str, str, Digest | None], Waiver] = {}
        notes: list[str] = []
        notes += [
            f"{one.where}: {one.fault}" for one in self.statements if one.fault and not one.is_favourable
        ]
        for one in sorted((one for one in self.statements if one.is_favourable), key=_time):
            why = self.why_not(one) or self._doubt(one, image)
            if why:
                notes.append(f"{one.where}: {why}")
                continue
            about = image.digest_in(one.product) or digest
            packages = [_package(part) or "" for part in _about_packages(one, image)] or [EVERY_PACKAGE]
            for package in packages:
                for name in _cves(one.names) or one.names:
                    waiver = _waiver(one, name, package, repositories, expires)
                    waivers.setdefault((name, package, about), replace(waiver, digest=about))
        return list(waivers.values()), notes

    def _doubt(self, one: Statement, image: Image) -> str:
        """Say why a statement cannot become a waiver for these images; return an empty text if it can."""
        is_image = image.match(one.product)
        if is_image is Match.PERHAPS:
            return f"it is not known whether {one.product} is meant"
        if is_image is Match.NO and (one.parts or not _package(one.product)):
            return f"it is about another product: {one.product}"
        unread = [part for part in one.parts if not _package(part)]
        if unread:
            return f"{unread[0]} names no package that is known"
        others = [
            other for name in one.names for other in self._by_name[name.upper()] if not other.is_favourable
        ]
        later = [other for other in others if _overlap(one, other, image) and not one.holds_against(other)]
        if later:
            status = later[0].status or "something that is not understood"
            return f"{one.vulnerability} in {one.product}: {later[0].where} says {status}"
        return ""


def waiver_of(
    statement: Statement, finding: Finding, package: Package, repository: str, until: date
) -> Waiver:
    """Return a waiver for one finding in one package."""
    return _waiver(statement, finding.vulnerability, write_package_url(package), repository, until)


def _waiver(one: Statement, name: str, package: str, repositories: str, expires: date) -> Waiver:
    reason = one.note or (one.justification or one.status).replace("_", " ")
    return Waiver(
        owner=one.author or "unknown author",
        reason=f"OpenVEX {one.status}: {reason}",
        expires=expires,
        vulnerability=name,
        package=package,
        repositories=repositories,
        justification=one.justification,
    )


def _time(one: Statement) -> float:
    """Return a sort key: the latest first, undated statements last."""
    return -one.at.timestamp() if one.at else 0.0


def _order(one: Statement) -> tuple[float, str]:
    """Return a sort key by time that is stable for equal times."""
    return _time(one), repr(one)


def _cves(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.startswith(_CVE)]


def _is_all_of(statement: Statement, finding: Finding) -> bool:
    """Return whether a statement names the finding, or each CVE of it: an advisory may have several."""
    if finding.vulnerability in statement.names:
        return True
    cves = _cves(finding.names)
    return set(cves) <= set(statement.names) if cves else True


def _package(component: Component) -> str | None:
    """Return the only package URL or plain name of a component, or None if it has none, or is narrowed further."""
    urls = list(dict.fromkeys(name for name in component.names if PackageUrl.parse(name)))
    plain = [name for name in component.names if ":" not in name]
    if component.hashes or len(urls or plain) != 1:
        return None
    url = PackageUrl.parse(urls[0]) if urls else None
    is_image = url is not None and url.type == "oci"
    return None if is_image or (url and url.subpath) else (urls or plain)[0]


def _overlap(one: Statement, other: Statement, image: Image) -> bool:
    """Return whether two statements may be about the same package."""
    if image.match(other.product) is Match.NO and not _package(other.product):
        return False
    ours, theirs = _about_packages(one, image), _about_packages(other, image)
    return not ours or not theirs or any(_alike(a, b) for a in ours for b in theirs)


def _about_packages(one: Statement, image: Image) -> tuple[Component, ...]:
    """Return the packages that a statement is about; empty means the whole image."""
    return one.parts or ((one.product,) if image.match(one.product) is Match.NO else ())


def _alike(one: Component, other: Component) -> bool:
    """Return whether both may be the same package; an unreadable component may be any."""
    pairs = ((one, other), (other, one))
    return any(_means(name, component) for named_by, component in pairs for name in named_by.names)


def _means(name: str, component: Component) -> bool:
    url = PackageUrl.parse(name)
    package = Package(url.name, url.version, ecosystem=url.type, purl=name) if url else Package(name)
    return match_component(component, package, None, unknown=Match.PERHAPS) is not Match.NO
