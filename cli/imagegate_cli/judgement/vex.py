"""VEX at the command line: documents to judge by, and the verdict as a document for others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

from imagegate.errors import RejectedInputError
from imagegate.findings.finding import Finding, FindingKind, Package
from imagegate.gate.vex import document, writer
from imagegate.gate.vex.history import StatementHistory, waiver_of
from imagegate.gate.vex.image import Image, Name
from imagegate.gate.vex.openvex import Statement, VexDocument
from imagegate.policy.policy import Policy
from imagegate.policy.waiver import Waiver
from imagegate.text import counted, json_text, lines_only
from imagegate_cli.judgement.opinion import Opinion
from imagegate_cli.scanners.document import STDIN, ScannerFileError, content_of, decode, name_of
from imagegate_cli.scanners.naming import is_digest
from imagegate_cli.scanners.report import ScannerReport

MAX_BYTES = 10 << 20
# These scanners name the repository, but not the registry.
_IN_ECR = frozenset({"basic", "enhanced", "inspector", "asff"})
_SHOWN = 5
_OTHERS = "about another product, and not applied (--vex-product PRODUCT if the image is it)"


def read(path: Path) -> VexDocument:
    """Read a document from a file, or from standard input for `-`. Raise `ScannerFileError`."""
    name = name_of(path)
    content = decode(content_of(path, MAX_BYTES), name).encode()
    try:
        return document.parse(content, "standard input" if str(path) == STDIN else path.name)
    except RejectedInputError as error:
        raise ScannerFileError(f"{name}: {error}") from error


def image_of_reports(
    reports: Sequence[ScannerReport],
    findings: Sequence[Finding],
    policy: Policy,
    repository: str | None,
    tags: Sequence[str],
    products: Sequence[str],
    platform: str | None,
) -> Image:
    """Return the image of the reports with all of its names, digests and packages."""
    names = [Name(None, repository)] if repository else []
    names += [name for report in reports for name in _names_in(report)]
    digests = [digest for report in reports for digest in _digests_in(report)]
    packages = [package for report in reports for package in report.packages]
    packages += [package for finding in findings for package in finding.packages]
    return Image(
        names=tuple(dict.fromkeys(names)),
        digests=frozenset(digests),
        tags=frozenset([*tags, *(name.tag for name in names if name.tag)]),
        platform=platform,
        packages=tuple(dict.fromkeys(packages)),
        patterns=tuple(stage.repositories for stage in policy.stages.values()),
        products=tuple(products),
    )


def _names_in(report: ScannerReport) -> Iterator[Name]:
    """Yield the names of the image in a report."""
    for text in filter(None, (report.target, *report.references)):
        if report.scanner in _IN_ECR:
            yield Name(None, text.partition("@")[0].partition(":")[0])
        elif not is_digest(text):
            yield Name.parse(text)


def _digests_in(report: ScannerReport) -> Iterator[str]:
    """Yield the digests of the image in a report."""
    if report.digest:
        yield report.digest
    for text in filter(None, (report.target, *report.references)):
        if "@sha256:" in text:
            yield text.rpartition("@")[2]


def waivers_for(
    history: StatementHistory, findings: Sequence[Finding], image: Image, repository: str, until: date
) -> tuple[list[Waiver], list[str]]:
    """Return waivers for the findings that statements set aside, and notes on statements without effect."""
    waivers: dict[Waiver, Statement] = {}
    doubtful: dict[Statement, None] = {}
    uncovered: list[tuple[Finding, Package]] = []
    for finding in findings:
        for package in finding.packages:
            statement = history.setting_aside(finding, package, image)
            if statement is not None:
                waivers.setdefault(waiver_of(statement, finding, package, repository, until), statement)
            else:
                uncovered.append((finding, package))
                doubtful.update(dict.fromkeys(history.in_doubt(finding, package, image)))
    too_much = _waivers_that_cover(waivers, uncovered)
    doubtful.update(dict.fromkeys(waivers.pop(waiver) for waiver in too_much))
    return list(waivers), list(_notes(history, findings, image, doubtful))


def _waivers_that_cover(
    waivers: Iterable[Waiver], uncovered: Iterable[tuple[Finding, Package]]
) -> list[Waiver]:
    """Return the waivers that would cover more than their statements: an advisory may name several vulnerabilities."""
    by_name: dict[str, list[Waiver]] = {}
    for waiver in waivers:
        by_name.setdefault(str(waiver.vulnerability), []).append(waiver)
    covering = {
        waiver: None
        for finding, package in uncovered
        for name in finding.names
        for waiver in by_name.get(name, ())
        if waiver.covers(finding, package)
    }
    return list(covering)


def _notes(
    history: StatementHistory, findings: Sequence[Finding], image: Image, doubtful: Iterable[Statement]
) -> Iterator[str]:
    yield from _note(
        "not applied", [(one, why) for one in history.statements if (why := history.why_not(one))]
    )
    others = [(one, str(one.product)) for one in history.about_others(findings, image)]
    yield from _note(_OTHERS, others)
    unknown = [(one, f"{one.vulnerability}, {one.product}") for one in doubtful]
    yield from _note("not applied, because they may be about something else", unknown)


def _note(what: str, about: Sequence[tuple[Statement, str]]) -> Iterator[str]:
    """Yield one note on all statements of one kind, with the first few by name."""
    if not about:
        return
    texts = dict.fromkeys(f"{one.where}: {why}" for one, why in about)
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    yield f"{counted(len(texts), 'VEX statement')} {what}: {'; '.join(list(texts)[:_SHOWN])}{more}"


def write_document(opinion: Opinion) -> str:
    """Write every vulnerability: `not_affected` if it is waived with a justification, else `affected` with the plan."""
    waivers = {waiver.id: waiver for waiver in opinion.judged.used_waivers}
    statements = [
        writer.WrittenStatement(
            vulnerability=line.finding.vulnerability,
            package=package,
            waiver=waivers.get(line.ruling.get("waiver", "")),
            until=str(line.ruling.get("until", "")) if line.why == "grace" else "",
            counts=line.counts,
            aliases=line.finding.aliases,
        )
        for line in opinion.lines()
        if line.finding.kind is FindingKind.VULNERABILITY
        for package in line.finding.packages or (None,)
    ]
    name = Name.parse(opinion.subject).last
    product = writer.product_of(name, opinion.digest)
    openvex = writer.document(product, statements, opinion.now)
    return json_text(lines_only(openvex), indent=2) + "\n"
