"""Evidence, which cannot run: an allow-list of forms, proven by content. Everything else is an image."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import AmbiguousDocumentError
from imagegate.oci.artifact import Child, Form, check_image, find_form, prove_cannot_run, unread_layers
from imagegate.oci.image import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Digest,
)
from imagegate.oci.manifest import Manifest

NOTATION = "application/vnd.cncf.notary.signature"
SOCI = "application/vnd.amazon.soci.index.v2+json"
IN_TOTO = "application/vnd.in-toto+json"
SIGNED = "application/vnd.dev.cosign.simplesigning.v1+json"
TAR = "application/vnd.oci.image.layer.v1.tar"
STATEMENT = b'{"_type": "https://in-toto.io/Statement/v0.1", "subject": []}'
SIGNATURE = b'{"critical": {}}'
RUNS = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
NOWHERE = {"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {"type": "layers"}}


class Made:
    """A manifest with its blobs."""

    def __init__(
        self,
        config_type: str,
        config: bytes,
        layers: list[tuple[str, bytes]],
        media_type: str = OCI_MANIFEST,
        **more: Any,
    ) -> None:
        self.blobs: dict[Digest, bytes] = {}
        raw = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self._blob(config_type, config),
            "layers": [self._blob(*layer) for layer in layers],
            **more,
        }
        self.manifest = Manifest.parse(json.dumps(raw).encode())

    def _blob(self, media_type: str, content: bytes) -> dict[str, Any]:
        self.blobs[Digest.of(content)] = content
        return Descriptor(media_type, Digest.of(content), len(content)).as_json()

    def prove(self) -> None:
        prove_cannot_run(self.manifest, lambda blob: self.blobs[blob.digest])

    @property
    def is_evidence(self) -> bool:
        try:
            self.prove()
        except AmbiguousDocumentError:
            return False
        return True


def config(**changes: Any) -> bytes:
    return json.dumps({**NOWHERE, **changes}).encode()


def archive(name: str = "app") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def polyglot(name: str = "", *, signed: bool = False) -> bytes:
    """Return bytes that are JSON to one reader, and a V7 archive to another. `signed`: also in the checksum's bytes."""
    numbers = b"0000644 0000000 0000000 00000000000 00000000000 "  # mode, uid, gid, size, mtime
    header = bytearray((b'{"a": "' + name.encode()).ljust(100, b"x") + numbers + b"        " + b"0").ljust(
        512, b"0"
    )
    header[148:156] = b"%06o  " % (sum(header) - 256 * signed * sum(byte > 127 for byte in header))
    return bytes(header) + b'"}'


EVIDENCE = {
    "buildx": Made(
        OCI_EMPTY, b"{}", [(IN_TOTO, STATEMENT)], artifactType="application/vnd.docker.attestation"
    ),
    "buildx, as an image": Made(OCI_CONFIG, config(), [(IN_TOTO, STATEMENT)]),
    "notation": Made(NOTATION, b"{}", [("application/jose+json", b"{}")]),
    "notation, new": Made(OCI_EMPTY, b"{}", [("application/jose+json", b"{}")], artifactType=NOTATION),
    "soci": Made(SOCI, b"{}", [("application/octet-stream", b"ztoc")], artifactType=SOCI),
    "oras, a folder": Made(OCI_EMPTY, b"{}", [(f"{TAR}+gzip", archive())], artifactType="a/b"),
    "oras, nothing in it": Made(OCI_EMPTY, b"{}", [(OCI_EMPTY, b"{}")], artifactType="a/b"),
    "cosign signature": Made(OCI_CONFIG, config(), [(SIGNED, SIGNATURE)]),
    "cosign attestation": Made(
        OCI_CONFIG,
        json.dumps(RUNS).encode(),
        [("application/vnd.dsse.envelope.v1+json", b'{"payload": "", "payloadType": ""}')],
    ),
    "cosign sbom": Made(OCI_CONFIG, config(), [("text/spdx", b"SPDXVersion: SPDX-2.3\n")]),
    "sigstore bundle": Made(OCI_EMPTY, b"{}", [("application/vnd.dev.sigstore.bundle.v0.3+json", b"{}")]),
    "chart": Made(
        "application/vnd.cncf.helm.config.v1+json",
        b'{"name": "shop"}',
        [("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"\x1f\x8b")],
    ),
    "wasm": Made(
        "application/vnd.wasm.config.v0+json", b'{"os": "wasip1"}', [("application/wasm", b"\0asm")]
    ),
    "a model": Made("application/vnd.example", b"\x00\x01", [("application/vnd.example", b"x")]),
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_an_artifact_that_no_runtime_can_start_is_evidence(name: str) -> None:
    EVIDENCE[name].prove()


IMAGES = {
    "an image": Made(OCI_CONFIG, json.dumps(RUNS).encode(), [(TAR, archive())]),
    "an image of docker": Made(
        DOCKER_CONFIG, b"{}", [("application/vnd.docker.image.rootfs.diff.tar.gzip", b"x")], DOCKER_MANIFEST
    ),
    "an image without layers": Made(OCI_CONFIG, json.dumps(RUNS).encode(), []),
    **{
        f"an image that calls its config {kind}": Made(kind, json.dumps(RUNS).encode(), [(TAR, archive())])
        for kind in (
            *("application/json", "application/octet-stream", "text/html", "application/JSON; charset=utf-8"),
            *(
                "application/vnd.oci.image.config.v1+JSON",
                "application/vnd.docker.anything",
                NOTATION,
                SOCI,
                "x/y",
            ),
        )
    },
    **{
        f"{kind} and no layer that is unpacked": Made(kind, b"{}", [("application/vnd.example", b"x")])
        for kind in ("application/json", "application/octet-stream", "text/html")
    },
    "an image with an artifact type": Made(
        OCI_CONFIG, json.dumps(RUNS).encode(), [(TAR, archive())], artifactType="x/y"
    ),
    "an empty config of an image above layers": Made(OCI_CONFIG, b"{}", [(f"{TAR}+anything", archive())]),
    "no config of an image above layers": Made("x/y", b"{ }", [(f"{TAR}+anything", archive())]),
    "docker's kind of manifest": Made(OCI_EMPTY, b"{}", [("x/y", b"x")], DOCKER_MANIFEST),
    "an encrypted image": Made(OCI_CONFIG, json.dumps(RUNS).encode(), [(f"{TAR}+encrypted", b"x")]),
    "one statement among layers": Made(OCI_CONFIG, config(), [(IN_TOTO, STATEMENT), (TAR, archive())]),
}


@pytest.mark.parametrize("name", IMAGES)
def test_a_document_that_a_runtime_would_start_is_an_image_whatever_type_it_declares(name: str) -> None:
    assert find_form(IMAGES[name].manifest) is None
    with pytest.raises(AmbiguousDocumentError, match="could run"):
        IMAGES[name].prove()


UNPROVEN = {
    "a config of a kind of its own that is an image's": Made(
        "application/vnd.example", json.dumps(RUNS).encode(), [("application/vnd.example", archive())]
    ),
    "the same, folded": Made("application/vnd.example", b'{"Root\\u017fs": 1, "root\\u0066S": {}}', []),
    "the same, twice": Made("application/vnd.example", b'{"a": 1, "a": 2}', []),
    "something to start": Made(OCI_CONFIG, config(config={"Entrypoint": ["/app"]}), [(IN_TOTO, STATEMENT)]),
    "a command": Made(OCI_CONFIG, config(config={"Cmd": ["/app"]}), [(SIGNED, SIGNATURE)]),
    "a command by another name": Made(OCI_CONFIG, config(config={"cmd": ["/app"]}), [(SIGNED, SIGNATURE)]),
    "a config by another name": Made(OCI_CONFIG, config(Config={}), [(SIGNED, SIGNATURE)]),
    "an archive": Made(OCI_CONFIG, config(), [(IN_TOTO, archive())]),
    "an archive as text": Made(OCI_CONFIG, config(), [("text/spdx", archive())]),
    "an archive and JSON": Made(OCI_CONFIG, config(), [("application/spdx+json", polyglot())]),
    "packed": Made(OCI_CONFIG, config(), [("text/spdx", b"\x1f\x8b\x08")]),
    "packed otherwise": Made(OCI_CONFIG, config(), [("text/spdx", b"BZh91AY&SY")]),
    "no statement": Made(OCI_CONFIG, config(), [(IN_TOTO, b"{}")]),
    "no object": Made(OCI_CONFIG, config(), [(IN_TOTO, b"[]")]),
    "no envelope": Made(OCI_CONFIG, config(), [("application/vnd.dsse.envelope.v1+json", b"{}")]),
    "no signature": Made(OCI_CONFIG, config(), [(SIGNED, b'{"Critical": {}}')]),
    "two of them": Made(OCI_CONFIG, config(), [(IN_TOTO, STATEMENT), (IN_TOTO, b"{}")]),
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_a_document_that_claims_to_be_evidence_is_checked(name: str) -> None:
    assert find_form(UNPROVEN[name].manifest) in (Form.FOREIGN, Form.DOCUMENTS)
    assert not UNPROVEN[name].is_evidence


def test_json_that_is_also_an_archive_is_an_archive() -> None:
    assert json.loads(polyglot())
    with tarfile.open(fileobj=io.BytesIO(polyglot())) as tar:
        assert len(tar.getnames()) == 1
    with pytest.raises(AmbiguousDocumentError, match="is an archive"):
        UNPROVEN["an archive and JSON"].prove()


@pytest.mark.parametrize("signed", [False, True])
def test_an_archive_is_one_by_either_of_the_two_checksums_that_readers_take(signed: bool) -> None:
    content = polyglot("é" * 9, signed=signed)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert len(tar.getnames()) == 1
    with pytest.raises(AmbiguousDocumentError, match="is an archive"):
        Made(OCI_CONFIG, config(), [(IN_TOTO, content)]).prove()


def test_a_document_that_is_too_large_to_read_proves_nothing() -> None:
    made = EVIDENCE["buildx, as an image"]
    (layer,) = made.manifest.layers
    huge = replace(made.manifest, layers=(replace(layer, size=(40 << 20) + 1),))
    with pytest.raises(AmbiguousDocumentError, match="too large"):
        prove_cannot_run(huge, lambda blob: made.blobs[blob.digest])


def test_an_index_is_no_evidence() -> None:
    raw = {"schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": "x/y", "manifests": []}
    assert find_form(Manifest.parse(json.dumps(raw).encode())) is None


@given(st.binary(max_size=1024))
def test_every_layer_is_a_document_or_refused(content: bytes) -> None:
    assert not Made(OCI_CONFIG, config(), [(IN_TOTO, b"\xff" + content)]).is_evidence


def entry(name: str, platform: str | None, annotations: Mapping[str, str] = {}) -> Descriptor:
    manifest = EVIDENCE[name].manifest
    return replace(manifest.descriptor, platform=platform, annotations=dict(annotations))


SIBLING = Digest.of(b"sibling")
ABOUT = {"com.amazon.soci.image-manifest-digest": str(SIBLING)}


@pytest.mark.parametrize(
    ("name", "platform", "annotations", "fits"),
    [
        ("buildx", "unknown/unknown", {}, True),
        ("buildx", None, {}, True),
        ("buildx", "linux/amd64", {}, False),
        ("buildx", "Unknown/unknown", {}, False),
        ("notation", "linux/amd64", ABOUT, False),
        ("soci", "linux/amd64", ABOUT, True),
        ("soci", "linux/amd64", {}, False),
        ("soci", "linux/amd64", {"com.amazon.soci.image-manifest-digest": str(Digest.of(b"x"))}, False),
    ],
)
def test_no_runtime_chooses_evidence_for_its_platform(
    name: str, platform: str | None, annotations: Mapping[str, str], fits: bool
) -> None:
    child = Child(entry(name, platform, annotations), EVIDENCE[name].manifest, frozenset({SIBLING}))
    if fits:
        child.check_place()
        return
    with pytest.raises(AmbiguousDocumentError, match="cannot run, and is listed for"):
        child.check_place()


def test_a_soci_index_comes_after_its_image_for_runtimes_take_the_first() -> None:
    child = Child(entry("soci", "linux/amd64", ABOUT), EVIDENCE["soci"].manifest, frozenset())
    with pytest.raises(AmbiguousDocumentError):
        child.check_place()


@pytest.mark.parametrize("kind", [OCI_CONFIG, DOCKER_CONFIG])
def test_an_image_that_runs_has_a_config_that_every_client_reads(kind: str) -> None:
    check_image(Made(kind, b"{}", []).manifest)
    for other in ("application/json", kind.upper(), f"{kind}; x=y", "application/vnd.example"):
        with pytest.raises(AmbiguousDocumentError, match="no scanner reads"):
            check_image(Made(other, b"{}", []).manifest)


@pytest.mark.parametrize(
    "media_type",
    [
        *(TAR, f"{TAR}+gzip", f"{TAR}+zstd", "application/vnd.docker.image.rootfs.diff.tar"),
        *(f"application/vnd.docker.image.rootfs.diff.tar.{packed}" for packed in ("gzip", "zstd")),
    ],
)
def test_layers_that_scanners_read(media_type: str) -> None:
    assert unread_layers(Made(OCI_CONFIG, b"{}", [(media_type, b"x")]).manifest) == ()


@pytest.mark.parametrize(
    "media_type",
    [
        *(f"{TAR}+encrypted", f"{TAR}+gzip+encrypted", TAR.upper(), "application/vnd.erofs.layer.v1"),
        *("application/vnd.oci.image.layer.nydus.blob.v1", "application/x-unknown"),
        *("application/vnd.oci.image.layer.nondistributable.v1.tar", f"{TAR}+gzip.foreign.x"),
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ],
)
def test_layers_that_scanners_do_not_read(media_type: str) -> None:
    assert unread_layers(Made(OCI_CONFIG, b"{}", [(media_type, b"x")]).manifest) == (media_type,)


def test_a_layer_that_is_kept_elsewhere_is_not_read() -> None:
    manifest = Made(OCI_CONFIG, b"{}", [(TAR, b"x")]).manifest
    elsewhere = replace(manifest, layers=(replace(manifest.layers[0], urls=("https://far.example/x",)),))
    assert unread_layers(elsewhere) == (TAR,)
