"""The registry client against a registry by other people, which has no referrers API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagegate.errors import ImageNotFoundError, RegistryUnavailableError
from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import OCI_INDEX, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from tests.integration.docker_registry import (
    SIGNATURE,
    client_of,
    docker_registry,
    document,
    evidence,
    pushed,
)

FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("registries")
    with docker_registry(folder / "one") as one, docker_registry(folder / "two") as two:
        yield one, two


@pytest.fixture
def source(addresses: tuple[str, str]) -> HttpRegistry:
    return client_of(addresses[0])


@pytest.fixture
def target(addresses: tuple[str, str], source: HttpRegistry) -> HttpRegistry:
    return client_of(addresses[1], source=source)


def moved(source: HttpRegistry, target: HttpRegistry, repository: str, to: str, digest: Digest) -> None:
    """Copy as a promotion does: children before the index, blobs before manifests."""
    manifest = source.manifest(repository, digest)
    for child in manifest.children:
        moved(source, target, repository, to, child.digest)
    target.copy_blobs(manifest.blobs, repository, to, lambda: True)
    target.push_manifest(to, manifest)


def test_an_index_moves_with_its_evidence_to_another_registry(
    source: HttpRegistry, target: HttpRegistry
) -> None:
    children = [pushed(source, "shop-dev", text * 700_000) for text in (b"amd64", b"arm64")]
    listed = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [child.descriptor.as_json() for child in children],
    }
    index = Manifest.parse(json.dumps(listed, indent=1).encode())
    source.push_manifest("shop-dev", index)
    signature = evidence(source, "shop-dev", index, "signed")
    for digest in (index.digest, signature.digest):
        moved(source, target, "shop-dev", "shop-staging", digest)
    target.push_manifest("shop-staging", index, "1.0")
    assert target.manifest("shop-staging", "1.0") == index
    assert target.manifest("shop-staging", children[1].digest) == children[1]
    (found,) = target.referrers(ImageRef("shop-staging", index.digest))
    assert (found.digest, found.artifact_type) == (signature.digest, SIGNATURE)
    assert found.annotations == {"text": "signed"}


def test_the_list_of_referrers_grows_and_has_each_once(target: HttpRegistry) -> None:
    image = pushed(target, "list", b"image")
    signatures = [evidence(target, "list", image, text) for text in ("one", "two", "three")]
    target.push_manifest("list", signatures[0])
    found = target.referrers(ImageRef("list", image.digest))
    assert [blob.digest for blob in found] == [signature.digest for signature in signatures]
    listed = target.manifest("list", f"sha256-{image.digest.hex}")
    assert listed.media_type == OCI_INDEX


def test_an_unsigned_image_has_no_referrers(target: HttpRegistry) -> None:
    assert target.referrers(ImageRef("list", Digest.of(b"unsigned"))) == []


def test_within_one_registry_a_blob_is_mounted(source: HttpRegistry) -> None:
    blob = source.push_blob("here", b"shared" * 1000)
    assert not source.has_blob("there", blob)
    source.copy_blobs([blob], "here", "there", lambda: True)
    assert source.has_blob("there", blob)
    assert source.blob("there", blob) == b"shared" * 1000


def test_a_foreign_layer_need_not_be_there(source: HttpRegistry) -> None:
    foreign = Descriptor(FOREIGN, Digest.of(b"elsewhere"), 9)
    elsewhere = replace(foreign, urls=("https://mirror.test/layer",))
    layers = [foreign.as_json() | {"urls": list(elsewhere.urls)}]
    manifest = pushed(source, "windows", b"", layers=layers)
    assert source.manifest("windows", manifest.digest).layers == (elsewhere,)
    assert not source.has_blob("windows", foreign)


def test_absent_manifests_and_blobs_are_not_found(source: HttpRegistry) -> None:
    absent = ImageRef("absent", Digest.of(b"absent"))
    with pytest.raises(ImageNotFoundError, match="absent"):
        source.manifest(absent.repository, absent.digest)
    with pytest.raises(ImageNotFoundError, match="absent"):
        source.blob(absent.repository, Descriptor("text/plain", absent.digest, 6))


def test_a_manifest_without_its_blobs_is_worth_another_try(
    source: HttpRegistry, target: HttpRegistry
) -> None:
    with pytest.raises(RegistryUnavailableError, match="something it names"):
        target.push_manifest("incomplete", document(source, "complete", b"only there"))
