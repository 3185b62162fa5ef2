"""`imagegate images`: every image of every page, sorted and counted, without a request that would be a pull."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from imagegate.oci.image import DOCKER_MANIFEST, OCI_INDEX
from imagegate_cli.request_pace import RequestPace
from tests.component.cli_gate import CliGate, gate
from tests.component.modelled_aws import ModelledAws, modelled, refused
from tests.fakes import DEV, NOW

__all__ = ["gate", "modelled"]

PER_PAGE = 3
MIB = 1 << 20


class Stored:
    """Repositories that answer DescribeImages in pages, and their scans."""

    def __init__(self, gate: CliGate, aws: ModelledAws) -> None:
        self.images: dict[str, list[dict[str, Any]]] = {one: [] for one in gate.world.registry.repositories()}
        self.scans: dict[str, dict[str, int]] = {}
        self._gate, self._aws = gate, aws
        aws.answers["ecr:DescribeImages"] = self._describe
        aws.answers["ecr:DescribeImageScanFindings"] = self._findings

    def put(self, repository: str, seed: int, **detail: Any) -> str:
        if repository not in self.images:
            self._gate.world.registry.push_image(repository, "x", seed=repository, at=NOW)
        digest = f"sha256:{seed:064x}"
        described = {
            "repositoryName": repository,
            "imageDigest": digest,
            "imagePushedAt": NOW - timedelta(days=seed),
            "imageSizeInBytes": seed * MIB,
            "imageManifestMediaType": DOCKER_MANIFEST,
            "imageTags": [f"1.{seed}"],
            **detail,
        }
        self.images.setdefault(repository, []).append(described)
        return digest

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["repositoryName"]
        if name not in self.images:
            raise refused(self._aws.client("ecr"), "DescribeImages", "RepositoryNotFoundException")
        wanted, first = asked["filter"], int(asked.get("nextToken", 0))
        assert wanted["imageStatus"] == "ANY"  # else ECR leaves archived images out
        only = wanted.get("tagStatus") == "UNTAGGED"
        listed = [one for one in self.images[name] if not (only and one.get("imageTags"))]
        rest = {"nextToken": str(first + PER_PAGE)} if listed[first + PER_PAGE :] else {}
        return {"imageDetails": listed[first : first + PER_PAGE], **rest}

    def _findings(self, asked: dict[str, Any]) -> dict[str, Any]:
        counts = self.scans.get(asked["imageId"]["imageDigest"])
        if counts is None:
            raise refused(self._aws.client("ecr"), "DescribeImageScanFindings", "ScanNotFoundException")
        return {
            "imageScanStatus": {"status": "COMPLETE"},
            "imageScanFindings": {"findingSeverityCounts": counts},
        }


@pytest.fixture
def stored(gate: CliGate, modelled: ModelledAws) -> Stored:
    return Stored(gate, modelled)


def listed(gate: CliGate, *options: str) -> list[dict[str, Any]]:
    result = gate.call("images", "--json", *options)
    assert (result.code, result.err) == (0, "")
    found: list[dict[str, Any]] = result.json
    return found


@pytest.mark.parametrize("number", [1, PER_PAGE, PER_PAGE + 1, 4 * PER_PAGE])
def test_no_page_is_left_out(gate: CliGate, stored: Stored, number: int) -> None:
    digests = [stored.put(DEV, seed) for seed in range(1, number + 1)]
    assert [one["digest"] for one in listed(gate)] == digests
    text = gate.call("images", DEV).out.splitlines()
    assert [line.rpartition("@")[2] for line in text[1:]] == digests
    assert gate.call("images", "--limit", "1").out.count("@sha256:") == 1


def test_an_image_has_its_uri_its_last_pull_and_its_kind(gate: CliGate, stored: Stored) -> None:
    digest = stored.put(DEV, 1, lastRecordedPullTime=NOW - timedelta(hours=3), imageStatus="ARCHIVED")
    stored.put(DEV, 2, imageManifestMediaType=OCI_INDEX)
    stored.put(DEV, 3, subjectManifestDigest=digest, imageTags=[])
    image, index, signature = listed(gate)
    assert image["uri"] == f"{gate.world.registry.registry}/{DEV}@{digest}"
    assert image["pulled_at"] is not None
    assert (image["status"], image["kind"], index["kind"]) == ("ARCHIVED", "image", "index")
    assert (signature["kind"], signature["pulled_at"]) == ("referrer", None)
    assert "archived" in gate.call("images").out
    assert "never" in gate.call("images").out


@pytest.mark.parametrize(
    ("order", "tags"),
    [
        ("size", "1.4 1.3 1.2 1.1"),
        ("age", "1.4 1.3 1.2 1.1"),
        ("pulls", "1.4 1.2 1.1 1.3"),
        ("findings", "1.2 1.3 1.1 1.4"),
    ],
)
def test_each_order_begins_with_the_image_to_look_at(
    gate: CliGate, stored: Stored, order: str, tags: str
) -> None:
    pulled = {1: 5, 2: 9, 3: 1, 4: None}  # days ago
    counts = {2: {"CRITICAL": 2, "LOW": 1}, 3: {"CRITICAL": 1, "HIGH": 90}, 1: {"HIGH": 99}}
    for seed, ago in pulled.items():
        more = {"lastRecordedPullTime": NOW - timedelta(days=ago)} if ago else {}
        digest = stored.put(DEV, seed, **more)
        if seed in counts:
            stored.scans[digest] = counts[seed]
    assert " ".join(one["tags"][0] for one in listed(gate, "--sort", order)) == tags


def test_critical_is_by_the_scan_now_and_an_image_without_a_scan_is_not_clean(
    gate: CliGate, stored: Stored
) -> None:
    bad, clean, unknown = (stored.put(DEV, seed) for seed in (1, 2, 3))
    stored.scans = {bad: {"CRITICAL": 3, "UNTRIAGED": 1, "UNDEFINED": 1}, clean: {}}
    assert [one["digest"] for one in listed(gate, "--critical")] == [bad]
    found = {one["digest"]: (one["findings"], one["scan"]) for one in listed(gate, "--findings")}
    assert found == {
        bad: ({"CRITICAL": 3, "UNDEFINED": 2}, "COMPLETE"),
        clean: ({}, "COMPLETE"),
        unknown: (None, "not scanned"),
    }


def test_untagged_images_come_with_a_warning(gate: CliGate, stored: Stored) -> None:
    stored.put(DEV, 1)
    stored.put(DEV, 2, imageTags=[])
    result = gate.call("images", "--untagged")
    assert result.out.count("@sha256:") == 1
    assert "delete none of these by hand" in result.err


def test_uris_are_printed_alone(gate: CliGate, stored: Stored) -> None:
    digests = [stored.put(DEV, seed, imageTags=["1"] if seed > 1 else []) for seed in range(1, 6)]
    stored.put(DEV, 6, subjectManifestDigest=digests[1])  # evidence is not what anybody runs
    registry = gate.world.registry.registry
    assert gate.call("images", DEV, "--uri").out.splitlines() == [
        f"{registry}/{DEV}@{digest}" for digest in digests
    ]
    assert gate.call("images", "--uri", "--untagged").out == f"{registry}/{DEV}@{digests[0]}\n"
    assert f"{registry}/{DEV}" in gate.call("images", "--uri", "--by", "repository").out.splitlines()
    assert gate.call("images", "--uri", "--json").code == 2


def test_only_the_repositories_of_the_stage(gate: CliGate, stored: Stored) -> None:
    stored.put(DEV, 1)
    stored.put("other", 2)
    stage = gate.world.policy.stage_of(DEV)
    assert stage is not None
    assert [one["repository"] for one in listed(gate, "--stage", stage.name)] == [DEV]
    assert gate.call("images", "--stage", "nowhere").code == 2


def test_what_is_not_there_is_said(gate: CliGate, stored: Stored) -> None:
    result = gate.call("images", "shop-devv")
    assert (result.code, result.err) == (2, "imagegate: there is no repository shop-devv\n")
    assert gate.call("images", "--json").json == []


def test_storage_is_an_upper_bound_unless_layers_are_read(
    gate: CliGate, stored: Stored, modelled: ModelledAws
) -> None:
    registry = gate.world.registry
    first, second = (registry.push_image(DEV, tag, seed="same", at=NOW) for tag in ("a", "b"))
    assert first == second
    third = registry.push_image(DEV, "c", seed="another", at=NOW)
    details = {"repositoryName": DEV, "imagePushedAt": NOW, "imageTags": ["a"]}
    stored.images[DEV] = [
        {**details, "imageDigest": str(one.digest), "imageSizeInBytes": MIB} for one in (first, third)
    ]
    loose = gate.call("images", "--by", "repository", DEV, "--json").json[0]
    assert (loose["images"], loose["bytes_at_most"], loose["bytes_layers_once"]) == (2, 2 * MIB, None)
    assert "at most 0.00" in gate.call("images", "--by", "repository").out
    manifests = [registry.manifest(one) for one in (first, third)]
    blobs = {blob.digest: blob.size for one in manifests for blob in one.blobs}
    [exact] = gate.call("images", DEV, "--by", "repository", "--layers", "--json").json
    assert exact["bytes_layers_once"] == sum(blobs.values()) + sum(len(one.content) for one in manifests)
    stored.put(DEV, 7)  # no manifest can be read of this one
    [partly] = gate.call("images", DEV, "--by", "repository", "--layers", "--json").json
    assert partly["bytes_layers_once"] is None
    assert gate.call("images", "--layers").code == 2


def test_requests_are_spaced() -> None:
    pauses: list[float] = []
    pace = RequestPace(2, pauses.append, clock=lambda: sum(pauses))
    for _ in range(4):
        pace.wait()
    assert pauses == [0.5, 0.5, 0.5]


def test_time_that_has_passed_is_not_waited_for_again() -> None:
    moments = iter([0.0, 0.0, 100.0, 100.0])
    pauses: list[float] = []
    pace = RequestPace(2, pauses.append, clock=lambda: next(moments))
    for _ in range(3):
        pace.wait()
    assert pauses == [0.5]
