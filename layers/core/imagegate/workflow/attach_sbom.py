"""Attach SBOM: have Amazon Inspector export the SBOMs that an image lacks, and push each as a referrer of its platform.

The step runs at least twice: it first returns the export that is needed, and after the export it attaches the SBOMs.
No problem with an SBOM stops a release: the ledger notes it, and the release goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

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
from imagegate.workflow.examination.contents import Contents, read_contents
from imagegate.workflow.examination.signatures import content_of

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest
    from imagegate.policy.policy import Policy
    from imagegate.policy.rules import SbomFormat
    from imagegate.ports.images import Images, Scans
    from imagegate.ports.ledger import RecordedReleases
    from imagegate.ports.records import Records, SbomExports
    from imagegate.ports.registry import Registry
    from imagegate.release.release import Release, ReleaseId

# Only Inspector may write below this prefix of the bucket.
PREFIX = "sboms"
_AT_ONCE = 10  # resources in one export (Amazon Inspector API reference, ResourceFilterCriteria)
_MOST_REFERRERS = 50  # of one image


class SbomRoute(StrEnum):
    """The next state of the state machine."""

    EXPORT = "EXPORT"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The parameters of CreateSbomExport."""

    format: SbomFormat
    prefix: str
    resources: tuple[str, ...]  # ARNs of images
    batch: int = 0  # number of the batch of ten platforms

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.format.report_format,
            "prefix": self.prefix,
            "resources": [{"Comparison": "EQUALS", "Value": arn} for arn in self.resources],
            "batch": self.batch,
        }


@dataclass(frozen=True, slots=True)
class SbomResult:
    route: SbomRoute
    note: str = ""
    wanted: ExportRequest | None = None

    def as_json(self) -> dict[str, Any]:
        return {"route": str(self.route), "wanted": self.wanted.as_json() if self.wanted else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachSbom:
    """Attaches SBOMs. `repositories` is the ARN of this registry's repositories, without their names."""

    images: Images
    ledger: RecordedReleases
    records: Records
    registry: Registry
    scans: Scans
    exports: SbomExports
    repositories: str

    def run(self, id_: ReleaseId, export: Export | None) -> SbomResult:
        """Attach the SBOMs of `export`, which has just ended (None at first), and return the next export."""
        release = self.ledger.get(id_)
        policy = self.records.policy(release.policy)
        format_ = policy.stages[release.stage].evidence.sbom
        if format_ is None or not release.is_open:
            return SbomResult(SbomRoute.DONE)
        attaching = _Attaching(self, release, format_, self._from_before(policy, release))
        try:
            return attaching.run(export)
        except RejectedInputError as error:
            return attaching.end(f"none: {error}")

    def _from_before(self, policy: Policy, release: Release) -> frozenset[Digest]:
        """Return the SBOMs that the image had in the stages before, as the ledger knows them."""
        stage, image = policy.stages[release.stage], release.image
        app = stage.repositories.app_of(image.repository) or ""
        sources = (before.repositories.repository_of(app) for before in policy.stages_before(stage))
        releases = [self.ledger.latest(ImageRef(source, image.digest)) for source in sources]
        return frozenset(digest for one in releases if one and one.sbom for digest in one.sbom.manifests)


@dataclass(slots=True)
class _Attaching:
    """The SBOMs of one release. `before` are those that the image had in the stages before."""

    step: AttachSbom
    release: Release
    format: SbomFormat
    before: frozenset[Digest]
    known: dict[Digest, Manifest] = field(default_factory=dict)  # the SBOMs that exist
    beside: dict[Digest, list[Digest]] = field(default_factory=dict)

    def run(self, export: Export | None) -> SbomResult:
        contents = read_contents(self.step.images, self.image)
        leaves, self.beside = contents.leaves, _beside(contents)
        self._recall()
        batches = [leaves[start : start + _AT_ONCE] for start in range(0, len(leaves), _AT_ONCE)]
        why = self._attach_all(batches[export.batch], export) if export else ""
        following = range(export.batch + 1 if export else 0, len(batches))
        for number in () if why else following:
            if missing := self._missing(batches[number]):
                self._keep(NOT_ATTACHED_YET.note)
                return self._request_export(missing, number)
        return self.end(describe_sbom(self.image, leaves, self._missing(leaves), self._made, why))

    def end(self, text: str) -> SbomResult:
        """Keep the note, and end the step."""
        self._keep(text)
        return SbomResult(SbomRoute.DONE, text)

    def _keep(self, text: str) -> None:
        """Record the note and the SBOMs. As evidence they are promoted even if the registry does not list them yet."""
        known = tuple(self.known)
        evidence = tuple(dict.fromkeys((*self.release.evidence, *known)))
        self.step.ledger.record(self.release.id, sbom=Sbom(text, known), evidence=evidence)

    @property
    def _made(self) -> int:
        """The number of SBOMs that were made for this release, and did not come with the image."""
        return sum(is_by_inspector(one) for one in self.known.values() if one.digest not in self.before)

    @property
    def image(self) -> ImageRef:
        return self.release.image

    def _recall(self) -> None:
        """Look for the SBOMs of the ledger by digest: the list of referrers may not have them yet."""
        noted = self.release.sbom.manifests if self.release.sbom else ()
        for digest in dict.fromkeys((*noted, *sorted(self.before))):
            self._holds(digest)

    def _request_export(self, missing: Sequence[Descriptor], batch: int) -> SbomResult:
        arns = tuple(f"{self.step.repositories}{self.image.repository}/{leaf.digest}" for leaf in missing)
        return SbomResult(SbomRoute.EXPORT, wanted=ExportRequest(self.format, self._prefix, arns, batch))

    @property
    def _prefix(self) -> str:
        return f"{PREFIX}/{self.release.key}"

    def _missing(self, leaves: Sequence[Descriptor]) -> list[Descriptor]:
        """Return the platforms without an SBOM. An SBOM of the whole image covers all platforms."""
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
            return False  # deleted since it was listed, or of an unknown kind
        holds = is_sbom(manifest) or any(map(self._is_statement, undescribed_statements(manifest)))
        if holds and manifest.subject:
            self.known[digest] = manifest
        return holds

    def _is_statement(self, statement: Descriptor) -> bool:
        try:
            return is_sbom_statement(content_of(self.step.registry, self.image.repository, statement))
        except RejectedInputError:
            return False  # too large, or its bytes are not those of its digest

    def _attach_all(self, leaves: Sequence[Descriptor], export: Export) -> str:
        """Attach the exported SBOMs to these platforms. Return why some have none, or an empty text."""
        missing = self._missing(leaves)
        if not missing:
            return ""
        if not export.has_succeeded:
            return export.explain()
        keys = [key for key in self.step.exports.keys(self._prefix) if export.wrote(key)]
        left = [leaf for leaf in missing if not self._attach(leaf, keys)]
        return self._explain_missing() if left else ""

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

    def _explain_missing(self) -> str:
        if self.step.scans.is_continuous(self.image.repository):
            return "the export of Amazon Inspector succeeded, but has nothing about this image"
        return (
            f"Amazon Inspector writes none for {self.image.repository}, which it does not scan continuously: set "
            "CONTINUOUS_SCAN for it in the registry's scanning configuration"
        )


def _beside(contents: Contents) -> dict[Digest, list[Digest]]:
    """Return the attestations of BuildKit's "attestation storage", by the platform that they are about."""
    attestations: dict[Digest, list[Digest]] = {}
    for leaf in contents.leaves:
        about = [
            c.entry.digest
            for c in contents.children
            if c.entry.annotations.get(REFERENCE) == str(leaf.digest)
        ]
        if about:
            attestations[leaf.digest] = about
    return attestations


def _evidence(listed: Sequence[Descriptor]) -> list[Descriptor]:
    """Return the referrers that may be SBOMs, declared SBOMs first. More than 50 would only waste time."""
    candidates = [one for one in listed if one.artifact_type != attestation.NOTATION_SIGNATURE]
    return sorted(candidates, key=lambda one: not is_sbom_type(one.artifact_type))[:_MOST_REFERRERS]
