"""Inspector: what its answers mean to us. Its answers are stubbed, with botocore checking their shape."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from imagegate.aws import clients as aws
from imagegate.aws.inspector import DETAILS_A_CALL, Inspector
from imagegate.errors import ThrottledError
from imagegate.findings.finding import Finding, Severity
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.images import Intelligence

NOW = datetime(2026, 11, 21, 7, 52, 38, tzinfo=UTC)
IMAGE = ImageRef("shop-dev", Digest.of(b"image"))
WANTED = {
    "filterCriteria": {
        "ecrImageHash": [{"comparison": "EQUALS", "value": str(IMAGE.digest)}],
        "ecrImageRepositoryName": [{"comparison": "EQUALS", "value": "shop-dev"}],
        "findingStatus": [{"comparison": "EQUALS", "value": "ACTIVE"}],
    },
    "maxResults": 100,
}

pytestmark = pytest.mark.usefixtures("aws_account")


@pytest.fixture
def stub(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("inspector2")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def inspector() -> Intelligence:
    return Inspector()


def finding(number: int, **more: Any) -> Finding:
    return Finding(f"CVE-2026-{number:04}", Severity.HIGH, arn=arn(number), **more)


def arn(number: int) -> str:
    return f"arn:aws:inspector2:us-east-1:123456789012:finding/{number:032x}"


def listed(number: int, **more: Any) -> dict[str, Any]:
    return {
        "findingArn": arn(number),
        "awsAccountId": "123456789012",
        "type": "PACKAGE_VULNERABILITY",
        "description": "a bug",
        "remediation": {"recommendation": {"text": "None Provided"}},
        "severity": "HIGH",
        "firstObservedAt": NOW,
        "lastObservedAt": NOW,
        "status": "ACTIVE",
        "resources": [{"type": "AWS_ECR_CONTAINER_IMAGE", "id": str(IMAGE)}],
        **more,
    }


# details


def test_only_vulnerabilities_in_cisas_catalogue_are_known_to_be_exploited(
    inspector: Intelligence, stub: Stubber
) -> None:
    details = [
        {"findingArn": arn(2), "epssScore": 0.01},
        {"findingArn": arn(1), "cisaData": {"dateAdded": NOW, "action": "patch"}, "epssScore": 0.97},
    ]
    stub.add_response(
        "batch_get_finding_details", {"findingDetails": details}, {"findingArns": [arn(1), arn(2)]}
    )
    assert inspector.details([finding(1), finding(2)]) == [
        finding(1, known_exploited=True, epss=0.97),
        finding(2, known_exploited=False, epss=0.01),
    ]


def test_a_finding_that_inspector_has_no_details_of_stays_unknown(
    inspector: Intelligence, stub: Stubber
) -> None:
    error = {"findingArn": arn(1), "errorCode": "FINDING_DETAILS_NOT_FOUND", "errorMessage": "none"}
    stub.add_response("batch_get_finding_details", {"findingDetails": [], "errors": [error]})
    assert inspector.details([finding(1), finding(2, epss=0.5)]) == [finding(1), finding(2, epss=0.5)]


def test_details_without_a_score_leave_the_known_one(inspector: Intelligence, stub: Stubber) -> None:
    stub.add_response("batch_get_finding_details", {"findingDetails": [{"findingArn": arn(1)}]})
    assert inspector.details([finding(1, epss=0.5)]) == [finding(1, epss=0.5, known_exploited=False)]


def test_findings_of_other_scanners_have_no_details_and_are_not_asked_for(
    inspector: Intelligence, stub: Stubber
) -> None:
    nameless = Finding("CVE-2026-0001", Severity.HIGH)
    assert inspector.details([nameless]) == [nameless]
    assert inspector.details([]) == []


def test_details_of_a_finding_are_requested_once(inspector: Intelligence, stub: Stubber) -> None:
    answer = {"findingDetails": [{"findingArn": arn(1)}]}
    stub.add_response("batch_get_finding_details", answer, {"findingArns": [arn(1)]})
    assert [one.known_exploited for one in inspector.details([finding(1), finding(1)])] == [False, False]


def test_more_findings_than_one_call_takes_are_a_mistake_of_ours(
    inspector: Intelligence, stub: Stubber
) -> None:
    with pytest.raises(ValueError, match="11 findings"):
        inspector.details([finding(number) for number in range(DETAILS_A_CALL + 1)])


# EPSS


def test_the_epss_of_all_findings_is_read_page_by_page(inspector: Intelligence, stub: Stubber) -> None:
    first = {"findings": [listed(1, epss={"score": 0.25}), listed(2)], "nextToken": "more"}
    last = {"findings": [listed(3, epss={"score": 0.0}), listed(4, epss={})]}
    stub.add_response("list_findings", first, WANTED)
    stub.add_response("list_findings", last, {**WANTED, "nextToken": "more"})
    # What Inspector lists without a score is too new to have one: nothing is known against it.
    assert inspector.epss(IMAGE) == {arn(1): 0.25, arn(2): 0.0, arn(3): 0.0, arn(4): 0.0}


def test_an_image_without_findings_has_no_epss(inspector: Intelligence, stub: Stubber) -> None:
    stub.add_response("list_findings", {"findings": []}, WANTED)
    assert inspector.epss(IMAGE) == {}


# errors


def test_throttling_is_tried_again(inspector: Intelligence, stub: Stubber) -> None:
    stub.add_client_error("list_findings", "ThrottlingException")
    stub.add_client_error("batch_get_finding_details", "ThrottlingException")
    with pytest.raises(ThrottledError, match="shop-dev@sha256:"):
        inspector.epss(IMAGE)
    with pytest.raises(ThrottledError):
        inspector.details([finding(1)])


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_other_errors_of_inspector_are_not_ours(inspector: Intelligence, stub: Stubber, code: str) -> None:
    stub.add_client_error("batch_get_finding_details", code)
    stub.add_client_error("list_findings", code)
    with pytest.raises(ClientError, match=code):
        inspector.details([finding(1)])
    with pytest.raises(ClientError, match=code):
        inspector.epss(IMAGE)
