"""The finding of a risk in the format of AWS Security Hub (ASFF). Inspector sends its vulnerabilities itself; this is
the answer of the gate about an image.

Limits: AWS Security Hub user guide, "AWS Security Finding Format (ASFF)".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.canonical_json import timestamp
from imagegate.findings.finding import Severity
from imagegate.text import one_line

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.risk.risk import Risk, RiskFinding

_TITLE, _DESCRIPTION, _REMEDY, _NAME = 256, 1024, 512, 100  # characters
# One call has at most 100 findings and 6 MB; resources of a finding are at most 32.
_FINDINGS_SENT, _CLUSTERS_SENT, _TAGS_SENT = 100, 20, 10
_CLUSTER_TYPES = {"ecs": "AwsEcsCluster", "eks": "AwsEksCluster"}
_LABELS = frozenset({"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL"})


@dataclass(frozen=True, slots=True)
class SecurityFindingFormat:
    """Composes findings. `product`: the ARN of the account's default product in Security Hub."""

    product: str

    def compose(self, risk: Risk, now: datetime, *, is_over: bool) -> dict[str, Any]:
        """Return the one finding about the image; a later one replaces it. `is_over`: it is archived."""
        title = f"{risk.name} is released in {risk.stage} and at risk: {risk.headline}"
        about = f"It would not pass its gate today: {'; '.join(risk.why)}. {_where(risk)}"
        severity = risk.findings[0].severity if risk.findings else Severity.HIGH
        finding = {
            "SchemaVersion": "2018-10-08",
            "Id": self.name(risk.image),
            "ProductArn": self.product,
            "ProductName": "imagegate",
            "GeneratorId": f"imagegate/{risk.stage}/at-risk",
            "AwsAccountId": self._account,
            "CreatedAt": timestamp(risk.since),
            "FirstObservedAt": timestamp(risk.since),
            "LastObservedAt": timestamp(now),
            "UpdatedAt": timestamp(now),
            "Title": one_line(title, _TITLE),
            "Description": one_line(about, _DESCRIPTION),
            "FindingProviderFields": {
                "Severity": {"Label": _label(severity), "Original": str(severity)},
                "Types": ["Software and Configuration Checks/Vulnerabilities"],
            },
            "ProductFields": {
                "imagegate/stage": risk.stage,
                "imagegate/policy": str(risk.policy),
                "imagegate/running": str(risk.units),
                "imagegate/findings": str(len(risk.findings)),
            },
            "Resources": [self._image(risk), *_clusters(risk)],
            "Vulnerabilities": _vulnerabilities(risk.findings[:_FINDINGS_SENT]),
            "RecordState": "ARCHIVED" if is_over else "ACTIVE",
        }
        remedy = "; ".join([*(f"deploy {one}" for one in risk.newer), *risk.remedies])
        if remedy:
            finding["Remediation"] = {"Recommendation": {"Text": one_line(remedy, _REMEDY)}}
        return finding

    def name(self, image: ImageRef) -> str:
        """Return the id of the finding about this image."""
        return f"{self._arn(image)}/at-risk"

    @property
    def _partition(self) -> str:
        return self.product.split(":")[1]

    @property
    def _region(self) -> str:
        return self.product.split(":")[3]

    @property
    def _account(self) -> str:
        return self.product.split(":")[4]

    def _arn(self, image: ImageRef) -> str:
        """Return the name of an image in findings of AWS: its repository's ARN with the digest."""
        home = f"arn:{self._partition}:ecr:{self._region}:{self._account}"
        return f"{home}:repository/{image.repository}/{image.digest}"

    def _image(self, risk: Risk) -> dict[str, Any]:
        details: dict[str, Any] = {
            "RegistryId": self._account,
            "RepositoryName": risk.image.repository,
            "ImageDigest": str(risk.image.digest),
        }
        if risk.tags:
            details["ImageTags"] = [one_line(tag, _NAME) for tag in risk.tags[:_TAGS_SENT]]
        return {
            "Type": "AwsEcrContainerImage",
            "Id": self._arn(risk.image),
            "Partition": self._partition,
            "Region": self._region,
            "Details": {"AwsEcrContainerImage": details},
        }


def _label(severity: Severity) -> str:
    """Return Security Hub's word; it has none for a severity that is not known yet."""
    return str(severity) if str(severity) in _LABELS else "HIGH"


def _where(risk: Risk) -> str:
    if not risk.runs:
        return "Amazon ECS and Inspector do not see it run."
    return f"It runs {risk.units} times, in {'; '.join(map(str, risk.runs[:_CLUSTERS_SENT]))}."


def _clusters(risk: Risk) -> Iterator[dict[str, Any]]:
    for arn in list(dict.fromkeys(one.cluster for one in risk.runs))[:_CLUSTERS_SENT]:
        service = arn.split(":")[2] if arn.startswith("arn:") else ""
        yield {"Type": _CLUSTER_TYPES.get(service, "Other"), "Id": one_line(arn, _REMEDY)}


def _vulnerabilities(findings: Sequence[RiskFinding]) -> list[dict[str, Any]]:
    """Return each vulnerability once, with its packages."""
    packages: dict[str, list[dict[str, str]]] = {}
    for one in findings:
        named = packages.setdefault(one_line(one.vulnerability, _NAME), [])
        if one.package:
            fixed = {"FixedInVersion": one_line(one.fixed, _NAME)} if one.fixed else {}
            named.append({"Name": one_line(one.package, _NAME), **fixed})
    return [_vulnerability(name, named) for name, named in packages.items()]


def _vulnerability(name: str, packages: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Return it with its fix, where one is known; nothing is said otherwise, because some scanners tell no fixes."""
    fixed = sum("FixedInVersion" in one for one in packages)
    answer = {"FixAvailable": "YES" if fixed == len(packages) else "PARTIAL"} if fixed else {}
    return {"Id": name, **({"VulnerablePackages": list(packages)} if packages else {}), **answer}
