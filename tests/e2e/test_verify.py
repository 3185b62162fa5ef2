"""Anyone can check what an image passed, from the registry or from one file on a machine without AWS."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import ImageRef
from imagegate.oci.login import Login
from imagegate_cli.verification import evidence
from imagegate_cli.verification.checks import Trust, signatures_of
from imagegate_cli.verification.trust import of_profiles, roots_in
from tests.e2e.gate import Gate

PROFILES = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate"


@dataclass
class Verified:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def verify(gate: Gate | None, *arguments: str, **variables: str) -> Verified:
    """Run the command with the sandbox's environment, or as on a machine without AWS."""
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "100", "HOME": "/nonexistent"}
    program = Path(sys.executable).with_name("imagegate")
    done = subprocess.run(
        [program, "verify", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment | (gate.cloud.env if gate else {}) | variables,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    return Verified(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def passed(gate: Gate) -> str:
    digest = gate.push("checked-dev", "1.0")
    gate.ended("checked-dev", digest)
    gate.ended("checked-staging", digest)
    return digest


@pytest.fixture(scope="module")
def refused(gate: Gate) -> str:
    gate.findings("unchecked-dev", CRITICAL=1)
    digest = gate.push("unchecked-dev", "1.0")
    assert gate.ended("unchecked-dev", digest)["outcome"] == "blocked"
    return digest


@pytest.fixture(scope="module")
def bundle(gate: Gate, passed: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "checked.zip"
    assert verify(gate, "checked-dev:1.0", "--bundle", str(path)).code == 0
    return path


def root(gate: Gate) -> str:
    return gate.cloud.env["IMAGEGATE_TRUST_ROOT"]


def test_a_promoted_image_says_which_gates_it_passed(gate: Gate, passed: str) -> None:
    found = verify(gate, "checked-staging:1.0", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["digest"] == passed
    gates = {one["gate"]: one for one in found.json["signatures"]}
    assert set(gates) == {"dev", "staging"}
    assert all(one["valid"] for one in gates.values())
    assert gates["dev"]["profile"] == f"{PROFILES}__dev"
    assert gates["dev"]["policy"] == gate.cloud.outputs["PolicyDigest"]


def test_verify_uses_the_requested_gate(gate: Gate, passed: str) -> None:
    assert verify(gate, "checked-dev:1.0", "--gate", "dev").code == 0
    assert verify(gate, f"checked-dev@{passed}", "--gate", "production").code == 1


def test_a_refused_image_carries_nothing(gate: Gate, refused: str) -> None:
    found = verify(gate, "unchecked-dev:1.0")
    assert found.code == 1
    assert "no valid signature of a gate" in found.out


def test_an_unknown_result_exits_with_2_and_one_line(gate: Gate, tmp_path: Path) -> None:
    for arguments in (
        ("nothing-dev:1.0",),
        ("checked-dev",),
        ("Checked",),
        ("checked-dev:1.0", "--trust-root", "/no"),
    ):
        found = verify(gate, *arguments)
        assert found.code == 2
        assert len(found.err.splitlines()) == 1


def test_another_root_or_profile_is_not_believed(gate: Gate, bundle: Path) -> None:
    assert verify(None, str(bundle)).code == 1  # AWS's own root did not issue these
    other = verify(
        None, str(bundle), "--trust-root", root(gate), "--profile", PROFILES.replace("1234", "9999")
    )
    assert other.code == 1
    right = verify(None, str(bundle), "--trust-root", root(gate), "--profile", PROFILES, "--json")
    assert right.code == 0
    assert right.json["note"] == "whether a signature has been revoked since was not checked"


def test_a_bundle_is_judged_again_without_aws(gate: Gate, bundle: Path) -> None:
    found = verify(None, str(bundle), "--trust-root", root(gate), "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["rerun"]["confirmed"]
    assert found.json["rerun"]["verdict"] == "PASS"
    assert "is yours was not checked" in found.json["note"]


def test_a_refusal_can_be_checked_too(gate: Gate, refused: str, tmp_path: Path) -> None:
    path = tmp_path / "refused.zip"
    assert verify(gate, "unchecked-dev:1.0", "--bundle", str(path)).code == 1
    found = verify(None, str(path), "--json")
    assert found.code == 1
    assert found.json["rerun"] | {"judgedAt": "", "image": ""} == {
        "confirmed": True,
        "problem": None,
        "verdict": "BLOCK",
        "judgedAt": "",
        "stage": "dev",
        "image": "",
    }


def files_of(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_bundle_that_was_changed_never_holds(gate: Gate, bundle: Path, tmp_path: Path) -> None:
    whole = files_of(bundle)
    for number, name in enumerate(whole):
        for change in (b"", whole[name][:-1], whole[name].replace(b"1", b"2", 1) + b" "):
            changed = zipped(tmp_path / f"{number}-{len(change)}.zip", {**whole, name: change})
            found = verify(None, str(changed), "--trust-root", root(gate))
            assert found.code in (1, 2), name
        without = {other: content for other, content in whole.items() if other != name}
        assert verify(
            None, str(zipped(tmp_path / f"{number}.zip", without)), "--trust-root", root(gate)
        ).code in (1, 2)


# What was revoked since


def job_of(gate: Gate, repository: str, signature: str) -> str:
    layer = json.loads(gate.manifest(repository, signature) or b"{}")["layers"][0]["digest"]
    protected = gate.get(f"{repository}/blobs/{layer}").json()["protected"]
    headers = json.loads(base64.urlsafe_b64decode(protected + "=="))
    return str(headers["com.amazonaws.signer.signingJob"].rpartition("/")[2])


def test_a_revoked_signature_is_refused(gate: Gate) -> None:
    release = gate.ended("revoked-dev", gate.push("revoked-dev", "1.0"))
    assert verify(gate, "revoked-dev:1.0").code == 0
    job = job_of(gate, "revoked-dev", release["signature"])
    gate.cloud.client("signer").revoke_signature(jobId=job, reason="found out")
    found = verify(gate, "revoked-dev:1.0", "--json")
    assert found.code == 1
    (signature,) = found.json["signatures"]
    assert (signature["kind"], signature["gate"], signature["failed"]) == ("gate", "dev", "revocation")
    unasked = verify(gate, "revoked-dev:1.0", "--no-revocation", "--json")
    assert unasked.code == 0
    assert unasked.json["revocation"] == "not asked"
    assert "was not checked" in unasked.json["note"]


def test_without_aws_the_result_is_unknown(gate: Gate, passed: str) -> None:
    found = verify(gate, "checked-dev:1.0", "--json", AWS_ENDPOINT_URL_SIGNER="http://127.0.0.1:1")
    assert found.code == 2
    assert found.json["signatures"][0]["failed"] == "revocation"
    assert not found.json["verified"]


def test_a_bundle_is_checked_for_revocation_on_request(gate: Gate, bundle: Path) -> None:
    asked = verify(gate, str(bundle), "--trust-root", root(gate), "--revocation", "--json")
    assert (asked.code, asked.json["revocation"]) == (0, "asked")


def test_an_image_in_another_registry_is_verified_too(gate: Gate, passed: str, tmp_path: Path) -> None:
    """The sandbox's registry as any registry: with what `docker login` keeps, and without AWS."""
    (tmp_path / ".docker").mkdir()
    host = gate.cloud.env["IMAGEGATE_REGISTRY"]
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": login(gate)}}}))
    image = (f"{host}/checked-dev:1.0", "--profile", PROFILES, "--trust-root", root(gate))
    alone = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    unknown = verify(None, *image, **alone)
    assert unknown.code == 2
    assert "without AWS credentials: sign in" in " ".join(unknown.out.split())
    assert verify(None, *image, "--no-revocation", **alone).code == 0
    assert verify(gate, *image, HOME=str(tmp_path)).code == 0


def login(gate: Gate) -> str:
    env = gate.cloud.env
    return base64.b64encode(f"{env['AWS_ACCESS_KEY_ID']}:{env['AWS_SECRET_ACCESS_KEY']}".encode()).decode()


# What ECR signs by itself


@pytest.fixture
def managed(gate: Gate) -> Iterator[Any]:
    """Let ECR sign pushes to some repositories with a profile, until the test is over."""
    ecr = gate.cloud.client("ecr")

    def configure(profile: str, repositories: str) -> None:
        filters = [{"filter": repositories, "filterType": "WILDCARD_MATCH"}]
        rule = {"signingProfileArn": profile, "repositoryFilters": filters}
        ecr.put_signing_configuration(signingConfiguration={"rules": [rule]})

    yield configure
    ecr.delete_signing_configuration()


def test_managed_signatures_are_listed_apart_from_the_gates(gate: Gate, managed: Any) -> None:
    people = gate.cloud.client("signer").put_signing_profile(
        profileName="people", platformId="Notation-OCI-SHA384-ECDSA"
    )["arn"]
    managed(people, "managed-*")
    gate.ended("managed-dev", gate.push("managed-dev", "1.0"))
    found = verify(gate, "managed-dev:1.0", "--json")
    assert found.code == 0
    kinds = {one["kind"]: one for one in found.json["signatures"]}
    assert kinds["ecr-managed"]["profile"] == people
    assert kinds["gate"]["gate"] == "dev"
    assert "says who pushed, not that it passed" in verify(gate, "managed-dev:1.0").out


def test_managed_signing_with_a_gates_profile_passes_nothing(gate: Gate, managed: Any) -> None:
    managed(f"{PROFILES}__dev", "borrowed-*")
    gate.findings("borrowed-dev", CRITICAL=1)
    digest = gate.push("borrowed-dev", "1.0")
    assert gate.ended("borrowed-dev", digest)["outcome"] == "blocked"
    assert len(gate.signatures("borrowed-dev", digest)) == 1
    found = verify(gate, "borrowed-dev:1.0", "--json")
    assert found.code == 1
    (signature,) = found.json["signatures"]
    assert (signature["valid"], signature["kind"], signature["gate"]) == (False, "ecr-managed", None)
    assert gate.manifest("borrowed-staging", "1.0") is None
    # An image that passes gets a signature of its own.
    gate.findings("borrowed-dev")
    better = gate.push("borrowed-dev", "1.1", "better")
    assert gate.ended("borrowed-dev", better)["outcome"] == "released"
    assert verify(gate, "borrowed-dev:1.1", "--gate", "dev").code == 0


# Policies for other programs


@pytest.mark.parametrize(("program", "resources"), [("kyverno", 3), ("ratify", 3)])
def test_policies_for_other_programs_are_printed(
    gate: Gate, passed: str, program: str, resources: int
) -> None:
    printed = verify(gate, "--print-policy", program, "--gate", "dev", "--trust-root", root(gate))
    assert printed.code == 0
    assert len(list(yaml.safe_load_all(printed.out))) == resources
    assert f"{gate.cloud.env['IMAGEGATE_REGISTRY']}/checked-dev" in printed.out
    assert "kubectl apply" in printed.err
    assert (
        verify(gate, "--print-policy", program, IMAGEGATE_TRUST_ROOT="").code == 2
    )  # without the root certificate


# What it costs


def requests(gate: Gate, repository: str) -> list[str]:
    lines = (gate.cloud.state / "registry.jsonl").read_text().splitlines()
    calls = [json.loads(line) for line in lines]
    return [f"{one['method']} {one['path']}" for one in calls if one["path"].startswith(f"/v2/{repository}/")]


def test_verifying_an_image_takes_four_requests_and_little_time(gate: Gate) -> None:
    digest = gate.push("cheap-dev", "1.0")
    gate.ended("cheap-dev", digest)
    gate.ended("cheap-staging", digest)
    address = f"http://{gate.cloud.env['IMAGEGATE_REGISTRY']}"
    registry = HttpRegistry(lambda: Login(address, login(gate)))
    trust = of_profiles(PROFILES, roots_in(Path(root(gate))))
    before = len(requests(gate, "cheap-dev"))
    verify_image(registry, digest, trust)
    asked = requests(gate, "cheap-dev")[before:]
    assert len(asked) <= 4, asked
    assert min(verify_image(registry, digest, trust) for _ in range(10)) < 0.05


def verify_image(registry: HttpRegistry, digest: str, trust: Trust) -> float:
    """Verify in this process; return the seconds of processor time."""
    started = time.process_time()
    found = evidence.read(registry, ImageRef.of("cheap-dev", digest))
    (signature,) = signatures_of(found, trust, datetime.now(UTC))
    assert signature.holds
    return time.process_time() - started
