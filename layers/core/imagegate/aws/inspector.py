"""Amazon Inspector: what ECR does not say: whether it looked at an image, EPSS, known exploits, where images run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from imagegate.aws.clients import client, translated
from imagegate.canonical_json import timestamp
from imagegate.errors import AccessRefusedError
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Finding
from imagegate.oci.image import ImageRef
from imagegate.release.revocation import RunsIn

# Amazon Inspector API reference: BatchGetFindingDetails, findingArns; ListFindings, maxResults.
DETAILS_A_CALL = 10
_FINDINGS_A_PAGE = 100
_NEEDED = (
    "this role may not ask Inspector whether it has looked at the image; it needs inspector2:ListCoverage and"
    " inspector2:ListFindings on *"
)
# Amazon Inspector API reference, CoveredResource: a container image is scanned for packages.
_IMAGE, _PACKAGES = "AWS_ECR_CONTAINER_IMAGE", "PACKAGE"
# Inspector has answered, and FIRST has not scored the vulnerability: it is too new, and nothing is known against it.
_NO_SCORE = 0.0


class Inspector:
    """The findings of this account's images in this Region."""

    @property
    def _client(self) -> Any:
        return client("inspector2")

    def details(self, findings: Sequence[Finding]) -> list[Finding]:
        """At most 10: the same findings with `known_exploited` and `epss` as BatchGetFindingDetails says.

        What Inspector has no details of is left as it is. Raises `ValueError` for more than 10.
        """
        if len(findings) > DETAILS_A_CALL:
            raise ValueError(
                f"details of {len(findings)} findings: Inspector gives {DETAILS_A_CALL} at a time"
            )
        arns = list(dict.fromkeys(finding.arn for finding in findings if finding.arn))
        if not arns:
            return list(findings)
        with translated({}, asked="details of findings"):
            answer = self._client.batch_get_finding_details(findingArns=arns)
        told = {detail.get("findingArn"): detail for detail in answer.get("findingDetails", ())}
        return [_detailed(finding, told.get(finding.arn)) for finding in findings]

    def epss(self, image: ImageRef) -> dict[str, float]:
        """EPSS by finding ARN, of all active findings of the image."""
        wanted = {
            "ecrImageHash": _equals(str(image.digest)),
            "ecrImageRepositoryName": _equals(image.repository),
            "findingStatus": _equals("ACTIVE"),
        }
        pages = self._client.get_paginator("list_findings").paginate(
            filterCriteria=wanted, PaginationConfig={"PageSize": _FINDINGS_A_PAGE}
        )
        with translated({}, asked=str(image)):
            return {
                finding["findingArn"]: finding.get("epss", {}).get("score", _NO_SCORE)
                for page in pages
                for finding in page.get("findings", ())
            }

    def coverage(self, image: str) -> tuple[Coverage, ...]:
        """The records about an image, by its ARN; empty where Inspector does not know it (yet)."""
        wanted = {
            "resourceId": _equals(image),
            "resourceType": _equals(_IMAGE),
            "scanType": _equals(_PACKAGES),
        }
        pages = self._client.get_paginator("list_coverage").paginate(filterCriteria=wanted)
        with translated({"AccessDeniedException": AccessRefusedError}, f"{image}: {_NEEDED}"):
            return tuple(
                _coverage(record)
                for page in pages
                for record in page.get("coveredResources", ())
                if (record["resourceId"], record["resourceType"], record["scanType"])
                == (image, _IMAGE, _PACKAGES)
            )

    def clusters(self, image: ImageRef) -> list[RunsIn]:
        """Where the image runs, or ran lately: GetClustersForImage, of Amazon ECS and Amazon EKS."""
        caller = client("sts").get_caller_identity()
        partition, account = caller["Arn"].split(":")[1], caller["Account"]
        region = self._client.meta.region_name
        arn = f"arn:{partition}:ecr:{region}:{account}:repository/{image.repository}/{image.digest}"
        found: list[RunsIn] = []
        asked: dict[str, Any] = {"filter": {"resourceId": arn}}
        with translated({"AccessDeniedException": AccessRefusedError}, asked=str(image)):
            while True:
                answer = self._client.get_clusters_for_image(**asked)
                found += map(_runs_in, answer.get("cluster", ()))
                if not answer.get("nextToken"):
                    return found
                asked["nextToken"] = answer["nextToken"]


def _coverage(record: Mapping[str, Any]) -> Coverage:
    status, looked = record["scanStatus"], record.get("lastScannedAt")
    return Coverage(status["statusCode"], status["reason"], timestamp(looked) if looked else None)


def _runs_in(cluster: Mapping[str, Any]) -> RunsIn:
    details = cluster.get("clusterDetails", ())
    seen = max((detail["lastInUse"] for detail in details if detail.get("lastInUse")), default=None)
    return RunsIn(cluster["clusterArn"], sum(detail.get("runningUnitCount", 0) for detail in details), seen)


def _equals(value: str) -> list[dict[str, str]]:
    return [{"comparison": "EQUALS", "value": value}]


def _detailed(finding: Finding, detail: Mapping[str, Any] | None) -> Finding:
    """CISA's data is there for what is in its catalogue (KEV), and only for that."""
    if detail is None:
        return finding
    known = finding.epss or _NO_SCORE
    return replace(finding, known_exploited="cisaData" in detail, epss=detail.get("epssScore", known))
