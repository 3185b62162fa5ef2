"""The main job, from a push to the message, with everything real but AWS itself."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from benchmarks.cost import read_json
from imagegate.oci.image import OCI_EMPTY, OCI_MANIFEST
from sandbox.images.arrive import main
from sandbox.images.build import build_image
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from tests.e2e.gate import Gate
from tests.e2e.test_sbom import uploaded
from tests.e2e.test_waivers import imagegate

IN_TOTO = "application/vnd.in-toto+json"


def test_a_clean_image_is_signed_promoted_with_its_evidence_and_announced(gate: Gate) -> None:
    digest = gate.push("clean-dev", "1.0")
    release = gate.ended("clean-dev", digest)
    assert (release["outcome"], release["verdict"]) == ("released", "PASS")
    source = {entry["digest"] for entry in gate.referrers("clean-dev", digest)}
    target = {entry["digest"] for entry in gate.referrers("clean-staging", digest)}
    assert release["signature"] in source
    assert len(source) == 2  # the summary and the signature
    assert source <= target
    assert gate.manifest("clean-staging", "1.0") == gate.manifest("clean-dev", digest)
    message = next(m for m in gate.messages() if m["message_id"] == release["messageId"])
    assert message["subject"].startswith("RELEASED: clean-dev:1.0")
    assert json.loads(json.loads(message["message"])["sqs"])["signature"] == release["signature"]


def test_the_promoted_image_starts_exactly_one_next_hop_and_evidence_starts_none(gate: Gate) -> None:
    digest = gate.push("hop-dev", "1.0")
    gate.ended("hop-dev", digest)
    held = gate.ended("hop-staging", digest)
    assert held["outcome"] == "held"  # production asks for an approval
    gate.settled()
    assert len(gate.releases("hop-dev", digest)) == len(gate.releases("hop-staging", digest)) == 1
    assert gate.manifest("hop-production", "1.0") is None
    for repository in ("hop-dev", "hop-staging"):
        for entry in gate.referrers(repository, digest):
            assert gate.releases(repository, entry["digest"]) == []


def test_a_release_that_is_stopped_goes_on_once_and_then_fails_with_a_message(gate: Gate) -> None:
    gate.quirks(hold_scans=True)
    try:
        once, twice = (gate.push(f"{name}-dev", "1.0", name) for name in ("once", "twice"))
        for name, digest, attempt in (("once", once, 1), ("twice", twice, 1), ("twice", twice, 2)):
            stop(gate, f"{name}-dev", digest, attempt)
        failed = gate.ended("twice-dev", twice, attempt=2)
    finally:
        gate.quirks(hold_scans=False)
    released = gate.ended("once-dev", once, attempt=2)
    assert (released["outcome"], released["reason"]) == ("released", "lost execution")
    assert gate.manifest("once-staging", "1.0") == gate.manifest("once-dev", once)
    assert (failed["outcome"], len(gate.releases("twice-dev", twice))) == ("failed", 2)
    assert gate.manifest("twice-staging", "1.0") is None

    def told() -> set[str]:
        """Return the subjects; the reconciler and the event may both send the message, at least once it comes."""
        return {one["subject"] for one in gate.messages() if "twice-dev:1.0" in one["subject"]}

    gate.eventually(told, "a message about twice-dev")
    [subject] = told()
    assert subject.startswith("FAILED:")
    first = [gate.releases(f"{name}-dev", digest)[0] for name, digest in (("once", once), ("twice", twice))]
    assert {one["outcome"] for one in first} == {"failed"}


def stop(gate: Gate, repository: str, digest: str, attempt: int) -> None:
    """Stop the execution of an attempt as soon as it runs."""
    machine = gate.cloud.outputs["ReleaseStateMachine"].replace(":stateMachine:", ":execution:")
    key = hashlib.sha256(f"{repository}@{digest}#{attempt}".encode()).hexdigest()[:40]

    def runs() -> bool:
        return f"{key}-{attempt}" in {one["name"] for one in gate.executions()}

    gate.eventually(runs, f"attempt {attempt} of {repository} runs")
    gate.cloud.client("stepfunctions").stop_execution(executionArn=f"{machine}:{key}-{attempt}")


def test_a_promoted_image_takes_the_transitions_that_the_bill_has(gate: Gate) -> None:
    digest = gate.push("steps-dev", "1.0")
    gate.ended("steps-dev", digest)
    machine = gate.cloud.outputs["ReleaseStateMachine"].replace(":stateMachine:", ":execution:")
    name = hashlib.sha256(f"steps-dev@{digest}#1".encode()).hexdigest()[:40]
    history = gate.cloud.client("stepfunctions").get_execution_history(
        executionArn=f"{machine}:{name}-1", maxResults=1000
    )
    entered = [event for event in history["events"] if event["type"].endswith("StateEntered")]
    # The start counts as one, too, so that the bill is rather too high.
    assert len(entered) + 1 <= read_json("usage.json")["transitions"] <= 12


def test_the_back_door_is_shut_and_the_way_through_the_gates_opens_it(gate: Gate) -> None:
    gate.cloud.client("ecr").create_repository(
        repositoryName="door-staging", imageScanningConfiguration={"scanOnPush": True}
    )
    layout = gate.work / "door"
    build_image(layout, files={"app.txt": b"straight"})
    digest = push(layout, SandboxReference.parse("door-staging:1.0"), gate.session).digest
    refused = gate.ended("door-staging", digest)
    assert (refused["outcome"], refused["verdict"]) == ("blocked", "BLOCK")
    assert [reason["rule"] for reason in json.loads(refused["reasons"])] == ["image.entry"]
    assert gate.referrers("door-staging", digest) == []

    assert push(layout, SandboxReference.parse("door-dev:1.0"), gate.session).digest == digest
    assert gate.ended("door-dev", digest)["outcome"] == "released"
    admitted = gate.ended("door-staging", digest, attempt=2)
    assert (admitted["reason"], admitted["outcome"]) == ("promoted", "held")


def test_each_stage_signs_with_its_own_profile(gate: Gate) -> None:
    digest = gate.push("twice-dev", "1.0")
    gate.ended("twice-dev", digest)
    gate.ended("twice-staging", digest)
    assert len(gate.signatures("twice-dev", digest)) == 1
    assert len(gate.signatures("twice-staging", digest)) == 2  # dev's came along, staging gave its own


@pytest.mark.parametrize(
    ("repository", "findings", "quirk", "rule"),
    [
        ("critical-dev", {"CRITICAL": 1}, {}, "findings.critical"),
        ("high-dev", {"HIGH": 6, "LOW": 90}, {}, "findings.high"),
        ("failed-dev", {}, {"scan_outcome": "FAILED"}, "scan.failed"),
        ("unsupported-dev", {}, {"scan_outcome": "UNSUPPORTED_IMAGE"}, "scan.unsupported"),
        ("timeout-dev", {}, {"scan_outcome": "PENDING"}, "scan.timeout"),
    ],
)
def test_a_block_is_a_block(
    gate: Gate, repository: str, findings: dict[str, int], quirk: dict[str, str], rule: str
) -> None:
    gate.findings(repository, **findings)
    gate.quirks(**quirk)
    digest = gate.push(repository, "1.0")
    release = gate.ended(repository, digest)
    assert (release["outcome"], release["verdict"]) == ("blocked", "BLOCK")
    assert [reason["rule"] for reason in json.loads(release["reasons"])] == [rule]
    assert gate.referrers(repository, digest) == []
    assert gate.manifest(repository.replace("-dev", "-staging"), "1.0") is None
    assert "signature" not in release


def test_as_many_findings_as_the_policy_allows_pass(gate: Gate) -> None:
    gate.findings("limit-dev", HIGH=5, MEDIUM=20, LOW=200)
    digest = gate.push("limit-dev", "1.0")
    assert gate.ended("limit-dev", digest)["outcome"] == "released"


def test_a_second_tag_after_the_release_is_promoted_without_a_second_signature(gate: Gate) -> None:
    digest = gate.push("tags-dev", "1.0")
    gate.ended("tags-dev", digest)
    assert gate.push("tags-dev", "latest") == digest
    second = gate.ended("tags-dev", digest, attempt=2)
    assert (second["reason"], second["outcome"]) == ("new tag", "released")
    assert gate.manifest("tags-staging", "latest") == gate.manifest("tags-staging", "1.0")
    assert len(gate.signatures("tags-dev", digest)) == 1


def test_the_same_image_pushed_again_changes_nothing(gate: Gate) -> None:
    digest = gate.push("again-dev", "1.0")
    gate.ended("again-dev", digest)
    before = len(gate.messages())
    gate.ended("again-staging", digest)
    assert gate.push("again-dev", "1.0") == digest
    gate.settled()
    assert len(gate.releases("again-dev", digest)) == 1
    assert len(gate.messages()) <= before + 1  # staging's


def test_a_fixed_rebuild_takes_the_tag(gate: Gate) -> None:
    gate.findings("fixed-dev:1.0", CRITICAL=3)
    broken = gate.push("fixed-dev", "1.0", "broken")
    assert gate.ended("fixed-dev", broken)["outcome"] == "blocked"
    gate.findings("fixed-dev:1.0")
    fixed = gate.push("fixed-dev", "1.0", "fixed")
    assert gate.ended("fixed-dev", fixed)["outcome"] == "released"
    assert gate.manifest("fixed-staging", "1.0") == gate.manifest("fixed-dev", fixed)


def test_a_deleted_release_is_announced_once(gate: Gate) -> None:
    digest = gate.push("lost-dev", "1.0")
    gate.ended("lost-dev", digest)
    ids = [{"imageDigest": entry["digest"]} for entry in gate.referrers("lost-dev", digest)]
    for one in ({"imageDigest": digest}, *ids):
        gate.cloud.client("ecr").batch_delete_image(repositoryName="lost-dev", imageIds=[one])

    def told() -> list[str]:
        return [m["subject"] for m in gate.messages() if (m["subject"] or "").startswith("DELETED")]

    gate.eventually(told, "people are told")
    gate.settled()
    assert told() == ["DELETED: lost-dev:1.0 is gone, it had been released in dev"]


def test_an_artifact_under_a_tag_is_started_once_and_status_says_why(gate: Gate) -> None:
    gate.quirks(lose_push_events=True)
    ecr = gate.cloud.client("ecr")
    ecr.create_repository(repositoryName="notes-dev")
    statement = b'{"_type": "https://in-toto.io/Statement/v1"}'
    config, layer = (uploaded(ecr, "notes-dev", blob) for blob in (b"{}", statement))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": IN_TOTO,
        "config": {"mediaType": OCI_EMPTY, "digest": config, "size": 2},
        "layers": [{"mediaType": IN_TOTO, "digest": layer, "size": len(statement)}],
    }
    pushed = ecr.put_image(repositoryName="notes-dev", imageManifest=json.dumps(manifest), imageTag="1.0")[
        "image"
    ]
    image = f"notes-dev@{pushed['imageId']['imageDigest']}"

    def remembered() -> dict[str, Any] | None:
        key = {"pk": {"S": f"IGNORED#{image}"}, "sk": {"S": "IGNORED"}}
        table = gate.cloud.outputs["LedgerTable"]
        found: dict[str, Any] = gate.cloud.client("dynamodb").get_item(TableName=table, Key=key)
        return found.get("Item")

    first = gate.eventually(remembered, "it is remembered")
    lost = gate.push("noted-dev", "1.0")
    gate.ended("noted-dev", lost)  # the reconciler has run once more
    assert remembered() == first
    said = imagegate(gate, "status", "notes-dev:1.0")
    assert (said.code, said.out) == (2, "")
    assert said.err.rstrip().endswith(": artifact")


def test_a_repository_that_no_stage_has_is_left_alone(gate: Gate) -> None:
    digest = gate.push("tools", "1.0")
    gate.settled()
    assert gate.releases("tools", digest) == []
    assert gate.referrers("tools", digest) == []


def test_a_malformed_event_ends_in_the_dead_letter_queue(gate: Gate) -> None:
    gate.cloud.client("events").put_events(
        Entries=[
            {
                "Source": "aws.ecr",
                "DetailType": "ECR Image Action",
                "Detail": json.dumps({"action-type": "PUSH", "repository-name": "shop-dev"}),
            }
        ]
    )
    letters = gate.eventually(gate.dead_letters, "the event lies in the dead-letter queue")
    envelope = json.loads(letters[0]["Body"])
    assert envelope["responsePayload"]["errorType"] == "InvalidEventError"
    assert "image-digest" in envelope["responsePayload"]["errorMessage"]
    assert envelope["requestPayload"]["detail"]["repository-name"] == "shop-dev"


@pytest.mark.parametrize("kind", ["replication", "pull-through"])
def test_an_image_that_arrives_without_a_push_is_gated_like_one(gate: Gate, kind: str) -> None:
    layout = gate.work / kind
    digest = build_image(layout, files={"app.txt": kind.encode()}).digest
    assert main([kind, str(layout), f"{kind}-dev:1.0", "--state", str(gate.cloud.state)]) == 0
    release = gate.ended(f"{kind}-dev", digest)
    assert release["outcome"] == "released"
