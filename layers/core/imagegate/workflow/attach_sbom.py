"""Attach SBOM: what an image lacks is exported by Inspector, checked, and pushed as a referrer of each platform.

It runs at least twice: before an export it says what is to be exported, after it it attaches what was written. Nothing
that it finds stops a release; it says what became of the SBOM, and leads on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imagegate.errors import RejectedInputError
from imagegate.evidence import attestation
from imagegate.evidence.sbom import NOT_ATTACHED_YET, Export, Sbom, describe_sbom
from imagegate.evidence.sbom_document import (
    check_sbom,
    is_about_platform,
    is_by_inspector,
    is_sbom,
    is_sbom_statement,
    is_sbom_type,
    sbom_manifest,
    undescribed_statements,
)
from imagegate.oci.artifact import REFERENCE
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Policy
from imagegate.policy.rules import SbomFormat
from imagegate.ports.images import Images, Scans
from imagegate.ports.ledger import RecordedReleases
from imagegate.ports.records import Records, SbomExports
from imagegate.ports.registry import Registry
from imagegate.release.release import Release, ReleaseId
from imagegate.workflow.examination.contents import Contents, read_contents
from imagegate.workflow.examination.signatures import content_of

# Below it the bucket lets Inspector write, and nobody else.
PREFIX = "sboms"
_AT_ONCE = 10  # resources in one export (Amazon Inspector API reference, ResourceFilterCriteria)
_LOOKED_AT = 50  # referrers of one image


class Sequel(StrEnum):
    """Where the state machine goes next."""

    EXPORT = "EXPORT"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An export, as CreateSbomExport asks for it."""

    format: SbomFormat
    prefix: str
    resources: tuple[str, ...]  # ARNs of images
    batch: int = 0  # which ten of the platforms

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.format.report_format,
            "prefix": self.prefix,
            "resources": [{"Comparison": "EQUALS", "Value": arn} for arn in self.resources],
            "batch": self.batch,
        }


@dataclass(frozen=True, slots=True)
class Attached:
    route: Sequel
    note: str = ""
    wanted: Wanted | None = None

    def as_json(self) -> dict[str, Any]:
        return {"route": str(self.route), "wanted": self.wanted.as_json() if self.wanted else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachSbom:
    """`repositories`: what the ARNs of this registry's repositories begin with, up to their names."""

    images: Images
    ledger: RecordedReleases
    records: Records
    registry: Registry
    scans: Scans
    exports: SbomExports
    repositories: str

    def run(self, id_: ReleaseId, export: Export | None) -> Attached:
        """`export`: the one that has just ended; None: nothing was exported yet."""
        release = self.ledger.get(id_)
        policy = self.records.policy(release.policy)
        format_ = policy.stages[release.stage].evidence.sbom
        if format_ is None or not release.is_open:
            return Attached(Sequel.DONE)
        attaching = _Attaching(self, release, format_, self._from_before(policy, release))
        try:
            return attaching.run(export)
        except RejectedInputError as error:
            return attaching.end(f"none: {error}")

    def _from_before(self, policy: Policy, release: Release) -> frozenset[Digest]:
        """What the image carried when it came from the stages before, as the ledger has it."""
        stage, image = policy.stages[release.stage], release.image
        app = stage.repositories.app_of(image.repository) or ""
        sources = (before.repositories.repository_of(app) for before in policy.stages_before(stage))
        found = [self.ledger.latest(ImageRef(source, image.digest)) for source in sources]
        return frozenset(digest for one in found if one and one.sbom for digest in one.sbom.manifests)


@dataclass(slots=True)
class _Attaching:
    """One release's SBOM. `before`: what the image carried in the stages before."""

    step: AttachSbom
    release: Release
    format: SbomFormat
    before: frozenset[Digest]
    known: dict[Digest, Manifest] = field(default_factory=dict)  # the SBOMs that are there
    beside: dict[Digest, list[Digest]] = field(default_factory=dict)

    def run(self, export: Export | None) -> Attached:
        contents = read_contents(self.step.images, self.image)
        leaves, self.beside = contents.leaves, _beside(contents)
        self._recall()
        batches = [leaves[start : start + _AT_ONCE] for start in range(0, len(leaves), _AT_ONCE)]
        why = self._attach_all(batches[export.batch], export) if export else ""
        following = range(export.batch + 1 if export else 0, len(batches))
        for number in () if why else following:
            if missing := self._missing(batches[number]):
                self._keep(NOT_ATTACHED_YET.note)
                return self._ask_for(missing, number)
        said = describe_sbom(self.image, leaves, self._missing(leaves), self._made, why)
        return self.end(said)

    def end(self, said: str) -> Attached:
        self._keep(said)
        return Attached(Sequel.DONE, said)

    def _keep(self, said: str) -> None:
        """As evidence it is promoted also where the registry does not list it yet."""
        known = tuple(self.known)
        evidence = tuple(dict.fromkeys((*self.release.evidence, *known)))
        self.step.ledger.record(self.release.id, sbom=Sbom(said, known), evidence=evidence)

    @property
    def _made(self) -> int:
        """How many were made for this release, and did not come along with the image."""
        return sum(is_by_inspector(one) for one in self.known.values() if one.digest not in self.before)

    @property
    def image(self) -> ImageRef:
        return self.release.image

    def _recall(self) -> None:
        """A listing of referrers can be late: what the ledger knows is looked for by its digest."""
        noted = self.release.sbom.manifests if self.release.sbom else ()
        for digest in dict.fromkeys((*noted, *sorted(self.before))):
            self._holds(digest)

    def _ask_for(self, missing: Sequence[Descriptor], batch: int) -> Attached:
        arns = tuple(f"{self.step.repositories}{self.image.repository}/{leaf.digest}" for leaf in missing)
        return Attached(Sequel.EXPORT, wanted=Wanted(self.format, self._prefix, arns, batch))

    @property
    def _prefix(self) -> str:
        return f"{PREFIX}/{self.release.key}"

    # what is there

    def _missing(self, leaves: Sequence[Descriptor]) -> list[Descriptor]:
        """An SBOM of the whole image is one of each platform."""
        if self._is_covered(self.image.digest):
            return []
        return [
            leaf
            for leaf in leaves
            if not self._is_covered(leaf.digest)
            and not any(map(self._holds, self.beside.get(leaf.digest, ())))
        ]

    def _is_covered(self, digest: Digest) -> bool:
        if any(one.subject and one.subject.digest == digest for one in self.known.values()):
            return True
        listed = self.step.registry.referrers(ImageRef(self.image.repository, digest))
        return any(self._holds(referrer.digest) for referrer in _evidence(listed))

    def _holds(self, digest: Digest) -> bool:
        try:
            manifest = self.step.registry.manifest(self.image.repository, digest)
        except RejectedInputError:
            return False  # gone since it was listed, or nothing that we know
        found = is_sbom(manifest) or any(map(self._says_so, undescribed_statements(manifest)))
        if found and manifest.subject:
            self.known[digest] = manifest
        return found

    def _says_so(self, statement: Descriptor) -> bool:
        try:
            return is_sbom_statement(content_of(self.step.registry, self.image.repository, statement))
        except RejectedInputError:
            return False  # too large, or other bytes than it says

    # what is exported

    def _attach_all(self, leaves: Sequence[Descriptor], export: Export) -> str:
        """Empty, or why some of them have none."""
        missing = self._missing(leaves)
        if not missing:
            return ""
        if not export.has_succeeded:
            return export.explain()
        keys = [key for key in self.step.exports.keys(self._prefix) if export.wrote(key)]
        left = [leaf for leaf in missing if not self._attach(leaf, keys)]
        return self._unwritten() if left else ""

    def _attach(self, leaf: Descriptor, keys: Sequence[str]) -> bool:
        for key in keys:
            content = self.step.exports.document(key)
            if is_about_platform(leaf.digest, key, content):
                self._push(leaf, check_sbom(content, self.format, key))
                return True
        return False

    def _push(self, leaf: Descriptor, content: bytes) -> None:
        manifest = sbom_manifest(leaf, content, self.format)
        for blob in (attestation.EMPTY, content):
            self.step.registry.push_blob(self.image.repository, blob)
        self.step.registry.push_manifest(self.image.repository, manifest)
        self.known[manifest.digest] = manifest

    def _unwritten(self) -> str:
        if self.step.scans.is_continuous(self.image.repository):
            return "Amazon Inspector says that its export succeeded, but wrote nothing about this image"
        return (
            f"Amazon Inspector writes none for {self.image.repository}, which is not scanned continuously: set "
            "CONTINUOUS_SCAN for it in the registry's scanning configuration"
        )


def _beside(contents: Contents) -> dict[Digest, list[Digest]]:
    """Return the attestations of BuildKit's "attestation storage", by the platform that they are about."""
    found: dict[Digest, list[Digest]] = {}
    for leaf in contents.leaves:
        about = [
            c.entry.digest
            for c in contents.children
            if c.entry.annotations.get(REFERENCE) == str(leaf.digest)
        ]
        if about:
            found[leaf.digest] = about
    return found


def _evidence(listed: Sequence[Descriptor]) -> list[Descriptor]:
    """SBOMs first, for a signature is none; more than this is no evidence but an attack on our time."""
    able = [one for one in listed if one.artifact_type != attestation.NOTATION_SIGNATURE]
    return sorted(able, key=lambda one: not is_sbom_type(one.artifact_type))[:_LOOKED_AT]
