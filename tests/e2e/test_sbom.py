"""SBOMs under enhanced scanning: attached once by Inspector, kept where the build attached one, and missed aloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagegate.oci.image import OCI_EMPTY, OCI_MANIFEST, Digest
from sandbox.images.build import build_index
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from tests.e2e.gate import Gate, running_gate
from tests.e2e.test_waivers import imagegate

POLICY = """
version: 1
scanner: enhanced
defaults:
  evidence: {sbom: cyclonedx}
stages:
  dev: {repositories: "{app}-dev", promotes_to: staging}
  staging: {repositories: "{app}-staging", evidence: {sbom: spdx}}
"""
CYCLONEDX, SPDX = "application/vnd.cyclonedx+json", "application/spdx+json"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Run a gate of its own, with Inspector and this policy."""
    folder = tmp_path_factory.mktemp("sbom")
    policy = folder / "sbom.yaml"
    policy.write_text(POLICY)
    with running_gate(folder, "--policy", str(policy), "--scanning", "enhanced") as running:
        yield running


def sboms(gate: Gate, repository: str, digest: str) -> list[str]:
    """Return the digests of the attached SBOMs in either format."""
    listed = gate.referrers(repository, digest)
    return [entry["digest"] for entry in listed if entry["artifactType"] in (CYCLONEDX, SPDX)]


def content(gate: Gate, repository: str, sbom: str) -> Any:
    manifest = json.loads(gate.manifest(repository, sbom) or b"{}")
    return gate.get(f"{repository}/blobs/{manifest['layers'][0]['digest']}").json()


def noted(release: dict[str, Any]) -> str:
    return str(json.loads(release["sbom"])["note"])


def attach(gate: Gate, repository: str, subject: str, document: bytes) -> str:
    """Attach an SBOM as a build does with any client of ECR; return the digest of the manifest."""
    ecr = gate.cloud.client("ecr")
    config, layer = (uploaded(ecr, repository, blob) for blob in (b"{}", document))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": CYCLONEDX,
        "config": {"mediaType": OCI_EMPTY, "digest": config, "size": 2},
        "layers": [{"mediaType": CYCLONEDX, "digest": layer, "size": len(document)}],
        "subject": {
            "mediaType": OCI_MANIFEST,
            "digest": subject,
            "size": len(gate.manifest(repository, subject) or b""),
        },
    }
    pushed = ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest))["image"]
    return str(pushed["imageId"]["imageDigest"])


def uploaded(ecr: Any, repository: str, blob: bytes) -> str:
    digest = str(Digest.of(blob))
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    part = {"partFirstByte": 0, "partLastByte": len(blob) - 1, "layerPartBlob": blob}
    ecr.upload_layer_part(repositoryName=repository, uploadId=upload, **part)
    ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[digest])
    return digest


def called(gate: Gate, *arguments: str) -> str:
    """Run the command line; return its output."""
    program = Path(sys.executable).with_name("imagegate")
    ran = subprocess.run(
        [program, *arguments], env={**os.environ, **gate.cloud.env}, capture_output=True, text=True
    )
    return ran.stdout


def test_a_passing_image_gets_one_sbom_that_is_promoted_and_not_made_again(gate: Gate) -> None:
    gate.quirks(referrer_listing_delay_seconds=3.0)
    gate.findings("shop-dev", HIGH=2)
    digest = gate.push("shop-dev", "1.0")
    release = gate.ended("shop-dev", digest)
    assert release["outcome"] == "released", release.get("detail")
    [sbom] = gate.eventually(lambda: sboms(gate, "shop-dev", digest), "it is listed")
    document = content(gate, "shop-dev", sbom)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.4")
    assert [part["name"] for part in document["components"]] == ["openssl"]
    assert digest in json.dumps(document)
    following = gate.ended("shop-staging", digest)
    assert following["outcome"] == "released"
    # Staging asks for SPDX, but keeps what came along.
    assert gate.eventually(lambda: sboms(gate, "shop-staging", digest), "it is listed") == [sbom]
    assert [noted(release), noted(following)] == [
        "attached, by Amazon Inspector",
        "was there before, and is kept",
    ]


def test_verify_lists_attached_sboms(gate: Gate) -> None:
    digest = gate.push("listed-dev", "1.0")
    gate.ended("listed-dev", digest)
    root = ("--trust-root", gate.cloud.env["IMAGEGATE_TRUST_ROOT"])
    assert f"Also attached: {CYCLONEDX}" in called(gate, "verify", f"listed-dev@{digest}", *root)


def test_another_attempt_attaches_no_second_one(gate: Gate) -> None:
    gate.quirks(referrer_listing_delay_seconds=0.5)
    digest = gate.push("again-dev", "1.0")
    gate.ended("again-dev", digest)
    manifest = (gate.manifest("again-dev", digest) or b"").decode()
    ecr = gate.cloud.client("ecr")
    ecr.put_image(repositoryName="again-dev", imageManifest=manifest, imageTag="2.0")
    assert gate.ended("again-dev", digest, attempt=2)["outcome"] == "released"
    [_] = gate.eventually(lambda: sboms(gate, "again-dev", digest), "its SBOM is listed")


def test_an_sbom_of_the_build_is_kept_and_not_doubled(gate: Gate) -> None:
    gate.quirks(hold_scans=True)
    digest = gate.push("built-dev", "1.0")
    ours = attach(gate, "built-dev", digest, b'{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    gate.quirks(hold_scans=False)
    release = gate.ended("built-dev", digest)
    assert noted(release) == "was there before, and is kept"
    gate.ended("built-staging", digest)
    assert sboms(gate, "built-dev", digest) == sboms(gate, "built-staging", digest) == [ours]


def test_each_platform_of_an_index_gets_its_own(gate: Gate) -> None:
    files = {name: {"app": name.encode()} for name in ("linux/amd64", "linux/arm64")}
    index = build_index(gate.work / "multi", platforms=files, attestations=True, tag="1.0")
    digest = push(gate.work / "multi", SandboxReference.parse("multi-dev:1.0"), gate.session).digest
    release = gate.ended("multi-dev", digest)
    assert noted(release) == "attached, by Amazon Inspector, to each of 2 platforms"
    assert sboms(gate, "multi-dev", digest) == []
    attached = {name: sboms(gate, "multi-dev", child) for name, child in index.platforms.items()}
    assert [len(found) for found in attached.values()] == [1, 1]
    gate.ended("multi-staging", digest)
    assert {name: sboms(gate, "multi-staging", child) for name, child in index.platforms.items()} == attached


def test_without_continuous_scanning_there_is_no_sbom_and_the_message_says_why(gate: Gate) -> None:
    client = gate.cloud.client("ecr")
    before = client.get_registry_scanning_configuration()["scanningConfiguration"]["rules"]
    once = {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": before[0]["repositoryFilters"]}
    client.put_registry_scanning_configuration(scanType="ENHANCED", rules=[once])
    try:
        digest = gate.push("once-dev", "1.0")
        release = gate.ended("once-dev", digest)
    finally:
        client.put_registry_scanning_configuration(scanType="ENHANCED", rules=before)
    assert release["outcome"] == "released"
    assert sboms(gate, "once-dev", digest) == []
    said = "once-dev, which it does not scan continuously: set CONTINUOUS_SCAN for it"
    assert said in noted(release)
    message = next(m for m in gate.messages() if m["message_id"] == release["messageId"])
    assert said in json.dumps(message)
    assert said in " ".join(called(gate, "status", f"once-dev@{digest}").split())


def test_only_inspector_may_write_exports(gate: Gate) -> None:
    s3, bucket = gate.cloud.client("s3"), gate.cloud.outputs["RecordsBucket"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="sboms/x/CYCLONEDX_1_4_outputs_x/y.json", Body=b"{}")


def test_a_function_that_fails_stops_no_release_either_and_is_not_silent(gate: Gate) -> None:
    iam = gate.cloud.client("iam")
    [role] = [one["RoleName"] for one in iam.list_roles()["Roles"] if "AttachSbomRole" in one["RoleName"]]
    needs = iam.get_role_policy(RoleName=role, PolicyName="needs")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName="needs")
    try:
        release = gate.ended("broken-dev", gate.push("broken-dev", "1.0"))
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="needs", PolicyDocument=json.dumps(needs))
    assert release["outcome"] == "released"
    assert noted(release) == "none yet: where it stays so, the log of attach_sbom says why"


def test_a_revocation_lists_where_inspector_says_the_image_runs(gate: Gate) -> None:
    assert gate.ended("taken-dev", gate.push("taken-dev", "1.0"))["outcome"] == "released"
    said = imagegate(gate, "decide", "revoke", "taken-dev:1.0", "--reason", "stolen", "--yes", "--json")
    assert (said.code, said.json["runsIn"]) == (0, [])  # seen nowhere; None if no service could answer


def test_an_export_that_is_not_allowed_or_takes_too_long_stops_no_release(gate: Gate) -> None:
    s3, bucket = gate.cloud.client("s3"), gate.cloud.outputs["RecordsBucket"]
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    document = json.loads(policy)
    document["Statement"] = [one for one in document["Statement"] if one["Sid"] != "InspectorWritesSboms"]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    try:
        digest = gate.push("refused-dev", "1.0")
        refused = gate.ended("refused-dev", digest)
        gate.ended("refused-staging", digest)
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert refused["outcome"] == "released"
    assert "did not export it: INVALID_PERMISSIONS: Inspector may not s3:PutObject" in noted(refused)
    gate.quirks(hold_exports=True)
    slow = gate.ended("slow-dev", gate.push("slow-dev", "1.0"))
    assert slow["outcome"] == "released"
    assert "takes too long to export it" in noted(slow)
    # Inspector exports one report at a time, so that the next one is not even begun.
    busy = gate.ended("busy-dev", gate.push("busy-dev", "1.0"))
    assert busy["outcome"] == "released"
    assert "Inspector2.ValidationException: another report is in progress" in noted(busy)
