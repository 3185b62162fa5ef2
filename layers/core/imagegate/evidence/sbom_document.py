"""The forms of SBOM documents: how evidence says that it is an SBOM, and checks of an export by Inspector."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from imagegate.errors import SbomRefusedError
from imagegate.evidence.attestation import IN_TOTO, PREDICATE_ANNOTATION, evidence_manifest, read_statement
from imagegate.oci.image import OCI_EMPTY, Descriptor, Digest
from imagegate.oci.manifest import Manifest
from imagegate.policy.rules import CYCLONEDX_JSON, SPDX_JSON, SbomFormat

# Inspector's SBOMs have a few MB. No function reads more than this into its memory.
MAX_SBOM = 16 * 1024 * 1024
DSSE = "application/vnd.dsse.envelope"
# The media types that builds use (IANA's, and those of Syft).
_MEDIA_TYPES = frozenset(
    {
        *(CYCLONEDX_JSON, "application/vnd.cyclonedx+xml", "application/vnd.cyclonedx"),
        *(SPDX_JSON, "text/spdx", "text/spdx+json", "text/spdx+xml", "application/vnd.syft+json"),
    }
)
# in-toto predicates: https://cyclonedx.org/bom/v1.4, https://spdx.dev/Document/v2.3.
_PREDICATES = ("https://cyclonedx.org/bom", "https://spdx.dev/Document")
# Annotations in which BuildKit, Cosign and Sigstore's bundles name the predicate type of a statement.
_PREDICATE_ANNOTATIONS = (PREDICATE_ANNOTATION, "predicateType", "dev.sigstore.bundle.predicateType")
_TITLE = "org.opencontainers.image.title"
_MADE_BY = "imagegate.sbom"


def is_sbom_type(media_type: str | None) -> bool:
    return (media_type or "").partition(";")[0].strip() in _MEDIA_TYPES


def is_sbom(manifest: Manifest) -> bool:
    """Return True if its type, a layer's type or an annotated predicate type is that of an SBOM."""
    types = [manifest.artifact_type, *(layer.media_type for layer in manifest.layers)]
    annotations = [manifest.annotations, *(layer.annotations for layer in manifest.layers)]
    predicates = (texts.get(name) for texts in annotations for name in _PREDICATE_ANNOTATIONS)
    return any(map(is_sbom_type, types)) or any(map(_is_sbom_predicate, predicates))


def is_by_inspector(manifest: Manifest) -> bool:
    """Return True if a gate attached it, in this stage or an earlier one."""
    return _MADE_BY in manifest.annotations


def undescribed_statements(manifest: Manifest) -> list[Descriptor]:
    """Return the statements whose predicate type no annotation names; it is known only from their content."""
    is_described = manifest.annotations.keys() & set(_PREDICATE_ANNOTATIONS)
    return [
        layer
        for layer in manifest.layers
        if (layer.media_type == IN_TOTO or layer.media_type.startswith(DSSE))
        and not is_described
        and layer.annotations.keys().isdisjoint(_PREDICATE_ANNOTATIONS)
    ]


def is_sbom_statement(content: bytes) -> bool:
    """Return True for an in-toto statement, bare or in a DSSE envelope, that contains an SBOM."""
    statement = read_statement(content)
    return statement is not None and _is_sbom_predicate(statement.get("predicateType"))


def _is_sbom_predicate(text: object) -> bool:
    return isinstance(text, str) and any(text == name or text.startswith(f"{name}/") for name in _PREDICATES)


def is_about_platform(platform: Digest, key: str, content: bytes) -> bool:
    """Return True if the object's key or content has the platform's digest.

    Inspector writes the digest into the key. It is not documented whether the document has it as well.
    """
    return platform.hex in key or platform.hex.encode() in content


def check_sbom(content: bytes, format_: SbomFormat, name: str) -> bytes:
    """Return `content`, or raise `SbomRefusedError` unless it is a JSON document of that format.

    CycloneDX 1.4 specification, `bomFormat` and `specVersion`; SPDX 2.3 specification, clause 6.
    """
    if len(content) > MAX_SBOM:
        raise SbomRefusedError(f"{name}: has {len(content)} bytes; at most {MAX_SBOM} are attached")
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SbomRefusedError(f"{name}: is not JSON ({type(error).__name__})") from error
    if not isinstance(raw, dict) or not _has_format(raw, format_):
        raise SbomRefusedError(f"{name}: is JSON, but no {format_.label} document")
    return content


def _has_format(raw: Mapping[str, Any], format_: SbomFormat) -> bool:
    """Return True if the document has the format's marks. Without packages its list is empty or absent."""
    if format_ is SbomFormat.CYCLONEDX:
        has_marks, parts = raw.get("bomFormat") == "CycloneDX" and "specVersion" in raw, raw.get("components")
    else:
        has_marks = raw.get("SPDXID") == "SPDXRef-DOCUMENT" and str(raw.get("spdxVersion")).startswith(
            "SPDX-2."
        )
        parts = raw.get("packages")
    return has_marks and isinstance(parts, list | None)


def sbom_manifest(platform: Descriptor, content: bytes, format_: SbomFormat) -> Manifest:
    """Return the referrer with the SBOM. The same document gives the same bytes: pushing it twice attaches it once."""
    blob = Descriptor(format_.media_type, Digest.of(content), len(content))
    layer = {**blob.as_json(), "annotations": {_TITLE: format_.file_name}}
    return Manifest.parse(
        evidence_manifest(
            Descriptor(platform.media_type, platform.digest, platform.size).as_json(),
            layer,
            artifact_type=format_.media_type,
            config_type=OCI_EMPTY,
            annotations={_MADE_BY: "Amazon Inspector"},
        )
    )
