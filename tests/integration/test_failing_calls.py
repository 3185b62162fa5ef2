"""Every AWS call that a step of a release makes fails once with each error of its model: the end is right, or clear.

`IMAGEGATE_WRITE_FAILING_CALLS=1` writes the tables of docs/reference/failing-calls.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from imagegate import wiring
from imagegate.evidence.attestation import NOTATION_SIGNATURE
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome
from sandbox.scanner.findings import main as set_findings
from tests.component.executions import STATES
from tests.contract.registry_sandbox import serving
from tests.integration.failing_calls import COMMON, End, FailingCalls, Fault, failing, faults_of, function_of
from tests.integration.hop import ROOT, deployed

PAGE = ROOT / "docs/reference/failing-calls.md"
EVENTS = ("start_release", "on_scan_completed")  # Lambda repeats them after any error
# What passes, whatever the call is: it is always repeated.
PASSING = COMMON.keys() - {"AccessDeniedException"}
_MOST_ROUNDS = 40
_TABLES = "<!-- The tables are written by tests/integration/test_failing_calls.py. -->\n"


@dataclass
class Seen:
    """All faults, and the result of each."""

    raised: dict[Fault, str] = field(default_factory=dict)
    ends: dict[Fault, End] = field(default_factory=dict)  # of those that were tried alone

    def column(self, fault: Fault) -> str:
        if fault not in self.raised:
            return "handled"
        return "repeated" if is_repeated(fault.function, self.raised[fault]) else "failed"


def is_repeated(function: str, error: str) -> bool:
    """Return whether the function is called again after this error."""
    states = [state for state in STATES.values() if _calls(state) == function]
    return function in EVENTS or any(
        error in retrier["ErrorEquals"] for state in states for retrier in state["Retry"]
    )


def _calls(state: dict[str, object]) -> str:
    arguments = state.get("Arguments")
    name = arguments.get("FunctionName") if isinstance(arguments, dict) else None
    return function_of(str(name)) if name else ""


def try_all(calls: FailingCalls) -> Seen:
    """Try many faults on one image where functions raise errors for them, and those that they handle one by one."""
    calls.run("shop", "warm")
    calls.made.clear()
    assert calls.run("shop", "calm").state == "Released"
    left = [
        fault
        for function, made in calls.made.items()
        for service, operation in sorted(made)
        for fault in faults_of(function, service, operation)
    ]
    seen, alone = Seen(), list[Fault]()
    for number in range(_MOST_ROUNDS):
        end = calls.run("shop", f"round-{number}", left)
        seen.raised |= end.raised
        alone += end.handled
        left = [*end.left, *end.unused]
        if not left:
            break
    assert left == []
    firsts = {
        (fault.function, fault.call): fault
        for fault in sorted(seen.raised, reverse=True)
        if seen.column(fault) == "failed"
    }
    for number, fault in enumerate([*alone, *firsts.values()]):
        seen.ends[fault] = calls.run("shop", f"alone-{number}", [fault], insists=False)
    return seen


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingCalls]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        serving(tmp_path_factory.mktemp("failing")) as sandbox,
        deployed(sandbox, monkeypatch) as hop,
        failing(hop, monkeypatch) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def seen(calls: FailingCalls) -> Seen:
    return try_all(calls)


def wrongs(end: End) -> list[str]:
    """Return what is wrong with the end of an image."""
    attempts = wiring.ledger().history(end.image).attempts
    found = [f"attempt {one.attempt} is open" for one in attempts if one.is_open]
    if end.dead:
        found.append(f"dead letters of {end.dead}, although the error came once")
    outcome = attempts[0].outcome if attempts else None
    if attempts and not end.published:
        found.append("nobody was told")
    if end.state == "Failed" and outcome is Outcome.FAILED and not attempts[0].detail:
        found.append("no cause is named")
    if end.state == "Failed" and outcome not in (Outcome.FAILED, Outcome.RELEASED):
        found.append(f"the execution failed, and the release is {outcome}")
    passed = bool(attempts) and attempts[0].verdict == VerdictOutcome.PASS and is_signed(end.image)
    if outcome is Outcome.RELEASED and not (passed and has_arrived(end.image)):
        found.append("released without its signature, or not in the next stage")
    # What fails after its image was copied has passed, and its message says where the image is.
    if has_arrived(end.image) and not (passed and outcome in (Outcome.RELEASED, Outcome.FAILED)):
        found.append(f"{outcome}, and in the next stage")
    return found


def has_arrived(image: ImageRef) -> bool:
    there = ImageRef(image.repository.replace("-dev", "-staging"), image.digest)
    tagged = {facts.image for facts in wiring.images().tagged(there.repository)}
    return there in tagged


def is_signed(image: ImageRef) -> bool:
    types = [one.artifact_type for one in wiring.registry().referrers(image)]
    return NOTATION_SIGNATURE in types


def test_each_error_leads_to_the_right_end_or_to_a_clear_failure(seen: Seen) -> None:
    assert len(seen.raised) + len(seen.ends) > 300
    found = {fault: wrongs(end) for fault, end in seen.ends.items()}
    assert {fault: wrong for fault, wrong in found.items() if wrong} == {}


def test_an_error_that_fails_a_release_is_its_cause(seen: Seen) -> None:
    for fault, end in seen.ends.items():
        if seen.column(fault) == "failed" and fault.function != "announce":
            [release] = wiring.ledger().history(end.image).attempts
            assert release.outcome is Outcome.FAILED, fault
            assert seen.raised[fault] in release.detail, fault


def test_what_passes_is_repeated_whatever_the_call_is(seen: Seen) -> None:
    passing = {fault: seen.column(fault) for fault in (*seen.raised, *seen.ends) if fault.error in PASSING}
    assert passing
    assert {fault: column for fault, column in passing.items() if column != "repeated"} == {}


def test_no_error_lets_a_bad_image_pass(calls: FailingCalls, seen: Seen) -> None:
    state, file = calls.hop.sandbox.settings.state, calls.hop.sandbox.settings.state / "bad.json"
    finding = {"name": "CVE-2026-1", "severity": "CRITICAL", "attributes": []}
    file.write_text(
        json.dumps({"imageScanFindings": {"findings": [finding], "findingSeverityCounts": {"CRITICAL": 1}}})
    )
    deciding = [
        fault
        for fault in sorted({*seen.raised, *seen.ends})
        if fault.function in ("await_scan", "judge_image")
    ]
    handled = [fault for fault in deciding if seen.column(fault) == "handled"]
    raised = [fault for fault in deciding if seen.column(fault) != "handled"]
    for number, faults in enumerate([raised, *([fault] for fault in handled)]):
        set_findings([f"bad-dev:{number}", str(file), "--state", str(state)])
        end = calls.run("bad", str(number), faults)
        assert end.state in ("Blocked", "Withdrawn", "Failed"), faults
        assert not is_signed(end.image), faults
        assert not has_arrived(end.image), faults


def tables(seen: Seen) -> str:
    """Return the results of all faults, as the page has them."""
    faults = [fault for fault in sorted({*seen.raised, *seen.ends}) if fault.error not in COMMON]
    lines = [_TABLES]
    for function in dict.fromkeys(fault.function for fault in faults):
        lines += [f"## {function}", "", "| call | repeated | handled | failed |", "| --- | --- | --- | --- |"]
        for call in dict.fromkeys(fault.call for fault in faults if fault.function == function):
            own = [fault for fault in faults if (fault.function, fault.call) == (function, call)]
            cells = [
                ", ".join(_cell(seen, fault) for fault in own if seen.column(fault) == column) or "–"
                for column in ("repeated", "handled", "failed")
            ]
            lines.append(f"| `{call}` | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(seen: Seen, fault: Fault) -> str:
    if seen.column(fault) != "handled":
        return f"`{fault.error}`"
    return (
        f"`{fault.error}`: {seen.ends[fault].state.lower() or 'nothing begins; the reconciler looks again'}"
    )


def test_the_page_lists_what_was_seen(seen: Seen) -> None:
    head, _, listed = PAGE.read_text().partition(_TABLES)
    if os.environ.get("IMAGEGATE_WRITE_FAILING_CALLS"):
        PAGE.write_text(head + tables(seen))
    else:
        assert _TABLES + listed == tables(seen)
