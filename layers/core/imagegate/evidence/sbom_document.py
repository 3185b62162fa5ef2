"""Which evidence is an SBOM, and whether what Inspector exported can be one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from imagegate.errors import SbomRefusedError
from imagegate.evidence.attestation import IN_TOTO, PREDICATE_ANNOTATION, evidence_manifest, read_statement
from imagegate.oci.image import OCI_EMPTY, Descriptor, Digest, Manifest
from imagegate.policy.rules import CYCLONEDX_JSON, SPDX_JSON, SbomFormat

# Inspector's are a few MB; more is read into no function's memory.
LARGEST = 16 * 1024 * 1024
DSSE = "application/vnd.dsse.envelope"
# As builds attach them (IANA media types, and those of Syft).
_MEDIA_TYPES = frozenset(
    {
        *(CYCLONEDX_JSON, "application/vnd.cyclonedx+xml", "application/vnd.cyclonedx"),
        *(SPDX_JSON, "text/spdx", "text/spdx+json", "text/spdx+xml", "application/vnd.syft+json"),
    }
)
# in-toto predicates: https://cyclonedx.org/bom/v1.4, https://spdx.dev/Document/v2.3.
_PREDICATES = ("https://cyclonedx.org/bom", "https://spdx.dev/Document")
# Where BuildKit, Cosign and Sigstore's bundles say beside a statement what it says.
_PREDICATE_NOTES = (PREDICATE_ANNOTATION, "predicateType", "dev.sigstore.bundle.predicateType")
_TITLE = "org.opencontainers.image.title"
_MADE_BY = "imagegate.sbom"


def is_sbom_type(media_type: str | None) -> bool:
    return (media_type or "").partition(";")[0].strip() in _MEDIA_TYPES


def is_sbom(manifest: Manifest) -> bool:
    """By what it says of itself: its type, its layers' types, or the predicate that it is said to hold."""
    types = [manifest.artifact_type, *(layer.media_type for layer in manifest.layers)]
    notes = [manifest.annotations, *(layer.annotations for layer in manifest.layers)]
    said = (note.get(name) for note in notes for name in _PREDICATE_NOTES)
    return any(map(is_sbom_type, types)) or any(map(_is_predicate, said))


def is_by_inspector(manifest: Manifest) -> bool:
    """Attached by a gate, here or in a stage before."""
    return _MADE_BY in manifest.annotations


def unsaid_statements(manifest: Manifest) -> list[Descriptor]:
    """The statements of which nothing beside them says what they say."""
    said = manifest.annotations.keys() & set(_PREDICATE_NOTES)
    return [
        layer
        for layer in manifest.layers
        if (layer.media_type == IN_TOTO or layer.media_type.startswith(DSSE))
        and not said
        and layer.annotations.keys().isdisjoint(_PREDICATE_NOTES)
    ]


def is_sbom_statement(content: bytes) -> bool:
    """An in-toto statement, bare or in a DSSE envelope, that holds an SBOM."""
    statement = read_statement(content)
    return statement is not None and _is_predicate(statement.get("predicateType"))


def _is_predicate(said: object) -> bool:
    return isinstance(said, str) and any(said == name or said.startswith(f"{name}/") for name in _PREDICATES)


def is_about(platform: Digest, key: str, content: bytes) -> bool:
    """Inspector names the image in the key; whether the document names its manifest's digest is not documented."""
    return platform.hex in key or platform.hex.encode() in content


def check_sbom(content: bytes, format_: SbomFormat, name: str) -> bytes:
    """Return `content`, or raise `SbomRefusedError` unless it is a JSON document of that format.

    CycloneDX 1.4 specification, `bomFormat` and `specVersion`; SPDX 2.3 specification, clause 6.
    """
    if len(content) > LARGEST:
        raise SbomRefusedError(f"{name}: has {len(content)} bytes; at most {LARGEST} are attached")
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SbomRefusedError(f"{name}: is not JSON ({type(error).__name__})") from error
    if not isinstance(raw, dict) or not _is_of(raw, format_):
        raise SbomRefusedError(f"{name}: is JSON, but no {format_.label} document")
    return content


def _is_of(raw: Mapping[str, Any], format_: SbomFormat) -> bool:
    """An image in which nothing was found has an empty list, or none."""
    if format_ is SbomFormat.CYCLONEDX:
        named, parts = raw.get("bomFormat") == "CycloneDX" and "specVersion" in raw, raw.get("components")
    else:
        named = raw.get("SPDXID") == "SPDXRef-DOCUMENT" and str(raw.get("spdxVersion")).startswith("SPDX-2.")
        parts = raw.get("packages")
    return named and isinstance(parts, list | None)


def sbom_manifest(platform: Descriptor, content: bytes, format_: SbomFormat) -> Manifest:
    """The referrer that holds it. The same document gives the same bytes: pushing it twice attaches it once."""
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
