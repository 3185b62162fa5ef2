"""The report as assessment results of NIST's OSCAL 1.1.3, about controls of NIST SP 800-53 revision 5.

A check that fails is a finding about the control: not satisfied. A check that passes is an observation and no more,
for a control asks for more than a check can show. Identifiers are made of names (UUID version 5): the same each time.
Source: NIST OSCAL, "Assessment Results Model", and its JSON schema (tests/contract/fixtures).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imagegate.audit.finding import FindingState
from imagegate.canonical_json import timestamp
from imagegate.text import one_line

if TYPE_CHECKING:
    from imagegate.audit.controls import Control, ControlMapping
    from imagegate.audit.finding import AuditedResource, AuditFinding
    from imagegate.audit.report import AuditReport

OSCAL_VERSION = "1.1.3"
FRAMEWORK = "nist-800-53"
_CATALOGUE = "https://csrc.nist.gov/pubs/sp/800/53/r5/upd1/final"
_NAMESPACE = bytes.fromhex("8f1f4a0e3c1b4d0a9a6a5f0e2d7c9b31")  # made by chance, once
_LONGEST = 1_000
_METHODS = ["TEST"]


def assessment_results(report: AuditReport, mapping: ControlMapping, version: str) -> dict[str, Any]:
    """Return the document. `version`: of imagegate."""
    controls = [one for one in mapping.controls if one.framework.id == FRAMEWORK]
    taken = timestamp(report.taken_at)
    plan = _id("plan")
    title = f"Audit of container images in Amazon ECR, account {report.account}, {report.region}"
    [{"control-id": oscal_id(one.id)} for one in controls]
    result = {
        "uuid": _id("result", report.account, report.region, taken),
        "title": title,
        "description": "Results of the checks of imagegate. A check supports a control; it does not prove it.",
        "start": taken,
        "end": taken,
        "reviewed-controls": {
            "control-selections": [
                {"include-controls": [{"control-id": oscal_id(one.id)} for one in controls]}
            ]
        },
        "observations": [*_of_checks(report), *(_of_finding(one, report) for one in _standing(report))],
        "findings": [*_findings(report, controls)],
    }
    return {
        "assessment-results": {
            "uuid": _id("document", report.account, report.region, taken),
            "metadata": {
                "title": title,
                "last-modified": taken,
                "version": version,
                "oscal-version": OSCAL_VERSION,
            },
            "import-ap": {"href": f"#{plan}"},
            "results": [{name: value for name, value in result.items() if value != []}],
            "back-matter": {"resources": [_plan(plan), _catalogue()]},
        }
    }


def oscal_id(control: str) -> str:
    """Return the id of a control in NIST's catalogue: `AC-6(1)` is `ac-6.1`."""
    return control.lower().replace("(", ".").replace(")", "")


def _id(*names: str) -> str:
    """Return the UUID of names (RFC 9562, "UUID Version 5")."""
    hashed = hashlib.sha1(_NAMESPACE + "\n".join(names).encode(), usedforsecurity=False).digest()
    value = bytearray(hashed[:16])
    value[6], value[8] = value[6] & 0x0F | 0x50, value[8] & 0x3F | 0x80
    text = value.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _text(text: str) -> str:
    """Return non-empty text without blanks around it, as OSCAL's strings are."""
    return one_line(text, _LONGEST) or "-"


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": "urn:imagegate:audit", "value": _text(value)}


def _standing(report: AuditReport) -> Iterator[AuditFinding]:
    return (one for one in report.findings if one.state is not FindingState.RESOLVED)


def _of_checks(report: AuditReport) -> Iterator[dict[str, Any]]:
    for name, count in sorted(report.results.counts.items()):
        unread = sum(one.check.id == name for one in report.results.not_assessed)
        description = f"{count.passed} pass, {count.failed} fail, {unread} not assessed"
        yield {
            "uuid": _id("check", name),
            "title": name,
            "description": description,
            "methods": _METHODS,
            "types": ["control-objective"],
            "collected": timestamp(report.taken_at),
        }


def _of_finding(finding: AuditFinding, report: AuditReport) -> dict[str, Any]:
    properties = [
        _property("check", finding.check.id),
        _property("severity", finding.check.severity),
        _property("state", finding.state),
        *(_property("record", digest) for digest in finding.evidence),
        *([_property("owner", finding.owner)] if finding.owner else []),
    ]
    waiver = (
        [
            _property("waived-until", str(finding.waived_until)),
            _property("waiver-reason", finding.waiver_reason or ""),
        ]
        if finding.state is FindingState.WAIVED
        else []
    )
    return {
        "uuid": _id("observation", finding.id),
        "title": _text(finding.check.title),
        "description": _text(f"{finding.resource.name}: {finding.detail}"),
        "props": properties + waiver,
        "methods": _METHODS,
        "types": ["finding"],
        "subjects": [_subject(finding.resource)],
        "collected": timestamp(report.taken_at),
        "remarks": _text(f"Remedy: {finding.remedy.text}"),
    }


def _subject(resource: AuditedResource) -> dict[str, Any]:
    return {
        "subject-uuid": _id("resource", *resource.key),
        "type": "resource",
        "title": _text(resource.name),
        "props": [_property("arn", resource.arn)],
    }


def _findings(report: AuditReport, controls: list[Control]) -> Iterator[dict[str, Any]]:
    """Yield a finding for each control of which a check fails. A waived fault is one, with the waiver in sight."""
    standing = list(_standing(report))
    for control in controls:
        faults = [one for one in standing if one.check in control.checks]
        if not faults:
            continue
        waived = sum(one.state is FindingState.WAIVED for one in faults)
        yield {
            "uuid": _id("finding", control.id),
            "title": f"{control.id}: {len(faults)} results of its checks fail",
            "description": _text(f"{control.asks}. Of these results {waived} are waived."),
            "target": {
                "type": "objective-id",
                "target-id": oscal_id(control.id),
                "status": {"state": "not-satisfied", "reason": "fail"},
            },
            "related-observations": [{"observation-uuid": _id("observation", one.id)} for one in faults],
        }


def _plan(identifier: str) -> dict[str, Any]:
    return {
        "uuid": identifier,
        "title": "The checks of imagegate audit",
        "description": "The assessment is automatic: the plan is the catalogue of its checks, in its documentation.",
    }


def _catalogue() -> dict[str, Any]:
    return {"uuid": _id("catalogue"), "title": "NIST SP 800-53 revision 5", "rlinks": [{"href": _CATALOGUE}]}
