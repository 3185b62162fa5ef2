"""The official Notation client and AWS Signer's plugin: what they say of the gate's signatures, and we of theirs.

With `imagegate verify --print-policy notation` as their trust policy, exactly as it is printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode, urlsafe_b64decode
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import needed
from tests.e2e.gate import Gate

PLUGIN = "com.amazonaws.signer.notation.plugin"
PROFILES = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles"
STORE = "imagegate-roots"


@dataclass(frozen=True)
class Done:
    code: int
    said: str


@dataclass(frozen=True)
class Client:
    """Notation with a configuration of its own, logged in to the sandbox's registry."""

    gate: Gate
    home: Path

    @property
    def config(self) -> Path:
        return self.home / "notation"

    @property
    def env(self) -> dict[str, str]:
        env = self.gate.cloud.env
        port = env["AWS_ENDPOINT_URL"].rpartition(":")[2]
        return env | {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "NOTATION_USERNAME": env["AWS_ACCESS_KEY_ID"],
            "NOTATION_PASSWORD": env["AWS_SECRET_ACCESS_KEY"],
            # The plugin puts `data-` before the host: docs/how-to/verify-with-other-clients.md, "In the sandbox".
            "AWS_ENDPOINT_URL_SIGNER": f"http://localhost:{port}",
            "HTTP_PROXY": env["AWS_ENDPOINT_URL"],
        }

    def notation(self, *arguments: str) -> Done:
        return self.run("notation", *arguments)

    def imagegate(self, *arguments: str) -> Done:
        program = str(Path(sys.executable).with_name("imagegate"))
        return self.run(program, "verify", *arguments)

    def run(self, *command: str) -> Done:
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=120)
        return Done(done.returncode, done.stdout + done.stderr)

    def verify(self, repository: str, digest: str, *options: str) -> Done:
        image = f"{self.gate.cloud.env['IMAGEGATE_REGISTRY']}/{repository}@{digest}"
        return self.notation("verify", "--insecure-registry", *options, image)

    def sign(self, repository: str, digest: str, *options: str) -> None:
        image = f"{self.gate.cloud.env['IMAGEGATE_REGISTRY']}/{repository}@{digest}"
        done = self.notation("sign", "--insecure-registry", *options, image)
        assert done.code == 0, done.said

    def use_printed_policy(self) -> None:
        """Use the policy for the present repositories: a new one needs it printed again."""
        file = self.home / "printed.json"
        program = Path(sys.executable).with_name("imagegate")
        printed = subprocess.run(
            [program, "verify", "--print-policy", "notation"],
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
        )
        file.write_text(printed.stdout)
        done = self.notation("policy", "import", "--force", str(file))
        assert done.code == 0, done.said

    def write_policy(self, **changes: object) -> Path:
        """Write a trust policy for everything."""
        policy = {"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "strict"}}
        file = self.config / "trustpolicy.json"
        file.write_text(json.dumps({"version": "1.0", "trustPolicies": [policy | changes]}))
        return file


@pytest.fixture
def client(gate: Gate, tmp_path: Path) -> Client:
    needed("notation")
    made = Client(gate, tmp_path)
    made.config.mkdir()
    root = gate.cloud.env["IMAGEGATE_TRUST_ROOT"]
    added = made.notation("cert", "add", "--type", "signingAuthority", "--store", STORE, root)
    assert added.code == 0, added.said
    return made


@pytest.fixture
def plugin(client: Client) -> None:
    needed(f"notation-{PLUGIN}")
    where = subprocess.run(["which", f"notation-{PLUGIN}"], capture_output=True, text=True, check=True)
    done = client.notation("plugin", "install", "--file", where.stdout.strip())
    assert done.code == 0, done.said


def released(gate: Gate, repository: str) -> str:
    digest = gate.push(repository, "1.0")
    assert gate.ended(repository, digest)["outcome"] == "released"
    return digest


# What the gate signs


@pytest.mark.usefixtures("plugin")
def test_the_notation_client_verifies_the_gates_signatures_by_the_printed_policy(
    gate: Gate, client: Client
) -> None:
    digest = released(gate, "official-dev")
    gate.ended("official-staging", digest)
    client.use_printed_policy()
    for stage in ("dev", "staging"):
        found = client.verify(f"official-{stage}", digest)
        assert found.code == 0, found.said
        assert "Successfully verified signature" in found.said
        found = client.verify(f"official-{stage}", digest, "--user-metadata", f"imagegate.stage={stage}")
        assert found.code == 0, found.said
    assert client.verify("official-dev", digest, "--user-metadata", "imagegate.stage=staging").code


@pytest.mark.usefixtures("plugin")
def test_the_client_refuses_a_signature_that_was_revoked(gate: Gate, client: Client) -> None:
    digest = released(gate, "recalled-dev")
    client.use_printed_policy()
    assert client.verify("recalled-dev", digest).code == 0
    job = signing_job(gate, "recalled-dev", digest)
    gate.cloud.client("signer").revoke_signature(jobId=job, reason="found out")
    found = client.verify("recalled-dev", digest)
    assert found.code
    assert "signature verification failed" in found.said
    assert client.imagegate("recalled-dev:1.0").code == 1


@pytest.mark.usefixtures("plugin")
def test_the_client_refuses_an_image_that_was_blocked(gate: Gate, client: Client) -> None:
    gate.findings("stopped-dev", CRITICAL=1)
    digest = gate.push("stopped-dev", "1.0")
    gate.ended("stopped-dev", digest)
    client.use_printed_policy()
    found = client.verify("stopped-dev", digest)
    assert found.code
    assert "no signature is associated" in found.said


@pytest.mark.usefixtures("plugin")
def test_the_client_refuses_the_signature_of_another_gate(gate: Gate, client: Client) -> None:
    digest = released(gate, "confused-dev")
    identity = f"{PROFILES}/imagegate__staging"
    client.write_policy(trustStores=[f"signingAuthority:{STORE}"], trustedIdentities=[identity])
    assert client.verify("confused-dev", digest).code


# What the client signs


def test_signatures_of_the_notation_client_with_its_own_key_are_verified(gate: Gate, client: Client) -> None:
    digest = gate.push("handmade", "1.0")
    assert client.notation("cert", "generate-test", "acme.example").code == 0
    client.sign("handmade", digest, "--key", "acme.example")
    policy = client.write_policy(trustStores=["ca:acme.example"], trustedIdentities=["*"])
    assert client.verify("handmade", digest).code == 0
    found = client.imagegate("handmade:1.0", "--trust-policy", str(policy))
    assert found.code == 0, found.said
    assert "CN=acme.example" in found.said
    # By the gates it is nobody's.
    assert client.imagegate("handmade:1.0").code == 1
    # Another authority signed nothing of it.
    assert client.notation("cert", "generate-test", "other.example").code == 0
    policy = client.write_policy(trustStores=["ca:other.example"], trustedIdentities=["*"])
    assert client.verify("handmade", digest).code
    assert client.imagegate("handmade:1.0", "--trust-policy", str(policy)).code == 1


def test_names_that_the_notation_client_refuses_are_refused(gate: Gate, client: Client) -> None:
    digest = gate.push("named", "1.0")
    assert client.notation("cert", "generate-test", "acme.example").code == 0
    client.sign("named", digest, "--key", "acme.example")
    for organization, code in (("Notary", 0), ("Somebody", 1)):
        identity = f"x509.subject: C=US, ST=WA, O={organization}"
        policy = client.write_policy(trustStores=["ca:acme.example"], trustedIdentities=[identity])
        assert client.verify("named", digest).code == code
        assert client.imagegate("named:1.0", "--trust-policy", str(policy)).code == code


@pytest.mark.usefixtures("plugin")
def test_a_clients_signature_with_a_profile_is_not_a_gates_signature(gate: Gate, client: Client) -> None:
    digest = released(gate, "doubled-dev")
    signer = gate.cloud.client("signer")
    signer.put_signing_profile(profileName="builders", platformId="Notation-OCI-SHA384-ECDSA")
    client.sign("doubled-dev", digest, "--plugin", PLUGIN, "--id", f"{PROFILES}/builders")
    report = json.loads(client.imagegate("doubled-dev:1.0", "--json").said)
    kinds = {one["kind"]: one for one in report["signatures"]}
    assert kinds["other"]["profile"] == f"{PROFILES}/builders"
    assert kinds["other"]["valid"]
    assert kinds["gate"]["gate"] == "dev"
    # One that is not trusted beside it does not disturb the client.
    client.use_printed_policy()
    assert client.verify("doubled-dev", digest).code == 0


@pytest.mark.usefixtures("plugin")
def test_a_clients_signature_with_a_gates_profile_passes_no_gate(gate: Gate, client: Client) -> None:
    """Why nobody else may use the profiles: docs/how-to/check-deployments.md."""
    gate.findings("forced-dev", CRITICAL=1)
    digest = gate.push("forced-dev", "1.0")
    gate.ended("forced-dev", digest)
    client.sign("forced-dev", digest, "--plugin", PLUGIN, "--id", f"{PROFILES}/imagegate__dev")
    found = client.imagegate("forced-dev:1.0")
    assert found.code == 1
    assert "names no decision" in " ".join(found.said.split())
    # The client finds it only if its policy names it.
    client.use_printed_policy()
    assert client.verify("forced-dev", digest).code == 0
    assert client.verify("forced-dev", digest, "--user-metadata", "imagegate.stage=dev").code


def signing_job(gate: Gate, repository: str, digest: str) -> str:
    (signature,) = gate.signatures(repository, digest)
    manifest = json.loads(gate.manifest(repository, signature["digest"]) or b"{}")
    envelope = json.loads(b64decode(manifest["layers"][0]["data"]))
    headers = json.loads(urlsafe_b64decode(envelope["protected"] + "=="))
    return str(headers["com.amazonaws.signer.signingJob"].rpartition("/")[2])
