"""The approval page behind its deployed function URL: with its own role, KMS's own codes, and nobody's signature."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from imagegate.approval_page.html import content_security_policy
from imagegate.grants.approval_link import ApprovalLink, Purpose
from imagegate.oci.image import ImageRef
from imagegate.release.release import ReleaseId
from tests.e2e.gate import Gate
from tests.patience import PATIENCE_SECONDS

ANN = "mailto:ann@example.com"
STAGING = "links-staging"


@pytest.fixture(scope="module")
def release(gate: Gate) -> ReleaseId:
    """Return a release that has passed the gate before production."""
    digest = gate.push("links-dev", "1.0")
    assert gate.ended(STAGING, digest)["outcome"] == "held"
    return ReleaseId(ImageRef.of(STAGING, digest), 1)


def token(gate: Gate, link: ApprovalLink) -> str:
    """Make a token as the function that requests approvals does."""
    stack = {"StackName": gate.cloud.env["IMAGEGATE_STACK"], "LogicalResourceId": "ApprovalKey"}
    found = gate.cloud.client("cloudformation").describe_stack_resource(**stack)
    key = found["StackResourceDetail"]["PhysicalResourceId"]
    asked = {"KeyId": key, "MacAlgorithm": "HMAC_SHA_256", "Message": link.signed}
    return link.token(gate.cloud.client("kms").generate_mac(**asked)["Mac"])


def link(release: ReleaseId, purpose: Purpose = Purpose.VIEW) -> ApprovalLink:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    approver = "" if purpose is Purpose.VIEW else ANN
    return ApprovalLink(purpose, release, "production", ends, approver)


def call(gate: Gate, method: str, query: str = "", **more: Any) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        method, f"{gate.cloud.outputs['ApprovalPageUrl']}{query}", timeout=PATIENCE_SECONDS, **more
    )


def confirm(gate: Gate, token: str) -> urllib3.BaseHTTPResponse:
    """Send the form as a browser does."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return call(gate, "POST", body=urlencode({"token": token, "reason": "seen"}), headers=headers)


# Written by what runs on a schedule, whatever a page does.
SCHEDULED = {"AGAIN", "TURN", "NOTICE"}


def kept(gate: Gate) -> list[Any]:
    """Return all items of both tables, but for those that the schedules write meanwhile."""
    tables = [gate.cloud.outputs[name] for name in ("LedgerTable", "GrantsTable")]
    scan = gate.cloud.client("dynamodb").scan
    return [
        sorted(str(item) for item in scan(TableName=table)["Items"] if _kind(item) not in SCHEDULED)
        for table in tables
    ]


def _kind(item: dict[str, Any]) -> str:
    return str(item["pk"]["S"]).partition("#")[0]


def test_the_link_shows_the_release_and_changes_nothing(gate: Gate, release: ReleaseId) -> None:
    gate.settled()
    before = kept(gate)
    for purpose in Purpose:
        answer = call(gate, "GET", f"?t={token(gate, link(release, purpose))}")
        page = answer.data.decode()
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == content_security_policy()
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert str(release.image.digest) in page
        assert "PASS" in page
        assert "links-production" in page
    assert kept(gate) == before


def test_a_link_that_was_changed_or_has_ended_shows_nothing(gate: Gate, release: ReleaseId) -> None:
    right = token(gate, link(release))
    other = replace(link(release), purpose=Purpose.APPROVE, approver=ANN)
    forged = other.token(b"0" * 32).rpartition(".")[0] + "." + right.rpartition(".")[2]
    ended = replace(link(release), expires=datetime(2026, 1, 1, tzinfo=UTC))
    for what, status in ((forged, 403), (token(gate, ended), 410), ("x", 403), ("", 403)):
        answer = call(gate, "GET", f"?t={what}")
        assert answer.status == status, what
        assert str(release.image.digest) not in answer.data.decode()


def test_who_confirms_a_forged_link_is_refused_without_decide(gate: Gate, release: ReleaseId) -> None:
    forged = link(release, Purpose.APPROVE).token(b"0" * 32)
    assert confirm(gate, forged).status == 403


def test_who_confirms_a_link_gets_an_answer_of_decide(gate: Gate, release: ReleaseId) -> None:
    confirmed = token(gate, link(release, Purpose.APPROVE))
    answer = confirm(gate, confirmed)
    assert answer.status in (200, 409)
    assert "text/html" in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("HEAD", "", 405), ("PUT", "", 405), ("GET", "x", 404)]
)
def test_there_is_nothing_else(gate: Gate, method: str, path: str, status: int) -> None:
    assert call(gate, method, path).status == status
