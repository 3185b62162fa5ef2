"""The approval page. Showing it only reads; a confirmation calls `decide`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.approval_page import image_difference
from imagegate.approval_page import view as approval_view
from imagegate.approval_page.image_difference import ComparedImage, ComparedPlatform, Difference, Places
from imagegate.approval_page.view import ApprovalView
from imagegate.errors import ImageNotFoundError, RecordNotFoundError
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts, PlatformFacts
from imagegate.grants.approval import ApprovalRequest, Choice, find_replacement
from imagegate.grants.approval_link import ApprovalLink, LinkEndedError, LinkRefusedError
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.ledger import CurrentReleases, Pushers, Releases
from imagegate.ports.risks import KnownRisks
from imagegate.release.release import Release, ReleaseId
from imagegate.workflow.examination.contents import read_contents
from imagegate.workflow.examination.stored_findings import findings_of
from imagegate.workflow.pending_approval import pending_request

if TYPE_CHECKING:
    from imagegate.ports.grants import ApprovalLinks, Grants, LinkDecider
    from imagegate.ports.images import Images
    from imagegate.ports.records import StoredRecords

_BASE_NAME = "org.opencontainers.image.base.name"  # OCI image-spec, annotations.md


class ApprovalPageLedger(Releases, CurrentReleases, Pushers, KnownRisks, Protocol):
    """The parts of the ledger that `ShowApproval` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowApproval:
    links: ApprovalLinks
    ledger: ApprovalPageLedger
    records: StoredRecords
    grants: Grants
    images: Images

    def run(self, token: str, now: datetime) -> ApprovalView:
        """Return the page of a link.

        Raises `LinkRefusedError`, `LinkEndedError` if another attempt has replaced this one, or `RecordNotFoundError`
        if the release is gone.
        """
        link = self.links.read(token, now)
        release = self.ledger.get(link.release)
        target = self._target(link, release)
        self._check_not_replaced(release)
        decision = self._decision(release.decision) if release.decision else None
        contents = self._contents(release.image, sorted(release.tags), decision)
        decided = tuple(sorted(self.grants.approvals(release.id), key=lambda one: one.at))
        request = self._request(release)
        headline = approval_view.headline(release, request, decided, now)
        return ApprovalView(
            link=link,
            release=release,
            decision=decision,
            contents=contents,
            target=target,
            difference=self._difference(target, contents),
            approvals=decided,
            request=request,
            headline=headline,
            risk=self.ledger.risk(release.image),
            refusal=approval_view.refusal(link, headline, decided),
        )

    def _target(self, link: ApprovalLink, release: Release) -> str:
        policy = self.records.policy(release.policy)
        stage = policy.stages.get(release.stage)
        target = policy.target_of(release.image.repository)
        if stage is None or stage.promotes_to != link.stage or target is None:
            raise LinkRefusedError(f"this link is about {link.stage}, and {release.id} does not go there")
        return target

    def _check_not_replaced(self, release: Release) -> None:
        """Raise `LinkEndedError` if another attempt is, or was, decided instead of this one."""
        if release.revoked:
            return  # the page says so
        attempts = self.ledger.history(release.image).attempts
        other = find_replacement(release, attempts)
        if other is None:
            return
        is_decided = other.outcome is not None and other.attempt != attempts[0].attempt
        what = "decided this" if is_decided else "is about this image now"
        raise LinkEndedError(f"this link is about attempt {release.attempt}; attempt {other.attempt} {what}")

    def _request(self, release: Release) -> ApprovalRequest | None:
        return pending_request(release, self.records.policy(release.policy), self.ledger)

    def _decision(self, digest: Digest) -> Decision:
        return Decision.decode(self.records.decision(digest))

    def _difference(self, target: str, after: ComparedImage) -> Difference | None:
        """Return the difference to the current release of `target`, or None if there is none."""
        current = self.ledger.current_release(target)
        if current is None:
            return None
        try:
            decision = self._decision(current.decision)
        except RecordNotFoundError:
            decision = None
        before = ImageRef(target, current.image.digest)
        tags = self._tags(current.image, decision)
        return image_difference.difference(self._contents(before, tags, decision), after)

    def _tags(self, image: ImageRef, decision: Decision | None) -> list[str]:
        """Return the tags under which the image was released."""
        try:
            attempt = decision.attempt if decision else 1
            return sorted(self.ledger.get(ReleaseId(image, attempt)).tags)
        except RecordNotFoundError:
            return []

    def _contents(self, image: ImageRef, tags: list[str], decision: Decision | None) -> ComparedImage:
        parts = tuple(self._parts(image, decision))
        return ComparedImage(image, tuple(tags), self._places(decision), parts)

    def _places(self, decision: Decision | None) -> Places | None:
        if decision is None or any("findings" not in scan for scan in decision.scans):
            return None
        try:
            return image_difference.seen(finding for _, finding, _ in findings_of(self.records, decision))
        except RecordNotFoundError:
            return None

    def _parts(self, image: ImageRef, decision: Decision | None) -> Iterator[ComparedPlatform]:
        """Yield the platforms from the record and the registry; from the record alone if the image is gone."""
        facts = ImageFacts.from_json(decision.facts) if decision and decision.facts else ImageFacts(image)
        try:
            contents = read_contents(self.images, image)
            for leaf in contents.leaves:
                manifest = contents.manifests[leaf.digest]
                known = facts.of(leaf.digest)
                claimed = manifest.annotations.get(_BASE_NAME, "")
                size = sum(blob.size for blob in manifest.blobs)
                yield ComparedPlatform(leaf.platform or "", size, _base(known, claimed))
        except ImageNotFoundError:
            for one in facts.platforms:  # the image was deleted
                yield ComparedPlatform(one.platform or "", one.size, _base(one, ""))


def _base(known: PlatformFacts | None, claimed: str) -> str:
    """Return the base image as text, or an empty text if it is not known."""
    if known is not None and known.base is not None:
        return str(known.base)
    claimed = (known.claimed_base if known else "") or claimed
    return f"{claimed}, as its builder says" if claimed else ""


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """The result of a decision by link."""

    link: ApprovalLink
    choice: Choice
    response: dict[str, Any]  # of `decide`


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmLink:
    links: ApprovalLinks
    decider: LinkDecider

    def run(self, token: str, reason: str, now: datetime) -> ConfirmResult:
        """Call `decide` with the link. Raises `LinkRefusedError`, or `NotDecidedError` with its message."""
        link = self.links.read(token, now)
        choice = link.purpose.choice
        if choice is None:
            raise LinkRefusedError("this link shows, and decides nothing")
        return ConfirmResult(link, choice, self.decider.decide(token, reason))
