"""Digests, names and manifests: what is parsed is right, everything else is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import (
    AmbiguousDocumentError,
    CorruptContentError,
    InvalidDigestError,
    RejectedInputError,
)
from imagegate.oci.image import (
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
    repository_name,
)
from imagegate.oci.image_config import ImageConfig
from imagegate.oci.manifest import Manifest
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
def test_a_manifest_keeps_its_bytes_and_names_its_blobs(media_type: str, config: str) -> None:
    content = encode(image_manifest(media_type, config))
    manifest = Manifest.parse(content)
    assert not manifest.is_index
    assert manifest.content == content
    assert manifest.descriptor == Descriptor(media_type, Digest.of(content), len(content))
    assert [str(part.digest) for part in manifest.blobs] == [
        str(digest(s)) for s in ("config", "layer 0", "layer 1")
    ]


def test_the_media_type_may_come_from_outside_as_old_clients_leave_it_out() -> None:
    raw = image_manifest()
    del raw["mediaType"]
    assert Manifest.parse(encode(raw), f"{OCI_MANIFEST}; charset=utf-8").media_type == OCI_MANIFEST
    with pytest.raises(AmbiguousDocumentError, match="say so itself"):
        Manifest.parse(encode(raw), DOCKER_MANIFEST)
    with pytest.raises(RejectedInputError, match="not a manifest type"):
        Manifest.parse(encode(raw))


def test_a_layer_that_occurs_twice_is_one_blob() -> None:
    twice = blob("layer", "application/vnd.oci.image.layer.v1.tar")
    manifest = Manifest.parse(encode(image_manifest(layers=[twice, twice])))
    assert len(manifest.blobs) == 2
    assert len(manifest.layers) == 2


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_names_its_platforms(media_type: str) -> None:
    manifest = Manifest.parse(encode(index(child("a", "amd64"), child("b", "arm64"), media_type=media_type)))
    assert manifest.is_index
    assert [entry.platform for entry in manifest.children] == ["linux/amd64", "linux/arm64"]


def test_a_variant_is_part_of_the_platform() -> None:
    raw = blob("v7", OCI_MANIFEST, platform={"os": "linux", "architecture": "arm", "variant": "v7"})
    assert Descriptor.parse(raw).platform == "linux/arm/v7"


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
def test_anything_but_a_manifest_is_refused(garbage: Any) -> None:
    with pytest.raises(RejectedInputError):
        Manifest.parse(garbage if isinstance(garbage, bytes) else encode(garbage))


_PLATFORM = {"os": "linux", "architecture": "amd64"}


def _spoiled(level: str, key: str, value: Any) -> dict[str, Any]:
    """Return a good document with one more key at one of its levels."""
    manifest, listed = image_manifest(subject=blob("subject", OCI_MANIFEST)), index(child("a", "amd64"))
    at: dict[str, dict[str, Any]] = {
        "manifest": manifest,
        "config": manifest["config"],
        "layer": manifest["layers"][1],
        "subject": manifest["subject"],
        "index": listed,
        "child": listed["manifests"][0],
        "platform": listed["manifests"][0]["platform"],
    }
    at[level][key] = value
    return listed if level in ("index", "child", "platform") else manifest


def spellings(key: str) -> list[str]:
    """Return other keys that Go's decoder takes for this one (encoding/json, foldFunc)."""
    folded = [key.upper(), key[0].upper() + key[1:], key.swapcase()]
    folded += [key.replace("s", "\u017f"), key.replace("k", "\u212a")]
    return sorted({other for other in folded if other != key})


KEYS = {
    "manifest": ("schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"),
    "index": ("manifests", "schemaVersion", "mediaType", "subject"),
    **dict.fromkeys(("config", "layer", "subject", "child"), ("mediaType", "digest", "size", "urls", "data")),
    "platform": ("os", "architecture", "variant", "os.version", "os.features"),
}


@pytest.mark.parametrize(
    ("level", "key"),
    [(level, other) for level, keys in KEYS.items() for key in keys for other in spellings(key)],
)
@pytest.mark.parametrize("value", [None, "x", []])
def test_no_key_may_be_read_as_another_one_at_any_level(level: str, key: str, value: Any) -> None:
    with pytest.raises(AmbiguousDocumentError, match="which other clients read as"):
        Manifest.parse(encode(_spoiled(level, key, value)))


@pytest.mark.parametrize(("level", "keys"), KEYS.items())
def test_no_key_is_there_twice_at_any_level(level: str, keys: tuple[str, ...]) -> None:
    for key in ("x-free", *keys[:1]):
        raw = encode(_spoiled(level, "\0", 1))
        for twice in (f'"{key}": 1, "{key}": 2', f'"{key}": 1, "\\u{ord(key[0]):04x}{key[1:]}": 2'):
            with pytest.raises(AmbiguousDocumentError, match="twice"):
                Manifest.parse(raw.replace(b'"\\u0000": 1', twice.encode()))


@pytest.mark.parametrize("level", KEYS)
def test_unknown_keys_are_ignored(level: str) -> None:
    Manifest.parse(encode(_spoiled(level, "x-tool", {"Layers": [], "layers": []})))


def test_annotations_and_labels_are_free() -> None:
    free = {"config": "a", "Config": "b", "\u017fize": "c"}
    manifest = Manifest.parse(encode(image_manifest(annotations=free)))
    assert manifest.annotations == free
    assert ImageConfig.of({"config": {"Labels": {"a": "1", "A": "2"}}}).labels == {"a": "1", "A": "2"}


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + encode(image_manifest()),
        encode(image_manifest()).decode().encode("utf-16"),
        encode(image_manifest()) + b" {}",
        encode(image_manifest()) + b"\0",
        encode(image_manifest(annotations={"a": "\ud800"})),
        encode(image_manifest(x=float("nan"))),
        encode(image_manifest())[:-1] + b',"x":' + b"[" * 40 + b"]" * 40 + b"}",
        encode(image_manifest(x="y" * (4 << 20))),
        encode([image_manifest()]),
        b'{"\xff": 1}',
    ],
)
def test_bytes_that_clients_mend_differently_are_refused(content: bytes) -> None:
    with pytest.raises(AmbiguousDocumentError):
        Manifest.parse(content, OCI_MANIFEST)


@pytest.mark.parametrize(
    "raw",
    [
        *(image_manifest() | {key: None} for key in ("manifests", "fsLayers", "history", "signatures")),
        *(index() | {key: None} for key in ("config", "layers", "fsLayers", "history", "signatures")),
        *(image_manifest() | {key: None} for key in ("config", "layers")),
        index() | {"manifests": None},
        *(image_manifest(schemaVersion=version) for version in (1, "2", 2.0, None, True)),
        image_manifest(layers={}),
        image_manifest() | {"config": blob("config", OCI_CONFIG, True)},
        image_manifest() | {"config": blob("config", OCI_CONFIG, 2**63)},
        image_manifest(annotations={"a": 1}),
        image_manifest(annotations={"a": None}),
        image_manifest(artifactType=1),
        image_manifest(layers=[blob("l", "x", urls="http://x")]),
        image_manifest(layers=[blob("l", "x", 3, data="YWJj")]),  # of another digest
        image_manifest(layers=[blob("l", "x", 3, data="****")]),
        index(blob("a", OCI_MANIFEST, platform={})),
        index(blob("a", OCI_MANIFEST, platform=[])),
        *(index(blob("a", OCI_MANIFEST, platform={**_PLATFORM, key: ""})) for key in ("os", "architecture")),
        index(blob("a", OCI_MANIFEST, platform={"os": "linux/amd64", "architecture": "x"})),
        index(blob("a", OCI_MANIFEST, platform={"os": "linux", "architecture": "a\nb"})),
    ],
)
def test_a_missing_empty_or_mistyped_field_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(AmbiguousDocumentError):
        Manifest.parse(encode(raw))


def test_null_is_absent_where_a_part_may_be_absent() -> None:
    raw = image_manifest(subject=None, annotations=None, artifactType=None)
    assert Manifest.parse(encode(raw)).subject is None
    assert Manifest.parse(encode(index(blob("a", OCI_MANIFEST, platform=None)))).children[0].platform is None


def test_embedded_data_has_the_descriptors_digest() -> None:
    content = b"{}"
    raw = {"mediaType": "x", "digest": str(Digest.of(content)), "size": 2, "data": "e30="}
    assert Descriptor.parse(raw).embedded == content


def test_a_child_is_of_the_type_and_size_that_its_index_says() -> None:
    manifest = Manifest.parse(encode(image_manifest()))
    manifest.check_fits(manifest.descriptor)
    for other in (
        Descriptor(DOCKER_MANIFEST, manifest.digest, len(manifest.content)),
        Descriptor(OCI_MANIFEST, manifest.digest, len(manifest.content) + 1),
    ):
        with pytest.raises(AmbiguousDocumentError, match="is described as"):
            manifest.check_fits(other)


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


def test_embedded_data_is_the_content() -> None:
    assert embedding("aGVsbG8=").embedded == b"hello"
    assert embedding("", b"").embedded == b""


def test_without_it_there_is_none() -> None:
    assert embedding(None).embedded is None


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (5, 5),
        (["aGVsbG8="], 5),
        ("d29ybGQ=", 5),
        ("aGVsbG8=", 6),
        ("aGVs bG8=", 5),
        ("aGVsbG8", 5),
        ("", 5),
        ("aGVsbG8*", 5),
    ],
)
def test_embedded_data_of_another_digest_is_refused(data: Any, size: int) -> None:
    with pytest.raises(AmbiguousDocumentError):
        embedding(data, size=size)


def test_embedded_data_does_not_change_a_descriptors_meaning() -> None:
    assert embedding("aGVsbG8=") == embedding(None)
    assert "data" not in embedding("aGVsbG8=").as_json()
