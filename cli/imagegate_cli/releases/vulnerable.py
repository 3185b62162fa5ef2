"""Finds the images that have a vulnerability: by the index of applications, then by the findings of their images.

Findings of the last judgement count; they are later than those of the release. An image in use is judged every day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from imagegate.board import release_facts as facts
from imagegate.errors import RecordNotFoundError
from imagegate.gate import findings_record
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Digest
from imagegate.release.release import Outcome
from imagegate_cli.output.spinner import map_with_spinner

if TYPE_CHECKING:
    from imagegate.findings.finding import Finding, Package
    from imagegate.oci.image import ImageRef
    from imagegate.release.release import Release
    from imagegate.release.revocation import RunsIn
    from imagegate.risk.risk import DueImage
    from imagegate_cli.stack import Stack

_WENT_ON = (Outcome.RELEASED, Outcome.HELD)
# The images whose findings are read at once.
_BATCH = 256
# Each waits for S3 most of the time.
_THREADS = 32


@dataclass(frozen=True, slots=True)
class VulnerableImage:
    """An image with a vulnerability. `is_in_use`: it is a current release, or it runs."""

    release: Release
    packages: tuple[Package, ...]
    severity: str
    is_in_use: bool
    runs: tuple[RunsIn, ...] = ()

    @property
    def where(self) -> str:
        """The places where it is used, for people."""
        if self.runs:
            return "; ".join(map(str, self.runs))
        return "current release" if self.is_in_use else "past release"

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.release.image.repository,
            "digest": str(self.release.image.digest),
            "tags": sorted(self.release.tags),
            "stage": self.release.stage,
            "outcome": str(self.release.outcome) if self.release.outcome else None,
            "severity": self.severity,
            "packages": [
                {"name": one.name, "installed": one.installed, "fixed": one.fixed} for one in self.packages
            ],
            "in_use": self.is_in_use,
            "running": sum(one.units for one in self.runs),
            "runs": [
                {"cluster": one.cluster, "service": one.service, "units": one.units} for one in self.runs
            ],
        }

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Image, stage, packages and where it is used."""
        packages = ", ".join(dict.fromkeys(map(str, self.packages)))
        return facts.name(self.release), self.release.stage, packages, self.where


def find_vulnerable(
    stack: Stack, name: str, wanted: Callable[[Release], bool], *, with_past: bool
) -> Iterator[VulnerableImage]:
    """Yield the images that have the vulnerability, those in use first. `with_past` includes releases of the past."""
    queue = {due.image: due for due in stack.ledger.images_in_use()}
    repositories = sorted(
        {one for app in stack.ledger.applications_with(name) for one in _repositories(stack, app)}
    )
    lists = map_with_spinner(
        "reading releases", repositories, lambda one: _images(stack, one, queue), _THREADS
    )
    images = [one for one in chain.from_iterable(lists) if wanted(one[0]) and (with_past or one[1])]
    images.sort(key=lambda one: (not one[1], -one[0].started_at.timestamp()))
    for first in range(0, len(images), _BATCH):
        some = images[first : first + _BATCH]
        found = map_with_spinner(
            "reading findings", some, lambda one: _look(stack, name, *one, queue), _THREADS
        )
        yield from (one for one in found if one is not None)


def _repositories(stack: Stack, application: str) -> list[str]:
    """Return the repositories of an application, at all stages of this registry."""
    stages = [stage for stage in stack.policy.stages.values() if stage.remote is None]
    names = {stage.repositories.app_of(application) for stage in stages} - {None}
    return [application, *(stage.repositories.repository_of(app or "") for stage in stages for app in names)]


def _images(stack: Stack, repository: str, queue: dict[ImageRef, DueImage]) -> list[tuple[Release, bool]]:
    """Return the newest attempt of each judged image, and whether it is in use."""
    attempts = list(stack.ledger.recent_of_repository(repository))
    newest: dict[ImageRef, Release] = {}
    for attempt in attempts:
        newest.setdefault(attempt.image, attempt)
    current = next((one.image for one in attempts if one.outcome in _WENT_ON), None)
    return [(one, one.image in queue or one.image == current) for one in newest.values() if one.decision]


def _look(
    stack: Stack, name: str, release: Release, is_in_use: bool, queue: dict[ImageRef, DueImage]
) -> VulnerableImage | None:
    due = queue.get(release.image)
    findings = [one for one in _findings(stack, name, release, due) if name in one.names]
    if not findings:
        return None
    packages = tuple(dict.fromkeys(package for one in findings for package in one.packages))
    return VulnerableImage(
        release, packages, str(findings[0].severity), is_in_use, tuple(due.runs) if due else ()
    )


def _findings(stack: Stack, name: str, release: Release, due: DueImage | None) -> Iterator[Finding]:
    """Yield the findings of the last judgement, or of the decision if there was none since, where one has the name."""
    if due is not None and due.last is not None and due.last.answered_at > release.started_at:
        contents = [stack.records.later_findings(digest) for digest in due.last.findings]
    else:
        contents = [stack.records.findings(digest) for digest in _digests(stack, release)]
    for content in contents:
        if findings_record.mentions(content, name):
            yield from (finding for finding, _ in findings_record.read(content))


def _digests(stack: Stack, release: Release) -> Sequence[Digest]:
    if release.decision is None:
        return ()
    try:
        decision = Decision.decode(stack.records.decision(release.decision))
    except RecordNotFoundError:
        return ()
    return [Digest.parse(scan["findings"]) for scan in decision.scans if scan.get("findings")]
