"""Read the packages of images from the SBOMs that the ledger names, one SBOM at a time.

An SBOM may have 16 MB, and needs ten times as much when it is read: threads wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from imagegate.audit.packages import ListedPackages
from imagegate.errors import ImageGateError, RetryableError, SbomRefusedError
from imagegate.evidence.attestation import IN_TOTO
from imagegate.evidence.sbom_document import DSSE, MAX_SBOM, is_sbom_type
from imagegate.evidence.sbom_packages import read_packages

if TYPE_CHECKING:
    from imagegate.findings.finding import Package
    from imagegate.oci.image import Descriptor, Digest
    from imagegate.oci.manifest import Manifest
    from imagegate.release.release import Release

_NONE = "the release has no SBOM that the ledger names: evidence.sbom of the policy attaches one"


class SbomRegistry(Protocol):
    """The parts of a registry that hold SBOMs."""

    def manifest(self, repository: str, reference: Digest | str) -> Manifest: ...

    def blob(self, repository: str, blob: Descriptor) -> bytes: ...


class ReadSboms:
    """Reads SBOMs. `registry` makes the connection, when the first one is read."""

    def __init__(self, registry: Callable[[], SbomRegistry]) -> None:
        self._registry = registry
        self._lock = Lock()

    def packages(self, release: Release | None) -> ListedPackages:
        """Return the packages of a release. Raises `RetryableError`; other faults are in the result."""
        sbom = release.sbom if release else None
        if release is None or sbom is None or not sbom.manifests:
            return ListedPackages(missing=_NONE)
        packages: list[Package] = []
        problem = f"SBOM: {sbom.note}" if sbom.note.startswith("none") else ""
        with self._lock:
            for digest in sbom.manifests:
                try:
                    packages += self._read(release.image.repository, digest)
                except RetryableError:
                    raise
                except ImageGateError as error:
                    problem = f"the SBOM {digest.short} cannot be read: {error}"
        return ListedPackages(packages, sbom.manifests, problem)

    def _read(self, repository: str, digest: Digest) -> list[Package]:
        registry = self._registry()
        layers = [one for one in registry.manifest(repository, digest).layers if _may_be_sbom(one)]
        for layer in layers:
            if layer.size > MAX_SBOM:
                raise SbomRefusedError(f"it has {layer.size} bytes; at most {MAX_SBOM} are read")
            packages = read_packages(registry.blob(repository, layer))
            if packages is not None:
                return packages
        raise SbomRefusedError("it is no document of CycloneDX or SPDX in JSON")


def _may_be_sbom(layer: Descriptor) -> bool:
    kind = layer.media_type
    return is_sbom_type(kind) or kind == IN_TOTO or kind.startswith(DSSE)
