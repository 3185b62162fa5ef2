"""In-memory ports: small, honest, and checked by mypy against the protocols.

They keep what the real services keep and refuse what those refuse; they know nothing of the steps.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from imagegate.canonical_json import timestamp
from imagegate.deployment.rollback import Rollback
from imagegate.errors import (
    AuthenticityError,
    CorruptContentError,
    ImageGateError,
    ImageNotFoundError,
    IntegrityError,
    RecordNotFoundError,
    RejectedInputError,
    RevocationError,
    TagConflictError,
)
from imagegate.evidence.attestation import IN_TOTO
from imagegate.evidence.signature_manifest import THUMBPRINTS
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Finding, FindingCounts, Package, Place, Severity
from imagegate.findings.scan import Basis, Scanning, ScanStatus
from imagegate.gate.facts import BaseImage
from imagegate.gate.finding_rules import Clock
from imagegate.grants.approval import Approval, Choice
from imagegate.grants.approval_link import ApprovalLink, LinkRefusedError
from imagegate.grants.approval_link import parse_link as parse_link
from imagegate.grants.break_glass import BreakGlass
from imagegate.notices.message import Message
from imagegate.oci.image import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.oci.reference import Container
from imagegate.policy.policy import Entry, Policy, RepositoryPattern, Scanner, Stage
from imagegate.policy.replication import Replica
from imagegate.policy.waiver import Waiver
from imagegate.ports.ledger import StepResults
from imagegate.release.order import Order
from imagegate.release.release import (
    CurrentRelease,
    EcrImage,
    History,
    Outcome,
    Release,
    ReleaseId,
    WaitingScan,
)
from imagegate.release.revocation import Revocation, RunsIn
from imagegate.release.start import IgnoredImage

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
DEV, STAGING = "shop-dev", "shop-staging"

POLICY = Policy(
    digest=Digest.of(b"policy"),
    stages={
        "dev": Stage("dev", RepositoryPattern("{app}-dev"), promotes_to="staging"),
        "staging": Stage("staging", RepositoryPattern("{app}-staging"), entry=Entry.PROMOTION),
    },
)


def critical(number: int = 1) -> list[Finding]:
    return [
        Finding(f"CVE-2026-{n:04}", Severity.CRITICAL, (Package("openssl", "3.0.1"),)) for n in range(number)
    ]


def image_config(*layers: bytes, **more: Any) -> bytes:
    """Return the config of an image with these layers, uncompressed."""
    diff_ids = [str(Digest.of(layer)) for layer in layers]
    raw = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return json.dumps(raw | more).encode()


@dataclass
class FakeRegistry:
    """ECR and its OCI API: repositories with manifests, tags and blobs. Pushes of one digest keep their time."""

    registry: str = REGISTRY
    manifests: dict[ImageRef, Manifest] = field(default_factory=dict)
    tags: dict[tuple[str, str], Digest] = field(default_factory=dict)
    pushed_at: dict[ImageRef, datetime] = field(default_factory=dict)
    blobs: dict[tuple[str, Digest], bytes] = field(default_factory=dict)
    names: set[str] = field(default_factory=lambda: {DEV})
    immutable: set[str] = field(default_factory=set)
    copies: dict[ImageRef, list[Replica]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def push_image(
        self, repository: str, tag: str, *, seed: str = "a", at: datetime = NOW, architecture: str = "amd64"
    ) -> ImageRef:
        """Push blobs, manifest and tag, as a client does."""
        layer = f"layer {seed}".encode()
        config = image_config(layer, architecture=architecture)
        for content in (layer, config):
            self.blobs[repository, Digest.of(content)] = content
        raw = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor(OCI_CONFIG, Digest.of(config), len(config)).as_json(),
            "layers": [
                Descriptor("application/vnd.oci.image.layer.v1.tar", Digest.of(layer), len(layer)).as_json()
            ],
        }
        manifest = Manifest.parse(json.dumps(raw).encode())
        image = ImageRef(repository, manifest.digest)
        self.pushed_at.setdefault(image, at)
        self.push_manifest(repository, manifest, tag or None)
        return image

    def push_attestation(self, repository: str, about: ImageRef) -> Manifest:
        """Push what buildx makes beside an image (BuildKit, "attestation storage", with OCI artifacts)."""
        statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": []}).encode()
        for content in (b"{}", statement):
            self.blobs[repository, Digest.of(content)] = content
        raw = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
            "config": Descriptor(OCI_EMPTY, Digest.of(b"{}"), 2).as_json(),
            "layers": [Descriptor(IN_TOTO, Digest.of(statement), len(statement)).as_json()],
            "subject": self.manifests[about].descriptor.as_json(),
        }
        manifest = Manifest.parse(json.dumps(raw).encode())
        self.push_manifest(repository, manifest)
        return manifest

    def delete(self, image: ImageRef) -> None:
        del self.manifests[image]
        del self.pushed_at[image]
        self.tags = {
            key: digest
            for key, digest in self.tags.items()
            if (key[0], digest) != (image.repository, image.digest)
        }

    # Images
    def facts(self, image: ImageRef) -> EcrImage:
        manifest = self.manifest(image)
        tags = frozenset(
            t for (repo, t), digest in self.tags.items() if (repo, digest) == (image.repository, image.digest)
        )
        return EcrImage(image, tags, self.pushed_at[image], manifest.media_type, manifest.artifact_type)

    def replicas(self, image: ImageRef) -> list[Replica]:
        return self.copies.get(image, [])

    def digest_of(self, repository: str, tag: str) -> Digest | None:
        return self.tags.get((repository, tag))

    def repositories(self) -> Iterator[str]:
        yield from sorted(self.names)

    def pushed_since(self, repository: str, since: datetime) -> Iterator[EcrImage]:
        for image, at in list(self.pushed_at.items()):
            if image.repository == repository and image in self.manifests and at >= since:
                facts = self.facts(image)
                if facts.tags:
                    yield facts

    def make_repository(self, name: str, like: str) -> bool:
        missing = name not in self.names
        self.names.add(name)
        return missing

    # Registry, and Images.manifest
    def manifest(self, image: ImageRef | str, reference: Digest | str = "") -> Manifest:
        if isinstance(image, str):
            digest = reference if isinstance(reference, Digest) else self.tags.get((image, reference))
            if digest is None:
                raise ImageNotFoundError(f"{image}:{reference}: not found")
            image = ImageRef(image, digest)
        if image not in self.manifests:
            raise ImageNotFoundError(f"{image}: not found")
        return self.manifests[image]

    def push_blob(self, repository: str, content: bytes) -> Descriptor:
        self.log.append(f"blob {repository}")
        self.blobs[repository, Digest.of(content)] = content
        return Descriptor("application/octet-stream", Digest.of(content), len(content))

    def copy_blobs(
        self,
        blobs: Sequence[Descriptor],
        source: str,
        target: str,
        has_time: Callable[[], bool],
        begun: Mapping[Digest, str],
    ) -> dict[Digest, str]:
        missing = [blob for blob in blobs if (target, blob.digest) not in self.blobs]
        for number, blob in enumerate(missing):
            if not has_time():
                return {left.digest: "" for left in missing[number:]}
            self.log.append(f"copy {blob.digest.short} {target}")
            self.blobs[target, blob.digest] = self.blobs[source, blob.digest]
        return {}

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        return self.blobs[repository, blob.digest]

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        return (repository, blob.digest) in self.blobs

    def push_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        self.log.append(f"manifest {repository}:{tag or manifest.digest.short}")
        for blob in manifest.blobs:
            if (repository, blob.digest) not in self.blobs and not blob.is_foreign:
                raise RejectedInputError(f"{repository}: blob {blob.digest} is missing")
        taken = self.tags.get((repository, tag)) if tag else None
        if repository in self.immutable and taken not in (None, manifest.digest):
            raise TagConflictError(f"{repository}:{tag} is {taken}")
        image = ImageRef(repository, manifest.digest)
        self.manifests[image] = manifest
        self.pushed_at.setdefault(image, NOW)
        if tag:
            self.tags[repository, tag] = manifest.digest

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        return [
            replace(manifest.descriptor, artifact_type=manifest.artifact_type)
            for ref, manifest in self.manifests.items()
            if ref.repository == image.repository
            and manifest.subject
            and manifest.subject.digest == image.digest
        ]


@dataclass
class FakeScans:
    registry: FakeRegistry | None = None  # knows which images are gone
    results: dict[Digest, ScanStatus] = field(default_factory=dict)
    lists: dict[Digest, list[Finding]] = field(default_factory=dict)
    way: Scanning = Scanning.BY_ITSELF
    kind: Scanner = Scanner.BASIC
    watches: bool = True  # CONTINUOUS_SCAN
    started: list[ImageRef] = field(default_factory=list)

    def finish(self, image: ImageRef, findings: Iterable[Finding] = (), status: str = "COMPLETE") -> None:
        """Finish the scan as a real one does: with its date, its counts, and its record of Inspector."""
        listed = list(findings)
        self.lists[image.digest] = listed
        at = timestamp(self.registry.pushed_at.get(image, NOW) if self.registry else NOW)
        is_enhanced = self.kind is Scanner.ENHANCED
        self.results[image.digest] = ScanStatus(
            image=image.digest,
            status=status,
            completed_at=at,
            counts=FindingCounts.of(listed).counts,
            lists_findings=bool(listed),
            basis=Basis.ENHANCED if is_enhanced else Basis.BASIC,
            has_counts=True,
            pushed_at=at,
            coverage=(Coverage("ACTIVE", "SUCCESSFUL", at),) if is_enhanced else (),
        )

    def status(self, image: ImageRef) -> ScanStatus:
        if self.registry is not None:
            self.registry.manifest(image)
        return self.results.get(image.digest, ScanStatus(image.digest))

    def findings(self, image: ImageRef, basis: Basis) -> Iterator[Finding]:
        yield from self.lists[image.digest]

    def scanning(self, repository: str) -> Scanning:
        return self.way

    def is_continuous(self, repository: str) -> bool:
        return self.watches

    def scanner(self) -> Scanner:
        return self.kind

    def start(self, image: ImageRef) -> None:
        self.started.append(image)


def _proof(release: Release) -> tuple[object, ...]:
    known = release.verdict, release.decision, release.signature, release.break_glass
    return (*known, release.revoked, release.ending)


@dataclass
class FakeLedger:
    releases: dict[tuple[ImageRef, int], Release] = field(default_factory=dict)
    tokens: dict[tuple[ImageRef, ReleaseId], WaitingScan] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[Digest, datetime]] = field(default_factory=dict)
    platforms: set[ImageRef] = field(default_factory=set)
    running: dict[tuple[str, Place], Clock] = field(default_factory=dict)
    built_upon: dict[tuple[str, str], BaseImage] = field(default_factory=dict)
    standings: dict[str, CurrentRelease] = field(default_factory=dict)
    notices: set[str] = field(default_factory=set)
    claims_of_notices: dict[str, datetime] = field(default_factory=dict)
    rolled: dict[tuple[str, datetime], Rollback] = field(default_factory=dict)
    pushed_by: dict[ImageRef, dict[str, None]] = field(default_factory=dict)
    holding: dict[ReleaseId, datetime] = field(default_factory=dict)
    asked: dict[ImageRef, datetime] = field(default_factory=dict)
    left_alone: dict[ImageRef, IgnoredImage] = field(default_factory=dict)
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

    def _change(self, id_: ReleaseId, **fields: Any) -> None:
        self.releases[id_.image, id_.attempt] = replace(self.get(id_), **fields)

    def join(self, release: ReleaseId, tags: frozenset[str], pushed_at: datetime) -> bool:
        known = self.get(release)
        later = max(pushed_at, known.pushed_at or pushed_at)
        if known.is_open and (known.tags | tags, later) != (known.tags, known.pushed_at):
            self._change(release, tags=known.tags | tags, pushed_at=later, changes=known.changes + 1)
        return known.is_open

    def record(self, release: ReleaseId, **results: Unpack[StepResults]) -> None:
        self._change(release, **results)

    def close(
        self,
        release: ReleaseId,
        outcome: Outcome,
        seen: int | None,
        at: datetime,
        detail: str,
        proof: Release | None = None,
    ) -> bool:
        known = self.get(release)
        if known.outcome is not None:
            return known.outcome is outcome
        if seen is not None and known.changes != seen:
            return False
        if proof is not None and _proof(known) != _proof(proof):
            return False
        self._change(release, outcome=outcome, closed_at=at, detail=detail)
        return True

    def recent_of_repository(self, repository: str, limit: int) -> list[Release]:
        found = [one for one in self.releases.values() if one.image.repository == repository]
        return sorted(found, key=lambda one: one.started_at, reverse=True)[:limit]

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

    def recent(self, limit: int, now: datetime) -> list[Release]:
        newest = sorted(self.releases.values(), key=lambda release: (release.started_at, release.attempt))
        return newest[::-1][:limit]

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


@dataclass
class FakeGrants:
    granted: dict[str, Waiver] = field(default_factory=dict)
    glass: dict[str, BreakGlass] = field(default_factory=dict)
    decided: dict[tuple[ReleaseId, str], Approval] = field(default_factory=dict)
    ordered: list[Order] = field(default_factory=list)

    def orders(self, image: ImageRef) -> list[Order]:
        return [order for order in self.ordered if order.image == image]

    def order(self, order: Order) -> None:
        self.ordered.append(order)

    def waivers(self) -> list[Waiver]:
        return list(self.granted.values())

    def grant(self, waiver: Waiver) -> bool:
        is_new = waiver.id not in self.granted
        self.granted.setdefault(waiver.id, waiver)
        return is_new

    def withdraw(self, waiver_id: str, at: datetime, by: str) -> Waiver | None:
        known = self.granted.get(waiver_id)
        if known is None:
            return None
        self.granted[waiver_id] = replace(known, withdrawn_at=known.withdrawn_at or at)
        return self.granted[waiver_id]

    def broken_glass(self) -> list[BreakGlass]:
        return list(self.glass.values())

    def break_glass(self, glass: BreakGlass) -> bool:
        is_new = glass.id not in self.glass
        self.glass.setdefault(glass.id, glass)
        return is_new

    def approvals(self, release: ReleaseId) -> list[Approval]:
        return [one for one in self.decided.values() if one.release == release]

    def decide(self, approval: Approval) -> bool:
        known = self.decided.get((approval.release, approval.by))
        if known and not (known.choice is Choice.APPROVE and approval.choice is Choice.REJECT):
            return False
        self.decided[approval.release, approval.by] = approval
        return True

    def withdraw_break_glass(self, name: str, at: datetime, by: str) -> BreakGlass | None:
        known = self.glass.get(name)
        if known is None:
            return None
        self.glass[name] = replace(known, withdrawn_at=known.withdrawn_at or at)
        return self.glass[name]


@dataclass
class FakeIntelligence:
    known_exploited: frozenset[str] = frozenset()
    scores: dict[str, float] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)  # how many findings in each call

    def details(self, findings: Sequence[Finding]) -> list[Finding]:
        assert len(findings) <= 10
        self.asked.append(len(findings))
        return [
            replace(
                finding,
                known_exploited=finding.vulnerability in self.known_exploited,
                epss=self.scores.get(finding.vulnerability),
            )
            for finding in findings
        ]

    def epss(self, image: ImageRef) -> dict[str, float]:
        return {}


@dataclass
class FakeRecords:
    uri: str = "s3://records"
    contents: dict[Digest, bytes] = field(default_factory=dict)
    policies: dict[Digest, Policy] = field(default_factory=lambda: {POLICY.digest: POLICY})

    def put_decision(self, content: bytes) -> Digest:
        self.contents[Digest.of(content)] = content
        return Digest.of(content)

    def decision(self, digest: Digest) -> bytes:
        if digest not in self.contents:
            raise RecordNotFoundError(f"no decision {digest}")
        if Digest.of(self.contents[digest]) != digest:
            raise CorruptContentError(f"decision {digest}: other bytes")
        return self.contents[digest]

    def put_findings(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def put_waivers(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def findings(self, digest: Digest) -> bytes:
        return self.decision(digest)

    def put_policy(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def policy(self, digest: Digest) -> Policy:
        try:
            return self.policies[digest]
        except KeyError:
            raise RecordNotFoundError(f"no policy {digest}") from None


@dataclass
class FakeSigner:
    """Envelopes that say in plain text who signed what: enough for the steps, the real ones are tested for real."""

    signed: list[bytes] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    revoked: dict[bytes, str] = field(default_factory=dict)

    def make_profile(self, stage: str) -> None:
        self.profiles.append(stage)

    def profile_arn(self, stage: str) -> str:
        return f"arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate_{stage}"

    def sign(self, stage: str, payload: bytes) -> tuple[bytes, dict[str, str]]:
        self.signed.append(payload)
        envelope = json.dumps({"by": self.profile_arn(stage), "payload": payload.decode()}).encode()
        return envelope, {THUMBPRINTS: "[]"}

    def verify(self, envelope: bytes, subject: Descriptor, stage: str, at: datetime) -> dict[str, str]:
        if envelope in self.revoked:
            raise RevocationError(f"revoked: {self.revoked[envelope]}")
        raw = json.loads(envelope)
        target = json.loads(raw["payload"])["targetArtifact"]
        annotations: dict[str, str] = target.pop("annotations")
        if raw["by"] != self.profile_arn(stage):
            raise AuthenticityError(f"signed by {raw['by']}")
        if target != subject.as_json():
            raise IntegrityError("another subject")
        return annotations

    def revoke(self, envelope: bytes, stages: Iterable[str], reason: str) -> str | None:
        by = json.loads(envelope)["by"]
        stage = next((stage for stage in stages if self.profile_arn(stage) == by), None)
        if stage:
            self.revoked.setdefault(envelope, reason)
        return stage


@dataclass
class FakePeople:
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def tags(self, arn: str) -> Mapping[str, str]:
        self.asked.append(arn)
        return self.known.get(arn, {})


@dataclass
class FakeUsage:
    runs_in: dict[ImageRef, list[RunsIn]] = field(default_factory=dict)

    def clusters(self, image: ImageRef) -> list[RunsIn]:
        return self.runs_in.get(image, [])


@dataclass
class FakeWorkflow:
    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    woken: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)  # tokens of tasks that timed out

    def start(self, name: str, payload: dict[str, Any]) -> bool:
        assert self.started.setdefault(name, payload) == payload, "one name, two inputs"
        return name not in self.ended

    def wake(self, token: str, result: dict[str, Any]) -> bool:
        waits = token not in self.woken and token not in self.expired
        self.woken.setdefault(token, result)
        return waits


@dataclass
class FakeStarter:
    requests: list[tuple[ImageRef, tuple[str, ...], str]] = field(default_factory=list)

    def request(self, image: ImageRef, tags: Iterable[str], reason: str, by: str = "") -> None:
        self.requests.append((image, tuple(tags), reason))


@dataclass
class FakeServices:
    """Amazon ECS: revisions as it tells them, task definitions as people wrote them."""

    revisions: dict[str, tuple[str, list[Container]]] = field(default_factory=dict)
    definitions: dict[str, list[Container]] = field(default_factory=dict)

    def revision(self, arn: str) -> tuple[str, list[Container]]:
        if arn not in self.revisions:
            raise RecordNotFoundError(f"{arn}: MISSING")
        return self.revisions[arn]

    def written(self, task_definition: str) -> list[Container]:
        if task_definition not in self.definitions:
            raise RecordNotFoundError(f"{task_definition}: no such task definition")
        return self.definitions[task_definition]


@dataclass
class FakeNotifications:
    messages: list[Message] = field(default_factory=list)

    def publish(self, announcement: Message) -> str:
        self.messages.append(announcement)
        return f"message-{len(self.messages)}"

    def send(self, announcement: Message) -> str:
        return self.publish(announcement)


@dataclass
class FakeApprovalLinks:
    """Authenticated as KMS would, by a key of its own."""

    key: bytes = b"key"
    asked: list[ApprovalLink] = field(default_factory=list)  # whose code was looked at

    def link(self, link: ApprovalLink) -> str:
        return f"https://page.example/?t={link.token(self._mac(link))}"

    def read(self, token: str, now: datetime) -> ApprovalLink:
        link, mac = parse_link(token, now)
        self.asked.append(link)
        if mac != self._mac(link):
            raise LinkRefusedError("this link was not made by this gate, or it was changed on its way")
        return link

    def _mac(self, link: ApprovalLink) -> bytes:
        return hmac.digest(self.key, link.signed, "sha256")


@dataclass
class FakeLinkDecider:
    answer: dict[str, Any] | ImageGateError = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # token and reason

    def decide(self, token: str, reason: str) -> dict[str, Any]:
        self.asked.append((token, reason))
        if isinstance(self.answer, ImageGateError):
            raise self.answer
        return self.answer


LATER = NOW + timedelta(minutes=1)
