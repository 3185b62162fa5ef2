"""Amazon Inspector: its coverage of images, EPSS, known exploits, and the clusters that images run in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imagegate.aws.clients import client, translated
from imagegate.canonical_json import timestamp
from imagegate.errors import AccessRefusedError
from imagegate.findings.coverage import Coverage
from imagegate.release.revocation import RunsIn

if TYPE_CHECKING:
    from imagegate.findings.finding import Finding
    from imagegate.oci.image import ImageRef

# Amazon Inspector API reference: BatchGetFindingDetails, findingArns; ListFindings, maxResults.
DETAILS_A_CALL = 10
_FINDINGS_A_PAGE = 100
_NEEDED = (
    "this role may not read whether Inspector has looked at the image; it needs inspector2:ListCoverage and"
    " inspector2:ListFindings on *"
)
# Amazon Inspector API reference, CoveredResource: a container image is scanned for packages.
_IMAGE, _PACKAGES = "AWS_ECR_CONTAINER_IMAGE", "PACKAGE"
# The score of a vulnerability that Inspector knows and FIRST has not scored yet: it is too new.
_NO_SCORE = 0.0


class Inspector:
    """The findings of this account's images in this Region."""

    @property
    def _client(self) -> Any:
        return client("inspector2")

    def details(self, findings: Sequence[Finding]) -> list[Finding]:
        """Add `known_exploited` and `epss` from BatchGetFindingDetails to at most 10 findings.

        A finding without details is returned as it is. Raises `ValueError` for more than 10.
        """
        if len(findings) > DETAILS_A_CALL:
            raise ValueError(
                f"details of {len(findings)} findings: Inspector gives {DETAILS_A_CALL} at a time"
            )
        arns = list(dict.fromkeys(finding.arn for finding in findings if finding.arn))
        if not arns:
            return list(findings)
        with translated({}, subject="details of findings"):
            response = self._client.batch_get_finding_details(findingArns=arns)
        details = {detail.get("findingArn"): detail for detail in response.get("findingDetails", ())}
        return [_with_details(finding, details.get(finding.arn)) for finding in findings]

    def epss(self, image: ImageRef) -> dict[str, float]:
        """Return EPSS by finding ARN, for all active findings of the image."""
        wanted = {
            "ecrImageHash": _equals(str(image.digest)),
            "ecrImageRepositoryName": _equals(image.repository),
            "findingStatus": _equals("ACTIVE"),
        }
        pages = self._client.get_paginator("list_findings").paginate(
            filterCriteria=wanted, PaginationConfig={"PageSize": _FINDINGS_A_PAGE}
        )
        with translated({}, subject=str(image)):
            return {
                finding["findingArn"]: finding.get("epss", {}).get("score", _NO_SCORE)
                for page in pages
                for finding in page.get("findings", ())
            }

    def coverage(self, image: str) -> tuple[Coverage, ...]:
        """Return the records about an image, by its ARN; empty if Inspector does not know it yet."""
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
        """List the clusters of ECS and EKS that run the image or ran it lately (GetClustersForImage)."""
        caller = client("sts").get_caller_identity()
        partition, account = caller["Arn"].split(":")[1], caller["Account"]
        region = self._client.meta.region_name
        arn = f"arn:{partition}:ecr:{region}:{account}:repository/{image.repository}/{image.digest}"
        clusters: list[RunsIn] = []
        request: dict[str, Any] = {"filter": {"resourceId": arn}}
        with translated({"AccessDeniedException": AccessRefusedError}, subject=str(image)):
            while True:
                response = self._client.get_clusters_for_image(**request)
                clusters += map(_runs_in, response.get("cluster", ()))
                if not response.get("nextToken"):
                    return clusters
                request["nextToken"] = response["nextToken"]


def _coverage(record: Mapping[str, Any]) -> Coverage:
    status, scanned_at = record["scanStatus"], record.get("lastScannedAt")
    return Coverage(status["statusCode"], status["reason"], timestamp(scanned_at) if scanned_at else None)


def _runs_in(cluster: Mapping[str, Any]) -> RunsIn:
    details = cluster.get("clusterDetails", ())
    seen = max((detail["lastInUse"] for detail in details if detail.get("lastInUse")), default=None)
    units = sum(detail.get("runningUnitCount", 0) for detail in details)
    return RunsIn(
        cluster["clusterArn"], units, seen, ", ".join(dict.fromkeys(filter(None, map(_group, details))))
    )


def _group(detail: Mapping[str, Any]) -> str:
    """Return the ECS group of the tasks, or an empty text for pods."""
    ecs = detail.get("clusterMetadata", {}).get("awsEcsMetadataDetails", {})
    return str(ecs.get("detailsGroup", ""))


def _equals(value: str) -> list[dict[str, str]]:
    return [{"comparison": "EQUALS", "value": value}]


def _with_details(finding: Finding, detail: Mapping[str, Any] | None) -> Finding:
    """Add the details to a finding. CISA's data is present only for vulnerabilities in its catalogue (KEV)."""
    if detail is None:
        return finding
    score = finding.epss or _NO_SCORE
    return replace(finding, known_exploited="cisaData" in detail, epss=detail.get("epssScore", score))
