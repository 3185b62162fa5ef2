"""The gate: monotone in findings, limits and platforms; whatever is not known denies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagegate.findings.finding import Severity
from imagegate.findings.scan import ScanStatus, WaitOutcome
from imagegate.gate.finding_rules import RulingReason
from imagegate.gate.tally import FindingTally
from imagegate.gate.verdict import (
    ENDING,
    PlatformScan,
    Reason,
    Verdict,
    VerdictOutcome,
    attention,
)
from imagegate.policy.policy import Stage
from imagegate.policy.rules import DEFAULT_ALERTS, DEFAULT_MAX_FINDINGS, Action, Attention, Limit
from tests.unit.samples import (
    DEAD_STATUSES,
    READY_STATUSES,
    WAITING_STATUSES,
    digest,
    finding_lists,
    finished,
    limits,
    scanned,
    severities,
    stage,
    stages,
    verdict,
    with_limits,
)

any_status = st.sampled_from([None, *READY_STATUSES, *WAITING_STATUSES, *DEAD_STATUSES, "QUARANTINED"])
any_waited = st.sampled_from(WaitOutcome)


@dataclass(frozen=True)
class Scan:
    """A scanner's report, before any gate evaluates it."""

    found: tuple[Severity, ...] = ()
    status: str | None = "COMPLETE"
    counts: dict[Severity, int] | None = None  # None: as many as were found
    listed: bool = True
    more: tuple[Severity, ...] = field(default=())  # found later, and announced

    def by(self, gate: Stage) -> PlatformScan:
        scan = scanned(*self.found, *self.more, gate=gate)
        counts = dict(scan.status.counts if self.counts is None else self.counts)
        if self.counts is not None:
            for severity in self.more:
                counts[severity] = counts.get(severity, 0) + 1
        status = finished(counts, self.status, lists_findings=self.listed and bool(counts))
        return replace(scan, status=status)


any_scans = st.builds(
    Scan,
    finding_lists.map(tuple),
    any_status,
    st.none() | st.dictionaries(severities, st.integers(1, 9)),
    st.booleans(),
)
some_scans = st.lists(any_scans, min_size=1, max_size=4)


def judged(gate: Stage, scans: Sequence[Scan], waited: WaitOutcome = WaitOutcome.READY) -> Verdict:
    return verdict(gate, [scan.by(gate) for scan in scans], waited)


def passes(gate: Stage, scans: Sequence[Scan], waited: WaitOutcome = WaitOutcome.READY) -> bool:
    return judged(gate, scans, waited).outcome is VerdictOutcome.PASS


def finds(*found: Severity) -> list[Scan]:
    return [Scan(found)]


@given(stages, finding_lists, severities, st.integers(0, 30))
def test_one_more_finding_never_opens_the_gate(
    gate: Stage, found: list[Severity], extra: Severity, position: int
) -> None:
    more = [*found[:position], extra, *found[position:]]
    assert passes(gate, finds(*found)) or not passes(gate, finds(*more))


@given(stages, some_scans, severities, any_waited)
def test_one_more_finding_on_any_platform_never_opens_the_gate(
    gate: Stage, scans: list[Scan], extra: Severity, waited: WaitOutcome
) -> None:
    assume(not passes(gate, scans, waited))
    for position, scan in enumerate(scans):
        worse = replace(scan, more=(extra,))
        assert not passes(gate, [*scans[:position], worse, *scans[position + 1 :]], waited)


@given(stages, finding_lists, severities, st.integers(0, 8), st.integers(0, 8))
def test_a_lower_limit_never_passes_more(
    gate: Stage, found: list[Severity], severity: Severity, one: int, other: int
) -> None:
    strict = with_limits({**gate.findings.max, severity: Limit(min(one, other))})
    loose = with_limits({**gate.findings.max, severity: Limit(max(one, other))})
    assert passes(loose, finds(*found)) or not passes(strict, finds(*found))


@given(stages, finding_lists, severities, limits)
def test_enforcing_a_limit_never_passes_more(
    gate: Stage, found: list[Severity], severity: Severity, limit: Limit
) -> None:
    enforced = with_limits({**gate.findings.max, severity: replace(limit, action=Action.ENFORCE)})
    looser = with_limits({**gate.findings.max, severity: limit})
    assert passes(looser, finds(*found)) or not passes(enforced, finds(*found))


@given(stages, st.lists(any_scans, max_size=4), any_scans, st.integers(0, 4), any_waited)
def test_one_more_platform_never_opens_the_gate(
    gate: Stage, scans: list[Scan], extra: Scan, position: int, waited: WaitOutcome
) -> None:
    more = [*scans[:position], extra, *scans[position:]]
    assert not scans or passes(gate, scans, waited) or not passes(gate, more, waited)


@given(stages, some_scans, any_waited)
def test_an_index_passes_when_each_platform_would_pass_alone(
    gate: Stage, scans: list[Scan], waited: WaitOutcome
) -> None:
    assert passes(gate, scans, waited) is all(passes(gate, [scan], waited) for scan in scans)


@given(stages, some_scans, any_waited)
def test_the_worst_platform_decides(gate: Stage, scans: list[Scan], waited: WaitOutcome) -> None:
    order = [VerdictOutcome.BLOCK, VerdictOutcome.ERROR, VerdictOutcome.PASS]
    alone = [judged(gate, [scan], waited).outcome for scan in scans]
    assert judged(gate, scans, waited).outcome is min(alone, key=order.index)


@given(stages, any_waited)
def test_an_image_that_nothing_is_known_about_never_passes(gate: Stage, waited: WaitOutcome) -> None:
    verdict = judged(gate, [], waited)
    assert verdict.outcome is not VerdictOutcome.PASS
    assert verdict.blocking


@given(stages, st.none() | st.text(max_size=30), any_waited, finding_lists)
def test_any_status_but_a_finished_scan_denies(
    gate: Stage, status: str | None, waited: WaitOutcome, found: list[Severity]
) -> None:
    assume(status not in READY_STATUSES)
    verdict = judged(gate, [Scan(tuple(found), status), Scan()], waited)
    assert verdict.outcome is not VerdictOutcome.PASS
    assert verdict.blocking


@given(stages, finding_lists, st.dictionaries(severities, st.integers(1, 9)), any_waited)
def test_a_summary_that_disagrees_with_the_findings_is_never_a_pass(
    gate: Stage, found: list[Severity], counts: dict[Severity, int], waited: WaitOutcome
) -> None:
    """An error, unless what is listed is refused all the same."""
    honest = Scan(tuple(found))
    assume(counts != honest.by(gate).status.counts)
    verdict = judged(gate, [replace(honest, counts=counts)], waited)
    refused = not passes(gate, [honest], waited)
    assert verdict.outcome is (VerdictOutcome.BLOCK if refused else VerdictOutcome.ERROR)
    assert "findings.incomplete" in [reason.rule for reason in verdict.blocking]


@pytest.mark.parametrize(
    "counts",
    [{}, {Severity.LOW: 1}, {Severity.LOW: 3}, {Severity.MEDIUM: 2}, {Severity.LOW: 2, Severity.MEDIUM: 1}],
)
def test_the_summary_and_the_list_agree_in_every_severity(counts: dict[Severity, int]) -> None:
    found = (Severity.LOW, Severity.LOW)
    assert judged(stage(), [Scan(found, counts=counts)]).outcome is VerdictOutcome.ERROR
    assert passes(stage(), [Scan(found, counts={Severity.LOW: 2})])


def test_half_the_data_of_one_platform_is_an_error_and_a_refusal_of_another_still_a_refusal() -> None:
    half = Scan(counts={Severity.LOW: 1})
    for scans in ([half, Scan()], [Scan(), half]):
        assert judged(stage(), scans).outcome is VerdictOutcome.ERROR
    for scans in ([half, *finds(Severity.CRITICAL)], [*finds(Severity.CRITICAL), half]):
        assert judged(stage(), scans).outcome is VerdictOutcome.BLOCK


@given(stages, finding_lists.filter(bool), any_waited)
def test_findings_that_are_announced_but_not_listed_never_pass(
    gate: Stage, found: list[Severity], waited: WaitOutcome
) -> None:
    counts = dict(scanned(*found).status.counts)
    for listed in (True, False):
        assert not passes(gate, [Scan(counts=counts, listed=listed)], waited)


@given(stages, st.lists(any_scans, max_size=4), any_waited)
def test_pass_means_that_nothing_blocks_and_a_refusal_says_why(
    gate: Stage, scans: list[Scan], waited: WaitOutcome
) -> None:
    verdict = judged(gate, scans, waited)
    assert (verdict.outcome is VerdictOutcome.PASS) is (not verdict.blocking)


@pytest.mark.parametrize("severity", [s for s in Severity if s in DEFAULT_MAX_FINDINGS])
@pytest.mark.parametrize("status", READY_STATUSES)
def test_exactly_the_limit_passes_and_one_more_blocks(severity: Severity, status: str) -> None:
    limit = DEFAULT_MAX_FINDINGS[severity].value
    assert passes(stage(), [Scan((severity,) * limit, status)])
    verdict = judged(stage(), [Scan((severity,) * (limit + 1), status)])
    assert verdict.outcome is VerdictOutcome.BLOCK
    assert [r.rule for r in verdict.reasons] == [f"findings.{severity.lower()}"]
    assert f"{limit + 1} {severity} (at most {limit}): CVE-2026-0" in verdict.reasons[0].message


def test_the_default_limits_are_those_that_are_promised() -> None:
    assert {severity: limit.value for severity, limit in DEFAULT_MAX_FINDINGS.items()} == {
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
    gate = with_limits({Severity.HIGH: Limit(0, action)})
    verdict = judged(gate, finds(Severity.HIGH))
    assert verdict.outcome is outcome
    assert [r.action for r in verdict.reasons] == [action] * reasons


@pytest.mark.parametrize(
    ("status", "waited", "rule", "says"),
    [
        (None, WaitOutcome.TIMED_OUT, "scan.timeout", "30 min"),
        ("PENDING", WaitOutcome.TIMED_OUT, "scan.timeout", "PENDING"),
        ("IN_PROGRESS", WaitOutcome.TIMED_OUT, "scan.timeout", "IN_PROGRESS"),
        (None, WaitOutcome.NEVER, "scan.never", "no filter names it"),
        (None, WaitOutcome.UNSUPPORTED, "scan.unsupported", "no filter names it"),
        ("FAILED", WaitOutcome.READY, "scan.failed", "the scan failed"),
        ("UNSUPPORTED_IMAGE", WaitOutcome.READY, "scan.unsupported", "operating system"),
        ("QUARANTINED", WaitOutcome.READY, "scan.failed", "QUARANTINED"),
    ],
)
def test_the_reason_names_the_rule_and_what_happened(
    status: str | None, waited: WaitOutcome, rule: str, says: str
) -> None:
    scan = PlatformScan(ScanStatus(digest(), status), FindingTally(), "linux/arm64")
    found = verdict(stage(), [scan], waited, "no filter names it")
    assert [r.rule for r in found.reasons] == [rule]
    assert says in found.reasons[0].message
    assert found.reasons[0].message.startswith("linux/arm64: ")


def test_a_timeout_names_the_parts_that_a_finished_scan_lacks() -> None:
    for status, missing in (
        (finished(status="ACTIVE", coverage=()), "ListCoverage"),
        (finished(status="COMPLETE", has_counts=False), "findingSeverityCounts"),
        (finished(status="COMPLETE", completed_at=None), "imageScanCompletedAt"),
    ):
        scan = PlatformScan(status, FindingTally())
        [reason] = verdict(stage(), [scan], WaitOutcome.TIMED_OUT).reasons
        assert reason.rule == "scan.timeout"
        assert f"last status: {status.status}, without " in reason.message
        assert missing in reason.message


def test_a_result_that_came_after_the_wait_was_given_up_still_counts() -> None:
    assert passes(stage(), finds(Severity.LOW), WaitOutcome.TIMED_OUT)
    assert not passes(stage(), finds(Severity.CRITICAL), WaitOutcome.TIMED_OUT)


@given(st.lists(finding_lists, min_size=1, max_size=3))
def test_the_worst_finding_of_all_platforms_is_named(found: list[list[Severity]]) -> None:
    order = list(Severity)
    every = [severity for severities in found for severity in severities]
    worst = min(every, key=order.index) if every else None
    assert judged(stage(), [Scan(tuple(severities)) for severities in found]).worst is worst


@pytest.mark.parametrize("worst", [*Severity, None])
def test_who_hears_of_a_release_is_decided_by_its_worst_finding(worst: Severity | None) -> None:
    plain = Verdict(VerdictOutcome.PASS, (), worst)
    assert attention(stage(), plain) is DEFAULT_ALERTS[worst]
    assert attention(stage(alerts={worst: Attention.LOG}), plain) is Attention.LOG
    assert attention(stage(alerts={}), plain) is Attention.ALERT


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason("image.max_age", "old"), Attention.ALERT),
        (Reason("image.max_age", "perhaps old", is_unknown=True), Attention.ALERT),
        (Reason("image.max_age", "old", Action.WARN), Attention.LOG),
        (Reason(ENDING, "ends tomorrow", Action.WARN), Attention.ALERT),
        (Reason("waiver.idle", "has expired", Action.WARN), Attention.LOG),
    ],
)
def test_every_outcome_that_needs_a_person_is_announced(reason: Reason, expected: Attention) -> None:
    assert attention(stage(), Verdict(VerdictOutcome.PASS, (reason,), Severity.LOW)) is expected


def test_uncounted_findings_are_summed_by_reason() -> None:
    tally = FindingTally(aside={RulingReason.NO_LIMIT: 2, RulingReason.WAIVED: 1})
    assert tally.aside_by_name() == {"waived": 1, "no limit": 2}
