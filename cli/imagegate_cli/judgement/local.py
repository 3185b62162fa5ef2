"""Judging scanners' files on a laptop or in CI: the same rules and code as in the pipeline, with fewer facts.

What is known only of an image in the registry (age, signatures, what runs in the next stage, how long a finding has
been known) is not judged here, and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from imagegate.canonical_json import timestamp
from imagegate.findings.finding import Finding, FindingCounts
from imagegate.findings.scan import Basis, ScanStatus
from imagegate.gate.evaluation import ImageEvaluation
from imagegate.gate.facts import ImageFacts, PlatformFacts
from imagegate.gate.openvex_history import StatementHistory
from imagegate.oci.image import Digest, ImageRef, repository_name
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.policy import Policy, Stage
from imagegate.policy.rules import EvidenceRules, ImageRules, Rule, is_on
from imagegate.policy.waiver import Waiver
from imagegate_cli.judgement import configuration, vex
from imagegate_cli.judgement.catalogues import epss_scores, informed, known_exploited
from imagegate_cli.judgement.opinion import Opinion
from imagegate_cli.scanners import ScannerFileError, ScannerReport, merge, read

T = TypeVar("T", ImageRules, EvidenceRules)

_NOWHERE = "image"  # the repository of an image that is in none yet


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What stands on the command line."""

    policy_file: Path
    findings: tuple[Path, ...]
    config: Path | None = None
    stage: str | None = None
    repository: str | None = None
    tags: tuple[str, ...] = ()
    vex: tuple[Path, ...] = ()
    kev: Path | None = None
    epss: Path | None = None


def judge_files(asked: JudgeOptions, policy: Policy, now: datetime) -> Opinion:
    """Raises `ScannerFileError` and click's usage errors."""
    from imagegate.findings.versions import VERSIONS

    stage = stage_asked(policy, asked.stage, asked.repository)
    reports = [_complete(path) for path in asked.findings]
    config = configuration.read(asked.config) if asked.config else configuration.carried(reports)
    digest = _digest(reports)
    facts = _facts(asked, reports, digest, config)
    here, notes = _without_what_is_unknown(stage, asked)
    findings = _findings(asked, reports)
    grants, doubts = _set_aside(asked, policy, reports, findings, facts.platforms[0].platform, now)
    judging = ImageEvaluation(policy, here, facts, now, grants=grants, versions=VERSIONS)
    judging.read_scan(_status(reports, facts, findings), findings)
    judged = judging.decide()
    return Opinion(
        subject=_subject(asked, reports),
        digest=digest,
        stage=stage,
        policy=policy.digest,
        policy_name=str(asked.policy_file),
        judged=judged,
        now=now,
        scanners=tuple(report.scanner for report in reports),
        notes=(*notes, *doubts, *(note for report in reports for note in report.notes)),
    )


def stage_asked(policy: Policy, name: str | None, repository: str | None) -> Stage:
    """The stage that is named, that has the repository, or at which images begin."""
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


def _complete(path: Path) -> ScannerReport:
    """ECR's status is for the judge, as in the pipeline; what has none and is not whole is not judged at all."""
    report = read(path)
    if not report.is_complete and report.status is None:
        raise ScannerFileError(f"{path}: {report.why}")
    return report


def _digest(reports: Sequence[ScannerReport]) -> Digest | None:
    found = {report.digest for report in reports if report.digest}
    if len(found) > 1:
        raise click.UsageError(f"the files are about different images: {', '.join(sorted(found))}")
    return Digest.parse(found.pop()) if found else None


def _facts(
    asked: JudgeOptions, reports: Sequence[ScannerReport], digest: Digest | None, config: ImageConfig | None
) -> ImageFacts:
    told = next((report.platform for report in reports if report.platform), None)
    # An image without a name yet is called by its config, or by what was found in it.
    stand_in = json.dumps([config.as_json() if config else None, list(map(str, asked.findings))]).encode()
    named = digest or Digest.of(stand_in)
    platform = PlatformFacts(named, told or (config.platform if config else None) or None, config=config)
    repository = repository_name(asked.repository) if asked.repository else _NOWHERE
    return ImageFacts(ImageRef(repository, named), frozenset(asked.tags), platforms=(platform,))


def _without_what_is_unknown(stage: Stage, asked: JudgeOptions) -> tuple[Stage, list[str]]:
    """The stage without the rules whose facts only the registry and the ledger have, and their names."""
    image, evidence, findings = stage.image, stage.evidence, stage.findings
    left_out: dict[str, Rule[Any] | None] = {
        "image.max_age": image.max_age,
        "image.max_size": image.max_size,
        "image.base_images": image.base_images,
        "evidence.require_signature": evidence.require_signature,
        "evidence.require_provenance": evidence.require_provenance,
    }
    if image.platforms and len(image.platforms.value) > 1:
        left_out |= {"image.platforms": image.platforms}  # a scanner's file is about one of them
    if not asked.tags:
        left_out |= {"image.tags": image.tags, "image.forbidden_tags": image.forbidden_tags}
    names = [name for name, rule in left_out.items() if is_on(rule)]
    notes = [f"not judged here, but in the pipeline: {', '.join(names)}"] if names else []
    if findings.no_worse_than_next:
        notes.append("everything counts here: what the next stage runs is known in the pipeline only")
    if findings.grace:
        notes.append(
            "every clock starts now here: since when a finding is known is kept in the pipeline only"
        )
    gone = {name.partition(".")[2] for name in left_out}
    return replace(
        stage,
        image=_without(image, gone),
        evidence=_without(evidence, gone),
    ), notes


def _without(rules: T, names: Collection[str]) -> T:
    gone: dict[str, Any] = {name: None for name in names if hasattr(rules, name)}
    return replace(rules, **gone)


def _set_aside(
    asked: JudgeOptions,
    policy: Policy,
    reports: Sequence[ScannerReport],
    findings: Sequence[Finding],
    platform: str | None,
    now: datetime,
) -> tuple[list[Waiver], list[str]]:
    """Statements hold as long as a waiver may; who judges by them is who was handed the file."""
    if not asked.vex:
        return [], []
    history = StatementHistory([vex.read(path) for path in asked.vex], now)
    image = vex.image_in(reports, findings, policy, asked.repository, asked.tags, platform)
    until = now.date() + timedelta(days=policy.waiver_terms.max_days)
    return vex.set_aside(history, findings, image, asked.repository or _NOWHERE, until)


def _findings(asked: JudgeOptions, reports: Sequence[ScannerReport]) -> list[Finding]:
    kev = known_exploited(asked.kev) if asked.kev else None
    epss = epss_scores(asked.epss) if asked.epss else None
    found = merge(reports)
    return found if kev is None and epss is None else informed(found, kev, epss)


def _status(reports: Sequence[ScannerReport], facts: ImageFacts, findings: Sequence[Finding]) -> ScanStatus:
    """One scan for the image: of several, the one that says least decides, and the oldest is as old as all."""
    of_ecr = [report for report in reports if report.status is not None]
    bad = [report for report in of_ecr if report.status not in ("COMPLETE", "ACTIVE") or report.why]
    said = (bad or of_ecr or list(reports))[0]
    times = [report.completed_at for report in reports]
    oldest = min((time for time in times if time), default=None) if None not in times else None
    image = facts.platforms[0].digest
    if bad:
        completed = said.completed_at
        return ScanStatus(
            image=image,
            status=said.status,
            description=said.description or said.why,
            completed_at=timestamp(completed) if completed else None,
            counts=said.counts,
            lists_findings=bool(said.findings),
            basis=Basis.ANSWER,
            has_counts=said.has_counts,
        )
    return ScanStatus(
        image=image,
        status=said.status or "COMPLETE",
        description=said.description,
        completed_at=timestamp(oldest) if oldest else None,
        counts=FindingCounts.of(findings).counts,
        lists_findings=True,
        basis=Basis.LIST,
    )


def _subject(asked: JudgeOptions, reports: Sequence[ScannerReport]) -> str:
    if asked.repository:
        return f"{asked.repository}:{asked.tags[0]}" if asked.tags else asked.repository
    target = next((report.target for report in reports if report.target), None)
    return target or ", ".join(path.name for path in asked.findings)
