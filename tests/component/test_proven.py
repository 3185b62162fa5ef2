"""The caller of `decide`: proven for one text, one function and one moment; any other proof is refused, without a
fault.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import AccessRefusedError, RejectedInputError
from imagegate.events.decide_call import parse_call
from imagegate.grants.caller_proof import REMEMBERED, ProofRefusedError
from imagegate.grants.power import Power
from tests.component.proofs import FUNCTION, Caller, FakeSts, event
from tests.fakes import NOW

ANN = Caller("arn:aws:iam::123456789012:user/ann")
BEN = Caller("arn:aws:sts::123456789012:assumed-role/Ops/ben", "ASIABENSKEYS00000000", "s", "t0ken+/=")
WITHDRAWS = {"schema": 1, "action": "withdraw", "id": "w-1"}


@pytest.fixture
def sts() -> FakeSts:
    return FakeSts((ANN, BEN))


def changed(call: dict[str, Any], **proof: str) -> dict[str, Any]:
    body = json.loads(call["body"])
    body["proof"] |= proof
    return {**call, "body": json.dumps(body)}


@pytest.mark.parametrize("caller", [ANN, BEN], ids=["user", "session"])
def test_a_caller_who_signs_is_believed(sts: FakeSts, caller: Caller) -> None:
    found, request = parse_call(caller.asks(WITHDRAWS, NOW), FUNCTION, sts.check, NOW)
    assert (found, request.action) == (caller.identity, "withdraw")


def test_a_caller_cannot_be_named_as_another_one(sts: FakeSts) -> None:
    call = BEN.asks(WITHDRAWS, NOW)
    call["requestContext"]["authorizer"]["iam"]["userArn"] = ANN.arn
    with pytest.raises(ProofRefusedError, match="somebody else called"):
        parse_call(call, FUNCTION, sts.check, NOW)


def test_a_proof_is_used_once(sts: FakeSts) -> None:
    call = ANN.asks(WITHDRAWS, NOW)
    parse_call(call, FUNCTION, sts.check, NOW)
    with pytest.raises(ProofRefusedError, match="was sent before"):
        parse_call(call, FUNCTION, sts.check, NOW + timedelta(seconds=1))
    again = ANN.asks(WITHDRAWS, NOW, nonce=1)
    assert parse_call(again, FUNCTION, sts.check, NOW)[0] == ANN.identity


def test_a_new_signature_does_not_make_an_old_request_new(sts: FakeSts) -> None:
    call = ANN.asks(WITHDRAWS, NOW)
    parse_call(call, FUNCTION, sts.check, NOW)
    later = NOW + timedelta(minutes=1)
    text = json.loads(call["body"])["request"]
    with pytest.raises(ProofRefusedError, match="was sent before"):
        parse_call(event(ANN.arn, text, ANN.proof(text, later)), FUNCTION, sts.check, later)


def test_an_unconfirmed_proof_uses_up_no_token(sts: FakeSts) -> None:
    call = ANN.asks(WITHDRAWS, NOW)
    with pytest.raises(ProofRefusedError):
        parse_call(changed(call, signature="0" * 64), FUNCTION, sts.check, NOW)
    assert parse_call(call, FUNCTION, sts.check, NOW)[0] == ANN.identity


def test_a_proof_of_another_text_is_refused(sts: FakeSts) -> None:
    other = json.loads(ANN.asks(WITHDRAWS, NOW, nonce=1)["body"])["request"]
    call = event(ANN.arn, other, json.loads(ANN.asks(WITHDRAWS, NOW)["body"])["proof"])
    with pytest.raises(ProofRefusedError, match="does not confirm"):
        parse_call(call, FUNCTION, sts.check, NOW)


@pytest.mark.parametrize(
    "function",
    [
        FUNCTION.replace("eu-central-1", "us-east-1"),
        FUNCTION.replace(":waive", ":approve"),
        FUNCTION.replace("imagegate-decide", "other-decide"),
        FUNCTION.replace("123456789012", "210987654321"),
    ],
)
def test_a_proof_for_another_function_is_refused(sts: FakeSts, function: str) -> None:
    with pytest.raises(ProofRefusedError, match="does not confirm"):
        parse_call(ANN.asks(WITHDRAWS, NOW, function), FUNCTION, sts.check, NOW)


def test_credentials_of_another_account_prove_nothing_here() -> None:
    stranger = Caller("arn:aws:iam::210987654321:user/ann")
    with pytest.raises(ProofRefusedError, match="of another account"):
        parse_call(stranger.asks(WITHDRAWS, NOW), FUNCTION, FakeSts((stranger,)).check, NOW)


@pytest.mark.parametrize("late", [timedelta(minutes=-3), timedelta(minutes=3), REMEMBERED])
def test_an_expired_proof_is_refused_without_a_call_of_sts(sts: FakeSts, late: timedelta) -> None:
    with pytest.raises(ProofRefusedError):
        parse_call(ANN.asks(WITHDRAWS, NOW), FUNCTION, sts.check, NOW + late)
    assert sts.asked == []


@pytest.mark.parametrize(
    "expires", ["2026-11-21T07:59:59Z", "2026-11-22T08:00:00Z", "2026-11-21T08:05:00", "x", 1.5]
)
def test_a_proof_is_valid_for_minutes(sts: FakeSts, expires: Any) -> None:
    text = json.dumps({"nonce": "0" * 32, "expires": expires, "decision": WITHDRAWS})
    with pytest.raises(RejectedInputError):
        parse_call(event(ANN.arn, text, ANN.proof(text, NOW)), FUNCTION, sts.check, NOW)


@pytest.mark.parametrize(
    "change",
    [
        lambda call: {**call, "requestContext": {}},
        lambda call: {**call, "body": json.dumps(WITHDRAWS)},
        lambda call: {**call, "body": json.dumps({**json.loads(call["body"]), "by": ANN.arn})},
        lambda call: changed(call, role="admin"),
        lambda call: changed(call, url="https://sts.evil.example/"),
        lambda call: changed(call, date="20261121T080000Z\r\nx: y"),
    ],
)
def test_without_a_whole_proof_nobody_is_believed(
    sts: FakeSts, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    with pytest.raises(AccessRefusedError):
        parse_call(change(ANN.asks(WITHDRAWS, NOW)), FUNCTION, sts.check, NOW)
    assert sts.asked == []


def test_a_refusal_repeats_no_token(sts: FakeSts) -> None:
    for call in (
        changed(BEN.asks(WITHDRAWS, NOW), sessionToken="t0ken and more"),
        changed(BEN.asks(WITHDRAWS, NOW), signature="t0ken"),
        changed(BEN.asks(WITHDRAWS, NOW), t0="1"),
    ):
        with pytest.raises(RejectedInputError) as refused:
            parse_call(call, FUNCTION, sts.check, NOW)
        assert "t0ken" not in str(refused.value)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_BODIES = st.fixed_dictionaries(
    {"schema": st.just(2) | _ANYTHING, "request": st.text(max_size=60) | _ANYTHING},
    optional={"proof": st.dictionaries(st.sampled_from(["date", "accessKeyId", "signature"]), _ANYTHING)},
)


@given(st.text(max_size=60) | (_BODIES | _ANYTHING).map(json.dumps) | _ANYTHING, st.booleans(), _ANYTHING)
def test_no_call_is_a_fault(body: Any, encoded: bool, context: Any) -> None:
    named = {"authorizer": {"iam": {"userArn": ANN.arn}}}
    for request_context in (named, context):
        call = {"requestContext": request_context, "body": body, "isBase64Encoded": encoded}
        with pytest.raises(RejectedInputError):
            parse_call(call, FUNCTION, FakeSts((ANN,)).check, NOW)


@pytest.mark.parametrize(
    ("decision", "power"),
    [
        ({"action": "approve", "repository": "a", "digest": "b", "attempt": 1}, "approve"),
        ({"action": "reject", "repository": "a", "digest": "b", "attempt": 1}, "approve"),
        ({"action": "waive", "waiver": {"owner": "a", "reason": "b", "expires": "2026-12-01"}}, "waive"),
        ({"action": "withdraw", "id": "w-1"}, "waive"),
        ({"action": "withdraw", "id": "b-1"}, "break-glass"),
        ({"action": "revoke", "repository": "a", "digest": "b", "reason": "c"}, "revoke"),
        ({"action": "rollback", "repository": "a", "to": "b", "from": "c", "reason": "d"}, "rollback"),
        ({"action": "release", "repository": "a", "digest": "b", "tags": ["c"]}, "release"),
    ],
)
def test_one_power_does_not_give_another(sts: FakeSts, decision: dict[str, Any], power: str) -> None:
    for alias in ("live", "1", "$LATEST", *Power):
        function = FUNCTION.replace(":waive", f":{alias}")
        call = ANN.asks({"schema": 1, **decision}, NOW, function, nonce=len(alias))
        if alias == power:
            assert parse_call(call, function, sts.check, NOW)[0] == ANN.identity
            continue
        with pytest.raises(AccessRefusedError, match="is a power of its own"):
            parse_call(call, function, sts.check, NOW)
    assert len(sts.asked) == 1
