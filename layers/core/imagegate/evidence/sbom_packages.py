"""The packages that an SBOM lists: documents of CycloneDX and SPDX in JSON, bare or in an in-toto statement.

Sources: CycloneDX 1.4 specification, `components`; SPDX 2.3 specification, clause 7.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from imagegate.evidence.attestation import read_statement
from imagegate.findings.finding import Package
from imagegate.findings.package_url import PackageUrl


def read_packages(content: bytes) -> list[Package] | None:
    """Return the packages, or None for anything that is no SBOM in JSON."""
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if isinstance(raw, dict) and ("payload" in raw or "predicate" in raw):
        raw = (read_statement(content) or {}).get("predicate")
    if not isinstance(raw, dict):
        return None
    if raw.get("bomFormat") == "CycloneDX":
        return [*_components(raw.get("components"))]
    if str(raw.get("spdxVersion")).startswith("SPDX-"):
        return [*_spdx_packages(raw.get("packages"))]
    return None


def _components(raw: Any) -> Iterator[Package]:
    """Yield the components with those inside them."""
    rest = _objects(raw)
    while rest:
        one = rest.pop()
        rest += _objects(one.get("components"))
        yield from _package(one.get("name"), one.get("version"), one.get("purl"))


def _spdx_packages(raw: Any) -> Iterator[Package]:
    for one in _objects(raw):
        urls = (
            reference.get("referenceLocator")
            for reference in _objects(one.get("externalRefs"))
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


def _objects(raw: Any) -> list[dict[str, Any]]:
    return [one for one in raw if isinstance(one, dict)] if isinstance(raw, list) else []
