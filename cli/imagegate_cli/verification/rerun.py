"""Judging what a bundle holds again: the pure judge, on this machine, must come to the same record."""

from __future__ import annotations

from dataclasses import dataclass

from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.workflow.examination.replay import Replay
from imagegate_cli.verification.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Rerun:
    """`problem` is empty where the record is confirmed."""

    decision: Decision
    problem: str = ""


def rerun(bundle: Bundle) -> Rerun:
    """Raises `RejectedInputError` where the record itself cannot be read."""
    from imagegate.findings.versions import VERSIONS

    records = bundle.records()
    content = records.decision(bundle.decision)
    decision = Decision.decode(content)
    if decision.subject != bundle.evidence.subject:
        return Rerun(decision, "the bundle is about another image than its decision")
    try:
        again = Replay(records, VERSIONS).again(decision)
    except (RejectedInputError, KeyError, TypeError, ValueError, StopIteration) as error:
        return Rerun(decision, f"it cannot be judged again: {error}")
    if again.encode() == content:
        return Rerun(decision)
    if again.verdict is not decision.verdict:
        return Rerun(decision, f"judged again it is {again.verdict}, and the record says {decision.verdict}")
    return Rerun(decision, "judged again it comes to another record, with the same verdict")


def passed(found: Rerun) -> bool:
    return not found.problem and found.decision.verdict is VerdictOutcome.PASS
