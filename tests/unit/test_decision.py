"""Decision records: bytes that read back as they were written, and the only thing that may be signed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagegate.errors import DecisionRefusedError, RejectedInputError
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Severity
from imagegate.findings.scan import Basis, Readiness, ScanStatus
from imagegate.gate.decision_record import (
    SCHEMA,
    VALID_FOR,
    Decision,
    describe_reasons,
    describe_scan,
    scan_status,
)
from imagegate.gate.remediation import Rebuild
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.policy import Mode
from imagegate.policy.rules import Action, FindingRules, Limit
from tests.unit.samples import (
    NOON,
    REGISTRY,
    decision,
    digest,
    finding,
    image,
    json_values,
    repositories,
    scanned,
    severities,
    stage,
    verdict,
    waiver,
    with_limits,
)
from tests.unit.trials import base, trial

SECOND = timedelta(seconds=1)
FIELDS = tuple(json.loads(decision().encode()))

# What canonical JSON can hold: nothing whose text depends on who writes it.
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
plain_objects = st.dictionaries(st.text(max_size=5), plain_values, max_size=1)

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
    worst=st.none() | severities.map(str),
    waited=st.sampled_from(["READY", "TIMED_OUT", "NEVER", "UNSUPPORTED"]),
    why_never=st.text(max_size=9),
    facts=st.none() | plain_objects,
    waivers=st.lists(plain_objects, max_size=2),
    grants=st.lists(plain_objects, max_size=2),
    baseline=st.none() | plain_objects,
    remedies=st.none() | plain_objects,
    newer_base=st.none() | plain_objects,
)


# As the gate wrote it before it kept findings, byte for byte.
FIRST_RECORD = (
    b'{"attempt":1,"judgedAt":"2026-11-21T12:00:00Z","mode":"enforce","policy":"'
    + str(digest("policy")).encode()
    + b'","reasons":[{"action":"warn","message":"1 LOW (at most 0): CVE-2026-9","rule":"findings.low"}],'
    b'"registry":"'
    + REGISTRY.encode()
    + b'","scans":[{"completedAt":null,"counts":{"LOW":1},"digest":"'
    + str(digest()).encode()
    + b'","platform":null,"status":"COMPLETE"}],"schema":"imagegate.decision/v1",'
    b'"stage":"dev","subject":{"digest":"'
    + str(digest()).encode()
    + b'","mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"shop/api-dev","size":1234},'
    b'"verdict":"PASS"}'
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
        {"schema": "imagegate.decision/v3"},
        {"schema": "imagegate.decision/v"},
        {"schema": 2},
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
        {"reasons": [{"rule": 1}]},
        {"scans": 3},
        {"scans": ["one"]},
        {"worst": 1},
        {"waited": None},
        {"whyNever": None},
        {"facts": []},
        {"waivers": None},
        {"waivers": ["one"]},
        {"grants": {}},
        {"grants": [1]},
        {"baseline": "none"},
        {"remedies": 0},
        {"newerBase": []},
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
def test_anything_but_a_record_is_refused(garbage: Any) -> None:
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


def test_a_record_of_the_first_schema_is_still_read() -> None:
    old = Decision.decode(FIRST_RECORD)
    assert old == decision(scans=[{**old.scans[0]}])
    assert old.scans[0]["counts"] == {"LOW": 1}
    assert (old.facts, old.worst, old.remedies, old.waited) == (None, None, None, "READY")
    old.check_signable(REGISTRY, NOON)


def test_fields_that_the_first_schema_lacks_are_not_read_from_it() -> None:
    raw = {**json.loads(FIRST_RECORD), "facts": {"a": 1}, "waivers": "none", "worst": "LOW"}
    assert Decision.decode(json.dumps(raw).encode()) == Decision.decode(FIRST_RECORD)


def test_records_are_written_in_the_second_schema() -> None:
    assert json.loads(decision().encode())["schema"] == SCHEMA == "imagegate.decision/v2"
    assert json.loads(Decision.decode(FIRST_RECORD).encode())["schema"] == SCHEMA


def test_the_waivers_of_a_record_are_whole() -> None:
    kept = decision(waivers=[waiver().as_json()], grants=[waiver(until_fix=True).as_json()])
    assert Decision.decode(kept.encode()) == kept


def test_a_record_has_all_that_was_judged() -> None:
    gate = stage(findings=FindingRules(max={Severity.HIGH: Limit(0)}))
    used = waiver(vulnerability="CVE-2026-2")
    newer = Rebuild(base("golden"), base("golden", "newer"), frozenset())
    judged = trial(
        finding(), finding("CVE-2026-2"), stage=gate, waivers=(used,), baseline=frozenset(), rebuild=newer
    ).judged()
    made = decision().of(judged, [digest("findings")])
    assert (made.verdict, made.worst) == (VerdictOutcome.BLOCK, "HIGH")
    assert made.reasons == describe_reasons(judged.verdict)
    assert made.scans == [describe_scan(judged.scans[0], digest("findings"))]
    assert made.waivers == [{"id": used.id, **used.as_json()}]
    assert (made.baseline, made.remedies) == (judged.delta, judged.remedies.as_json())
    assert made.newer_base == newer.newer.as_json()
    assert json.loads(made.waivers_record or b"") == made.waivers
    assert Decision.decode(made.encode()).encode() == made.encode()


def test_a_record_of_a_pass_without_waivers_has_none_beside_it() -> None:
    made = decision().of(trial().judged(), [None])
    assert (made.verdict, made.worst, made.waivers, made.newer_base) == (VerdictOutcome.PASS, None, [], None)
    assert made.waivers_record is None


def test_the_record_keeps_numbers_and_reasons_and_names_the_findings() -> None:
    gate = with_limits({Severity.CRITICAL: Limit(0), Severity.LOW: Limit(5)})
    scan = scanned(Severity.CRITICAL, Severity.LOW, Severity.MEDIUM, platform="linux/arm64", gate=gate)
    assert describe_scan(scan, digest("findings")) == {
        "digest": str(digest()),
        "platform": "linux/arm64",
        "status": "COMPLETE",
        "description": "",
        "completedAt": "2026-11-21T06:00:00Z",
        "counts": {"CRITICAL": 1, "LOW": 1, "MEDIUM": 1},
        "announced": {"CRITICAL": 1, "LOW": 1, "MEDIUM": 1},
        "listsFindings": True,
        "basis": "BASIC",
        "hasCounts": True,
        "listsOthers": False,
        "pushedAt": "2026-11-18T05:00:00Z",
        "coverage": [],
        "cleanSince": None,
        "counting": {"CRITICAL": 1, "LOW": 1},
        "aside": {"no limit": 1},
        "findings": str(digest("findings")),
    }
    assert describe_scan(scan, None)["findings"] is None
    assert describe_reasons(verdict(gate, [scan])) == [
        {
            "rule": "findings.critical",
            "message": "linux/arm64: 1 CRITICAL (at most 0): CVE-2026-0",
            "action": str(Action.ENFORCE),
        }
    ]


@given(
    st.builds(
        ScanStatus,
        image=st.just(digest()),
        status=st.none() | st.text(max_size=9),
        description=st.text(max_size=9),
        completed_at=st.none() | st.just("2026-11-21T12:00:00Z"),
        counts=st.dictionaries(severities, st.integers(1, 9)),
        lists_findings=st.booleans(),
        basis=st.sampled_from(sorted(set(Basis) - {Basis.LIST})),
        has_counts=st.booleans(),
        lists_others=st.booleans(),
        pushed_at=st.none() | st.just("2026-11-21T11:00:00Z"),
        coverage=st.lists(
            st.builds(Coverage, st.text(max_size=9), st.text(max_size=9), st.none() | st.text(max_size=9)),
            max_size=2,
        ).map(tuple),
        clean_since=st.none() | st.just("2026-11-21T12:01:00Z"),
    )
)
def test_the_head_of_a_scan_is_read_back_from_the_record(status: ScanStatus) -> None:
    kept = decision(scans=[describe_scan(replace(scanned(), status=status), None)])
    assert scan_status(Decision.decode(kept.encode()).scans[0]) == status


@pytest.mark.parametrize(("lists", "readiness"), [(True, Readiness.READY), (False, Readiness.NOT_YET)])
def test_a_record_from_before_a_new_rule_is_judged_by_the_facts_it_has(
    lists: bool, readiness: Readiness
) -> None:
    old = {
        "digest": str(digest()),
        "platform": None,
        "status": "COMPLETE",
        "description": "",
        "completedAt": None,
        "counts": {"LOW": 1},
        "announced": {"LOW": 1},
        "listsFindings": lists,
        "counting": {},
        "aside": {"no limit": 1},
        "findings": None,
    }
    status = scan_status(old)
    assert status.readiness is readiness
    again = describe_scan(replace(scanned(Severity.LOW, gate=with_limits({})), status=status), None)
    assert again == old  # byte for byte: `imagegate verify` compares the records
