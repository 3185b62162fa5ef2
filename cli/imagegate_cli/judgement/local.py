"""Judging of scanner files on a laptop or in CI: the same rules and code as in the pipeline, with fewer facts.

Rules about facts that only the registry and the ledger have (age, signatures, the image in the next stage, how long a
finding has been known) are left out, and a note names them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from imagegate.canonical_json import timestamp
from imagegate.findings.finding import Finding, FindingCounts, Severity
from imagegate.findings.scan import Basis, ScanStatus
from imagegate.gate.evaluation import ImageEvaluation
from imagegate.gate.facts import ImageFacts, PlatformFacts
from imagegate.oci.image import Digest, ImageRef, repository_name
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.policy import Policy, Stage
from imagegate.policy.rules import RULES_OF_KINDS, EvidenceRules, ImageRules, Rule, is_on
from imagegate.policy.waiver import Waiver
from imagegate_cli.judgement import configuration
from imagegate_cli.judgement.catalogues import add_catalogues, epss_scores, known_exploited
from imagegate_cli.judgement.opinion import Opinion
from imagegate_cli.scanners.document import ScannerFileError
from imagegate_cli.scanners.formats import read
from imagegate_cli.scanners.merging import merge
from imagegate_cli.scanners.report import ScannerReport, kinds_told

T = TypeVar("T", ImageRules, EvidenceRules)

_NOWHERE = "image"  # the repository name of an image that is not pushed yet


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """The options of the command line."""

    policy_file: Path
    findings: tuple[Path, ...]
    config: Path | None = None
    stage: str | None = None
    repository: str | None = None
    tags: tuple[str, ...] = ()
    vex: tuple[Path, ...] = ()
    vex_products: tuple[str, ...] = ()
    kev: Path | None = None
    epss: Path | None = None


def judge_files(options: JudgeOptions, policy: Policy, now: datetime) -> Opinion:
    """Judge the files. Raise `ScannerFileError`, or a usage error of click."""
    from imagegate.findings.versions import VERSIONS

    stage = select_stage(policy, options.stage, options.repository)
    reports = [_read_complete(path) for path in options.findings]
    config = (
        configuration.read(options.config) if options.config else configuration.config_in_reports(reports)
    )
    digest = _digest(reports)
    facts = _facts(options, reports, digest, config)
    local_stage, notes = _without_what_is_unknown(stage, options)
    findings = _findings(options, reports)
    notes += _notes_on_kinds(stage, reports, findings)
    grants, doubts = _apply_vex(options, policy, reports, findings, facts.platforms[0].platform, now)
    evaluation = ImageEvaluation(policy, local_stage, facts, now, grants=grants, versions=VERSIONS)
    evaluation.read_scan(_status(reports, facts, findings), findings)
    result = evaluation.decide()
    return Opinion(
        subject=_subject(options, reports),
        digest=digest,
        stage=stage,
        policy=policy.digest,
        policy_name=str(options.policy_file),
        judged=result,
        now=now,
        scanners=tuple(report.scanner for report in reports),
        notes=(*notes, *doubts, *(note for report in reports for note in report.notes)),
        repository=options.repository,
        waiver_terms=policy.waiver_terms,
    )


def select_stage(policy: Policy, name: str | None, repository: str | None) -> Stage:
    """Return the stage with this name, else the stage of the repository, else the first stage."""
    from imagegate.policy.file.yaml import did_you_mean

    if name is not None:
        if name not in policy.stages:
            stages = ", ".join(policy.stages)
            raise click.BadParameter(
                f"no stage {name!r}{did_you_mean(name, policy.stages)}; there are {stages}"
            )
        return policy.stages[name]
    if repository is not None:
        stage = policy.stage_of(repository)
        if stage is None:
            raise click.BadParameter(
                f"no stage of the policy has the repository {repository}; name one with --stage"
            )
        return stage
    first = [stage for stage in policy.stages.values() if not policy.stages_before(stage)]
    if len(first) == 1:
        return first[0]
    raise click.UsageError(f"name the stage with --stage: {', '.join(policy.stages)}")


def _read_complete(path: Path) -> ScannerReport:
    """Read a report. Raise `ScannerFileError` if it is incomplete, unless it has a scan status for the judge."""
    report = read(path)
    if not report.is_complete and report.status is None:
        raise ScannerFileError(f"{path}: {report.why}")
    return report


def _digest(reports: Sequence[ScannerReport]) -> Digest | None:
    digests = {report.digest for report in reports if report.digest}
    if len(digests) > 1:
        raise click.UsageError(f"the files are about different images: {', '.join(sorted(digests))}")
    return Digest.parse(digests.pop()) if digests else None


def _facts(
    options: JudgeOptions, reports: Sequence[ScannerReport], digest: Digest | None, config: ImageConfig | None
) -> ImageFacts:
    scanned_platform = next((report.platform for report in reports if report.platform), None)
    # An image without a digest gets one of its config and the report files.
    stand_in = json.dumps([config.as_json() if config else None, list(map(str, options.findings))]).encode()
    image_digest = digest or Digest.of(stand_in)
    platform = PlatformFacts(
        image_digest, scanned_platform or (config.platform if config else None) or None, config=config
    )
    repository = repository_name(options.repository) if options.repository else _NOWHERE
    return ImageFacts(ImageRef(repository, image_digest), frozenset(options.tags), platforms=(platform,))


def _without_what_is_unknown(stage: Stage, options: JudgeOptions) -> tuple[Stage, list[str]]:
    """Return the stage without the rules whose facts only the registry and the ledger have, and notes on them."""
    image, evidence, findings = stage.image, stage.evidence, stage.findings
    left_out: dict[str, Rule[Any] | None] = {
        "image.max_age": image.max_age,
        "image.max_size": image.max_size,
        "image.base_images": image.base_images,
        "evidence.require_signature": evidence.require_signature,
        "evidence.require_provenance": evidence.require_provenance,
    }
    if image.platforms and len(image.platforms.value) > 1:
        left_out |= {"image.platforms": image.platforms}  # a scanner report is about one platform
    if not options.tags:
        left_out |= {"image.tags": image.tags, "image.forbidden_tags": image.forbidden_tags}
    rule_names = [name for name, rule in left_out.items() if is_on(rule)]
    notes = [f"not judged here, but in the pipeline: {', '.join(rule_names)}"] if rule_names else []
    if findings.no_worse_than_next:
        notes.append("every finding counts here: only the pipeline knows the image of the next stage")
    if findings.grace:
        notes.append(
            "every grace period starts now here: only the pipeline knows since when a finding is known"
        )
    removed = {name.partition(".")[2] for name in left_out}
    return replace(
        stage,
        image=_without(image, removed),
        evidence=_without(evidence, removed),
    ), notes


def _notes_on_kinds(
    stage: Stage, reports: Sequence[ScannerReport], findings: Sequence[Finding]
) -> Iterator[str]:
    """Yield how findings that are no vulnerabilities count where no rule is about them, and the rules in vain."""
    known_kinds = frozenset().union(*(kinds_told(report.scanner) for report in reports))
    for kind, rule in RULES_OF_KINDS.items():
        levels = Counter(finding.severity for finding in findings if finding.kind is kind)
        limit = stage.findings.max_of_kind.get(kind)
        by_level = ", ".join(f"{levels[level]} {level}" for level in Severity if level in levels)
        number = f"{kind.counted(levels.total())} ({by_level})"
        if levels and limit is None:
            yield f"{number}: counted by severity, as vulnerabilities are, because the policy has no {rule}"
        elif levels and not is_on(limit):
            yield f"{number}: not judged, because {rule} is off"
        elif is_on(limit) and kind not in known_kinds:
            yield f"not judged: {rule}, because no report is of a scanner that looks for {kind}s"


def _without(rules: T, rule_names: Collection[str]) -> T:
    removed: dict[str, Any] = {name: None for name in rule_names if hasattr(rules, name)}
    return replace(rules, **removed)


def _apply_vex(
    options: JudgeOptions,
    policy: Policy,
    reports: Sequence[ScannerReport],
    findings: Sequence[Finding],
    platform: str | None,
    now: datetime,
) -> tuple[list[Waiver], list[str]]:
    """Return waivers by VEX statements, and notes. A statement is valid as long as the policy permits a waiver."""
    if not options.vex:
        return [], []
    # Imported late: most runs have no VEX documents.
    from imagegate.gate.vex.history import StatementHistory
    from imagegate_cli.judgement import vex

    history = StatementHistory([vex.read(path) for path in options.vex], now)
    image = vex.image_of_reports(
        reports, findings, policy, options.repository, options.tags, options.vex_products, platform
    )
    until = now.date() + timedelta(days=policy.waiver_terms.max_days)
    return vex.waivers_for(history, findings, image, options.repository or _NOWHERE, until)


def _findings(options: JudgeOptions, reports: Sequence[ScannerReport]) -> list[Finding]:
    kev = known_exploited(options.kev) if options.kev else None
    epss = epss_scores(options.epss) if options.epss else None
    findings = merge(reports)
    return findings if kev is None and epss is None else add_catalogues(findings, kev, epss)


def _status(reports: Sequence[ScannerReport], facts: ImageFacts, findings: Sequence[Finding]) -> ScanStatus:
    """Combine the reports into one scan: an incomplete report decides, and the oldest date counts."""
    of_ecr = [report for report in reports if report.status is not None]
    incomplete = [report for report in of_ecr if report.status not in ("COMPLETE", "ACTIVE") or report.why]
    deciding_report = (incomplete or of_ecr or list(reports))[0]
    times = [report.completed_at for report in reports]
    oldest = min((time for time in times if time), default=None) if None not in times else None
    image = facts.platforms[0].digest
    if incomplete:
        completed = deciding_report.completed_at
        return ScanStatus(
            image=image,
            status=deciding_report.status,
            description=deciding_report.description or deciding_report.why,
            completed_at=timestamp(completed) if completed else None,
            counts=deciding_report.counts,
            lists_findings=bool(deciding_report.findings),
            basis=Basis.ANSWER,
            has_counts=deciding_report.has_counts,
        )
    return ScanStatus(
        image=image,
        status=deciding_report.status or "COMPLETE",
        description=deciding_report.description,
        completed_at=timestamp(oldest) if oldest else None,
        counts=FindingCounts.of(findings).counts,
        lists_findings=True,
        basis=Basis.LIST,
    )


def _subject(options: JudgeOptions, reports: Sequence[ScannerReport]) -> str:
    if options.repository:
        return f"{options.repository}:{options.tags[0]}" if options.tags else options.repository
    target = next((report.target for report in reports if report.target), None)
    return target or ", ".join(path.name for path in options.findings)
