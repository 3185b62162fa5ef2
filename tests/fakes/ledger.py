"""The ledger in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Unpack

from imagegate.deployment.rollback import Rollback
from imagegate.errors import (
    RecordNotFoundError,
)
from imagegate.findings.finding import Place
from imagegate.gate.facts import BaseImage
from imagegate.gate.finding_rules import Clock
from imagegate.grants.approval_link import parse_link as parse_link
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.ledger import StepResults
from imagegate.ports.pending import Turn
from imagegate.release.release import (
    CurrentRelease,
    History,
    Outcome,
    Release,
    ReleaseId,
    WaitingScan,
)
from imagegate.release.revocation import Revocation
from imagegate.release.start import IgnoredImage
from tests.fakes.mails import FakeMails
from tests.fakes.risks import FakeRisks
from tests.fakes.world import NOW


def _proof(release: Release) -> tuple[object, ...]:
    known = release.verdict, release.decision, release.signature, release.break_glass
    return (*known, release.revoked, release.ending)


@dataclass
class FakeLedger(FakeRisks, FakeMails):
    releases: dict[tuple[ImageRef, int], Release] = field(default_factory=dict)
    tokens: dict[tuple[ImageRef, ReleaseId], WaitingScan] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[Digest, datetime]] = field(default_factory=dict)
    platforms: set[ImageRef] = field(default_factory=set)
    running: dict[tuple[str, Place], Clock] = field(default_factory=dict)
    built_upon: dict[tuple[str, str], BaseImage] = field(default_factory=dict)
    standings: dict[str, CurrentRelease] = field(default_factory=dict)
    drifts: dict[str, frozenset[str]] = field(default_factory=dict)
    notices: set[str] = field(default_factory=set)
    claims_of_notices: dict[str, datetime] = field(default_factory=dict)
    rolled: dict[tuple[str, datetime], Rollback] = field(default_factory=dict)
    pushed_by: dict[ImageRef, dict[str, None]] = field(default_factory=dict)
    holding: dict[ReleaseId, datetime] = field(default_factory=dict)
    asked: dict[ImageRef, datetime] = field(default_factory=dict)
    left_alone: dict[ImageRef, IgnoredImage] = field(default_factory=dict)
    turns: dict[str, datetime] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    within: dict[ImageRef, tuple[Digest, ...]] = field(default_factory=dict)  # a platform's released indexes

    def latest(self, image: ImageRef) -> Release | None:
        attempts = [release for (ref, _), release in self.releases.items() if ref == image]
        return max(attempts, key=lambda release: release.attempt, default=None)

    def history(self, image: ImageRef) -> History:
        attempts = sorted(
            (r for (ref, _), r in self.releases.items() if ref == image), key=lambda r: -r.attempt
        )
        return History(tuple(attempts), self.within.get(image, ()))

    def get(self, release: ReleaseId) -> Release:
        try:
            return self.releases[release.image, release.attempt]
        except KeyError:
            raise RecordNotFoundError(f"{release}: never begun") from None

    def begin(self, release: Release) -> bool:
        key = release.image, release.attempt
        if key in self.releases:
            return False
        self.releases[key] = release
        return True

    def open_releases(self) -> Iterator[Release]:
        yield from [one for one in self.releases.values() if one.is_open]

    def _change(self, id_: ReleaseId, **fields: Any) -> None:
        self.releases[id_.image, id_.attempt] = replace(self.get(id_), **fields)

    def join(self, release: ReleaseId, tags: frozenset[str], pushed_at: datetime) -> bool:
        known = self.get(release)
        later = max(pushed_at, known.pushed_at or pushed_at)
        if known.is_open and (known.tags | tags, later) != (known.tags, known.pushed_at):
            self._change(release, tags=known.tags | tags, pushed_at=later, changes=known.changes + 1)
        return known.is_open

    def record(self, release: ReleaseId, **results: Unpack[StepResults]) -> Release:
        self._change(release, **results)
        return self.get(release)

    def close(
        self,
        release: ReleaseId,
        outcome: Outcome,
        seen: int | None,
        at: datetime,
        detail: str,
        proof: Release | None = None,
    ) -> Release | None:
        known = self.get(release)
        if known.outcome is not None:
            return known if known.outcome is outcome else None
        if seen is not None and known.changes != seen:
            return None
        if proof is not None and _proof(known) != _proof(proof):
            return None
        self._change(release, outcome=outcome, closed_at=at, detail=detail)
        return self.get(release)

    def recent_of_repository(self, repository: str) -> Iterator[Release]:
        found = [one for one in self.releases.values() if one.image.repository == repository]
        yield from sorted(found, key=lambda one: one.started_at, reverse=True)

    def begun(self, images: Sequence[ImageRef]) -> dict[ImageRef, frozenset[str]]:
        first = {image: self.releases.get((image, 1)) for image in images}
        return {image: release.tags for image, release in first.items() if release}

    def note_rollback(self, rollback: Rollback) -> None:
        self.rolled[rollback.repository, rollback.at] = rollback

    def rollbacks(self, repository: str) -> list[Rollback]:
        return [one for one in self.rolled.values() if one.repository == repository]

    def note_pusher(self, image: ImageRef, arn: str) -> None:
        self.pushed_by.setdefault(image, {})[arn] = None

    def pushers(self, image: ImageRef) -> tuple[str, ...]:
        return tuple(self.pushed_by.get(image, ()))

    def hold(self, release: ReleaseId, at: datetime) -> None:
        self.holding[release] = at

    def held(self) -> Iterator[ReleaseId]:
        yield from list(self.holding)

    def stop_holding(self, release: ReleaseId) -> None:
        self.holding.pop(release, None)

    def request_again(self, image: ImageRef, at: datetime) -> None:
        self.asked[image] = at

    def requested_again(self) -> Iterator[ImageRef]:
        yield from list(self.asked)

    def forget_request(self, image: ImageRef) -> None:
        self.asked.pop(image, None)

    def note_ignored(self, ignored: IgnoredImage) -> None:
        self.left_alone[ignored.image] = ignored

    def ignored(self, image: ImageRef) -> IgnoredImage | None:
        return self.left_alone.get(image)

    def ignored_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, IgnoredImage]:
        return {image: self.left_alone[image] for image in images if image in self.left_alone}

    def revoke(self, release: ReleaseId, revocation: Revocation) -> None:
        if self.get(release).revoked is None:
            self._change(release, revoked=revocation)

    def note_platforms(self, release: Release) -> None:
        self.platforms |= {ImageRef(release.image.repository, digest) for digest in release.platforms}
        for digest in release.platforms:
            platform = ImageRef(release.image.repository, digest)
            known = self.within.get(platform, ())
            self.within[platform] = tuple(dict.fromkeys((*known, release.image.digest)))

    def note_announcement(self, release: ReleaseId, message_id: str) -> None:
        self._change(release, message_id=message_id)

    def keep_token(self, scan: WaitingScan) -> None:
        known = self.tokens.get((scan.image, scan.release))
        if known is None or known.since <= scan.since:
            self.tokens[scan.image, scan.release] = scan

    def tokens_of(self, image: ImageRef) -> list[WaitingScan]:
        return [scan for (ref, _), scan in self.tokens.items() if ref == image]

    def all_tokens(self) -> Iterator[WaitingScan]:
        yield from self.tokens.values()

    def forget_token(self, scan: WaitingScan) -> None:
        known = self.tokens.get((scan.image, scan.release))
        if known is not None and known.token == scan.token:
            del self.tokens[scan.image, scan.release]

    def claim_tag(self, repository: str, tag: str, digest: Digest, pushed_at: datetime) -> bool:
        holder, since = self.claims.get((repository, tag), (digest, pushed_at))
        if holder != digest and since > pushed_at:
            return False
        self.claims[repository, tag] = digest, max(since, pushed_at)
        return True

    def holder(self, repository: str, tag: str) -> Digest | None:
        return self.claims.get((repository, tag), (None, NOW))[0]

    def recent(
        self,
        since: datetime,
        until: datetime,
        *,
        outcome: Outcome | None = None,
        digest: Digest | None = None,
    ) -> Iterator[Release]:
        newest = sorted(self.releases.values(), key=lambda release: (release.started_at, release.attempt))
        for release in newest[::-1]:
            is_wanted = outcome in (None, release.outcome) and digest in (None, release.image.digest)
            if since <= release.started_at <= until and is_wanted:
                yield release

    def clocks(self, application: str) -> dict[Place, Clock]:
        return {place: clock for (app, place), clock in self.running.items() if app == application}

    def keep_clocks(self, application: str, clocks: Mapping[Place, Clock]) -> None:
        self.running |= {(application, place): clock for place, clock in clocks.items()}

    def note_base(self, base: BaseImage) -> None:
        self.built_upon[base.chain_id, base.stage] = base

    def bases(self, chain_ids: Sequence[str], stages: Iterable[str]) -> list[BaseImage]:
        keys = [(chain_id, stage) for chain_id in chain_ids for stage in stages]
        return [self.built_upon[key] for key in keys if key in self.built_upon]

    def latest_base(self, repository: str) -> BaseImage | None:
        found = [base for base in self.built_upon.values() if base.image.repository == repository]
        return max(found, key=lambda base: base.released_at, default=None)

    def note_current_release(self, standing: CurrentRelease) -> None:
        known = self.standings.get(standing.repository)
        if known is None or known.pushed_at <= standing.pushed_at:
            self.standings[standing.repository] = standing

    def current_release(self, repository: str) -> CurrentRelease | None:
        return self.standings.get(repository)

    def known_drifts(self, subjects: Sequence[str]) -> dict[str, frozenset[str]]:
        return {subject: self.drifts[subject] for subject in subjects if self.drifts.get(subject)}

    def keep_drifts(self, subject: str, names: Collection[str]) -> None:
        self.drifts[subject] = frozenset(names)

    def note(self, notice: str) -> None:
        self.notices.add(notice)

    def claim(self, notice: str, now: datetime) -> bool:
        since = self.claims_of_notices.get(notice)
        is_free = since is None or since < now - timedelta(seconds=55)
        if notice in self.notices or not is_free:
            return False
        self.claims_of_notices[notice] = now
        return True

    def is_noted(self, notice: str) -> bool:
        return notice in self.notices

    def noted(self, notices: Sequence[str]) -> set[str]:
        return {notice for notice in notices if self.is_noted(notice)}

    def take_turn(self, work: str, now: datetime, lasts: timedelta) -> Turn | None:
        if self.turns.get(work, now) > now:
            return None
        self.turns[work] = now + lasts
        return Turn(work, f"{now}", json.loads(self.notes.get(work, "{}")))

    def note_progress(self, turn: Turn, notes: Mapping[str, Any]) -> None:
        self.notes[turn.work] = json.dumps(notes)

    def end_turn(self, turn: Turn, notes: Mapping[str, Any]) -> None:
        self.notes[turn.work] = json.dumps(notes)
        self.turns.pop(turn.work, None)
