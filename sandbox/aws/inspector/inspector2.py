"""Amazon Inspector's findings: the enhanced scans of this registry, in the form of Inspector's own API.

moto answers from a queue that tests fill, and has no BatchGetFindingDetails. Rules where AWS's guides are silent: a
finding without further knowledge still has details. Sorting is refused instead of ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.inspector2 import urls
from moto.inspector2.responses import Inspector2Response

from sandbox.aws.inspector import clusters, coverages, filters, sbom_exports
from sandbox.aws.inspector.errors import InspectorError
from sandbox.registry.errors import EcrError
from sandbox.registry.paging import page
from sandbox.registry.store import store
from sandbox.scanner import intelligence, scans
from sandbox.scanner.intelligence import Knowledge
from sandbox.settings import Settings

LARGEST_PAGE, MOST_DETAILS = 100, 10
_ARN = re.compile(r"arn:(aws[a-zA-Z-]*)?:inspector2:[a-z]{2}(-gov)?-[a-z]+-\d{1}:\d{12}:finding/[a-f0-9]{32}")
# BOD 22-01: vulnerabilities in CISA's catalogue are to be remediated within two weeks.
_CISA_PERIOD = timedelta(weeks=2)
_CISA_ACTION = "Apply updates per vendor instructions."


@dataclass(frozen=True, slots=True)
class _ImageFinding:
    """A finding that an image has now."""

    repository: str
    digest: str
    finding: dict[str, Any]  # in ECR's form
    knowledge: Knowledge

    def details(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"findingArn": self.finding["findingArn"]}
        if self.knowledge.epss is not None:
            answer["epssScore"] = self.knowledge.epss
        if added := self.knowledge.known_exploited:
            due = _midnight(added + _CISA_PERIOD)
            answer["cisaData"] = {"dateAdded": _midnight(added), "dateDue": due, "action": _CISA_ACTION}
        return answer

    def as_inspector(self) -> dict[str, Any]:
        """Return the finding in Inspector's form, in which some members have other names than in ECR's."""
        shape = self.knowledge.applied_to(self.finding)
        if self.knowledge.epss is not None:
            shape = shape | {"epss": {"score": self.knowledge.epss}}
        if "score" in shape:
            shape = shape | {"inspectorScore": shape["score"]}
        if cvss := shape.get("scoreDetails", {}).get("cvss"):
            shape = shape | {"inspectorScoreDetails": {"adjustedCvss": cvss}}
        advice = shape["remediation"].get("recommendation", {})
        renamed = {"Url" if name == "url" else name: value for name, value in advice.items()}
        return shape | {"remediation": {"recommendation": renamed}}


_CRITERIA: Mapping[str, Callable[[_ImageFinding], str | None]] = {
    "ecrImageHash": lambda one: one.digest,
    "ecrImageRepositoryName": lambda one: one.repository,
    "exploitAvailable": lambda one: one.knowledge.applied_to(one.finding).get("exploitAvailable"),
    "findingArn": lambda one: one.finding["findingArn"],
    "findingStatus": lambda one: one.finding["status"],
    "findingType": lambda one: one.finding["type"],
    "fixAvailable": lambda one: one.finding.get("fixAvailable"),
    "severity": lambda one: one.finding["severity"],
    "vulnerabilityId": lambda one: one.finding.get("packageVulnerabilityDetails", {}).get("vulnerabilityId"),
}
_COMPARISONS = ("EQUALS", "PREFIX", "NOT_EQUALS")


class Inspector2(Inspector2Response):
    """Operations that moto lacks or answers differently from AWS, one method each."""

    def list_findings(self) -> ActionResult:
        criteria, size = self._get_param("filterCriteria") or {}, self._get_param("maxResults")
        size = LARGEST_PAGE if size is None else size
        if not 1 <= size <= LARGEST_PAGE:
            raise InspectorError(f"maxResults must be between 1 and {LARGEST_PAGE}")
        if self._get_param("sortCriteria"):
            raise InspectorError("the sandbox does not sort findings")
        matching = filters.filter_items(_image_findings(), criteria, _CRITERIA, _COMPARISONS)
        try:
            listed, token = page(matching, self._get_param("nextToken"), size)
        except EcrError as error:
            raise InspectorError("Invalid next token") from error
        answer = {"findings": [one.as_inspector() for one in listed]}
        return ActionResult(answer | ({"nextToken": token} if token else {}))

    def batch_get_finding_details(self) -> ActionResult:
        arns = self._get_param("findingArns") or []
        if not 1 <= len(arns) <= MOST_DETAILS:
            raise InspectorError(f"findingArns must have between 1 and {MOST_DETAILS} members")
        if wrong := [arn for arn in arns if not _ARN.fullmatch(arn)]:
            raise InspectorError(f"not the ARN of a finding: {wrong[0]}")
        requested = dict.fromkeys(arns)
        by_arn = {one.finding["findingArn"]: one for one in _image_findings()}
        missing = [arn for arn in requested if arn not in by_arn]
        return ActionResult(
            {
                "findingDetails": [by_arn[arn].details() for arn in requested if arn in by_arn],
                "errors": [_not_found(arn) for arn in missing],
            }
        )


def _image_findings() -> Iterator[_ImageFinding]:
    """Yield the findings of all images while scanning is enhanced; Inspector knows nothing of basic scanning."""
    known = intelligence.read(store().settings.state)
    for repo in list(store().backend.repositories.values()):
        for image in list(repo.images):
            scan = scans.current_scan(image)
            for finding in scan.findings if scan and scan.kind == "ENHANCED" else ():
                knowledge = intelligence.knowledge_about(finding, known)
                yield _ImageFinding(repo.name, image.image_digest, finding, knowledge)


def _not_found(arn: str) -> dict[str, str]:
    message = "No details of this finding were found"
    return {"findingArn": arn, "errorCode": "FINDING_DETAILS_NOT_FOUND", "errorMessage": message}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def install(settings: Settings) -> None:
    """Patch Inspector. Needs the store that ECR's patch opens."""
    sbom_exports.install(settings)
    clusters.install(settings)
    coverages.install(settings)
    urls.url_paths["{0}/findings/list$"] = Inspector2.dispatch
    urls.url_paths["{0}/findings/details/batch/get$"] = Inspector2.dispatch
