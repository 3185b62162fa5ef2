"""Images for several platforms: judged by their worst platform, promoted whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.images.build import LayoutIndex, build_index
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from tests.e2e.gate import Gate

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")


def build(gate: Gate, app: str, **shape: Any) -> LayoutIndex:
    files = {platform: {"bin/app": f"{app} for {platform}".encode()} for platform in PLATFORMS}
    return build_index(gate.work / app, platforms=files, **shape)


def pushed(gate: Gate, index: LayoutIndex, repository: str, tag: str = "1.0") -> str:
    return push(index.folder, SandboxReference.parse(f"{repository}:{tag}"), gate.session).digest


def tree(gate: Gate, repository: str, digest: str) -> set[str]:
    """Return the digest of every manifest and blob of an image, all of them readable."""
    content = gate.manifest(repository, digest)
    assert content is not None, digest
    document = json.loads(content)
    found = {digest}
    for blob in [document.get("config"), *document.get("layers", [])]:
        if blob:
            assert gate.get(f"{repository}/blobs/{blob['digest']}").status == 200
            found.add(blob["digest"])
    for child in document.get("manifests", []):
        found |= tree(gate, repository, child["digest"])
    return found


def platforms_of(gate: Gate, repository: str, digest: str) -> dict[str, str]:
    """Return the digest by platform of the index's own children."""
    children = json.loads(gate.manifest(repository, digest) or b"{}")["manifests"]
    named = [(child, child.get("platform", {})) for child in children]
    return {
        f"{platform.get('os')}/{platform.get('architecture')}": child["digest"] for child, platform in named
    }


@pytest.mark.parametrize(
    ("app", "shape"),
    [
        ("plain", {}),
        ("attested", {"attestations": True}),
        ("nested", {"nested": True, "attestations": True}),
        ("manifest-list", {"docker": True}),
    ],
)
def test_an_index_moves_whole_with_its_evidence(gate: Gate, app: str, shape: dict[str, bool]) -> None:
    digest = pushed(gate, build(gate, app, **shape), f"{app}-dev")
    release = gate.ended(f"{app}-dev", digest)
    assert release["outcome"] == "released", release
    assert tree(gate, f"{app}-dev", digest) == tree(gate, f"{app}-staging", digest)
    evidence = {entry["digest"] for entry in gate.referrers(f"{app}-dev", digest)}
    assert len(evidence) == 2
    assert evidence <= {entry["digest"] for entry in gate.referrers(f"{app}-staging", digest)}
    for child in set(platforms_of(gate, f"{app}-dev", digest).values()):
        assert gate.releases(f"{app}-dev", child) == []  # a child is released with its index, not by itself


def test_one_bad_platform_of_three_blocks_and_is_named(gate: Gate) -> None:
    index = build(gate, "worst")
    arm = index.platforms["linux/arm64"]
    gate.findings(f"worst-dev@{arm}", CRITICAL=2)
    digest = pushed(gate, index, "worst-dev")
    release = gate.ended("worst-dev", digest)
    assert release["outcome"] == "blocked"
    (reason,) = json.loads(release["reasons"])
    assert reason["message"].startswith("linux/arm64: 2 CRITICAL (at most 0)")
    message = next(m for m in gate.messages() if m["message_id"] == release["messageId"])
    assert "linux/arm64: 2 CRITICAL" in message["subject"]


def test_a_platform_that_two_indexes_share_is_scanned_once_and_frees_both(gate: Gate) -> None:
    gate.quirks(hold_scans=True)
    first = pushed(gate, build(gate, "shared"), "shared-dev", "1.0")
    files = {"linux/amd64": {"bin/app": b"shared for linux/amd64"}}
    second = pushed(gate, build_index(gate.work / "shared2", platforms=files), "shared-dev", "2.0")
    gate.quirks(hold_scans=False)
    assert first != second
    for digest in (first, second):
        assert gate.ended("shared-dev", digest)["outcome"] == "released"


def test_a_tag_that_ends_on_a_child_releases_that_child(gate: Gate) -> None:
    index = build(gate, "child")
    gate.quirks(tag_on_child=True)
    digest = pushed(gate, index, "child-dev")
    child = gate.get("child-dev/manifests/1.0", Accept="*/*").headers["Docker-Content-Digest"]
    assert child != digest
    assert gate.ended("child-dev", child)["outcome"] == "released"
