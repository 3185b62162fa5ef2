"""ECR's managed signing in the sandbox: configured as the service model says, and really signed, as whoever pushes."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagegate.errors import AuthenticityError
from imagegate.evidence.signature_manifest import read_signature_manifest
from imagegate.notation.verifier import verify_envelope
from imagegate.oci.image import OCI_MANIFEST, Descriptor, Digest
from sandbox.aws.signer.jobs import trust_root_thumbprint
from tests.contract.registry_sandbox import Repository, Sandbox

NOTATION = "application/vnd.cncf.notary.signature"
PLATFORM = "Notation-OCI-SHA384-ECDSA"


@pytest.fixture(scope="module")
def ecr(sandbox: Sandbox) -> Any:
    return sandbox.client("ecr")


@pytest.fixture
def profile(sandbox: Sandbox) -> str:
    """Return the ARN of a new signing profile, without version."""
    made = sandbox.client("signer").put_signing_profile(
        profileName=f"people_{uuid.uuid4().hex[:8]}", platformId=PLATFORM
    )
    return str(made["arn"])


def sign_pushes(ecr: Any, *profiles: str, filter_: str = "team/*") -> None:
    filters = [{"filter": filter_, "filterType": "WILDCARD_MATCH"}]
    rules = [{"signingProfileArn": profile, "repositoryFilters": filters} for profile in profiles]
    ecr.put_signing_configuration(signingConfiguration={"rules": rules})


def statuses(ecr: Any, repo: Repository, digest: str) -> list[dict[str, str]]:
    answer = ecr.describe_image_signing_status(repositoryName=repo.name, imageId={"imageDigest": digest})
    found: list[dict[str, str]] = answer["signingStatuses"]
    return found


def signatures(repo: Repository, digest: str) -> list[dict[str, Any]]:
    listed = json.loads(repo.call("GET", f"referrers/{digest}").data)["manifests"]
    return [one for one in listed if one["artifactType"] == NOTATION]


def test_a_configuration_is_kept_until_it_is_deleted(ecr: Any, profile: str) -> None:
    sign_pushes(ecr, profile)
    kept = ecr.get_signing_configuration()["signingConfiguration"]
    assert kept["rules"][0]["signingProfileArn"] == profile
    assert ecr.delete_signing_configuration()["signingConfiguration"] == kept
    for call in (ecr.get_signing_configuration, ecr.delete_signing_configuration):
        with pytest.raises(ecr.exceptions.SigningConfigurationNotFoundException):
            call()


@pytest.mark.parametrize(
    "rules",
    [
        [{"signingProfileArn": "arn:aws:signer:eu-central-1:123456789012:/other/x"}],
        [{"signingProfileArn": "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/ok"}] * 11,
    ],
)
def test_values_that_the_service_model_forbids_are_refused(ecr: Any, rules: list[dict[str, str]]) -> None:
    with pytest.raises(ClientError):
        ecr.put_signing_configuration(signingConfiguration={"rules": rules})


def test_a_push_is_signed_by_the_rules_profile_and_no_other(
    sandbox: Sandbox, ecr: Any, repo: Repository, profile: str
) -> None:
    sign_pushes(ecr, profile)
    digest = repo.image("v1")
    assert statuses(ecr, repo, digest) == [{"signingProfileArn": profile, "status": "COMPLETE"}]
    (listed,) = signatures(repo, digest)
    content = repo.call("GET", f"manifests/{digest}").data
    subject = Descriptor(OCI_MANIFEST, Digest.parse(digest), len(content))
    found = read_signature_manifest(repo.call("GET", f"manifests/{listed['digest']}").data, subject)
    envelope = repo.call("GET", f"blobs/{found.envelope.digest}").data
    roots = frozenset({trust_root_thumbprint(sandbox.settings)})
    now = datetime.now(UTC)
    verified = verify_envelope(envelope, subject, trusted_roots=roots, identity=profile, at=now)
    assert verified.annotations == {}
    found.check_chain(verified.chain)
    with pytest.raises(AuthenticityError):
        verify_envelope(envelope, subject, trusted_roots=roots, identity=f"{profile}_other", at=now)


def test_each_matching_rule_signs_once(sandbox: Sandbox, ecr: Any, repo: Repository, profile: str) -> None:
    other = sandbox.client("signer").put_signing_profile(
        profileName=f"others_{uuid.uuid4().hex[:8]}", platformId=PLATFORM
    )["arn"]
    sign_pushes(ecr, profile, other, profile)
    digest = repo.image("v1")
    repo.image("v2")
    assert [one["signingProfileArn"] for one in statuses(ecr, repo, digest)] == [profile, other]
    assert len(signatures(repo, digest)) == 2


def test_other_repositories_and_referrers_are_not_signed(ecr: Any, repo: Repository, profile: str) -> None:
    sign_pushes(ecr, profile, filter_="others/*")
    digest = repo.image("v1")
    assert statuses(ecr, repo, digest) == signatures(repo, digest) == []
    sign_pushes(ecr, profile)
    artifact = repo.artifact(digest)
    assert statuses(ecr, repo, artifact) == signatures(repo, artifact) == []


def test_a_push_without_permission_to_sign_succeeds_and_the_status_is_failed(
    sandbox: Sandbox, ecr: Any, repo: Repository, profile: str
) -> None:
    sign_pushes(ecr, profile)
    pusher = sandbox.user({"Effect": "Allow", "Action": "ecr:*", "Resource": "*"})
    digest = Repository(sandbox, repo.name, pusher).image("v1")
    (status,) = statuses(ecr, repo, digest)
    assert status["status"] == "FAILED"
    assert "signer:SignPayload" in status["failureReason"]
    assert signatures(repo, digest) == []


def test_a_profile_that_is_not_there_is_a_failure(ecr: Any, repo: Repository, profile: str) -> None:
    sign_pushes(ecr, f"{profile}_gone")
    (status,) = statuses(ecr, repo, repo.image("v1"))
    assert status["status"] == "FAILED"


def test_an_image_that_is_not_there_has_no_status(ecr: Any, repo: Repository) -> None:
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        statuses(ecr, repo, f"sha256:{'0' * 64}")
