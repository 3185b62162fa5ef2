"""When a scan's result counts: only when its service says that it looked at the image since the image was pushed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Severity
from imagegate.findings.scan import Basis, Readiness, ScanStatus
from tests.unit.samples import DEAD_STATUSES, READY_STATUSES, WAITING_STATUSES, digest, finished

BEFORE, PUSHED, AFTER = "2026-11-21T06:59:59Z", "2026-11-21T07:00:00Z", "2026-11-21T07:00:01Z"
SOME = {Severity.HIGH: 2, Severity.LOW: 1}
LOOKED = ("SUCCESSFUL", "SCAN_FREQUENCY_SCAN_ON_PUSH")
WAITING = ("PENDING_INITIAL_SCAN", "PENDING_REVIVAL_SCAN", "SCAN_IN_PROGRESS", "INTERNAL_ERROR", "NEW_REASON")
REFUSALS = (
    "ACCESS_DENIED",
    "ACCESS_DENIED_TO_ENCRYPTION_KEY",
    "EXCLUDED_BY_TAG",
    "EXTRACTION_COLLECTION_TIME_LIMIT_EXCEEDED",
    "IMAGE_ARCHIVED",
    "IMAGE_SIZE_EXCEEDED",
    "INVALID_ARTIFACT",
    "NO_RESOURCES_FOUND",
    "NO_SCAN_CONFIGURATION_ASSOCIATED",
    "SCAN_ELIGIBILITY_EXPIRED",
    "SCAN_FREQUENCY_MANUAL",
    "STORAGE_LIMIT_EXCEEDED",
    "UNSUPPORTED_CODE_ARTIFACTS",
    "UNSUPPORTED_CONFIG_FILE",
    "UNSUPPORTED_LANGUAGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "UNSUPPORTED_OS",
    "UNSUPPORTED_RUNTIME",
)


def covered(reason: str = "SUCCESSFUL", at: str | None = AFTER) -> Coverage:
    return Coverage("ACTIVE", reason, at)


COVERAGES: tuple[tuple[Coverage, ...], ...] = (
    (),
    *((covered(reason, at),) for reason in (*LOOKED, "SCAN_IN_PROGRESS") for at in (None, BEFORE, AFTER)),
    (covered(), covered("PENDING_INITIAL_SCAN", None)),
)


def every_head() -> Iterator[ScanStatus]:
    """Yield each combination of members that an answer of either scanner can have or lack."""
    statuses = (None, *READY_STATUSES, *WAITING_STATUSES, *DEAD_STATUSES, "NEW_STATUS")
    counts: tuple[tuple[bool, dict[Severity, int]], ...] = ((False, {}), (True, {}), (True, SOME))
    for basis, status, lists, others, (has_counts, number), completed, pushed, coverage in product(
        (Basis.BASIC, Basis.ENHANCED),
        statuses,
        (False, True),
        (False, True),
        counts,
        (None, BEFORE, PUSHED, AFTER),
        (None, PUSHED),
        COVERAGES,
    ):
        yield ScanStatus(
            image=digest(),
            status=status,
            completed_at=completed,
            counts=number,
            lists_findings=lists,
            basis=basis,
            has_counts=has_counts,
            lists_others=others,
            pushed_at=pushed,
            coverage=coverage,
        )


def expected(scan: ScanStatus) -> bool:
    """Return the result by the two rules, computed in another way, for basic and enhanced scanning."""
    is_dated = scan.completed_at in (PUSHED, AFTER) and scan.pushed_at is not None
    agrees = scan.lists_findings is bool(scan.counts) and not scan.lists_others
    if scan.basis is Basis.BASIC:
        return scan.status == "COMPLETE" and is_dated and scan.has_counts and agrees
    has_looked = len(scan.coverage) == 1 and scan.coverage[0].reason in LOOKED
    since_push = has_looked and scan.coverage[0].last_scanned_at == AFTER and scan.pushed_at is not None
    is_over = scan.status in ("COMPLETE", "ACTIVE")
    return is_over and since_push and agrees and (is_dated or not scan.counts)


def test_a_result_counts_exactly_when_the_service_says_that_it_looked_since_the_push() -> None:
    heads = list(every_head())
    wrong = [head for head in heads if (head.readiness is Readiness.READY) is not expected(head)]
    assert not wrong, wrong[:3]
    assert 10 < sum(map(expected, heads)) < len(heads) / 50


def test_a_result_never_counts_without_a_time_since_the_push() -> None:
    for head in every_head():
        times = [head.completed_at, *(one.last_scanned_at for one in head.coverage)]
        if head.readiness is Readiness.READY:
            assert head.pushed_at
            assert max(time for time in times if time) >= head.pushed_at


def test_a_finished_scan_that_is_not_ready_names_the_missing_parts() -> None:
    for head in every_head():
        assert bool(head.missing) is (head.readiness is not Readiness.READY)


@pytest.mark.parametrize("status", READY_STATUSES)
@pytest.mark.parametrize("basis", [Basis.BASIC, Basis.ENHANCED, Basis.ANSWER])
def test_a_status_alone_and_an_empty_list_alone_say_nothing(status: str, basis: Basis) -> None:
    """aws-sdk issue 289, aws-cli issue 6759: seconds later the findings were there."""
    early = ScanStatus(digest(), status, "The scan was completed successfully.", basis=basis)
    assert early.readiness is Readiness.NOT_YET
    assert replace(early, pushed_at=PUSHED).readiness is Readiness.NOT_YET


@pytest.mark.parametrize(
    ("status", "readiness"),
    [
        (None, Readiness.NOT_STARTED),
        *[(status, Readiness.READY) for status in READY_STATUSES],
        *[(status, Readiness.NOT_YET) for status in WAITING_STATUSES],
        *[(status, Readiness.IMPOSSIBLE) for status in DEAD_STATUSES],
        ("complete", Readiness.IMPOSSIBLE),
        ("", Readiness.IMPOSSIBLE),
    ],
)
def test_every_status_of_ecr_has_one_meaning(status: str | None, readiness: Readiness) -> None:
    scan = finished(status=status)
    assert scan.readiness is readiness
    assert scan.is_final is (readiness in (Readiness.READY, Readiness.IMPOSSIBLE))


@given(st.text(max_size=30).filter(lambda text: text not in READY_STATUSES))
def test_only_a_finished_scan_is_ready(status: str | None) -> None:
    assert finished(status=status).readiness is not Readiness.READY


def test_an_active_scan_is_not_a_basic_one() -> None:
    assert finished(status="ACTIVE", basis=Basis.BASIC).readiness is Readiness.NOT_YET


@pytest.mark.parametrize("status", READY_STATUSES)
def test_a_summary_before_its_findings_is_not_ready_yet(status: str | None) -> None:
    scan = finished({Severity.LOW: 1}, status, lists_findings=False)
    assert scan.readiness is Readiness.NOT_YET
    assert not scan.is_final


@pytest.mark.parametrize("status", [None, "PENDING", *READY_STATUSES])
@pytest.mark.parametrize("reason", REFUSALS)
def test_an_image_that_inspector_will_never_scan_is_reported_at_once(status: str | None, reason: str) -> None:
    scan = finished({}, status, basis=Basis.ENHANCED, coverage=(covered(reason, None),))
    assert scan.readiness is Readiness.IMPOSSIBLE
    assert scan.explain().startswith(f"{reason}: ")
    assert scan.is_unsupported is (reason.startswith("UNSUPPORTED_") or reason == "NO_RESOURCES_FOUND")
    assert replace(scan, basis=Basis.BASIC).readiness is not Readiness.IMPOSSIBLE


@pytest.mark.parametrize("reason", WAITING)
def test_a_reason_that_may_change_is_waited_for_and_an_unknown_one_too(reason: str) -> None:
    scan = finished(SOME, "ACTIVE", coverage=(covered(reason),))
    assert scan.readiness is Readiness.NOT_YET
    assert reason in " ".join(scan.missing)


def test_every_reason_of_inspector_is_known_to_refuse_to_have_looked_or_to_wait() -> None:
    """Those of other resources than images are not in any list: they are waited for."""
    shape: Any = botocore.session.get_session().get_service_model("inspector2").shape_for("ScanStatusReason")
    reasons = set(shape.enum)
    assert {*LOOKED, *REFUSALS} <= reasons
    others = {reason for reason in reasons if not covered(reason).is_refusal} - {*LOOKED, *WAITING}
    assert others == {
        "AGENTLESS_INSTANCE_COLLECTION_TIME_LIMIT_EXCEEDED",
        "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED",
        "DEEP_INSPECTION_COLLECTION_TIME_LIMIT_EXCEEDED",
        "DEEP_INSPECTION_DAILY_SSM_INVENTORY_LIMIT_EXCEEDED",
        "DEEP_INSPECTION_NO_INVENTORY",
        "DEEP_INSPECTION_PACKAGE_COLLECTION_LIMIT_EXCEEDED",
        "EC2_INSTANCE_STOPPED",
        "INTEGRATION_CONNECTION_LOST",
        "NO_INVENTORY",
        "PENDING_DISABLE",
        "RESOURCE_STOPPED",
        "RESOURCE_TERMINATED",
        "RESOURCE_UNMANAGED",
        "STALE_INVENTORY",
        "UNMANAGED_EC2_INSTANCE",
    }


NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=2)


def test_the_first_look_at_an_empty_enhanced_scan_is_recorded() -> None:
    clean = finished(status="ACTIVE")
    assert clean.first_seen_clean(None, NOW) == NOW
    assert clean.first_seen_clean(EARLIER, NOW) == EARLIER


def test_a_look_at_an_image_that_was_pushed_again_since_is_no_first_look() -> None:
    pushed = "2026-11-21T07:59:00Z"
    clean = finished(status="ACTIVE", pushed_at=pushed, coverage=(covered(at=pushed),))
    assert clean.first_seen_clean(EARLIER, NOW) == NOW


@pytest.mark.parametrize(
    "scan",
    [finished(), finished(SOME), finished(SOME, "ACTIVE"), finished(status="PENDING", basis=Basis.ENHANCED)],
)
def test_one_look_is_enough_for_a_basic_scan_and_for_findings(scan: ScanStatus) -> None:
    assert scan.first_seen_clean(EARLIER, NOW) is None


@pytest.mark.parametrize("status", DEAD_STATUSES)
def test_every_dead_end_is_explained_to_a_person(status: str | None) -> None:
    text = ScanStatus(digest(), status, "tar of layer 3 is broken").explain()
    assert text.startswith(f"{status}: ")
    assert "does not know" not in text
    assert "tar of layer 3 is broken" in text


def test_an_unknown_status_is_named_in_its_explanation() -> None:
    assert (
        ScanStatus(digest(), "QUARANTINED").explain() == "QUARANTINED: a status that imagegate does not know"
    )
