"""The proof of an ending: whether the ledger proves that a release ends with an outcome.

A released image has passed, or a rule that the ledger names lets it through. A step notes in the ledger what only that
step can know, because it has read the registry. A failure needs no proof: it grants nothing.
"""

from __future__ import annotations

from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.policy import Mode, Policy
from imagegate.release.release import Outcome, Release


def missing_proof(release: Release, outcome: Outcome, policy: Policy) -> str:
    """Return why the ledger does not prove that the open release ends with this outcome, or "" if it does."""
    if outcome is Outcome.FAILED:
        return ""
    if outcome is Outcome.BLOCKED:
        return "" if _is_blocked(release, policy) else "no decision refuses it"
    if outcome is Outcome.RELEASED and not _may_go_on(release, policy):
        return "it has not passed, or is not signed"
    if outcome is Outcome.RELEASED and policy.target_of(release.image.repository) is None:
        return ""
    return "" if _is_noted(release, outcome) else "no step has found that it ends so"


def _is_noted(release: Release, outcome: Outcome) -> bool:
    return release.ending is not None and release.ending.outcome is outcome


def _is_blocked(release: Release, policy: Policy) -> bool:
    if release.revoked or _is_noted(release, Outcome.BLOCKED):
        return True
    return _is_refused(release) and not _may_go_on(release, policy)


def _is_refused(release: Release) -> bool:
    return release.decision is not None and release.verdict not in (None, VerdictOutcome.PASS)


def _may_go_on(release: Release, policy: Policy) -> bool:
    if release.verdict == VerdictOutcome.PASS:
        return release.decision is not None and release.signature is not None
    is_let_through = policy.stages[release.stage].mode is Mode.OBSERVE or bool(release.break_glass)
    return _is_refused(release) and is_let_through and not release.is_ambiguous
