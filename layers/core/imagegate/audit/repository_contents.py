"""Checks and measures of all that one repository stores: its age, its size, and what nobody needs.

An untagged manifest is a leftover only if no index contains it, it is evidence of nothing, and it was never released.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding
from imagegate.audit.report import CheckOutcome, CheckPassed, NotAssessed
from imagegate.cleanup.graph import RepositoryGraph
from imagegate.cleanup.savings import Savings, count_savings
from imagegate.lifecycle.stored_image import StorageStatus, named_subjects
from imagegate.text import counted

if TYPE_CHECKING:
    from datetime import datetime

    from imagegate.audit.image import AuditTerms
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest

_GIB = 1024**3
# Amazon Inspector pricing, container images in us-east-1: an image costs 9 cents when it is scanned first, and 1 cent
# each time that it is scanned again. Other Regions cost up to a third more.
_CENTS_FIRST, _CENTS_AGAIN = 9, 1
_A_MONTH = timedelta(days=30)
CONTENT_CHECKS = tuple(
    CATALOGUE[name]
    for name in (
        "repository-images-old",
        "repository-too-large",
        "cost-leftovers",
        "cost-cleanup",
        "cost-scanning",
    )
)


@dataclass(frozen=True)
class RepositoryContents:
    """All manifests of a repository. `needed`: those in use and those ever released, by the ledger.

    `unread`: indexes whose parts nobody knows. `going`: the images that the clean-up of the policy would take at most,
    or None if the policy has no rules for it; `no_plan`: why nobody can tell. `is_scanned_again`: Inspector scans the
    images again when it learns of a new vulnerability.
    """

    resource: AuditedResource
    images: tuple[StoredImage, ...]
    owner: str | None = None
    needed: Collection[Digest] = frozenset()
    unread: Collection[Digest] = frozenset()
    going: Collection[Digest] | None = None
    no_plan: str = ""
    is_scanned_again: bool = False

    @cached_property
    def graph(self) -> RepositoryGraph:
        return RepositoryGraph.of(self.images)

    @cached_property
    def evidence(self) -> frozenset[Digest]:
        """Signatures, SBOMs and other evidence, also of images that are gone."""
        return frozenset(one.digest for one in self.images if named_subjects(one))

    @cached_property
    def leftovers(self) -> frozenset[Digest]:
        """Untagged images that are part or evidence of nothing and were never released."""
        untagged = (one.digest for one in self.images if not one.tags)
        return frozenset(
            one
            for one in untagged
            if one not in self.graph.indexes and one not in self.evidence and one not in self.needed
        )

    @cached_property
    def savings(self) -> Savings:
        """The numbers of the clean-up; without one, only the bytes that are stored."""
        return count_savings(self.images, self.going or (), ())

    def measures(self, now: datetime) -> dict[str, int]:
        """Return whole numbers that add up over repositories. Bytes are exact only if manifests were read."""
        savings = self.savings
        pushed = sum(now - one.pushed_at <= _A_MONTH for one in self._scanned) if self.is_scanned_again else 0
        again = len(self._scanned) if self.is_scanned_again else 0
        return {
            "storedManifests": len(self.images),
            "evidenceManifests": len(self.evidence),
            "untaggedLeftovers": len(self.leftovers),
            "storageBytes" if savings.is_exact else "storageBytesAtMost": savings.bytes_before,
            "cleanupBytesAtMost": savings.bytes_before - savings.bytes_after,
            "firstScansCentsAMonth": pushed * _CENTS_FIRST,
            "scanAgainCentsEachTime": again * _CENTS_AGAIN,
            "unusedImages": sum(one.pulled_at is None for one in self._candidates),
        }

    @property
    def _candidates(self) -> Iterator[StoredImage]:
        """The images that people push: no evidence, and no parts of indexes."""
        parts = self.graph.indexes
        return (one for one in self.images if one.digest not in self.evidence and one.digest not in parts)

    @cached_property
    def _scanned(self) -> tuple[StoredImage, ...]:
        """The images that a scanner bills: each platform, no indexes, no evidence, and nothing in the archive."""
        return tuple(
            one
            for one in self.images
            if one.status is StorageStatus.ACTIVE and not one.is_index and one.digest not in self.evidence
        )

    def check(self, terms: AuditTerms) -> Iterator[CheckOutcome]:
        """Check the repository as a whole."""
        yield self._old(terms)
        yield self._size(terms)
        yield self._leftovers()
        yield from self._cleanup()
        if self.is_scanned_again:
            yield self._scanning()

    def _old(self, terms: AuditTerms) -> CheckOutcome:
        old = [one for one in self._candidates if terms.now - one.begins > terms.limits.max_age]
        number = sum(one.digest not in self.needed for one in old)
        limit = counted(terms.limits.max_age.days, "day")
        fault = f"nobody uses {counted(number, 'image')}, older than {limit}" if number else ""
        return self._result("repository-images-old", fault, "imagegate cleanup plan {repository}")

    def _size(self, terms: AuditTerms) -> CheckOutcome:
        stored = self.savings
        limit, size = terms.limits.max_repository_size / _GIB, stored.bytes_before / _GIB
        if stored.bytes_before > terms.limits.max_repository_size and not stored.is_exact:
            why = f"at most {size:.1f} GiB: the manifests were not read, because that counts as pulls"
            return NotAssessed(CATALOGUE["repository-too-large"], self.resource, why)
        fault = f"{size:.1f} GiB are stored, each layer counted once (at most {limit:.0f} GiB)"
        is_large = stored.bytes_before > terms.limits.max_repository_size
        return self._result(
            "repository-too-large", fault if is_large else "", "imagegate images {repository} --sort size"
        )

    def _leftovers(self) -> CheckOutcome:
        if self.unread:
            why = f"{counted(len(self.unread), 'index')} cannot be read, so nobody knows which images are parts of them"
            return NotAssessed(CATALOGUE["cost-leftovers"], self.resource, why)
        number = len(self.leftovers)
        freed = count_savings(self.images, self.leftovers, ())
        fault = f"{number} untagged images are part of nothing: {_money(freed)}" if number else ""
        return self._result("cost-leftovers", fault, "imagegate cleanup plan {repository}")

    def _cleanup(self) -> Iterator[CheckOutcome]:
        if self.no_plan:
            yield NotAssessed(CATALOGUE["cost-cleanup"], self.resource, self.no_plan)
        elif self.going is not None:
            fault = (
                f"the rules of the policy let {counted(len(self.going), 'image')} go: {_money(self.savings)}"
            )
            yield self._result(
                "cost-cleanup", fault if self.going else "", "imagegate cleanup plan {repository}"
            )

    def _scanning(self) -> CheckOutcome:
        """Check that only images that somebody needs are scanned again. A part of a needed index is needed."""
        indexes = self.graph.indexes
        number = sum(
            one.digest not in self.needed and not set(indexes.get(one.digest, ())) & set(self.needed)
            for one in self._scanned
        )
        dollars = number * _CENTS_AGAIN / 100
        fault = f"{counted(number, 'image')} that nobody uses: at most ${dollars:,.2f} for each time of scanning again"
        return self._result("cost-scanning", fault if number else "", "imagegate cleanup plan {repository}")

    def _result(self, check: str, fault: str, command: str) -> CheckOutcome:
        if not fault:
            return CheckPassed(CATALOGUE[check])
        command = command.replace("{repository}", self.resource.repository or "")
        remedy = AdvisedRemedy("see what may go, and take it away", command)
        return AuditFinding(
            check=CATALOGUE[check], resource=self.resource, detail=fault, remedy=remedy, owner=self.owner
        )


def _money(savings: Savings) -> str:
    gone = (savings.bytes_before - savings.bytes_after) / _GIB
    at_most = "" if savings.is_exact else "at most "
    return f"{at_most}{gone:.2f} GiB, ${savings.cents_a_month / 100:,.2f} a month"
