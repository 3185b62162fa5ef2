"""Reads one application of the board: its images at each stage, their states, findings and next steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from imagegate.approval_page.image_difference import ComparedImage, Places, difference, seen
from imagegate.board.board import BoardApplication, BoardCell, StageImage
from imagegate.board.next_step import NextStep, next_step
from imagegate.board.status import ImageState, ImageStatus, PendingApproval, state_of
from imagegate.deployment.rollback import announced_releases
from imagegate.errors import ImageGateError
from imagegate.gate import findings_record
from imagegate.gate.decision_record import Decision
from imagegate.grants.approval import Approval, Choice, approval_status
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.waiver import Waiver
from imagegate.ports.ledger import Pushers, ReleaseLists, Releases, Rollbacks
from imagegate.ports.risks import JudgedAgain, KnownRisks
from imagegate.workflow.pending_approval import pending_request

if TYPE_CHECKING:
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.policy.policy import Policy
    from imagegate.ports.grants import Grants
    from imagegate.ports.records import LaterFindings
    from imagegate.release.release import Release
    from imagegate.risk.risk import DueImage, Risk

# The newest attempts of a repository among which its images are looked for.
_ATTEMPTS = 200
_HISTORY = 10
# An image in one of these states, if it is newer than the current release, is on the way or was stopped.
_NEWER = frozenset(ImageState) - {ImageState.SUPERSEDED, ImageState.WITHDRAWN, ImageState.RELEASED}


class BoardLedger(Releases, ReleaseLists, Rollbacks, Pushers, JudgedAgain, KnownRisks, Protocol):
    """The parts of the ledger that `ReadBoard` uses."""


@dataclass(frozen=True, slots=True)
class ReadApplication:
    """An application as it was read, with the places of the findings of its images, by `IMAGE (STAGE)`."""

    application: BoardApplication
    places: Mapping[str, Places]
    refused: frozenset[str]  # the vulnerabilities that put one of its images at risk


@dataclass(frozen=True, slots=True)
class BoardReading:
    """One reading of the ledger."""

    ledger: BoardLedger
    records: LaterFindings
    grants: Grants
    policy: Policy
    now: datetime
    queue: Mapping[ImageRef, DueImage]
    risks: Mapping[ImageRef, Risk]
    glass: Sequence[BreakGlass]
    repositories: Mapping[str, Mapping[str, str]]

    def application(self, name: str) -> ReadApplication:
        owner = self._owner(name)
        cells: dict[str, BoardCell] = {}
        places: dict[str, Places] = {}
        known: dict[str, ComparedImage] = {}  # the current image of each stage
        for stage in self.policy.stages.values():
            if repository := self.repositories[name].get(stage.name):
                cells[stage.name] = self._cell(stage.name, repository, known, places)
        steps = [step for cell in cells.values() for step in self._steps(name, owner, cell, cells)]
        application = BoardApplication(name, owner, cells, sorted(steps, key=lambda one: one.order))
        risks = (image.status.risk for cell in cells.values() for image in cell.images)
        refused = frozenset(one.vulnerability for risk in risks if risk for one in risk.findings)
        return ReadApplication(application, places, refused)

    def _owner(self, name: str) -> str | None:
        owners = map(self.policy.owner_of, self.repositories[name].values())
        return next((owner for owner in owners if owner), None)

    def _cell(
        self,
        stage: str,
        repository: str,
        known: dict[str, ComparedImage],
        places: dict[str, Places],
    ) -> BoardCell:
        """Return the cell. Note in `known` its current image, and in `places` its findings."""
        attempts = list(islice(self.ledger.recent_of_repository(repository), _ATTEMPTS))
        current, before = self._current(stage, repository, attempts)
        newer = self._newer(attempts, current)
        found = self._places(current) if current else None
        if current and found is not None:
            places[f"{current.image.name(current.tags)} ({stage})"] = found
        if current:
            known[stage] = ComparedImage(current.image, tuple(sorted(current.tags)), found)
        return BoardCell(
            stage,
            repository,
            self._image(current, found, self._approvals(current)) if current else None,
            newer,
            self._difference(stage, known),
            attempts[:_HISTORY],
            before.image.name(before.tags) if before else "",
        )

    def _current(
        self, name: str, repository: str, attempts: Sequence[Release]
    ) -> tuple[Release | None, Release | None]:
        """Return the newest attempt of the image that was announced to deployers last, and the release before it."""
        stage, rollbacks = self.policy.stages[name], self.ledger.rollbacks(repository)
        announced = announced_releases(attempts, rollbacks, stage)
        if not announced:
            return None, None
        current = next((one for one in attempts if one.image == announced[0].image), announced[0])
        return current, next((one for one in announced[1:] if not one.revoked), None)

    def _newer(self, attempts: Sequence[Release], current: Release | None) -> StageImage | None:
        newest = max(attempts, key=lambda one: one.arrived_at, default=None)
        if newest is None or (current and newest.image == current.image):
            return None
        if current and newest.arrived_at < current.arrived_at:
            return None
        latest = next(one for one in attempts if one.image == newest.image)
        image = self._image(latest, self._places(latest))
        return image if image.status.state in _NEWER else None

    def _image(
        self, release: Release, places: Places | None, approvals: Sequence[Approval] = ()
    ) -> StageImage:
        status = self._status(release)
        counts = None if places is None else Counter(one.severity for one in places.values())
        return StageImage(status, _since(status), counts, approvals)

    def _approvals(self, release: Release) -> list[Approval]:
        """Return the approvals by which the image came into its stage, if that needs some."""
        stage = self.policy.stages[release.stage]
        if stage.approval is None:
            return []
        before = self.policy.repositories_before(release.image.repository)
        images = (ImageRef(repository, release.image.digest) for repository in before)
        attempts = (one for image in images for one in self.ledger.history(image).attempts)
        decided = (approval for one in attempts for approval in self.grants.approvals(one.id))
        return sorted(
            (one for one in decided if one.stage == stage.name and one.choice is Choice.APPROVE),
            key=lambda one: one.at,
        )

    def _status(self, release: Release) -> ImageStatus:
        risk = self.risks.get(release.image)
        pending = self._pending(release)
        covering = tuple(one for one in self.glass if one.covers(release.image))
        state = state_of(release, pending, covering, risk)
        return ImageStatus(release, state, self._waivers(release), pending, covering, risk)

    def _pending(self, release: Release) -> PendingApproval | None:
        try:
            policy = self.records.policy(release.policy)
        except ImageGateError:
            return None
        request = pending_request(release, policy, self.ledger)
        if request is None:
            return None
        decided = sorted(self.grants.approvals(release.id), key=lambda one: one.at)
        return PendingApproval(request, decided, approval_status(request, decided, self.now))

    def _waivers(self, release: Release) -> tuple[Waiver, ...]:
        decision = self._decision(release)
        try:
            return tuple(Waiver.from_json(raw) for raw in decision.waivers) if decision else ()
        except ImageGateError:
            return ()

    def _decision(self, release: Release) -> Decision | None:
        try:
            return Decision.decode(self.records.decision(release.decision)) if release.decision else None
        except ImageGateError:
            return None

    def _places(self, release: Release) -> Places | None:
        """Return the places of the findings, later ones if it was judged again, or None if they are not known."""
        due = self.queue.get(release.image)
        last = due.last if due else None
        try:
            if last is not None and last.answered_at > release.started_at:
                contents = [self.records.later_findings(digest) for digest in last.findings]
            else:
                contents = self._judged_findings(release)
            return seen(finding for content in contents for finding, _ in findings_record.read(content))
        except ImageGateError:
            return None

    def _judged_findings(self, release: Release) -> list[bytes]:
        """Return the findings records of the decision; a platform without findings has none."""
        decision = Decision.decode(self.records.decision(release.decision)) if release.decision else None
        if decision is None or any("findings" not in scan for scan in decision.scans):
            raise ImageGateError(f"{release.id}: its findings were not kept")
        named = (scan["findings"] for scan in decision.scans if scan["findings"])
        return [self.records.findings(Digest.parse(name)) for name in named]

    def _difference(self, stage: str, known: Mapping[str, ComparedImage]) -> str:
        """Return in what the stage before is ahead of this one, or an empty text if nothing is to be compared."""
        before = self.policy.stages_before(self.policy.stages[stage])
        source = next((one.name for one in before if one.name in known), None)
        if source is None or stage not in known:
            return ""
        here, there = known[stage], known[source]
        if here.image.digest == there.image.digest:
            return f"same image as {source}"
        change = difference(here, there)
        tags = there.tags[0] if there.tags else there.image.digest.short
        return f"{source} has {tags}" + (
            f": {change.summary.rstrip('.').lower()}" if change.severities else ""
        )

    def _steps(
        self, name: str, owner: str | None, cell: BoardCell, cells: Mapping[str, BoardCell]
    ) -> Iterator[NextStep]:
        following = self.policy.stages[cell.stage].promotes_to
        there = cells.get(following) if following else None
        for image in cell.images:
            # The next stage says in what this stage's current image differs from its own.
            change = there.difference.partition(": ")[2] if there and image is cell.current else ""
            is_last = following is None
            if step := next_step(name, owner, cell, image, is_last_stage=is_last, change=change):
                yield step


def _since(status: ImageStatus) -> datetime:
    """Return when the state began, as far as the ledger says."""
    release = status.release
    if release.revoked:
        return release.revoked.at
    if status.state is ImageState.AT_RISK and status.risk:
        return status.risk.since
    return release.closed_at or release.started_at
