"""Inspector's details of findings (known exploited, EPSS), asked for only where they can change the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from imagegate.findings.finding import Finding
from imagegate.gate.finding_rules import FindingEvaluator
from imagegate.oci.image import ImageRef
from imagegate.ports.images import Intelligence

# Amazon Inspector API reference, BatchGetFindingDetails.
_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Details:
    intelligence: Callable[[], Intelligence]
    evaluator: FindingEvaluator
    image: ImageRef

    def added(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """All of the findings; those that need it come a little later, with what Inspector knows of them."""
        asks = self.evaluator.terms.rules.no_grace
        if asks.known_exploited:
            return self._detailed(findings)
        return iter(findings) if asks.epss is None else self._scored(findings)

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
        """EPSS alone comes a hundred a page, once for the image."""
        scores: dict[str, float] | None = None
        for finding in findings:
            if finding.arn and self.evaluator.needs_details(finding):
                if scores is None:
                    scores = self.intelligence().epss(self.image)
                yield replace(finding, epss=scores.get(finding.arn))
            else:
                yield finding
