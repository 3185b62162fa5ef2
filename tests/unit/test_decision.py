"""Decision records: bytes that read back as they were written, and the only thing that may be signed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagegate.domain.decision import VALID_FOR, Decision, describe_reasons, describe_scan
from imagegate.domain.errors import DecisionRefusedError, RejectedInputError
from imagegate.domain.finding import Severity
from imagegate.domain.policy import Action, Mode
from imagegate.domain.scan import Waited
from imagegate.domain.verdict import VerdictOutcome, judge
from tests.unit.samples import (
    NOON,
    REGISTRY,
    decision,
    digest,
    image,
    json_values,
    repositories,
    scanned,
    stage,
)

SECOND = timedelta(seconds=1)
FIELDS = tuple(json.loads(decision().encode()))

decisions = st.builds(
    decision,
    image=st.builds(image, repositories, st.text(max_size=3)),
    attempt=st.integers(1, 1000),
    stage=st.text(min_size=1, max_size=20),
    mode=st.sampled_from(Mode),
    verdict=st.sampled_from(VerdictOutcome),
    judged_at=st.integers(0, 10**9).map(lambda seconds: NOON + seconds * SECOND),
    reasons=st.lists(
        st.fixed_dictionaries({k: st.text(max_size=9) for k in ("rule", "message", "action")}), max_size=3
    ),
)


def altered(**changes: Any) -> bytes:
    return json.dumps({**json.loads(decision().encode()), **changes}).encode()


@given(decisions)
def test_a_record_reads_back_as_it_was_written(made: Decision) -> None:
    assert Decision.decode(made.encode()) == made
    assert Decision.decode(made.encode()).encode() == made.encode()


def test_a_record_without_reasons_and_scans_keeps_its_digest() -> None:
    bare = decision(reasons=(), scans=())
    assert Decision.decode(bare.encode()).encode() == bare.encode()


@given(decisions, decisions)
def test_two_decisions_never_share_their_bytes(one: Decision, other: Decision) -> None:
    assume(one != other)
    assert one.encode() != other.encode()


@pytest.mark.parametrize("field", FIELDS)
def test_a_record_that_lacks_a_field_is_refused(field: str) -> None:
    raw = json.loads(decision().encode())
    del raw[field]
    with pytest.raises(DecisionRefusedError):
        Decision.decode(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "imagegate.decision/v2"},
        {"schema": None},
        {"verdict": "pass"},
        {"verdict": "PASSED"},
        {"verdict": None},
        {"mode": "lenient"},
        {"policy": "latest"},
        {"judgedAt": "2026-11-21T12:00:00"},
        {"judgedAt": 1763711558},
        {"attempt": "first"},
        {"attempt": None},
        {"subject": None},
        {"subject": {"repository": "shop/api-dev"}},
        {"subject": {"repository": "Shop", "digest": str(digest()), "size": 1, "mediaType": "x"}},
    ],
)
def test_a_record_with_a_wrong_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DecisionRefusedError):
        Decision.decode(altered(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": 0},
        {"attempt": 1.5},
        {"attempt": True},
        {"attempt": "1"},
        {"stage": ["dev"]},
        {"registry": None},
        {"reasons": "none"},
        {"scans": 3},
    ],
)
def test_a_record_with_a_field_of_the_wrong_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DecisionRefusedError):
        Decision.decode(altered(**changes))


@pytest.mark.parametrize(
    "content",
    [altered(attempt=float("inf")), altered(judgedAt="0001-01-01T00:00:00+01:00"), b"[" * 100_000],
    ids=["endless attempt", "before the calendar", "nested without end"],
)
def test_hostile_bytes_are_refused_like_any_other(content: bytes) -> None:
    with pytest.raises(DecisionRefusedError):
        Decision.decode(content)


@given(json_values | st.binary(max_size=40))
def test_what_is_no_record_is_refused(garbage: Any) -> None:
    with pytest.raises(DecisionRefusedError):
        Decision.decode(garbage if isinstance(garbage, bytes) else json.dumps(garbage).encode())


@given(st.sampled_from([f for f in FIELDS if f not in ("attempt", "judgedAt")]), json_values)
def test_a_record_with_garbage_in_a_field_is_refused_or_read_but_never_crashes(
    field: str, garbage: Any
) -> None:
    try:
        Decision.decode(altered(**{field: garbage}))
    except DecisionRefusedError:
        return


@pytest.mark.parametrize(
    ("age", "signable"),
    [
        (timedelta(), True),
        (VALID_FOR, True),
        (VALID_FOR + SECOND, False),
        (timedelta(days=30), False),
        (-timedelta(minutes=5), True),
        (-timedelta(minutes=5) - SECOND, False),
    ],
)
def test_a_pass_is_signed_for_an_hour_and_by_clocks_that_differ_a_little(
    age: timedelta, signable: bool
) -> None:
    if signable:
        decision().check_signable(REGISTRY, NOON + age)
    else:
        with pytest.raises(DecisionRefusedError, match="judge it again"):
            decision().check_signable(REGISTRY, NOON + age)


def test_a_decision_is_good_for_an_hour() -> None:
    assert timedelta(hours=1) == VALID_FOR


@pytest.mark.parametrize("verdict", [v for v in VerdictOutcome if v is not VerdictOutcome.PASS])
@pytest.mark.parametrize("mode", Mode)
def test_only_a_pass_is_signed_whatever_the_mode(verdict: VerdictOutcome, mode: Mode) -> None:
    with pytest.raises(DecisionRefusedError, match="only a PASS"):
        decision(verdict=verdict, mode=mode).check_signable(REGISTRY, NOON)


@pytest.mark.parametrize(
    "registry",
    ["", "210987654321.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com"],
)
def test_a_decision_of_another_registry_is_not_signed(registry: str) -> None:
    with pytest.raises(DecisionRefusedError, match="not in"):
        decision().check_signable(registry, NOON)


def test_a_refusal_names_the_image() -> None:
    with pytest.raises(DecisionRefusedError, match=f"shop/api-dev@{digest()}"):
        decision(verdict=VerdictOutcome.BLOCK).check_signable(REGISTRY, NOON)


def test_a_refused_decision_is_rejected_input_and_never_tried_again() -> None:
    assert issubclass(DecisionRefusedError, RejectedInputError)


def test_the_record_keeps_numbers_and_reasons_but_no_findings() -> None:
    scan = scanned(Severity.CRITICAL, Severity.LOW, Severity.LOW, platform="linux/arm64")
    verdict = judge(stage(), [scan], Waited.READY)
    assert describe_scan(scan) == {
        "digest": str(digest()),
        "platform": "linux/arm64",
        "status": "COMPLETE",
        "completedAt": None,
        "counts": {"CRITICAL": 1, "LOW": 2},
    }
    assert describe_reasons(verdict) == [
        {
            "rule": "findings.critical",
            "message": "linux/arm64: 1 CRITICAL (at most 0): CVE-2026-0",
            "action": str(Action.ENFORCE),
        }
    ]
