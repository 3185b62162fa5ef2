"""DescribeImageScanFindings: a scan's findings in pages, and what may go wrong between two of them.

A token belongs to one scan. If the image was scanned again meanwhile, basic scanning refuses the token
(`InvalidParameterException`), because its report is gone. Enhanced findings are a live set without separate scans, so
the token goes on at its position in the present set; the caller can tell by `imageScanCompletedAt`. AWS documents
neither.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from sandbox.registry.errors import EcrError
from sandbox.registry.manifests import StoredManifest
from sandbox.registry.store import store
from sandbox.scanner import intelligence, scans
from sandbox.scanner.scan import Scan

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
_TOKEN = re.compile(r"(?P<page>\d+):(?P<start>\d+):(?P<scan>[0-9a-f]{32})")
_FAILURES = 2


class ServerFault(Exception):  # noqa: N818 - AWS's word for it
    """ECR's ServerException, an answer 500; moto would make it a 400."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The position at which a listing goes on."""

    page: int = 1
    start: int = 0
    scan: str | None = None

    @classmethod
    def read(cls, token: str) -> _Place:
        try:
            match = _TOKEN.fullmatch(base64.urlsafe_b64decode(token).decode())
        except (binascii.Error, UnicodeDecodeError, ValueError):
            match = None
        if not match:
            raise _refused_token()
        return cls(int(match["page"]), int(match["start"]), match["scan"])

    def token(self) -> str:
        return base64.urlsafe_b64encode(f"{self.page}:{self.start}:{self.scan}".encode()).decode()


def report(
    repo: Any, image: Any, manifest: StoredManifest, token: str | None, limit: int | None
) -> dict[str, Any]:
    """Return the answer without the names. Raises ScanNotFoundException before any scan of this kind."""
    place = _Place.read(token) if token else _Place()
    size = _size(limit)
    _quirks(repo, image, manifest, place)
    scan = _scan(repo, image)
    if place.scan not in (None, scan.id) and scan.kind == "BASIC":
        raise _refused_token()
    answer: dict[str, Any] = {"imageScanStatus": scan.image_scan_status}
    if scan.is_early:
        return answer | {"imageScanFindings": {"findings": []}}
    return answer | _page(scan, place, size) if scan.completed else answer


def _size(limit: int | None) -> int:
    size = DEFAULT_PAGE if limit is None else limit
    if not 1 <= size <= LARGEST_PAGE:
        reason = f"Member must be between 1 and {LARGEST_PAGE}"
        message = f"Invalid parameter at 'maxResults' failed to satisfy constraint: '{reason}'"
        raise EcrError("InvalidParameterException", message)
    return size


def _page(scan: Scan, place: _Place, size: int) -> dict[str, Any]:
    end = place.start + size
    kind = "findings" if scan.kind == "BASIC" else "enhancedFindings"
    page_findings = scan.findings[place.start : end]
    if scan.kind == "ENHANCED":
        known = intelligence.read(store().settings.state)
        page_findings = [
            intelligence.knowledge_about(finding, known).applied_to(finding) for finding in page_findings
        ]
    findings = scan.findings_summary() | {kind: page_findings}
    more = {"nextToken": _Place(place.page + 1, end, scan.id).token()} if end < len(scan.findings) else {}
    return {"imageScanFindings": findings} | more


def _quirks(repo: Any, image: Any, manifest: StoredManifest, place: _Place) -> None:
    quirks = store().settings.quirks
    if place.page == quirks.fail_findings_page and _times(image, f"page {place.page} failed") < _FAILURES:
        raise ServerFault("the page could not be read")
    if quirks.rescan_while_paging and place.page > 1 and not _times(image, "scanned while paging"):
        scans.rescan(repo, image, manifest, at_once=True)


def _times(image: Any, what: str) -> int:
    """Count an event of this image; return how often it happened before."""
    with store().lock:
        happened: dict[str, int] = getattr(image, "happened", {})
        before = happened.get(what, 0)
        image.happened = happened | {what: before + 1}
    return before


def _scan(repo: Any, image: Any) -> Scan:
    if scan := scans.current_scan(image):
        return scan
    raise EcrError(
        "ScanNotFoundException",
        f"Image scan does not exist for the image with '{{imageDigest:'{image.image_digest}'}}' "
        f"in the repository with name '{repo.name}' in the registry with id '{repo.registry_id}'",
    )


def _refused_token() -> EcrError:
    return EcrError("InvalidParameterException", "Invalid next token")
