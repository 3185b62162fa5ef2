"""Audit the images of one repository: read each list once, and records only of images that are in use.

Nothing here is read for each image of a registry: the requests grow with the repositories, and with pages of images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from imagegate.audit.finding import AuditedResource, ResourceKind
from imagegate.audit.image import AuditedImage, AuditTerms, image_resource
from imagegate.audit.image_checks import IN_USE_CHECKS, RELEASED_CHECKS, check_in_use, check_released
from imagegate.audit.packages import check_packages
from imagegate.audit.report import AuditPart, CheckOutcome, part_of
from imagegate.audit.repository_contents import CONTENT_CHECKS, RepositoryContents
from imagegate.cleanup.selection import select_images
from imagegate.deployment.rollback import announced_releases
from imagegate.errors import (
    CorruptContentError,
    DecisionRefusedError,
    RecordNotFoundError,
    UnreadableRecordError,
)
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Scanner
from imagegate.policy.rules import active
from imagegate.ports.ledger import ReleaseLists, Rollbacks
from imagegate.ports.risks import AuditedRisks

if TYPE_CHECKING:
    from imagegate.cleanup.usage import UsedImages
    from imagegate.findings.finding import Satisfies
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.records import StoredRecords
    from imagegate.release.release import Release
    from imagegate.risk.risk import DueImage, Judgement
    from imagegate.workflow.audit.sboms import ReadSboms
    from imagegate.workflow.cleanup.inventory import ReadInventory, RepositoryInventory


class AuditLedger(ReleaseLists, Rollbacks, AuditedRisks, Protocol):
    """The parts of the ledger that `AuditImages` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditImages:
    """Audits the images of one repository after the other.

    `running`: what runs in this account, read once for all repositories. `home`: the beginning of the ARNs of
    repositories, up to `repository/`. `is_continuous` says whether a repository's images are scanned again and again;
    `satisfies` compares versions.
    """

    inventory: ReadInventory
    ledger: AuditLedger
    records: StoredRecords
    policy: Policy
    running: UsedImages
    terms: AuditTerms
    home: str
    sboms: ReadSboms
    is_continuous: Callable[[str], bool]
    satisfies: Satisfies

    checks = (*RELEASED_CHECKS, *IN_USE_CHECKS, *CONTENT_CHECKS)

    def audit(self, repository: str) -> AuditPart:
        """Return the results. Raises what the registry and the ledger raise: then nothing is known."""
        inventory = self.inventory.read(repository)
        stage = self.policy.stage_of(repository)
        known = self._known(inventory, stage) if stage else _Known()
        contents = self._contents(inventory, stage, known)
        outcomes = [*contents.check(self.terms), *self._images(inventory, stage, known)]
        measures = {
            **contents.measures(self.terms.now),
            "imagesInUse": len(known.in_use),
            "imagesReleased": len(known.announced),
        }
        return part_of(outcomes, made=self.checks, images=len(inventory.images), measures=measures)

    def _known(self, inventory: RepositoryInventory, stage: Stage) -> _Known:
        repository = inventory.repository
        attempts: dict[Digest, list[Release]] = defaultdict(list)
        for release in self.ledger.recent_of_repository(repository):
            attempts[release.image.digest].append(release)
        every = [one for many in attempts.values() for one in many]
        announced = announced_releases(every, self.ledger.rollbacks(repository) if every else [], stage)
        running = self.running.reasons(repository, inventory.images)
        running |= {
            image.digest: list(users)
            for image, users in self.running.by_digest.items()
            if image.repository == repository
        }
        judged = self.ledger.judged_among([ImageRef(repository, digest) for digest in {*attempts, *running}])
        return _Known(
            attempts={
                digest: sorted(many, key=lambda one: -one.attempt) for digest, many in attempts.items()
            },
            announced=[one.image.digest for one in announced],
            running=running,
            judged={image.digest: one for image, one in judged.items()},
        )

    def _contents(
        self, inventory: RepositoryInventory, stage: Stage | None, known: _Known
    ) -> RepositoryContents:
        going = None
        if stage and stage.cleanup.rules:
            kept = {*known.in_use, *known.announced[: stage.cleanup.keep_releases]}
            protected: dict[Digest, list[str]] = {digest: ["is in use or released"] for digest in kept}
            protected |= inventory.doubts
            now = self.terms.now
            selection = select_images(inventory.repository, inventory.images, stage.cleanup, protected, now)
            going = frozenset(selection.going)
        name = inventory.repository
        return RepositoryContents(
            resource=AuditedResource(
                ResourceKind.REPOSITORY, self.home + name, name, stage=stage.name if stage else None
            ),
            images=inventory.images,
            owner=self.policy.owner_of(name),
            needed={*known.in_use, *known.attempts},
            unread=inventory.unread,
            going=going,
            is_scanned_again=self.policy.scanner is Scanner.ENHANCED and self.is_continuous(name),
        )

    def _images(
        self, inventory: RepositoryInventory, stage: Stage | None, known: _Known
    ) -> Iterator[CheckOutcome]:
        """Check the images in use, and those that were released and are still there."""
        if stage is None:
            return
        repository, stored = inventory.repository, {one.digest: one for one in inventory.images}
        owner, of_indexes = self.policy.owner_of(repository), known.indexes()
        risks = self.ledger.risks_among([ImageRef(repository, digest) for digest in sorted(known.judged)])
        for digest in sorted(known.in_use | {one for one in known.announced if one in stored}):
            ref = ImageRef(repository, digest)
            tags = stored[digest].tags if digest in stored else ()
            image = AuditedImage(
                image=ref,
                resource=image_resource(self.home, ref, stage.name, tags),
                stage=stage,
                owner=owner,
                attempts=known.attempts.get(digest, ()),
                of_indexes=of_indexes.get(digest, ()),
                stored=stored.get(digest),
                siblings=stored.keys(),
                runs=known.runs(digest),
                judgement=known.judgement(digest),
                risk=risks.get(ref),
            )
            yield from check_released(image)
            if digest in known.in_use:
                image = self._with_decision(image)
                yield from check_in_use(image, self.terms)
                if active(stage.findings.prohibited):
                    packages = self.sboms.packages(image.release)
                    yield from check_packages(image, packages, self.satisfies, self.terms.of_packages)

    def _with_decision(self, image: AuditedImage) -> AuditedImage:
        release = image.release
        if release is None or release.decision is None:
            return replace(image, no_decision="the ledger names no decision", is_proven_missing=True)
        try:
            return replace(image, decision=Decision.decode(self.records.decision(release.decision)))
        except UnreadableRecordError as error:
            return replace(image, no_decision=str(error))
        except (RecordNotFoundError, CorruptContentError, DecisionRefusedError) as error:
            return replace(image, no_decision=str(error), is_proven_missing=True)


@dataclass(frozen=True, slots=True)
class _Known:
    """All that the ledger and the services know about the images of a repository.

    `announced`: to deployers, the current one first. `running`: who runs an image.
    """

    attempts: Mapping[Digest, Sequence[Release]] = field(default_factory=dict)
    announced: Sequence[Digest] = ()
    running: Mapping[Digest, Sequence[str]] = field(default_factory=dict)
    judged: Mapping[Digest, DueImage] = field(default_factory=dict)

    @property
    def in_use(self) -> set[Digest]:
        """The current release, and all that runs."""
        return {*self.announced[:1], *self.running, *self.judged}

    def runs(self, digest: Digest) -> bool:
        judgement = self.judgement(digest)
        return digest in self.running or bool(judgement and judgement.runs)

    def judgement(self, digest: Digest) -> Judgement | None:
        """Return the last judgement of the image, or None."""
        return self.judged[digest].last if digest in self.judged else None

    def indexes(self) -> dict[Digest, list[Release]]:
        """Return the attempts of the indexes that each platform was released with."""
        indexes: dict[Digest, list[Release]] = defaultdict(list)
        for release in (one for many in self.attempts.values() for one in many):
            for platform in release.platforms:
                indexes[platform].append(release)
        return indexes
