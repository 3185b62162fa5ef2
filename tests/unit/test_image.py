"""Digests, names and manifests: what is parsed is right, everything else is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.domain.errors import CorruptContentError, InvalidDigestError, RejectedInputError
from imagegate.domain.image import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MANIFEST_MEDIA_TYPES,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Digest,
    ImageRef,
    Kind,
    Manifest,
    repository_name,
)
from tests.unit.samples import digest, json_values, repositories

NOTATION = "application/vnd.cncf.notary.signature"
HEX = "0123456789abcdef" * 4


def encode(raw: Any) -> bytes:
    return json.dumps(raw).encode()


def blob(seed: str, media_type: str, size: int = 10, **extra: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest(seed)), "size": size, **extra}


def image_manifest(media_type: str = OCI_MANIFEST, config: str = OCI_CONFIG, **extra: Any) -> dict[str, Any]:
    layers = [blob(f"layer {n}", "application/vnd.oci.image.layer.v1.tar+gzip") for n in range(2)]
    return {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": blob("config", config),
        "layers": layers,
        **extra,
    }


def child(seed: str, architecture: str, media_type: str = OCI_MANIFEST, **extra: Any) -> dict[str, Any]:
    return blob(seed, media_type, platform={"os": "linux", "architecture": architecture}, **extra)


def attestation_child(platform: dict[str, str] | None) -> dict[str, Any]:
    annotations = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": str(digest("amd64")),
    }
    extra: dict[str, Any] = {"platform": platform} if platform else {}
    return blob("attestation", OCI_MANIFEST, annotations=annotations, **extra)


def index(*children: dict[str, Any], media_type: str = OCI_INDEX, **extra: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media_type, "manifests": list(children), **extra}


@given(st.binary(max_size=64))
def test_the_digest_of_bytes_is_their_sha256_and_parses(content: bytes) -> None:
    made = Digest.of(content)
    assert str(made) == "sha256:" + hashlib.sha256(content).hexdigest()
    assert Digest.parse(str(made)) == made
    assert str(made) == f"sha256:{made.hex}"
    assert made.check(content, "blob") == content


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha512:{HEX}",
        f"sha256-{HEX}",
        f"sha256:{HEX}\n",
        f"\nsha256:{HEX}",
        f" sha256:{HEX}",
        f"sha256:{HEX[:-1]}g",
        f"sha256:{HEX[:-1]}\u0663",  # a digit to str.isdigit, not to a registry
        f"sha256:{HEX[:-1]}\uff11",
        f"shop/api@sha256:{HEX}",
        None,
        7,
        f"sha256:{HEX}".encode(),
        [f"sha256:{HEX}"],
    ],
)
def test_nothing_but_a_lower_case_sha256_digest_parses(text: Any) -> None:
    with pytest.raises(InvalidDigestError):
        Digest.parse(text)


@given(st.integers(0, 70), st.characters())
def test_one_foreign_character_makes_a_digest_invalid(position: int, character: str) -> None:
    good = f"sha256:{HEX}"
    text = good[:position] + character + good[position + 1 :]
    hex_or_same = text == good or (
        len(text) == len(good) and position > 6 and character in "0123456789abcdef"
    )
    if not hex_or_same:
        with pytest.raises(InvalidDigestError):
            Digest.parse(text)


def test_bytes_with_another_digest_are_corrupt_and_the_error_names_them() -> None:
    with pytest.raises(CorruptContentError, match="layer of shop/api"):
        digest("a").check(b"b", "layer of shop/api")


@given(repositories)
def test_ecr_repository_names_are_accepted(name: Any) -> None:
    assert repository_name(name) == name
    assert str(ImageRef.of(name, f"sha256:{HEX}")) == f"{name}@sha256:{HEX}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Shop/api",
        "/api",
        "api/",
        "shop//api",
        "-api",
        "api-",
        "api..x",
        "api:1.0",
        "api@x",
        "api\n",
        "../api",
        "a b",
        "ä",
        "a" * 257,
        None,
        3,
    ],
)
def test_other_repository_names_are_refused(name: Any) -> None:
    with pytest.raises(RejectedInputError):
        repository_name(name)


@pytest.mark.parametrize(
    ("media_type", "config"), [(OCI_MANIFEST, OCI_CONFIG), (DOCKER_MANIFEST, DOCKER_CONFIG)]
)
def test_an_image_is_an_image_and_judged_as_itself(media_type: str, config: str) -> None:
    content = encode(image_manifest(media_type, config))
    manifest = Manifest.parse(content)
    assert manifest.kind is Kind.IMAGE
    assert manifest.content == content
    assert manifest.digest == Digest.of(content)
    assert manifest.runnable == (Descriptor(media_type, manifest.digest, len(content)),)
    assert [str(part.digest) for part in manifest.blobs] == [
        str(digest(s)) for s in ("config", "layer 0", "layer 1")
    ]


def test_the_media_type_may_come_from_outside_as_old_clients_leave_it_out() -> None:
    raw = image_manifest()
    del raw["mediaType"]
    assert Manifest.parse(encode(raw), OCI_MANIFEST).media_type == OCI_MANIFEST
    with pytest.raises(RejectedInputError, match="not a manifest type"):
        Manifest.parse(encode(raw))


def test_a_layer_that_occurs_twice_is_one_blob() -> None:
    twice = blob("layer", "application/vnd.oci.image.layer.v1.tar")
    manifest = Manifest.parse(encode(image_manifest(layers=[twice, twice])))
    assert len(manifest.blobs) == 2
    assert len(manifest.layers) == 2


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_every_platform_of_an_index_is_judged(media_type: str) -> None:
    manifest = Manifest.parse(encode(index(child("a", "amd64"), child("b", "arm64"), media_type=media_type)))
    assert manifest.kind is Kind.INDEX
    assert [platform.platform for platform in manifest.runnable] == ["linux/amd64", "linux/arm64"]


def test_a_variant_is_part_of_the_platform() -> None:
    raw = blob("v7", OCI_MANIFEST, platform={"os": "linux", "architecture": "arm", "variant": "v7"})
    assert Descriptor.parse(raw).platform == "linux/arm/v7"


def test_buildx_provenance_is_a_child_but_not_an_image_to_judge() -> None:
    unknown = {"os": "unknown", "architecture": "unknown"}
    manifest = Manifest.parse(encode(index(child("amd64", "amd64"), attestation_child(unknown))))
    assert len(manifest.children) == 2
    assert [platform.platform for platform in manifest.runnable] == ["linux/amd64"]


@pytest.mark.parametrize("platform", [{"os": "linux", "architecture": "amd64"}, None])
def test_an_image_that_runs_cannot_call_itself_an_attestation(platform: dict[str, str] | None) -> None:
    manifest = Manifest.parse(encode(index(child("arm64", "arm64"), attestation_child(platform))))
    assert digest("attestation") in {runs.digest for runs in manifest.runnable}


def test_a_nested_index_is_not_skipped() -> None:
    manifest = Manifest.parse(encode(index(child("a", "amd64"), blob("nested", OCI_INDEX))))
    nested = manifest.runnable[1]
    assert nested.digest == digest("nested")
    assert nested.is_index


def test_an_index_of_nothing_runs_nothing() -> None:
    assert Manifest.parse(encode(index())).runnable == ()


@pytest.mark.parametrize(
    "raw",
    [
        image_manifest(config=NOTATION, subject=blob("image", OCI_MANIFEST)),  # signature, the older form
        image_manifest(config=OCI_EMPTY, artifactType=NOTATION, subject=blob("image", OCI_MANIFEST)),
        image_manifest(config=NOTATION, artifactType=NOTATION, subject=blob("image", OCI_MANIFEST)),
        image_manifest(config=NOTATION),
        image_manifest(config=OCI_EMPTY, artifactType="application/spdx+json"),
        image_manifest(config="application/vnd.cncf.helm.config.v1+json"),
        image_manifest(subject=blob("image", OCI_MANIFEST)),
        index(child("a", "amd64"), artifactType="application/vnd.example"),
        index(child("a", "amd64"), subject=blob("image", OCI_MANIFEST)),
    ],
)
def test_evidence_is_an_artifact_and_never_an_image(raw: dict[str, Any]) -> None:
    assert Manifest.parse(encode(raw)).kind is Kind.ARTIFACT


@pytest.mark.parametrize("extra", [{"artifactType": NOTATION}, {}])
def test_both_forms_of_a_notation_signature_have_its_artifact_type(extra: dict[str, str]) -> None:
    config = OCI_EMPTY if extra else NOTATION
    subject = blob("image", OCI_MANIFEST, 1234)
    manifest = Manifest.parse(encode(image_manifest(config=config, subject=subject, **extra)))
    assert manifest.artifact_type == NOTATION
    assert manifest.subject == Descriptor(OCI_MANIFEST, digest("image"), 1234)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("config", "layers", "manifests", "subject", "artifactType", "annotations", "schemaVersion"),
            json_values,
        ),
    ),
    st.sampled_from(MANIFEST_MEDIA_TYPES),
)
def test_a_manifest_of_garbage_is_refused_or_parsed_but_never_crashes(
    raw: dict[str, Any], media_type: str
) -> None:
    try:
        Manifest.parse(encode({"mediaType": media_type, **raw}))
    except RejectedInputError:
        return


@given(
    st.fixed_dictionaries(
        {"mediaType": json_values, "digest": st.just(str(digest())), "size": json_values},
        optional=dict.fromkeys(("platform", "annotations", "artifactType"), json_values),
    )
)
def test_a_descriptor_of_garbage_is_refused_or_parsed_but_never_crashes(raw: dict[str, Any]) -> None:
    try:
        assert Descriptor.parse(raw).size >= 0
    except RejectedInputError:
        return


@given(json_values | st.binary(max_size=64))
def test_what_is_no_manifest_is_refused(garbage: Any) -> None:
    with pytest.raises(RejectedInputError):
        Manifest.parse(garbage if isinstance(garbage, bytes) else encode(garbage))


def test_a_manifest_nested_without_end_is_refused() -> None:
    with pytest.raises(RejectedInputError):
        Manifest.parse(b"[" * 100_000)


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (image_manifest(manifests=[child("a", "amd64")]), OCI_MANIFEST),
        (
            index(child("a", "amd64"), layers=[blob("layer", "application/vnd.oci.image.layer.v1.tar")]),
            OCI_INDEX,
        ),
        (image_manifest(), OCI_INDEX),
    ],
)
def test_a_manifest_that_clients_could_read_in_two_ways_is_refused(
    raw: dict[str, Any], media_type: str
) -> None:
    """CVE-2021-41190: with both `manifests` and `layers`, or two media types, what is judged may not be what runs."""
    with pytest.raises(RejectedInputError):
        Manifest.parse(encode(raw), media_type)


@pytest.mark.parametrize(
    "broken",
    [
        {"mediaType": OCI_MANIFEST, "size": 1},
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{HEX}"},
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{HEX}", "size": -1},
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{HEX}", "size": "1"},
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{HEX}", "size": 1.5},
        {"mediaType": OCI_MANIFEST, "digest": f"md5:{HEX}", "size": 1},
        [],
        None,
    ],
)
def test_a_descriptor_without_digest_or_size_is_refused(broken: Any) -> None:
    with pytest.raises(RejectedInputError):
        Descriptor.parse(broken)


# Content that a descriptor brings along (image-spec, "Embedded Content")


def embedding(data: object, content: bytes = b"hello", size: int | None = None) -> Descriptor:
    described = Descriptor("text/plain", Digest.of(content), len(content) if size is None else size)
    return Descriptor.parse({**described.as_json(), "data": data})


def test_what_is_embedded_is_the_content() -> None:
    assert embedding("aGVsbG8=").embedded == b"hello"
    assert embedding("", b"").embedded == b""


@pytest.mark.parametrize("data", [None, 5, ["aGVsbG8="]])
def test_without_it_there_is_none(data: object) -> None:
    assert embedding(data).embedded is None


@pytest.mark.parametrize(
    ("data", "size"),
    [("d29ybGQ=", 5), ("aGVsbG8=", 6), ("aGVs bG8=", 5), ("aGVsbG8", 5), ("", 5), ("aGVsbG8*", 5)],
)
def test_what_is_not_the_content_is_refused(data: str, size: int) -> None:
    with pytest.raises(CorruptContentError):
        _ = embedding(data, size=size).embedded


def test_what_is_embedded_is_no_part_of_what_a_descriptor_means() -> None:
    assert embedding("aGVsbG8=") == embedding(None)
    assert "data" not in embedding("aGVsbG8=").as_json()
