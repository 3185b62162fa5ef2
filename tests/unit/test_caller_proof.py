"""Proof of who calls: what is rebuilt is what botocore signs, and nothing else is read from STS's answer."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from imagegate.grants.caller_proof import (
    LONGEST_ANSWER,
    SKEW,
    Audience,
    Identity,
    Proof,
    ProofRefusedError,
    identity_request,
    read_identity,
)

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-decide:live"
AUDIENCE = Audience.parse(FUNCTION)
KEY = "AKIAIOSFODNN7EXAMPLE"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIELDS = {"date": "20261121T120000Z", "access_key_id": KEY, "signature": "0" * 64}
ARN = "arn:aws:sts::123456789012:assumed-role/Ops/ann"


@pytest.mark.parametrize("token", ["", "FQoGZXIvYXdzEBYaD+/=="])
@pytest.mark.parametrize("asked", ["{}", "", "ä\n" * 900])
@pytest.mark.parametrize(
    "function",
    [
        FUNCTION,
        "arn:aws-cn:lambda:cn-north-1:123456789012:function:gate-decide:approve",
        "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:gate-decide",
    ],
)
def test_the_rebuilt_request_is_byte_for_byte_the_one_that_botocore_signs(
    token: str, asked: str, function: str
) -> None:
    audience = Audience.parse(function)
    plain = identity_request(audience, asked, audience.sts)
    request = AWSRequest("POST", plain.url, dict(plain.headers), plain.body)
    SigV4Auth(Credentials(KEY, "secret", token or None), "sts", audience.region).add_auth(request)
    sent = request.prepare()
    signature = sent.headers["Authorization"].rpartition("=")[2]
    rebuilt = Proof(sent.headers["X-Amz-Date"], KEY, signature, token).request(audience, asked, audience.sts)
    headers = {name.lower(): str(value) for name, value in sent.headers.items()}
    assert (rebuilt.url, rebuilt.body) == (sent.url, sent.body)
    assert rebuilt.headers == {name: headers[name] for name in headers if name != "content-length"}


def test_sts_of_the_functions_own_region_is_called() -> None:
    assert AUDIENCE.sts == "https://sts.eu-central-1.amazonaws.com"
    china = Audience.parse("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:live")
    assert china.sts == "https://sts.cn-north-1.amazonaws.com.cn"


def test_every_header_that_says_what_it_is_for_is_signed() -> None:
    headers = Proof(**FIELDS, session_token="t").request(AUDIENCE, "x", AUDIENCE.sts).headers
    [signed] = re.findall(r"SignedHeaders=([^,]+),", headers["authorization"])
    assert set(signed.split(";")) == {*headers, "host"} - {"authorization"}


@pytest.mark.parametrize(
    "changes",
    [
        {"date": "2026-11-21T12:00:00Z"},
        {"date": "20261121T120000Z\n"},
        {"date": "٢٠٢٦1121T120000Z"},
        {"access_key_id": "AKIA"},
        {"access_key_id": f"{KEY}\r\nhost: evil"},
        {"access_key_id": f"{KEY}/20261121/us-east-1/sts/aws4_request, SignedHeaders=host"},
        {"signature": "0" * 63},
        {"signature": "A" * 64},
        {"signature": f"{'0' * 64}, SignedHeaders=host"},
        {"session_token": "a b"},
        {"session_token": "a\r\nx-amz-date: 20200101T000000Z"},
        {"session_token": "a" * 8193},
        {"session_token": None},
        {"date": 20261121},
    ],
)
def test_a_field_that_could_be_more_than_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProofRefusedError, match="no proper"):
        Proof(**{**FIELDS, **changes})


@given(
    st.fixed_dictionaries(
        {
            "date": st.from_regex(r"[0-9]{8}T[0-9]{6}Z?", fullmatch=True) | st.text(max_size=20),
            "access_key_id": st.just(KEY) | st.text(max_size=130),
            "signature": st.from_regex(r"[0-9a-f]{60,66}", fullmatch=True) | st.text(max_size=70),
            "session_token": st.just("") | st.text(max_size=40),
        }
    )
)
def test_a_proof_is_refused_or_becomes_headers(fields: dict[str, str]) -> None:
    try:
        proof = Proof(**fields)
        proof.check_date(NOON)
    except ProofRefusedError:
        return
    for value in proof.request(AUDIENCE, "x", AUDIENCE.sts).headers.values():
        assert re.fullmatch(r"[ -~]+", value)


@pytest.mark.parametrize("late", [SKEW, -SKEW])
def test_a_proof_is_good_for_two_minutes(late: timedelta) -> None:
    Proof(**FIELDS).check_date(NOON + late)
    with pytest.raises(ProofRefusedError, match="set the clock"):
        Proof(**FIELDS).check_date(NOON + late * 1.01)


@pytest.mark.parametrize("date", ["20261321T120000Z", "00000000T000000Z", "20261121T126000Z"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    with pytest.raises(ProofRefusedError, match="no proper date"):
        Proof(**{**FIELDS, "date": date}).check_date(NOON)


def test_a_token_is_not_printed() -> None:
    assert "t0ken" not in repr(Proof(**FIELDS, session_token="t0ken"))


@pytest.mark.parametrize(
    "arn", ["", "arn", "arn:aws:iam::123456789012:role/x", f"{FUNCTION}\n", f"{FUNCTION}:x"]
)
def test_an_audience_is_a_function(arn: str) -> None:
    with pytest.raises(ProofRefusedError):
        Audience.parse(arn)


# What STS answers

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
RESULT = f"<Arn>{ARN}</Arn><UserId>AROAEXAMPLE:ann</UserId><Account>123456789012</Account>"


def answer(
    result: str = RESULT,
    root: str = "GetCallerIdentityResponse",
    namespace: str = NAMESPACE,
    inner: str = "GetCallerIdentityResult",
) -> bytes:
    return f'<{root} xmlns="{namespace}"><{inner}>{result}</{inner}></{root}>'.encode()


def test_the_answer_says_who_signed() -> None:
    assert read_identity(answer()) == Identity(ARN, "AROAEXAMPLE:ann", "123456789012")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        answer(root="AssumeRoleResponse"),
        answer(namespace="https://example.org/"),
        answer(inner="AssumeRoleResult"),
        answer(RESULT.replace("Account", "Other")),
        answer(RESULT + f"<Arn>{ARN}x</Arn>"),
        answer(RESULT.replace(ARN, "")),
        answer(f"<x>{RESULT}</x>"),
        answer().replace(
            b"</GetCallerIdentityResult>", b"</GetCallerIdentityResult><GetCallerIdentityResult/>"
        ),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + answer(RESULT.replace(ARN, "&b;")),
        answer() + b" " * LONGEST_ANSWER,
        answer(RESULT.replace(ARN, "&undefined;")),
    ],
)
def test_an_answer_of_another_form_identifies_nobody(content: bytes) -> None:
    with pytest.raises(ProofRefusedError):
        read_identity(content)


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: answer(text)))
def test_no_answer_is_a_fault(content: bytes) -> None:
    try:
        found = read_identity(content)
    except ProofRefusedError:
        return
    assert all(asdict(found).values())
