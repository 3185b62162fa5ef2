"""An exact copy between real registries: all of it, in order, once, and from where it was."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imagegate.aws.ecr.registry import LayerState
from imagegate.errors import ImageNotFoundError, RejectedInputError
from imagegate.oci import copy as blob_copy
from imagegate.oci.client import HttpRegistry
from imagegate.oci.http import CHUNK
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.oci.login import Login
from imagegate.oci.manifest import Manifest
from imagegate.oci.repository import upload_location
from imagegate.workflow.copying import Copy, OutOfTimeError
from tests.contract.registry_sandbox import Sandbox, serving
from tests.integration.docker_registry import client_of, docker_registry, evidence, index_of, pushed

LONG = 16 * CHUNK


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with serving(Path(tmp_path_factory.mktemp("sandbox"))) as running:
        yield running


@pytest.fixture
def real(sandbox: Sandbox) -> HttpRegistry:
    """Return the sandbox's registry, opened like ECR."""

    def log_in() -> Login:
        granted = sandbox.client("ecr").get_authorization_token()["authorizationData"][0]
        return Login(granted["proxyEndpoint"], granted["authorizationToken"], granted["expiresAt"])

    def layers(repository: str, digests: Any) -> dict[Digest, LayerState]:
        answer = sandbox.client("ecr").batch_check_layer_availability(
            repositoryName=repository, layerDigests=[str(digest) for digest in digests]
        )
        return {
            Digest.parse(layer["layerDigest"]): LayerState(layer["layerAvailability"])
            for layer in answer["layers"]
        }

    return HttpRegistry(log_in, layers=layers)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("registries")
    with docker_registry(folder / "one") as one, docker_registry(folder / "two") as two:
        yield one, two


@pytest.fixture
def two(addresses: tuple[str, str]) -> tuple[HttpRegistry, HttpRegistry]:
    source = client_of(addresses[0])
    return source, client_of(addresses[1], source=source)


@dataclass
class Whole:
    """Two platforms; evidence about the index and about a platform; a signature of that evidence."""

    index: Manifest
    parts: list[Manifest]


def whole(registry: HttpRegistry, repository: str) -> Whole:
    children = [pushed(registry, repository, text * 1000) for text in (b"amd64", b"arm64")]
    index = index_of(registry, repository, children)
    about_index = evidence(registry, repository, index, "about the index")
    about_child = evidence(registry, repository, children[0], "about a platform")
    about_evidence = evidence(registry, repository, about_index, "about evidence")
    return Whole(index, [*children, index, about_index, about_child, about_evidence])


def listed(registry: HttpRegistry, repository: str, subject: Manifest) -> list[Digest]:
    return [found.digest for found in registry.referrers(ImageRef(repository, subject.digest))]


def always() -> bool:
    return True


def check_exact(registry: HttpRegistry, repository: str, image: Whole) -> None:
    for part in image.parts:
        assert registry.manifest(repository, part.digest).content == part.content
        for blob in part.blobs:
            assert registry.has_blob(repository, blob)
        if part.subject:
            assert part.digest in listed(
                registry, repository, registry.manifest(repository, part.subject.digest)
            )


def test_all_of_it_is_copied_between_registries(two: tuple[HttpRegistry, HttpRegistry]) -> None:
    source, target = two
    image = whole(source, "whole")
    Copy(
        origin=source,
        registry=target,
        image=ImageRef("whole", image.index.digest),
        target="whole-next",
        has_time=always,
    ).run(None)
    check_exact(target, "whole-next", image)


def requests_since(sandbox: Sandbox, since: int) -> list[str]:
    lines = (sandbox.settings.state / "registry.jsonl").read_text().splitlines()[since:]
    return [f"{line['method']} {line['path']}" for line in map(json.loads, lines)]


def test_all_of_it_is_copied_inside_one_registry_and_the_second_time_costs_three_requests(
    sandbox: Sandbox, real: HttpRegistry
) -> None:
    source, target = sandbox.repository().name, sandbox.repository().name
    image = whole(real, source)
    copy = Copy(
        origin=real, registry=real, image=ImageRef(source, image.index.digest), target=target, has_time=always
    )
    before = len(requests_since(sandbox, 0))
    real.push_manifest(target, copy.run(copy.find()), "1.0")
    first = requests_since(sandbox, before)
    check_exact(real, target, image)
    known = [line for line in first if not line.startswith("POST")]  # mounts differ in their query only
    assert len(known) == len(set(known)), "nothing is asked twice"
    assert len(first) - len(known) == len({blob.digest for part in image.parts for blob in part.blobs})
    assert not [line for line in first if line.startswith("HEAD")]
    # Every blob is mounted: nothing is read, nothing is sent.
    assert not [line for line in first if "/blobs/sha256" in line]

    again = Copy(
        origin=real, registry=real, image=ImageRef(source, image.index.digest), target=target, has_time=always
    )
    before = len(requests_since(sandbox, 0))
    again.run(again.find("1.0"), was_complete=True)
    assert again.tagged == "1.0"
    second = requests_since(sandbox, before)
    assert len(second) == 3, second
    assert all(line.startswith("GET") for line in second)


def test_evidence_that_came_later_is_copied_later(sandbox: Sandbox, real: HttpRegistry) -> None:
    source, target = sandbox.repository().name, sandbox.repository().name
    image = whole(real, source)
    reference = ImageRef(source, image.index.digest)
    Copy(origin=real, registry=real, image=reference, target=target, has_time=always).run(None)
    image.parts.append(evidence(real, source, image.index, "later"))
    image.parts.append(evidence(real, source, image.parts[-1], "about the later one"))
    copy = Copy(origin=real, registry=real, image=reference, target=target, has_time=always)
    copy.run(copy.find(), was_complete=True)
    check_exact(real, target, image)


def test_the_next_copy_completes_an_interrupted_one(sandbox: Sandbox, real: HttpRegistry) -> None:
    """The index is there, none of its evidence: as it was left by a call that was killed."""
    source, target = sandbox.repository().name, sandbox.repository().name
    image = whole(real, source)
    reference = ImageRef(source, image.index.digest)
    Copy(origin=real, registry=real, image=reference, target=target, has_time=always).run(None)
    for part in image.parts[3:]:
        sandbox.client("ecr").batch_delete_image(
            repositoryName=target, imageIds=[{"imageDigest": str(part.digest)}]
        )
    copy = Copy(origin=real, registry=real, image=reference, target=target, has_time=always)
    copy.run(copy.find())
    check_exact(real, target, image)


@pytest.mark.parametrize("quirk", [{"throttle_registry_every": 3}, {"break_blobs_every": 4}], ids=str)
def test_a_registry_with_quirks_gets_the_same_image(
    sandbox: Sandbox, real: HttpRegistry, quirk: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"encryptionType": "KMS"}  # other than the source's: nothing is mounted, all is streamed
    source, target = sandbox.repository().name, sandbox.repository(encryptionConfiguration=key).name
    image = whole(real, source)
    for name, value in quirk.items():
        monkeypatch.setattr(sandbox.settings.quirks, name, value)
    Copy(
        origin=real, registry=real, image=ImageRef(source, image.index.digest), target=target, has_time=always
    ).run(None)
    check_exact(real, target, image)


# In the middle of a blob.


def test_where_only_the_first_chunk_is_kept_a_long_blob_begins_again(
    sandbox: Sandbox, real: HttpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reported of ECR: chunks after the first are taken and thrown away."""
    monkeypatch.setattr(sandbox.settings.quirks, "keep_first_chunk_only", True)
    monkeypatch.setattr(blob_copy, "_LONG", CHUNK)
    source = sandbox.repository().name
    target = sandbox.repository(encryptionConfiguration={"encryptionType": "KMS"}).name
    blob = real.push_blob(source, random.Random(0).randbytes(LONG))
    left = real.copy_blobs([blob], source, target, until(6))
    assert left[blob.digest]
    assert real.copy_blobs([blob], source, target, always, left) == {}
    assert Digest.of(real.blob(target, blob)) == blob.digest


@pytest.fixture
def long_blob(
    two: tuple[HttpRegistry, HttpRegistry], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Descriptor:
    """Treat a blob as larger than one PUT may be."""
    monkeypatch.setattr(blob_copy, "_LONG", CHUNK)
    content = random.Random(request.node.name).randbytes(LONG)
    return two[0].push_blob("long", content)


def until(chunks: int) -> Callable[[], bool]:
    """Time for about so many chunks."""
    left = iter(range(chunks))
    return lambda: next(left, None) is not None


def test_a_long_blob_stops_in_time_and_goes_on_where_it_was(
    two: tuple[HttpRegistry, HttpRegistry],
    long_blob: Descriptor,
    addresses: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, target = two
    left = target.copy_blobs([long_blob], "long", "next", until(6))
    location = left[long_blob.digest]
    assert f"http://{addresses[1]}/v2/next/blobs/uploads/" in location
    assert not target.has_blob("next", long_blob)
    # Another process, as far as the client is concerned.
    source = client_of(addresses[0])
    other = client_of(addresses[1], source=source)
    asked_for: list[int] = []
    stream = source._connection.stream

    def watched(
        path: str, requests_since: str, size: int, first: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        asked_for.append(first)
        return stream(path, requests_since, size, first)

    monkeypatch.setattr(source._connection, "stream", watched)
    assert other.copy_blobs([long_blob], "long", "next", always, left) == {}
    assert target.has_blob("next", long_blob)
    assert len(asked_for) == 1
    assert 0 < asked_for[0] < LONG


def test_it_may_stop_many_times(two: tuple[HttpRegistry, HttpRegistry], long_blob: Descriptor) -> None:
    _, target = two
    left: dict[Digest, str] = {}
    for _ in range(20):
        left = target.copy_blobs([long_blob], "long", "often", until(4), left)
        if not left:
            break
    assert left == {}
    assert target.has_blob("often", long_blob)


def test_an_upload_that_the_registry_lost_begins_again(
    two: tuple[HttpRegistry, HttpRegistry], long_blob: Descriptor
) -> None:
    _, target = two
    left = target.copy_blobs([long_blob], "long", "lost", until(6))
    target._connection.call("DELETE", left[long_blob.digest], "an upload")
    assert target.copy_blobs([long_blob], "long", "lost", always, left) == {}
    assert target.has_blob("lost", long_blob)


def test_an_upload_with_other_bytes_than_were_sent_begins_again(
    two: tuple[HttpRegistry, HttpRegistry], long_blob: Descriptor
) -> None:
    """The registry's check of the digest decides about what it has kept."""
    _, target = two
    place = target._repository("other")
    location = upload_location(place.begin_upload(long_blob), "an upload")
    answer = target._connection.call("PATCH", location, "an upload", body=b"x" * CHUNK)
    left = {long_blob.digest: upload_location(answer, "an upload")}
    assert target.copy_blobs([long_blob], "long", "other", always, left) == {}
    assert target.has_blob("other", long_blob)


def test_a_blob_that_never_fits_into_one_call_is_said_to_be_too_large(
    two: tuple[HttpRegistry, HttpRegistry], long_blob: Descriptor
) -> None:
    _, target = two
    left = target.copy_blobs([long_blob], "long", "never", until(6))
    target._connection.call("DELETE", left[long_blob.digest], "an upload")
    with pytest.raises(RejectedInputError, match="too many for one call"):
        target.copy_blobs([long_blob], "long", "never", until(6), left)


def test_out_of_time_nothing_is_pushed_and_it_is_said_where_to_go_on(
    two: tuple[HttpRegistry, HttpRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = two
    monkeypatch.setattr(blob_copy, "_LONG", CHUNK)
    image = pushed(source, "slow", random.Random(1).randbytes(LONG))
    reference = ImageRef("slow", image.digest)
    with pytest.raises(OutOfTimeError) as stopped:
        Copy(origin=source, registry=target, image=reference, target="slow", has_time=until(6)).run(None)
    with pytest.raises(ImageNotFoundError):
        target.manifest("slow", image.digest)
    Copy(origin=source, registry=target, image=reference, target="slow", has_time=always).run(
        None, uploads=stopped.value.uploads
    )
    assert target.manifest("slow", image.digest) == image
