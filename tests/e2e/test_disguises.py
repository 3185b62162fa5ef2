"""Documents that readers understand differently are refused, or judged, or stay behind; evidence starts nothing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.component.disguise_shapes import IN_TOTO, Maker, platform_of
from tests.component.disguised_documents import Pairs, Shelf
from tests.component.image_shapes import soci
from tests.component.shape_bench import Bench
from tests.e2e.gate import Gate
from tests.e2e.test_sbom import uploaded

AMD64 = platform_of("linux/amd64")
NOTHING = {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}


@pytest.fixture
def maker(request: pytest.FixtureRequest) -> Maker:
    return Maker(random.Random(request.node.name))


@pytest.fixture(scope="module", autouse=True)
def typed(gate: Gate) -> str:
    """Push an image with an artifact type early, because its end takes as long as the other tests."""
    maker = Maker(random.Random(1))
    image = maker.image("linux/amd64").put("artifactType", "application/vnd.example")
    return push(gate, "typed-dev", maker.shelf, maker.shelf.push(image, maker.manifest_type))


def push(gate: Gate, repository: str, shelf: Shelf, root: Any, tag: str = "1.0") -> str:
    """Push all that is on the shelf, as it is, the tag last; return the root's digest."""
    ecr = gate.cloud.client("ecr")
    if repository not in {found["repositoryName"] for found in ecr.describe_repositories()["repositories"]}:
        ecr.create_repository(repositoryName=repository, imageScanningConfiguration={"scanOnPush": True})
    for content in shelf.blobs.values():
        uploaded(ecr, repository, content)
    for digest, (content, media_type) in shelf.manifests.items():
        tagged = {"imageTag": tag} if digest == dict(root)["digest"] else {}
        manifest = {"imageManifest": content.decode(), "imageManifestMediaType": media_type}
        answer = ecr.put_image(repositoryName=repository, **manifest, **tagged)
        assert answer["image"]["imageId"]["imageDigest"] == digest
    return str(dict(root)["digest"])


def refused(gate: Gate, app: str, digest: str) -> str:
    """Return why. It is blocked, neither signed nor promoted."""
    release = gate.ended(f"{app}-dev", digest)
    assert release["outcome"] == "blocked", release
    assert gate.signatures(f"{app}-dev", digest) == []
    assert gate.manifest(f"{app}-staging", digest) is None
    reasons = json.loads(release["reasons"])
    assert [reason["rule"] for reason in reasons] == ["image.ambiguous"]
    return str(reasons[0]["message"])


def test_a_child_that_only_some_clients_take_for_their_platform_is_refused(gate: Gate, maker: Maker) -> None:
    good, evil = maker.child("linux/amd64"), maker.child("linux/amd64", evil=True)
    hidden = evil.put("platform", Pairs.of(OS="linux", Architecture="amd64"))
    root = maker.shelf.push(maker.index([hidden, good]), maker.index_type)
    digest = push(gate, "letters-dev", maker.shelf, root)
    assert "which other clients read as 'os'" in refused(gate, "letters", digest)
    assert gate.manifest("letters-staging", evil.get("digest")) is None


def test_a_user_that_only_some_clients_read_is_refused(gate: Gate, maker: Maker) -> None:
    def add(config: Any, _other: Any) -> Any:
        return config.put("config", Pairs([*config.get("config"), ("user", "root")]))

    maker.changes["config"] = add
    digest = push(
        gate, "users-dev", maker.shelf, maker.shelf.push(maker.image("linux/amd64"), maker.manifest_type)
    )
    assert "which other clients read as 'User'" in refused(gate, "users", digest)


def test_a_child_that_could_run_is_no_attestation(gate: Gate, maker: Maker) -> None:
    good, evil = maker.child("linux/amd64"), maker.child("linux/amd64", evil=True)
    named = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": good.get("digest"),
    }
    hidden = evil.put("platform", platform_of("unknown/unknown")).put("annotations", Pairs(named.items()))
    root = maker.shelf.push(maker.index([good, hidden]), maker.index_type)
    digest = push(gate, "attests-dev", maker.shelf, root)
    assert "calls itself an attestation" in refused(gate, "attests", digest)
    assert gate.manifest("attests-staging", evil.get("digest")) is None


def test_a_referrer_that_could_run_stays_behind(gate: Gate, maker: Maker) -> None:
    good = maker.shelf.push(maker.image("linux/amd64"), maker.manifest_type)
    about = maker.image("linux/amd64", evil=True).put("subject", good)
    hidden = [
        maker.shelf.push(about.put("config", about.get("config").put("mediaType", kind)), maker.manifest_type)
        for kind in ("application/json", "application/vnd.oci.image.config.v1+json", "x/y")
    ]
    maker.shelf.manifests[good.get("digest")] = maker.shelf.manifests.pop(
        good.get("digest")
    )  # the tag comes last
    digest = push(gate, "refers-dev", maker.shelf, good)
    assert gate.ended("refers-dev", digest)["outcome"] == "released"
    assert gate.manifest("refers-staging", digest) is not None
    assert [gate.manifest("refers-staging", one.get("digest")) for one in hidden] == [None] * 3


def test_an_image_with_its_soci_index_is_released_whole(gate: Gate) -> None:
    bench = Bench()
    digest = push(gate, "soci-dev", bench.shelf, soci(bench))
    assert gate.ended("soci-dev", digest)["outcome"] == "released"
    found = [gate.manifest("soci-staging", one) for one in bench.shelf.manifests]
    assert found == [content for content, _ in bench.shelf.manifests.values()]


def test_tags_of_cosign_and_of_referrers_start_nothing(gate: Gate) -> None:
    bench, image = Bench(), f"sha256-{'a' * 64}"
    signed = bench.blob({"critical": {}}, "application/vnd.dev.cosign.simplesigning.v1+json")
    signature = push(gate, "signed-dev", bench.shelf, bench.oci(NOTHING, [signed]), f"{image}.sig")
    other = Bench()
    statement = other.artifact([other.blob({"_type": "https://in-toto.io/Statement/v1"}, IN_TOTO)])
    index = push(gate, "signed-dev", other.shelf, other.index(statement), image)
    for digest in (signature, index):
        gate.eventually(lambda one=digest: ignored(gate, "signed-dev", one), "it is ignored")  # type: ignore[misc]
        assert gate.releases("signed-dev", digest) == []
    assert [message for message in gate.messages() if "signed-dev" in message["subject"]] == []


def ignored(gate: Gate, repository: str, digest: str) -> dict[str, Any] | None:
    key = {"pk": {"S": f"IGNORED#{repository}@{digest}"}, "sk": {"S": "IGNORED"}}
    table = gate.cloud.client("dynamodb").get_item(TableName=gate.cloud.outputs["LedgerTable"], Key=key)
    found: dict[str, Any] | None = table.get("Item")
    return found


def test_an_index_of_indexes_of_indexes_ends_soon(gate: Gate, maker: Maker) -> None:
    """Six levels of ten named a million images: each digest is read once, and depth and entries have an end."""
    level = maker.child("linux/amd64")
    for _ in range(6):
        level = maker.shelf.push(maker.index([level] * 10), maker.index_type)
    digest = push(gate, "bombs-dev", maker.shelf, level)
    assert "nested more than" in refused(gate, "bombs", digest)
    wide = Maker(maker.chance)
    entry = wide.child("linux/arm64")
    root = wide.shelf.push(wide.index([entry] * 1001), wide.index_type)
    assert "entries" in refused(gate, "bombs", push(gate, "bombs-dev", wide.shelf, root, "2.0"))


def test_an_artifact_type_hides_no_image(gate: Gate, typed: str) -> None:
    """ECR's scanner leaves it out here, so that its release waits for a scan, and is blocked in the end."""
    assert gate.ended("typed-dev", typed)["outcome"] == "blocked"
    assert gate.signatures("typed-dev", typed) == []
    assert gate.manifest("typed-staging", typed) is None
