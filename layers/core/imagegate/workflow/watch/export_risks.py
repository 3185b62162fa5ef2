"""Export Risks: keep one finding in AWS Security Hub for each image at risk, where the policy says so.

Rules: a finding is sent when it is new, when it says something else, and once a day, because Security Hub deletes what
is not updated. A risk that is over is archived; until this is done, the ledger keeps the risk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from imagegate.errors import AccessRefusedError
from imagegate.risk.risk import Risk, RiskState

if TYPE_CHECKING:
    from imagegate.notices.risk.security_finding import SecurityFindingFormat
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.ports.services import SecurityHub

_AGAIN_AFTER = timedelta(days=1)
# AWS Security Hub API reference, ImportFindingsError: InvalidInput, InvalidAccess. Another call does not help.
_LASTING = "Invalid"


@dataclass(frozen=True, slots=True)
class ExportedRisks:
    """`risks`: as the ledger stores them now. `unresolved`: images whose finding must still be archived."""

    risks: list[Risk]
    unresolved: frozenset[ImageRef] = frozenset()
    faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportRisks:
    hub: SecurityHub
    format: SecurityFindingFormat
    policy: Policy

    def run(
        self, risks: Sequence[Risk], ended: Sequence[Risk], before: Mapping[ImageRef, Risk], now: datetime
    ) -> ExportedRisks:
        """Send what Security Hub does not have yet. A fault there stops nothing else."""
        known = [_with_export(risk, before) for risk in risks]
        sent = {risk.image for risk in known if self._is_news(risk, before.get(risk.image), now)}
        over = [risk for risk in known if risk.exported_at and not self._is_wanted(risk)]
        over += [risk for risk in ended if risk.exported_at]
        findings = [self.format.compose(risk, now, is_over=False) for risk in known if risk.image in sent]
        failed = self._send([*findings, *(self.format.compose(risk, now, is_over=True) for risk in over)])
        done = {image for image in sent if self.format.name(image) not in failed}
        archived = {risk.image for risk in over if not self._fails(risk, failed)}
        return ExportedRisks(
            [_after_export(risk, done, archived, now) for risk in known],
            frozenset(risk.image for risk in ended if risk in over and risk.image not in archived),
            {f"Security Hub, {count} findings": why for why, count in Counter(failed.values()).items()},
        )

    def _is_wanted(self, risk: Risk) -> bool:
        stage = self.policy.stages.get(risk.stage)
        return risk.state is RiskState.AT_RISK and stage is not None and stage.security_hub

    def _is_news(self, risk: Risk, before: Risk | None, now: datetime) -> bool:
        if not self._is_wanted(risk):
            return False
        if before is None or risk.exported_at is None or now - risk.exported_at >= _AGAIN_AFTER:
            return True
        old, new = (self.format.compose(one, now, is_over=False) for one in (before, risk))
        return old != new

    def _send(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Return the ids of the findings that Security Hub did not take, and why."""
        if not findings:
            return {}
        try:
            return self.hub.send(findings)
        except AccessRefusedError as fault:
            why = f"{_LASTING}Access: {fault}"
        except Exception as fault:  # noqa: BLE001 - the risks are still stored, and the fault is reported
            why = f"{type(fault).__name__}: {fault}"
        return {finding["Id"]: why for finding in findings}

    def _fails(self, risk: Risk, failed: Mapping[str, str]) -> bool:
        """Return True if the finding may be archived by another try."""
        why = failed.get(self.format.name(risk.image))
        return why is not None and not why.startswith(_LASTING)


def _with_export(risk: Risk, before: Mapping[ImageRef, Risk]) -> Risk:
    """Return the risk with the time when Security Hub got it last."""
    known = before.get(risk.image)
    return replace(risk, exported_at=known.exported_at) if known else risk


def _after_export(risk: Risk, sent: set[ImageRef], archived: set[ImageRef], now: datetime) -> Risk:
    if risk.image in sent:
        return replace(risk, exported_at=now)
    return replace(risk, exported_at=None) if risk.image in archived else risk
