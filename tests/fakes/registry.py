"""ECR in memory: images, blobs, scans, and what Inspector knows of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from imagegate.canonical_json import timestamp
from imagegate.errors import (
    ImageNotFoundError,
    RejectedInputError,
    TagConflictError,
)
from imagegate.evidence.attestation import IN_TOTO
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Finding, FindingCounts
from imagegate.findings.scan import Basis, Scanning, ScanProgress, ScanStatus
from imagegate.grants.approval_link import parse_link as parse_link
from imagegate.oci.image import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Scanner
from imagegate.policy.replication import Replica
from imagegate.ports.images import ScanReading
from imagegate.release.release import (
    EcrImage,
)
from imagegate.release.revocation import RunsIn
from tests.fakes.world import DEV, NOW, REGISTRY, image_config


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
        size = sum(blob.size for blob in manifest.blobs)
        return EcrImage(image, tags, self.pushed_at[image], manifest.media_type, manifest.artifact_type, size)

    def replicas(self, image: ImageRef) -> list[Replica]:
        return self.copies.get(image, [])

    def digest_of(self, repository: str, tag: str) -> Digest | None:
        return self.tags.get((repository, tag))

    def repositories(self) -> Iterator[str]:
        yield from sorted(self.names)

    def tagged(self, repository: str) -> Iterator[EcrImage]:
        return (facts for facts in self.all_images(repository) if facts.tags)

    def all_images(self, repository: str) -> Iterator[EcrImage]:
        for image in list(self.pushed_at):
            if image.repository == repository and image in self.manifests:
                yield self.facts(image)

    def create(self, name: str, like: str) -> None:
        self.names.add(name)

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

    def read_manifests(self, repository: str, digests: Collection[Digest]) -> dict[Digest, Manifest]:
        images = [ImageRef(repository, digest) for digest in digests]
        return {image.digest: self.manifests[image] for image in images if image in self.manifests}

    def push_blob(self, repository: str, content: bytes) -> Descriptor:
        self.log.append(f"blob {repository}")
        self.blobs[repository, Digest.of(content)] = content
        return Descriptor("application/octet-stream", Digest.of(content), len(content))

    def blob_states(self, repository: str, blobs: Sequence[Descriptor]) -> Mapping[Digest, str]:
        return {
            blob.digest: "AVAILABLE" if (repository, blob.digest) in self.blobs else "UNAVAILABLE"
            for blob in blobs
        }

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
    scanned_today: set[ImageRef] = field(default_factory=set)

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

    def progress(self, image: ImageRef) -> ScanProgress:
        return ScanProgress.of(self.status(image).status)

    def read(self, image: ImageRef, pushed_at: datetime | None = None) -> ScanReading:
        """Answer as with several pages: the status may differ by the time when all are read."""
        return ScanReading(self.status(image), self.findings(image))

    def findings(self, image: ImageRef) -> Iterator[Finding]:
        yield from self.lists.get(image.digest, ())

    def scanning(self, repository: str) -> Scanning:
        return self.way

    def is_continuous(self, repository: str) -> bool:
        return self.watches

    def scanner(self) -> Scanner:
        return self.kind

    def start(self, image: ImageRef) -> bool:
        self.started.append(image)
        return image not in self.scanned_today


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
class FakeUsage:
    runs_in: dict[ImageRef, list[RunsIn]] = field(default_factory=dict)

    def clusters(self, image: ImageRef) -> list[RunsIn]:
        return self.runs_in.get(image, [])
