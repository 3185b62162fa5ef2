"""Findings of the audit in the format of AWS Security Hub (ASFF): one for each, with the same id in each audit.

Source: AWS Security Hub user guide, "AWS Security Finding Format (ASFF)", and "Guidelines for using the
BatchImportFindings API". A later finding replaces the one of its id; people's notes and workflow stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagegate.audit.checks import AuditSubject
from imagegate.audit.finding import FindingState, ResourceKind
from imagegate.canonical_json import timestamp
from imagegate.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagegate.audit.finding import AuditedResource, AuditFinding
    from imagegate.audit.report import AuditReport

# Characters: far below 240 KB for a finding.
_TITLE, _DESCRIPTION, _REMEDY, _FIELD = 256, 1024, 512, 2048
_TYPES = {
    AuditSubject.COST: "Software and Configuration Checks/AWS Security Best Practices",
    AuditSubject.IMAGE: "Software and Configuration Checks/Patch Management",
}
_TYPE = "Software and Configuration Checks/AWS Security Best Practices/Container Registry"
_LABELS = {"info": "INFORMATIONAL"}


@dataclass(frozen=True, slots=True)
class AuditFindingFormat:
    """Composes findings. `product`: the ARN of the account's default product in Security Hub."""

    product: str

    def findings(self, report: AuditReport) -> Iterator[dict[str, Any]]:
        """Yield all findings of a report; resolved ones are archived."""
        return (self.compose(one, report) for one in report.findings)

    def compose(self, finding: AuditFinding, report: AuditReport) -> dict[str, Any]:
        """Return one finding. A waived one is a warning without weight: its state in Security Hub belongs to people."""
        first = timestamp(finding.first_seen or report.taken_at)
        label = _label(finding)
        return {
            "SchemaVersion": "2018-10-08",
            "Id": f"imagegate/{report.account}/{report.region}/audit/{finding.id}",
            "ProductArn": self.product,
            "ProductName": "imagegate",
            "GeneratorId": f"imagegate/audit/{finding.check.id}",
            "AwsAccountId": report.account,
            "CreatedAt": first,
            "FirstObservedAt": first,
            "LastObservedAt": timestamp(report.taken_at),
            "UpdatedAt": timestamp(report.taken_at),
            "Title": one_line(f"{finding.check.title}: {finding.resource.name}", _TITLE),
            "Description": one_line(_describe(finding), _DESCRIPTION),
            "FindingProviderFields": {
                "Severity": {"Label": label, "Original": str(finding.check.severity)},
                "Types": [_TYPES.get(finding.check.subject, _TYPE)],
            },
            "ProductFields": _fields(finding),
            "Compliance": {"Status": _status(finding)},
            "Remediation": {"Recommendation": {"Text": one_line(_remedy(finding), _REMEDY)}},
            "Resources": [self._resource(finding.resource, report)],
            "RecordState": "ARCHIVED" if finding.state is FindingState.RESOLVED else "ACTIVE",
        }

    def _resource(self, resource: AuditedResource, report: AuditReport) -> dict[str, Any]:
        where = {"Partition": self.product.split(":")[1], "Region": report.region}
        if resource.kind is ResourceKind.IMAGE and resource.digest:
            details: dict[str, Any] = {
                "RegistryId": report.account,
                "RepositoryName": resource.repository,
                "ImageDigest": resource.digest,
                **({"ImageTags": [one_line(resource.tag, _TITLE)]} if resource.tag else {}),
            }
            more = {"Details": {"AwsEcrContainerImage": details}}
            return {"Type": "AwsEcrContainerImage", "Id": resource.arn, **where, **more}
        if resource.kind is ResourceKind.REPOSITORY:
            found = {"Arn": resource.arn, "RepositoryName": resource.repository}
            more = {"Details": {"AwsEcrRepository": found}}
            return {"Type": "AwsEcrRepository", "Id": resource.arn, **where, **more}
        if resource.kind in (ResourceKind.REGISTRY, ResourceKind.ACCOUNT):
            return {"Type": "AwsAccount", "Id": f"AWS::::Account:{report.account}", **where}
        return {"Type": "Other", "Id": one_line(resource.arn, _REMEDY), **where}


def _describe(finding: AuditFinding) -> str:
    waiver = (
        f" Waived until {finding.waived_until}: {finding.waiver_reason}."
        if finding.state is FindingState.WAIVED
        else ""
    )
    return f"{finding.resource.name}: {finding.detail}.{waiver}"


def _remedy(finding: AuditFinding) -> str:
    command = f" ({finding.remedy.command})" if finding.remedy.command else ""
    return f"{finding.remedy.text}{command}"


def _label(finding: AuditFinding) -> str:
    if finding.state is FindingState.WAIVED:
        return "INFORMATIONAL"
    severity = str(finding.check.severity)
    return _LABELS.get(severity, severity.upper())


def _status(finding: AuditFinding) -> str:
    statuses = {FindingState.WAIVED: "WARNING", FindingState.RESOLVED: "PASSED"}
    return statuses.get(finding.state, "FAILED")


def _fields(finding: AuditFinding) -> dict[str, str]:
    fields = {
        "imagegate/check": finding.check.id,
        "imagegate/state": str(finding.state),
        "imagegate/stage": finding.resource.stage,
        "imagegate/owner": finding.owner,
        "imagegate/waiver": finding.waiver,
        "imagegate/evidence": ", ".join(finding.evidence),
    }
    return {name: one_line(value, _FIELD) for name, value in fields.items() if value}
