"""Add the details of Amazon Inspector (known exploited, EPSS) to the findings whose verdict they can change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagegate.findings.finding import Finding
    from imagegate.gate.finding_rules import FindingEvaluator
    from imagegate.oci.image import ImageRef
    from imagegate.ports.images import Intelligence

# Amazon Inspector API reference, BatchGetFindingDetails.
_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class AddDetails:
    intelligence: Callable[[], Intelligence]
    evaluator: FindingEvaluator
    image: ImageRef

    def run(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Yield all findings, with details where they matter. Those with details come later than the others."""
        rules = self.evaluator.terms.rules.no_grace
        if rules.known_exploited:
            return self._detailed(findings)
        return iter(findings) if rules.epss is None else self._scored(findings)

    def _detailed(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        waiting: list[Finding] = []
        for finding in findings:
            if not self.evaluator.needs_details(finding):
                yield finding
                continue
            waiting.append(finding)
            if len(waiting) == _AT_ONCE:
                yield from self.intelligence().details(waiting)
                waiting = []
        if waiting:
            yield from self.intelligence().details(waiting)

    def _scored(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Add the EPSS scores, which Inspector lists for the whole image, a hundred per page."""
        scores: dict[str, float] | None = None
        for finding in findings:
            if finding.arn and self.evaluator.needs_details(finding):
                if scores is None:
                    scores = self.intelligence().epss(self.image)
                yield replace(finding, epss=scores.get(finding.arn))
            else:
                yield finding
