"""The gate: monotone in findings, limits and platforms; whatever is not known denies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagegate.domain.finding import Finding, Severity, Tally
from imagegate.domain.policy import DEFAULT_MAX_FINDINGS, Action, Limit, Stage
from imagegate.domain.scan import ScanStatus, Waited
from imagegate.domain.verdict import PlatformScan, VerdictOutcome, duration, judge
from tests.unit.samples import (
    DEAD_STATUSES,
    READY_STATUSES,
    WAITING_STATUSES,
    digest,
    finding_lists,
    limits,
    scanned,
    severities,
    stage,
    stages,
)

any_status = st.sampled_from([None, *READY_STATUSES, *WAITING_STATUSES, *DEAD_STATUSES, "QUARANTINED"])
any_waited = st.sampled_from(Waited)


@st.composite
def any_scans(draw: st.DrawFn) -> PlatformScan:
    """Any scan: finished or not, summary and list agreeing or not."""
    scan = scanned(*draw(finding_lists), status="COMPLETE")
    counts = draw(st.just(scan.status.counts) | st.dictionaries(severities, st.integers(1, 9)))
    listed = draw(st.booleans())
    return replace(
        scan, status=replace(scan.status, status=draw(any_status), counts=counts, lists_findings=listed)
    )


def passes(gate: Stage, scans: Sequence[PlatformScan], waited: Waited = Waited.READY) -> bool:
    return judge(gate, scans, waited).outcome is VerdictOutcome.PASS


@given(stages, finding_lists, severities, st.integers(0, 30))
def test_one_more_finding_never_opens_the_gate(
    gate: Stage, found: list[Severity], extra: Severity, position: int
) -> None:
    more = [*found[:position], extra, *found[position:]]
    assert passes(gate, [scanned(*found)]) or not passes(gate, [scanned(*more)])


@given(stages, st.lists(any_scans(), min_size=1, max_size=4), severities, any_waited)
def test_one_more_finding_on_any_platform_never_opens_the_gate(
    gate: Stage, scans: list[PlatformScan], extra: Severity, waited: Waited
) -> None:
    assume(not passes(gate, scans, waited))
    for position, scan in enumerate(scans):
        counts = {**scan.status.counts, extra: scan.status.counts.get(extra, 0) + 1}
        tally = Tally(dict(scan.tally.counts), dict(scan.tally.examples))
        tally.add(Finding("CVE-2026-99999", extra))
        worse = PlatformScan(replace(scan.status, counts=counts), tally)
        assert not passes(gate, [*scans[:position], worse, *scans[position + 1 :]], waited)


@given(stages, finding_lists, severities, st.integers(0, 8), st.integers(0, 8))
def test_a_lower_limit_never_passes_more(
    gate: Stage, found: list[Severity], severity: Severity, one: int, other: int
) -> None:
    strict = replace(gate, max_findings={**gate.max_findings, severity: Limit(min(one, other))})
    loose = replace(gate, max_findings={**gate.max_findings, severity: Limit(max(one, other))})
    assert passes(loose, [scanned(*found)]) or not passes(strict, [scanned(*found)])


@given(stages, finding_lists, severities, limits)
def test_enforcing_a_limit_never_passes_more(
    gate: Stage, found: list[Severity], severity: Severity, limit: Limit
) -> None:
    enforced = replace(
        gate, max_findings={**gate.max_findings, severity: replace(limit, action=Action.ENFORCE)}
    )
    looser = replace(gate, max_findings={**gate.max_findings, severity: limit})
    assert passes(looser, [scanned(*found)]) or not passes(enforced, [scanned(*found)])


@given(stages, st.lists(any_scans(), max_size=4), any_scans(), st.integers(0, 4), any_waited)
def test_one_more_platform_never_opens_the_gate(
    gate: Stage, scans: list[PlatformScan], extra: PlatformScan, position: int, waited: Waited
) -> None:
    more = [*scans[:position], extra, *scans[position:]]
    assert not scans or passes(gate, scans, waited) or not passes(gate, more, waited)


@given(stages, st.lists(any_scans(), min_size=1, max_size=4), any_waited)
def test_an_index_passes_when_each_platform_would_pass_alone(
    gate: Stage, scans: list[PlatformScan], waited: Waited
) -> None:
    assert passes(gate, scans, waited) is all(passes(gate, [scan], waited) for scan in scans)


@given(stages, any_waited)
def test_an_image_that_nothing_is_known_about_never_passes(gate: Stage, waited: Waited) -> None:
    verdict = judge(gate, [], waited)
    assert verdict.outcome is not VerdictOutcome.PASS
    assert verdict.blocking


@given(stages, st.none() | st.text(max_size=30), any_waited, finding_lists)
def test_any_status_but_a_finished_scan_denies(
    gate: Stage, status: str | None, waited: Waited, found: list[Severity]
) -> None:
    assume(status not in READY_STATUSES)
    scan = scanned(*found)
    scan = replace(scan, status=replace(scan.status, status=status))
    verdict = judge(gate, [scan, scanned()], waited)
    assert verdict.outcome is not VerdictOutcome.PASS
    assert verdict.blocking


@given(stages, finding_lists, st.dictionaries(severities, st.integers(1, 9)), any_waited)
def test_a_summary_that_disagrees_with_the_findings_is_an_error_and_never_a_pass(
    gate: Stage, found: list[Severity], counts: dict[Severity, int], waited: Waited
) -> None:
    scan = scanned(*found)
    assume(counts != dict(scan.status.counts))
    verdict = judge(gate, [replace(scan, status=replace(scan.status, counts=counts))], waited)
    assert verdict.outcome is VerdictOutcome.ERROR
    assert verdict.blocking


def test_one_platform_with_half_its_data_makes_the_verdict_an_error() -> None:
    half = PlatformScan(ScanStatus(digest(), "COMPLETE", counts={Severity.LOW: 1}), Tally())
    for scans in ([half, scanned()], [scanned(), half], [scanned(Severity.CRITICAL), half]):
        assert judge(stage(), scans, Waited.READY).outcome is VerdictOutcome.ERROR


@given(stages, finding_lists.filter(bool), any_waited)
def test_findings_that_are_announced_but_not_listed_never_pass(
    gate: Stage, found: list[Severity], waited: Waited
) -> None:
    counts = scanned(*found).status.counts
    for listed in (True, False):
        status = ScanStatus(digest(), "COMPLETE", counts=counts, lists_findings=listed)
        assert not passes(gate, [PlatformScan(status, Tally())], waited)


@given(stages, st.lists(any_scans(), max_size=4), any_waited)
def test_pass_means_that_nothing_blocks_and_a_refusal_says_why(
    gate: Stage, scans: list[PlatformScan], waited: Waited
) -> None:
    verdict = judge(gate, scans, waited)
    assert (verdict.outcome is VerdictOutcome.PASS) is (not verdict.blocking)


@pytest.mark.parametrize("severity", [s for s in Severity if s in DEFAULT_MAX_FINDINGS])
@pytest.mark.parametrize("status", READY_STATUSES)
def test_exactly_the_limit_passes_and_one_more_blocks(severity: Severity, status: str | None) -> None:
    limit = DEFAULT_MAX_FINDINGS[severity].limit
    assert passes(stage(), [scanned(*[severity] * limit, status=status)])
    verdict = judge(stage(), [scanned(*[severity] * (limit + 1), status=status)], Waited.READY)
    assert verdict.outcome is VerdictOutcome.BLOCK
    assert [r.rule for r in verdict.reasons] == [f"findings.{severity.lower()}"]
    assert f"{limit + 1} {severity} (at most {limit}): CVE-2026-0" in verdict.reasons[0].message


def test_the_default_limits_are_those_that_are_promised() -> None:
    assert {severity: limit.limit for severity, limit in DEFAULT_MAX_FINDINGS.items()} == {
        Severity.CRITICAL: 0,
        Severity.HIGH: 5,
        Severity.MEDIUM: 20,
        Severity.UNDEFINED: 20,
    }
    assert {limit.action for limit in DEFAULT_MAX_FINDINGS.values()} == {Action.ENFORCE}


@pytest.mark.parametrize(
    ("action", "outcome", "reasons"),
    [
        (Action.ENFORCE, VerdictOutcome.BLOCK, 1),
        (Action.WARN, VerdictOutcome.PASS, 1),
        (Action.OFF, VerdictOutcome.PASS, 0),
    ],
)
def test_a_limit_blocks_warns_or_is_silent(action: Action, outcome: VerdictOutcome, reasons: int) -> None:
    gate = stage(max_findings={Severity.HIGH: Limit(0, action)})
    verdict = judge(gate, [scanned(Severity.HIGH)], Waited.READY)
    assert verdict.outcome is outcome
    assert [r.action for r in verdict.reasons] == [action] * reasons


@pytest.mark.parametrize(
    ("status", "waited", "rule", "says"),
    [
        (None, Waited.TIMED_OUT, "scan.timeout", "30 min"),
        ("PENDING", Waited.TIMED_OUT, "scan.timeout", "PENDING"),
        ("IN_PROGRESS", Waited.TIMED_OUT, "scan.timeout", "IN_PROGRESS"),
        (None, Waited.NEVER, "scan.never", "no filter names it"),
        ("FAILED", Waited.READY, "scan.failed", "the scan failed"),
        ("UNSUPPORTED_IMAGE", Waited.READY, "scan.unsupported", "operating system"),
        ("QUARANTINED", Waited.READY, "scan.failed", "QUARANTINED"),
    ],
)
def test_the_reason_names_the_rule_and_what_happened(
    status: str | None, waited: Waited, rule: str, says: str
) -> None:
    scan = PlatformScan(ScanStatus(digest(), status), Tally(), "linux/arm64")
    verdict = judge(stage(), [scan], waited, "no filter names it")
    assert [r.rule for r in verdict.reasons] == [rule]
    assert says in verdict.reasons[0].message
    assert verdict.reasons[0].message.startswith("linux/arm64: ")


def test_a_result_that_came_after_the_wait_was_given_up_still_counts() -> None:
    assert passes(stage(), [scanned(Severity.LOW)], Waited.TIMED_OUT)
    assert not passes(stage(), [scanned(Severity.CRITICAL)], Waited.TIMED_OUT)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (90, "90 s"),
        (1800, "30 min"),
        (3600, "1 h"),
        (5400, "90 min"),
    ],
)
def test_a_duration_is_said_in_its_largest_whole_unit(seconds: int, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text
