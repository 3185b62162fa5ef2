"""Answers of `aws inspector2 list-findings` about one image."""

from __future__ import annotations

from imagegate_cli.scanners import fields
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import is_digest
from imagegate_cli.scanners.parsers.ecr import read_enhanced, refuse_pages
from imagegate_cli.scanners.report import ScannerReport, knows

_IMAGE = "AWS_ECR_CONTAINER_IMAGE"
_KEYS = frozenset({"findings", "nextToken", "NextToken", "ResponseMetadata"})
_EMPTY = (
    "Inspector lists no findings, and does not say whether it looked at the image; the scan's status is in the answer"
    " of aws ecr describe-image-scan-findings"
)


def is_report(document: Raw) -> bool:
    findings = document.get("findings")
    if not isinstance(findings, list) or not set(document) <= _KEYS:
        return False
    return not findings or any(isinstance(one, dict) and "findingArn" in one for one in findings)


def read(document: Raw) -> ScannerReport:
    """Read an answer of Inspector. Raise `MalformedError`, also if the findings are about more than one image."""
    refuse_pages(document)
    findings = fields.each(document, "findings", read=read_enhanced)
    images = sorted({image for images in fields.each(document, "findings", read=_images) for image in images})
    if len(images) > 1:
        problem = f"of {len(images)} images; filter by one (ecrImageHash and ecrImageRepositoryName)"
        raise MalformedError(problem, "findings")
    target, digest = images[0] if images else (None, "")
    return ScannerReport(
        scanner="inspector",
        findings=findings,
        knows=knows("inspector"),
        target=target,
        digest=digest or None,
        why="" if findings else _EMPTY,
        notes=tuple(_notes(document)),
    )


def _images(finding: Raw) -> list[tuple[str, str]]:
    fields.text(finding, "findingArn")
    return fields.each(finding, "resources", read=_image)


def _image(resource: Raw) -> tuple[str, str]:
    """Return the name and the digest of the image that a finding is about."""
    kind = fields.text(resource, "type")
    if kind != _IMAGE:
        raise MalformedError(f"{kind[:40]!a} is no container image", "type")
    details = ("details", "awsEcrContainerImage")
    digest = fields.optional(resource, *details, "imageHash") or ""
    name = fields.optional(resource, *details, "repositoryName") or fields.text(resource, "id")
    return (f"{name}@{digest}", digest) if is_digest(digest) else (name, "")


def _notes(document: Raw) -> list[str]:
    """Note closed and suppressed findings, which count: Inspector also closes findings of images it stops watching."""
    states = fields.each(document, "findings", read=lambda finding: fields.optional(finding, "status"))
    return [
        f"{states.count(state)} findings that are {state} in Inspector count like all others"
        for state in ("CLOSED", "SUPPRESSED")
        if state in states
    ]
