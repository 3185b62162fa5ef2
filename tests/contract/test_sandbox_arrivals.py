"""Images that come into the registry without a push: as replicas, or through the cache."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.images import arrive
from sandbox.images.build import build_image, build_index
from tests.contract.registry_sandbox import Repository, Sandbox
from tests.patience import eventually

FILES = {"app": b"#!/bin/sh\n"}


@pytest.fixture(autouse=True)
def _no_other_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture
def repo(sandbox: Sandbox) -> Repository:
    """Return a repository that is not created yet: ECR does that for images that arrive by themselves."""
    return Repository(sandbox, f"docker-hub/app-{uuid.uuid4().hex[:8]}")


def come(repo: Repository, way: str, folder: Path, *options: str) -> int:
    arguments = [way, str(folder), f"{repo.name}:3.17"]
    return arrive.main([*arguments, "--state", str(repo.sandbox.settings.state), *options])


def announced(repo: Repository) -> list[tuple[str, dict[str, Any]]]:
    return [(t, d) for t, d, _ in list(repo.sandbox.events) if d["repository-name"] == repo.name]


def test_a_replica_is_announced_by_the_event_of_the_guide(repo: Repository, tmp_path: Path) -> None:
    image = build_image(tmp_path, files=FILES)
    assert come(repo, "replication", tmp_path) == 0
    assert announced(repo) == [
        (
            "ECR Replication Action",
            {
                "result": "SUCCESS",
                "repository-name": repo.name,
                "image-digest": image.digest,
                "source-account": "123456789012",
                "action-type": "REPLICATE",
                "source-region": "eu-west-1",
                "image-tag": "3.17",
            },
        )
    ]
    assert repo.call("HEAD", "manifests/3.17").headers["Docker-Content-Digest"] == image.digest


def test_a_cached_image_is_announced_by_the_event_of_the_guide(repo: Repository, tmp_path: Path) -> None:
    index = build_index(tmp_path, platforms={"linux/amd64": FILES, "linux/arm64": FILES})
    assert come(repo, "pull-through", tmp_path) == 0
    assert announced(repo) == [
        (
            "ECR Pull Through Cache Action",
            {
                "rule-version": "1",
                "sync-status": "SUCCESS",
                "ecr-repository-prefix": "docker-hub",
                "repository-name": repo.name,
                "upstream-registry-url": "public.ecr.aws",
                "image-tag": "3.17",
                "image-digest": index.digest,
            },
        )
    ]


def test_the_children_of_a_replica_are_announced_untagged(repo: Repository, tmp_path: Path) -> None:
    index = build_index(tmp_path, platforms={"linux/amd64": FILES, "linux/arm64": FILES})
    assert come(repo, "replication", tmp_path) == 0
    expected = [*((digest, None) for digest in index.platforms.values()), (index.digest, "3.17")]
    assert [(d["image-digest"], d.get("image-tag")) for _, d in announced(repo)] == expected


def test_a_present_image_does_not_arrive_again(repo: Repository, tmp_path: Path) -> None:
    build_image(tmp_path, files=FILES)
    assert [come(repo, "replication", tmp_path) for _ in range(2)] == [0, 0]
    assert len(announced(repo)) == 1


def test_repositories_for_arrivals_are_not_scanned_on_push(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_image(tmp_path, files=FILES)
    assert come(repo, "replication", tmp_path) == 0
    assert "(no scan on push)" in capsys.readouterr().err
    other = repo.sandbox.repository(imageScanningConfiguration={"scanOnPush": True})
    assert come(other, "replication", tmp_path, "--json") == 0
    eventually(lambda: other.events("ECR Image Scan"))


def test_layers_of_a_cached_image_are_not_mounted(repo: Repository, tmp_path: Path) -> None:
    image = build_image(tmp_path, files=FILES)
    manifest = json.loads((tmp_path / "blobs" / image.digest.replace(":", "/")).read_text())
    layer = manifest["layers"][0]["digest"]
    target = repo.sandbox.repository()
    come(repo, "pull-through", tmp_path)
    assert target.call("POST", f"blobs/uploads/?mount={layer}&from={repo.name}").status == 202


def test_an_arrival_without_a_sandbox_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert arrive.main(["replication", "image", "team/app:1", "--state", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("arrive: no sandbox is running")


def test_an_image_from_before_the_gate_is_old_and_announces_nothing(repo: Repository, tmp_path: Path) -> None:
    build_image(tmp_path, files=FILES)
    assert come(repo, "before-the-gate", tmp_path) == 0
    assert [kind for kind, _ in announced(repo) if kind != "ECR Image Scan"] == []
    described = repo.sandbox.client("ecr").describe_images(repositoryName=repo.name)["imageDetails"][0]
    assert datetime.now(UTC) - described["imagePushedAt"] > timedelta(days=29)
