"""Links over KMS, and the calls of `decide`: the requests to each service, and the meaning of the answers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.kms import KmsApprovalLinks
from imagegate.aws.link_decider import LambdaDecider
from imagegate.errors import ServiceUnavailableError, ThrottledError
from imagegate.grants.approval_link import (
    ApprovalLink,
    LinkEndedError,
    LinkRefusedError,
    NotDecidedError,
    Purpose,
)
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.grants import ApprovalLinks, LinkDecider
from imagegate.release.release import ReleaseId
from tests.fakes import DEV, NOW, FakeApprovalLinks, FakeLinkDecider

RELEASE = ReleaseId(ImageRef(DEV, Digest.of(b"image")), 1)
LINK = ApprovalLink(Purpose.APPROVE, RELEASE, "production", NOW + timedelta(days=7), "mailto:ann@example.com")
PAGE = "https://abc.lambda-url.eu-central-1.on.aws/"


def made(key: str = "key") -> KmsApprovalLinks:
    return KmsApprovalLinks(key, lambda: PAGE)


def token_of(url: str) -> str:
    page, _, token = url.partition("?t=")
    assert page == PAGE
    return token


@pytest.fixture
def keys(aws_account: None) -> Iterator[list[str]]:
    with mock_aws():
        kms: Any = boto3.client("kms")
        wanted = {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}
        yield [kms.create_key(**wanted)["KeyMetadata"]["Arn"] for _ in range(2)]


@pytest.fixture
def kms(aws_account: None) -> Iterator[Stubber]:
    """Yield a stub that accepts announced calls only."""
    with Stubber(aws.client("kms")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_link_that_kms_made_is_read_again(keys: list[str]) -> None:
    links: ApprovalLinks = made(keys[0])
    assert links.read(token_of(links.link(LINK)), NOW) == LINK


def test_a_link_of_another_gate_is_refused(keys: list[str]) -> None:
    foreign = token_of(made(keys[1]).link(LINK))
    with pytest.raises(LinkRefusedError, match="was not made by this gate, or it was changed"):
        made(keys[0]).read(foreign, NOW)


def test_a_link_about_something_else_does_not_have_the_code_of_this_one(keys: list[str]) -> None:
    links = made(keys[0])
    mac = token_of(links.link(LINK)).rpartition(".")[2]
    for other in (
        replace(LINK, purpose=Purpose.REJECT),
        replace(LINK, approver="mailto:ben@example.com"),
        replace(LINK, release=replace(RELEASE, attempt=2)),
        replace(LINK, stage="staging"),
        replace(LINK, expires=LINK.expires + timedelta(days=365)),
    ):
        forged = other.token(b"0" * 32).rpartition(".")[0] + "." + mac
        with pytest.raises(LinkRefusedError, match="was not made by this gate"):
            links.read(forged, NOW)


def test_one_changed_character_anywhere_is_refused(keys: list[str]) -> None:
    links = made(keys[0])
    token = token_of(links.link(LINK))
    for at, old in enumerate(token):
        changed = token[:at] + ("A" if old != "A" else "B") + token[at + 1 :]
        with pytest.raises(LinkRefusedError):
            links.read(changed, NOW)


def test_kms_is_called_with_this_key_and_this_algorithm_only(kms: Stubber) -> None:
    asked = {"KeyId": "key", "MacAlgorithm": "HMAC_SHA_256", "Message": LINK.signed}
    kms.add_response("generate_mac", {"Mac": b"m" * 32}, asked)
    kms.add_response("verify_mac", {"MacValid": True}, {**asked, "Mac": b"m" * 32})
    assert made().read(token_of(made().link(LINK)), NOW) == LINK


@given(st.text(max_size=300))
def test_kms_is_never_called_for_a_text_that_is_no_link(text: str) -> None:
    """No client could be made here: without a Region even that fails."""
    with pytest.raises(LinkRefusedError):
        made().read(text, NOW)


def test_kms_is_not_called_for_an_expired_link(kms: Stubber) -> None:
    with pytest.raises(LinkEndedError):
        made().read(LINK.token(b"m" * 32), LINK.expires)


def test_a_fault_of_kms_is_no_refusal(kms: Stubber) -> None:
    kms.add_client_error("verify_mac", "ThrottlingException", expected_params=ANY_MAC)
    with pytest.raises(ThrottledError):
        made().read(LINK.token(b"m" * 32), NOW)


ANY_MAC = {"KeyId": ANY, "MacAlgorithm": ANY, "Message": ANY, "Mac": ANY}


# Calls of decide


@pytest.fixture
def functions(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("lambda")) as stubber:
        yield stubber


def answers(functions: Stubber, payload: Any, error: str = "") -> None:
    asked = {"schema": 1, "action": "decide-by-link", "token": "token", "reason": "why"}
    expected = {"FunctionName": "decide", "Payload": json.dumps({"body": json.dumps(asked)})}
    answer = {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(payload).encode())}
    functions.add_response("invoke", answer | ({"FunctionError": error} if error else {}), expected)


def decide_answer(status: int, **body: Any) -> dict[str, Any]:
    return {"statusCode": status, "headers": {}, "body": json.dumps(body)}


def test_decide_is_called_with_the_link_itself_and_without_an_identity(functions: Stubber) -> None:
    answers(functions, decide_answer(200, standing="waiting", by="mailto:ann@example.com"))
    decider: LinkDecider = LambdaDecider("decide")
    assert decider.decide("token", "why") == {"standing": "waiting", "by": "mailto:ann@example.com"}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, NotDecidedError),
        (403, NotDecidedError),
        (404, NotDecidedError),
        (409, NotDecidedError),
        (429, ThrottledError),
        (503, ServiceUnavailableError),
    ],
)
def test_a_refusal_is_passed_on_in_its_words(functions: Stubber, status: int, error: type[Exception]) -> None:
    answers(functions, decide_answer(status, error="X", message="no, because"))
    with pytest.raises(error, match="no, because"):
        LambdaDecider("decide").decide("token", "why")


def test_a_crash_of_decide_is_not_a_decision(functions: Stubber) -> None:
    answers(functions, {"errorMessage": "boom"}, error="Unhandled")
    with pytest.raises(ServiceUnavailableError, match="boom"):
        LambdaDecider("decide").decide("token", "why")


def test_the_fakes_have_the_methods_of_the_ports() -> None:
    links: ApprovalLinks = FakeApprovalLinks()
    decider: LinkDecider = FakeLinkDecider({"standing": "waiting"})
    assert links.read(links.link(LINK).partition("?t=")[2], NOW) == LINK
    assert decider.decide("t", "r") == {"standing": "waiting"}
