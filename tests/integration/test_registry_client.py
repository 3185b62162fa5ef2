"""The registry client against the sandbox's registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagegate.errors import ImageNotFoundError, TagConflictError
from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.login import Login
from tests.contract.registry_sandbox import Sandbox, serving


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with serving(Path(tmp_path_factory.mktemp("sandbox"))) as running:
        yield running


@pytest.fixture
def real(sandbox: Sandbox) -> HttpRegistry:
    def log_in() -> Login:
        granted = sandbox.client("ecr").get_authorization_token()["authorizationData"][0]
        return Login(granted["proxyEndpoint"], granted["authorizationToken"], granted["expiresAt"])

    return HttpRegistry(log_in)


def test_an_image_moves_with_its_referrers(sandbox: Sandbox, real: HttpRegistry) -> None:
    source, target = sandbox.repository(), sandbox.repository()
    image = ImageRef.of(source.name, source.image("v1"))
    source.artifact(str(image.digest))
    (referrer,) = real.referrers(image)
    for digest in (image.digest, referrer.digest):
        manifest = real.manifest(source.name, digest)
        real.copy_blobs(manifest.blobs, source.name, target.name, lambda: True)
        real.push_manifest(target.name, manifest)
    real.push_manifest(target.name, real.manifest(source.name, "v1"), "v1")
    assert real.manifest(target.name, "v1").digest == image.digest
    assert [found.digest for found in real.referrers(ImageRef(target.name, image.digest))] == [
        referrer.digest
    ]


def test_a_blob_of_an_unequally_encrypted_repository_is_streamed(
    sandbox: Sandbox, real: HttpRegistry
) -> None:
    source = sandbox.repository()
    target = sandbox.repository(encryptionConfiguration={"encryptionType": "KMS"})
    blob = real.push_blob(source.name, b"x" * 3_000_000)
    real.copy_blobs([blob], source.name, target.name, lambda: True)
    assert Digest.of(real.blob(target.name, blob)) == blob.digest


def test_an_immutable_tag_stays(sandbox: Sandbox, real: HttpRegistry) -> None:
    repository = sandbox.repository(imageTagMutability="IMMUTABLE")
    repository.image("v1")
    first = real.manifest(repository.name, "v1")
    second = real.manifest(repository.name, Digest.parse(repository.image("v2", layer=b"other")))
    real.push_manifest(repository.name, first, "v1")
    with pytest.raises(TagConflictError, match=str(first.digest)):
        real.push_manifest(repository.name, second, "v1")


def test_a_repository_that_does_not_exist_is_not_found(real: HttpRegistry) -> None:
    with pytest.raises(ImageNotFoundError, match="no-such"):
        real.push_blob("no-such", b"x")
    with pytest.raises(ImageNotFoundError, match="no-such"):
        real.manifest("no-such", Digest.of(b"no such image"))
