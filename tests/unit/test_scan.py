"""Scan statuses: two mean ready, two mean not yet, and every other one means that nothing is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.domain.finding import Severity
from imagegate.domain.scan import Readiness, ScanStatus
from tests.unit.samples import DEAD_STATUSES, READY_STATUSES, WAITING_STATUSES, digest


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
    scan = ScanStatus(digest(), status)
    assert scan.readiness is readiness
    assert scan.is_final is (readiness in (Readiness.READY, Readiness.IMPOSSIBLE))


@given(st.text(max_size=30).filter(lambda text: text not in READY_STATUSES))
def test_only_a_finished_scan_is_ready(status: str | None) -> None:
    assert ScanStatus(digest(), status).readiness is not Readiness.READY


@pytest.mark.parametrize("status", READY_STATUSES)
def test_a_summary_before_its_findings_is_not_ready_yet(status: str | None) -> None:
    scan = ScanStatus(digest(), status, counts={Severity.LOW: 1}, lists_findings=False)
    assert scan.readiness is Readiness.NOT_YET
    assert not scan.is_final


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
