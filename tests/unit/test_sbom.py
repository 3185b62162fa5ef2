"""The recognition of SBOMs, the conditions under which an export becomes one, and the messages to people."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import SbomRefusedError
from imagegate.evidence.sbom import Export, Sbom, describe_sbom
from imagegate.evidence.sbom_document import (
    MAX_SBOM,
    check_sbom,
    is_about_platform,
    is_sbom,
    is_sbom_statement,
    sbom_manifest,
    undescribed_statements,
)
from imagegate.oci.artifact import Form, find_form
from imagegate.oci.image import OCI_EMPTY, OCI_MANIFEST, Descriptor, Digest
from imagegate.oci.manifest import Manifest
from imagegate.policy.rules import SbomFormat
from tests.unit.samples import digest, image

CYCLONEDX = {"bomFormat": "CycloneDX", "specVersion": "1.4", "version": 1, "components": []}
SPDX = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "x", "packages": []}
PLATFORM = Descriptor(OCI_MANIFEST, digest("amd64"), 7, "linux/amd64")
REPORT = "75fe89e2-aad1-4a7e-8240-44d70e687eeb"
# As users have seen them.
KEY = (
    f"sboms/x/CYCLONEDX_1_4_outputs_{REPORT}/account=123456789012/resource=AWS_ECR_CONTAINER_IMAGE/"
    f"arn:aws:ecr:eu-central-1:123456789012:repository_shop-dev_{PLATFORM.digest}_CYCLONEDX_1_4.json"
)


def evidence(
    artifact_type: str = "application/x",
    layer_type: str = "application/octet-stream",
    annotations: dict[str, str] | None = None,
    layer_annotations: dict[str, str] | None = None,
) -> Manifest:
    layer: dict[str, Any] = {
        "mediaType": layer_type,
        "digest": str(digest("layer")),
        "size": 1,
        "annotations": layer_annotations or {},
    }
    raw = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": {"mediaType": OCI_EMPTY, "digest": str(Digest.of(b"{}")), "size": 2},
        "layers": [layer],
        "subject": PLATFORM.as_json(),
        "annotations": annotations or {},
    }
    return Manifest.parse(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "attached",
    [
        {"artifact_type": "application/vnd.cyclonedx+json"},
        {"artifact_type": "application/vnd.cyclonedx+json; version=1.6"},
        {"artifact_type": "application/vnd.cyclonedx+xml"},
        {"artifact_type": "application/spdx+json"},
        {"artifact_type": "text/spdx"},
        {"layer_type": "application/spdx+json"},
        {"layer_annotations": {"in-toto.io/predicate-type": "https://spdx.dev/Document"}},
        {"layer_annotations": {"in-toto.io/predicate-type": "https://spdx.dev/Document/v2.3"}},
        {"layer_annotations": {"predicateType": "https://cyclonedx.org/bom"}},
        {"annotations": {"predicateType": "https://cyclonedx.org/bom/v1.5"}},
        {"annotations": {"dev.sigstore.bundle.predicateType": "https://cyclonedx.org/bom"}},
    ],
)
def test_an_sbom_is_known_by_what_it_says_of_itself(attached: dict[str, Any]) -> None:
    assert is_sbom(evidence(**attached))


@pytest.mark.parametrize(
    "attached",
    [
        {},
        {"artifact_type": "application/vnd.cncf.notary.signature"},
        {"artifact_type": "application/vnd.in-toto+json"},
        {"annotations": {"title": "application/spdx+json"}},
        {"layer_annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}},
        {"layer_annotations": {"in-toto.io/predicate-type": "https://spdx.dev/Documentation"}},
    ],
)
def test_nothing_else_is_one(attached: dict[str, Any]) -> None:
    assert not is_sbom(evidence(**attached))


@pytest.mark.parametrize("kind", ["application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"])
def test_a_statement_is_read_where_nothing_beside_it_says_what_it_holds(kind: str) -> None:
    assert len(undescribed_statements(evidence(layer_type=kind))) == 1
    said = {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
    assert undescribed_statements(evidence(layer_type=kind, layer_annotations=said)) == []
    assert undescribed_statements(evidence(layer_type=kind, annotations=said)) == []
    assert undescribed_statements(evidence()) == []


def test_a_statement_holds_an_sbom_bare_or_in_an_envelope() -> None:
    bare = json.dumps({"predicateType": "https://cyclonedx.org/bom", "predicate": {}}).encode()
    signed = json.dumps({"payload": base64.b64encode(bare).decode(), "signatures": []}).encode()
    assert is_sbom_statement(bare)
    assert is_sbom_statement(signed)
    assert not is_sbom_statement(json.dumps({"predicateType": "https://slsa.dev/provenance/v1"}).encode())


@given(st.binary(max_size=60) | st.recursive(st.none(), st.lists).map(lambda x: json.dumps(x).encode()))
def test_anything_but_an_sbom_statement_is_not_taken_for_one(content: bytes) -> None:
    assert not is_sbom_statement(content)


@pytest.mark.parametrize(("document", "format_"), [(CYCLONEDX, "cyclonedx"), (SPDX, "spdx")])
def test_a_document_of_the_requested_format_is_attached_unchanged(document: Any, format_: str) -> None:
    content = json.dumps(document, indent=3).encode()
    assert check_sbom(content, SbomFormat(format_), "name") is content
    other = SbomFormat.SPDX if format_ == "cyclonedx" else SbomFormat.CYCLONEDX
    with pytest.raises(SbomRefusedError, match=f"name: is JSON, but no {other.label} document"):
        check_sbom(content, other, "name")


@pytest.mark.parametrize(
    "document",
    [
        *({**CYCLONEDX, key: value} for key, value in (("bomFormat", "SPDX"), ("components", {}))),
        {key: value for key, value in CYCLONEDX.items() if key != "specVersion"},
        *([], None, "CycloneDX", 7),
    ],
)
def test_anything_but_a_cyclonedx_document_is_refused(document: Any) -> None:
    with pytest.raises(SbomRefusedError):
        check_sbom(json.dumps(document).encode(), SbomFormat.CYCLONEDX, "name")


@pytest.mark.parametrize(
    "change", [{"spdxVersion": "SPDX-3.0"}, {"spdxVersion": None}, {"SPDXID": "x"}, {"packages": "none"}]
)
def test_anything_but_an_spdx_document_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SbomRefusedError):
        check_sbom(json.dumps({**SPDX, **change}).encode(), SbomFormat.SPDX, "name")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_anything_but_json_is_refused(content: bytes) -> None:
    with pytest.raises(SbomRefusedError, match="is not JSON"):
        check_sbom(content, SbomFormat.CYCLONEDX, "name")


def test_a_too_large_file_is_refused_unread() -> None:
    with pytest.raises(SbomRefusedError, match="at most 16777216"):
        check_sbom(b"{" + b" " * MAX_SBOM, SbomFormat.CYCLONEDX, "name")


def test_an_export_is_about_the_image_that_its_key_or_its_text_names() -> None:
    assert is_about_platform(PLATFORM.digest, KEY, b"{}")
    assert is_about_platform(PLATFORM.digest, "other.json", f'{{"imageId": "{PLATFORM.digest}"}}'.encode())
    assert not is_about_platform(digest("arm64"), KEY, b"{}")


def test_only_the_files_of_an_export_itself_are_its_own() -> None:
    assert Export(REPORT, "SUCCEEDED").wrote(KEY)
    assert not Export(REPORT.replace("7", "8"), "SUCCEEDED").wrote(KEY)
    assert not Export("", "SUCCEEDED").wrote(f"sboms/x/{REPORT}.json")


@pytest.mark.parametrize("format_", SbomFormat)
def test_the_same_document_is_attached_by_the_same_bytes(format_: SbomFormat) -> None:
    manifest = sbom_manifest(PLATFORM, b"sbom", format_)
    assert (
        manifest.content == sbom_manifest(replace(PLATFORM, annotations={"a": "b"}), b"sbom", format_).content
    )
    assert find_form(manifest) is Form.EMPTY  # so it goes along when the image is promoted
    assert is_sbom(manifest)
    assert manifest.artifact_type == manifest.layers[0].media_type == format_.media_type
    assert manifest.subject == Descriptor(OCI_MANIFEST, PLATFORM.digest, 7)


def test_the_outcome_is_written_and_read_back() -> None:
    for sbom in (Sbom("none: why"), Sbom("attached", (digest("a"), digest("b")))):
        assert Sbom.from_json(json.loads(json.dumps(sbom.as_json()))) == sbom


ARM = Descriptor(OCI_MANIFEST, digest("arm64"), 7, "linux/arm64")


@pytest.mark.parametrize(
    ("platforms", "missing", "made", "said"),
    [
        ([replace(PLATFORM, digest=digest())], [], 1, "attached, by Amazon Inspector"),
        ([PLATFORM, ARM], [], 2, "attached, by Amazon Inspector, to each of 2 platforms"),
        ([PLATFORM, ARM], [], 0, "was there before, and is kept"),
        ([PLATFORM, ARM], [], 1, "attached, by Amazon Inspector, to 1 of 2 platforms; the others had one"),
        ([replace(PLATFORM, digest=digest())], [replace(PLATFORM, digest=digest())], 0, "none: why"),
        ([PLATFORM, ARM], [ARM], 1, "none for linux/arm64: why"),
        ([PLATFORM] * 5, [PLATFORM] * 5, 0, "none for linux/amd64, linux/amd64, linux/amd64 and 2 more: why"),
    ],
)
def test_the_message_to_people_is_one_line(platforms: Any, missing: Any, made: int, said: str) -> None:
    assert describe_sbom(image(), platforms, missing, made, "why") == said


@pytest.mark.parametrize(
    ("export", "said"),
    [
        (Export("", "REFUSED", "Inspector2.X: y"), "did not export it: Inspector2.X: y"),
        (Export(REPORT, "FAILED", "NO: x"), "did not export it: NO: x"),
        (Export(REPORT, "CANCELLED"), "did not export it: CANCELLED"),
        (Export(REPORT, "IN_PROGRESS"), "takes too long to export it; release the image again to try again"),
    ],
)
def test_it_is_said_why_an_export_gave_nothing(export: Export, said: str) -> None:
    assert export.explain() == f"Amazon Inspector {said}"
