"""The events after an image was signed, as the stack's ledger has them: a signature does not show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from imagegate.deployment.check import explain_refusal, last_decided_attempt, passes
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import ImageRef
from imagegate.risk.risk import Risk, RiskState
from imagegate_cli.stack import Stack


@dataclass(frozen=True, slots=True)
class AfterSigning:
    """The last refusal by the gate of the image's own repository, and every break-glass for the image."""

    stage: str = ""
    refused: str = ""  # why the gate refuses the image now; empty if it does not
    broken_glass: tuple[BreakGlass, ...] = ()
    revoked: str = ""  # `revoked on 2026-11-21 08:00 UTC by ARN: why`; empty if it is not
    at_risk: str = ""  # `at risk since 2026-11-21 08:00 UTC: CVE-2026-1 CRITICAL`; empty if it is not
    unread: str = ""  # why the ledger could not be read

    def problem(self, gates: Sequence[str]) -> str:
        """Return that a gate refuses now what it has signed. `gates` are those with a valid signature."""
        return f"the {self.stage} gate refuses it now: {self.refused}" if self._is_by(gates) else ""

    def notes(self, gates: Sequence[str], now: datetime) -> tuple[str, ...]:
        """Return other refusals, every break-glass, and why the ledger could not be read."""
        note = f"it passed the {self.stage} gate, then it was {self.revoked}" if self.revoked else ""
        note = note or f"it did not pass the {self.stage} gate: {self.refused}"
        refusals = (note,) if self.refused and not self._is_by(gates) else ()
        risk = (f"it is {self.at_risk}",) if self.at_risk else ()
        unread = (f"later events are not known: {self.unread}",) if self.unread else ()
        return (*refusals, *risk, *(_note(one, now) for one in self.broken_glass), *unread)

    def _is_by(self, gates: Sequence[str]) -> bool:
        return bool(self.refused) and self.stage in gates

    def as_json(self) -> dict[str, Any]:
        return {
            "refused": self.refused or None,
            "revoked": self.revoked or None,
            "atRisk": self.at_risk or None,
            "breakGlass": [{"id": one.id, **one.as_json()} for one in self.broken_glass],
        }


def events_after_signing(stack: Stack, image: ImageRef) -> AfterSigning:
    """Read the events from the ledger. If the caller may not read it, the result says so."""
    try:
        stage = stack.policy.stage_of(image.repository)
        attempt = last_decided_attempt(stack.ledger.history(image).attempts, stage) if stage else None
        glass = tuple(one for one in stack.grants.broken_glass() if one.covers(image))
        risk = _risk_text(stack.ledger.risk(image))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "AccessDenied" not in code:
            raise
        return AfterSigning(unread="you may not read the ledger")
    if stage is None or attempt is None or passes(attempt, stage):
        return AfterSigning(broken_glass=glass, at_risk=risk)
    was_signed = attempt.verdict == VerdictOutcome.PASS
    revoked = str(attempt.revoked) if attempt.revoked and was_signed else ""
    return AfterSigning(stage.name, explain_refusal(attempt), glass, revoked, risk)


def _risk_text(risk: Risk | None) -> str:
    if risk is None or risk.state is not RiskState.AT_RISK:
        return ""
    return f"at risk since {risk.since:%Y-%m-%d %H:%M} UTC: {risk.headline}"


def _note(one: BreakGlass, now: datetime) -> str:
    """Return the note of a break-glass, also after its end: the image ran by it and had not passed."""
    return f"may run by {one}" if one.counts(now) else f"was let through by {one}"
