"""The packages that an SBOM lists: documents of CycloneDX and SPDX in JSON, bare or in an in-toto statement.

Sources: CycloneDX 1.4 specification, `components`; SPDX 2.3 specification, clause 7.
Rule: builds attach SBOMs, too. A document that other programs read differently, or whose packages are no list, is none:
it would say that the image has no such package.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from typing import Any

from imagegate.errors import AmbiguousDocumentError, RejectedInputError
from imagegate.evidence.attestation import read_statement
from imagegate.findings.finding import Package
from imagegate.findings.package_url import PackageUrl
from imagegate.oci.artifact import MAX_DOCUMENT
from imagegate.strict_json import check_keys, known_keys, read_object

_NAME = "the SBOM"
_DEEPEST = 128  # SBOMs nest their components
_KEYS = known_keys("bomFormat", "components", "spdxVersion", "packages")
_COMPONENT_KEYS = known_keys("name", "version", "purl", "components")
_PACKAGE_KEYS = known_keys("name", "versionInfo", "externalRefs")
_REFERENCE_KEYS = known_keys("referenceType", "referenceLocator")


def read_packages(content: bytes) -> list[Package] | None:
    """Return the packages, or None for anything but an SBOM in JSON that every program reads alike."""
    try:
        raw: Any = read_object(
            content.removeprefix(codecs.BOM_UTF8), _NAME, depth=_DEEPEST, longest=MAX_DOCUMENT
        )
        if "payload" in raw or "predicate" in raw:
            raw = (read_statement(content) or {}).get("predicate")
        check_keys(raw, _KEYS, _NAME)
        if raw.get("bomFormat") == "CycloneDX":
            return [*_components(raw.get("components"))]
        if str(raw.get("spdxVersion")).startswith("SPDX-2."):
            return [*_spdx_packages(raw.get("packages"))]
    except RejectedInputError:
        pass
    return None


def _components(raw: Any) -> Iterator[Package]:
    """Yield the components with those inside them."""
    rest = _objects(raw, _COMPONENT_KEYS)
    while rest:
        one = rest.pop()
        rest += _objects(one.get("components"), _COMPONENT_KEYS)
        yield from _package(one.get("name"), one.get("version"), one.get("purl"))


def _spdx_packages(raw: Any) -> Iterator[Package]:
    for one in _objects(raw, _PACKAGE_KEYS):
        urls = (
            reference.get("referenceLocator")
            for reference in _objects(one.get("externalRefs"), _REFERENCE_KEYS)
            if reference.get("referenceType") == "purl"
        )
        yield from _package(one.get("name"), one.get("versionInfo"), next(urls, None))


def _package(name: object, version: object, purl: object) -> Iterator[Package]:
    """Yield the package. Its package URL says the name as its ecosystem writes it."""
    url = PackageUrl.parse(purl) if isinstance(purl, str) else None
    installed = str(version) if version else None
    if url is not None:
        yield Package(url.name, url.version or installed, ecosystem=url.type, purl=str(purl))
    elif isinstance(name, str) and name:
        yield Package(name, installed)


def _objects(raw: Any, known: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a list of objects, empty if it is absent or null. Raises `AmbiguousDocumentError` for anything else."""
    if not isinstance(raw, list | None):
        raise AmbiguousDocumentError(f"{_NAME} has something else than a list of objects")
    return [check_keys(one, known, _NAME) for one in raw or ()]
