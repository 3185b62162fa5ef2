"""Programs of other people against the running gate: what they push is gated, what was released they get back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from imagegate.notation.verifier import verify_envelope
from imagegate.oci.manifest import Manifest
from sandbox.images.build import build_image, build_index
from tests.contract.served_cloud import ROOT
from tests.e2e.clients import Clients, needed, needed_docker
from tests.e2e.gate import Gate

DEV_PROFILE = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate__dev"


@pytest.fixture(scope="module")
def clients(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients.logged_in(gate, tmp_path_factory.mktemp("home"))


@pytest.fixture
def skopeo() -> None:
    needed("skopeo")


@pytest.fixture
def docker() -> None:
    needed_docker()


def signature_holds(gate: Gate, repository: str, digest: str, signature: str) -> bool:
    """Return whether the gate of dev signed exactly this image, by the specification and the trust root alone."""
    root = Path(gate.cloud.env["IMAGEGATE_TRUST_ROOT"]).read_bytes()
    thumbprint = x509.load_pem_x509_certificate(root).fingerprint(hashes.SHA256()).hex()
    layer = json.loads(gate.manifest(repository, signature) or b"{}")["layers"][0]
    envelope = gate.get(f"{repository}/blobs/{layer['digest']}").data
    subject = Manifest.parse(gate.manifest(repository, digest) or b"").descriptor
    roots = frozenset({thumbprint})
    verify_envelope(envelope, subject, trusted_roots=roots, identity=DEV_PROFILE, at=datetime.now(UTC))
    return True


def blobs(layout: Path) -> dict[str, bytes]:
    """Return all blobs of a layout, by digest."""
    return {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}


@pytest.mark.usefixtures("skopeo")
def test_an_image_copied_by_skopeo_is_released_unchanged(
    gate: Gate, clients: Clients, tmp_path: Path
) -> None:
    clients.repository("skopeo-dev")
    files = {"app.txt": b"one image"}
    built = {
        "plain": build_image(tmp_path / "plain", files=files, tag="1.0"),
        "zstd": build_image(tmp_path / "zstd", files=files, tag="1.0", zstd=True),
    }
    foreign = build_image(tmp_path / "foreign", files=files, foreign_layers=[{"os": b"not ours"}], tag="1.0")
    clients.skopeo(f"oci:{tmp_path}/foreign:1.0", "docker://registry/skopeo-dev:foreign")
    for name in built:
        clients.skopeo(f"oci:{tmp_path / name}:1.0", f"docker://registry/skopeo-dev:{name}")
    for name, image in built.items():
        assert gate.ended("skopeo-dev", image.digest)["outcome"] == "released"
        clients.skopeo(f"docker://registry/skopeo-staging:{name}", f"oci:{tmp_path}/out-{name}:1.0")
        assert blobs(tmp_path / f"out-{name}") == blobs(tmp_path / name)
    refused = gate.ended("skopeo-dev", foreign.digest)
    assert refused["outcome"] == "blocked"
    assert [reason["rule"] for reason in json.loads(refused["reasons"])] == ["image.layers"]


@pytest.mark.usefixtures("skopeo")
def test_an_index_that_skopeo_copies_in_keeps_its_digest_its_children_and_its_provenance(
    gate: Gate, clients: Clients, tmp_path: Path
) -> None:
    library = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    files = {f"lib/{path.name}": path.read_bytes() for path in library}
    platforms = {name: {**files, "platform": name.encode()} for name in ("linux/amd64", "linux/arm64")}
    index = build_index(tmp_path / "in", platforms=platforms, attestations=True, tag="1.0")
    clients.repository("platforms-dev")
    clients.skopeo(f"oci:{tmp_path}/in:1.0", "docker://registry/platforms-dev:1.0", "--all")
    release = gate.ended("platforms-dev", index.digest)
    assert release["outcome"] == "released"
    clients.skopeo("docker://registry/platforms-staging:1.0", f"oci:{tmp_path}/out:1.0", "--all")
    (listed,) = json.loads((tmp_path / "out/index.json").read_text())["manifests"]
    assert listed["digest"] == index.digest
    assert blobs(tmp_path / "out") == blobs(tmp_path / "in")
    evidence = {entry["digest"] for entry in gate.referrers("platforms-staging", index.digest)}
    assert release["signature"] in evidence
    assert signature_holds(gate, "platforms-staging", index.digest, release["signature"])


@pytest.mark.usefixtures("skopeo")
def test_the_script_for_any_ci_pushes_every_tag_and_ends_as_the_gate_does(
    gate: Gate, clients: Clients, tmp_path: Path
) -> None:
    index = build_index(tmp_path / "image", platforms={name: {} for name in ("linux/amd64", "linux/arm64")})
    clients.repository("pipeline-dev")
    # The sandbox has no certificate; `aws` only prints the password.
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "skopeo": f'shift_to=$1; shift; exec {shutil.which("skopeo")} --insecure-policy "$shift_to" '
        '$([ "$shift_to" = login ] && echo --tls-verify=false || echo --dest-tls-verify=false) "$@"',
        "aws": f"echo {clients.password}",
        "imagegate": f'exec {sys.executable} -m imagegate_cli "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    variables = {
        **gate.cloud.env,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "REGISTRY_AUTH_FILE": str(clients.home / "pipeline.json"),
        "ECR_REGISTRY": gate.cloud.env["IMAGEGATE_REGISTRY"],
        "IMAGE_REPOSITORY": "pipeline-dev",
        "TAGS": "1.0 1.0-0123abc",
    }
    script = ROOT / "examples/any-ci/release.sh"
    ended = subprocess.run([script], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    image = f"{gate.cloud.env['IMAGEGATE_REGISTRY']}/pipeline-dev@{index.digest}"
    written = (tmp_path / "release.env").read_text().splitlines()
    assert written == [f"IMAGE={image}", f"DIGEST={index.digest}", "VERDICT=released"]
    for tag in ("1.0", "1.0-0123abc"):
        assert gate.manifest("pipeline-dev", tag) == gate.manifest("pipeline-dev", index.digest)


@pytest.mark.usefixtures("docker")
def test_docker_pulls_a_released_image_and_its_pushes_are_gated(
    gate: Gate, clients: Clients, pushed: str
) -> None:
    released = f"registry/clients-staging@{pushed}"
    clients.docker("pull", released)
    try:
        clients.docker("tag", released, "registry/docker-dev:1.0")
        clients.repository("docker-dev")
        clients.docker("push", "registry/docker-dev:1.0")
        # Docker writes a manifest of its own, with its own media types.
        details = clients.aws("ecr", "describe-images", "--repository-name", "docker-dev")
        (image,) = [image for image in details["imageDetails"] if "imageTags" in image]
        assert image["imageManifestMediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
        assert gate.ended("docker-dev", image["imageDigest"])["outcome"] == "released"
        clients.docker("pull", "registry/docker-staging:1.0")
    finally:
        clients.forget_images()


@pytest.fixture(scope="module")
def pushed(gate: Gate) -> str:
    """Push an image that the gate releases; return its digest."""
    digest = gate.push("clients-dev", "1.0")
    gate.ended("clients-dev", digest)
    return digest


def test_the_aws_command_line_shows_images_and_executions(gate: Gate, clients: Clients, pushed: str) -> None:
    needed("aws")
    shown = clients.aws("ecr", "describe-images", "--repository-name", "clients-staging")
    by_digest = {image["imageDigest"]: image for image in shown["imageDetails"]}
    assert by_digest[pushed]["imageTags"] == ["1.0"]
    machine = gate.cloud.outputs["ReleaseStateMachine"]
    listed = clients.aws("stepfunctions", "list-executions", "--state-machine-arn", machine)["executions"]
    name = hashlib.sha256(f"clients-dev@{pushed}#1".encode()).hexdigest()[:40] + "-1"
    (arn,) = [entry["executionArn"] for entry in listed if entry["name"] == name]
    execution = clients.aws("stepfunctions", "describe-execution", "--execution-arn", arn)
    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"])["Payload"]["outcome"] == "released"


def test_the_aws_command_line_lists_the_evidence(gate: Gate, clients: Clients, pushed: str) -> None:
    needed("aws")
    listed = clients.aws(
        *("ecr", "list-image-referrers", "--repository-name", "clients-dev"),
        *("--subject-id", f"imageDigest={pushed}"),
    )
    expected = {entry["digest"] for entry in gate.referrers("clients-dev", pushed)}
    assert {entry["digest"] for entry in listed["referrers"]} == expected
    assert len(expected) == 2
