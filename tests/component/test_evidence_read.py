"""The reads of `imagegate verify` about an image: no more than it needs, and nothing that breaks it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from imagegate.evidence import attestation
from imagegate.oci.image import OCI_EMPTY, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate_cli.verification import evidence
from imagegate_cli.verification.trust import managed_profiles
from tests.component.test_signatures import SAID, signed
from tests.fakes import DEV, FakeRegistry, FakeSigner

IMAGE = ImageRef(DEV, Digest.of(b"image"))


@dataclass
class Counting(FakeRegistry):
    asked: list[str] = field(default_factory=list)

    def manifest(self, image: ImageRef | str, reference: Digest | str = "") -> Manifest:
        self.asked.append("manifest")
        return super().manifest(image, reference)

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        """Return the referrers with their annotations, as registries list them."""
        self.asked.append("referrers")
        listed = super().referrers(image)
        held = [self.manifests[ImageRef(image.repository, one.digest)] for one in listed]
        return [replace(one, annotations=it.annotations) for one, it in zip(listed, held, strict=True)]

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        self.asked.append("blob")
        return super().blob(repository, blob)


def state(registry: FakeRegistry, image: ImageRef, kind: str, **layer: Any) -> None:
    """Attach an in-toto statement of this predicate type."""
    content = json.dumps({"_type": attestation.STATEMENT_TYPE, "predicateType": kind}).encode()
    registry.push_blob(image.repository, attestation.EMPTY)
    blob = registry.push_blob(image.repository, content)
    manifest = attestation.evidence_manifest(
        registry.manifests[image].descriptor.as_json(),
        {**attestation.describe_layer(blob, attestation.IN_TOTO, content), **layer},
        artifact_type=attestation.IN_TOTO,
        config_type=OCI_EMPTY,
        annotations={attestation.PREDICATE_ANNOTATION: kind},
    )
    registry.push_manifest(image.repository, Manifest.parse(manifest))


@pytest.fixture
def registry() -> Counting:
    return Counting()


def test_our_evidence_takes_four_requests(registry: Counting) -> None:
    image = registry.push_image(DEV, "1.0")
    signed(registry, FakeSigner(), image, SAID)
    state(registry, image, attestation.VSA_TYPE)
    registry.asked.clear()
    found = evidence.read(registry, image)
    assert sorted(registry.asked) == ["manifest", "manifest", "manifest", "referrers"]
    assert len(found.signatures) == len(found.summaries) == 1


def test_statements_of_other_kinds_are_not_fetched(registry: Counting) -> None:
    image = registry.push_image(DEV, "1.0")
    state(registry, image, "https://slsa.dev/provenance/v1")
    registry.asked.clear()
    assert evidence.read(registry, image).summaries == ()
    assert registry.asked.count("manifest") == 1


def test_evidence_that_brings_nothing_along_is_read_as_ever(registry: Counting) -> None:
    image = registry.push_image(DEV, "1.0")
    signed(registry, FakeSigner(), image, SAID, data=None)
    state(registry, image, attestation.VSA_TYPE, data=None)
    registry.asked.clear()
    found = evidence.read(registry, image)
    assert registry.asked.count("blob") == 2
    assert found.signatures[0].problem == found.summaries[0].problem == ""


def test_broken_evidence_proves_nothing_and_stops_nothing(registry: Counting) -> None:
    image = registry.push_image(DEV, "1.0")
    signed(registry, FakeSigner(), image, SAID, mediaType="application/cose")
    signed(registry, FakeSigner(), image, {**SAID, "another": "one"})
    problems = [piece.problem for piece in evidence.read(registry, image).signatures]
    assert problems.count("") == 1
    assert any("COSE" in problem for problem in problems)


# The profiles of managed signing


@dataclass
class Ecr:
    """Answers both questions, or fails both."""

    fault: Exception | None = None

    def get_signing_configuration(self) -> dict[str, Any]:
        self._fail()
        return {"signingConfiguration": {"rules": [{"signingProfileArn": "now"}]}}

    def describe_image_signing_status(self, **_: Any) -> dict[str, Any]:
        self._fail()
        return {"signingStatuses": [{"signingProfileArn": "then", "status": "COMPLETE"}]}

    def _fail(self) -> None:
        if self.fault:
            raise self.fault


def test_the_registrys_rules_and_what_it_did_are_asked_for() -> None:
    assert managed_profiles(Ecr(), IMAGE) == {"now", "then"}


@pytest.mark.parametrize(
    "fault",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSigningConfiguration"),
        EndpointConnectionError(endpoint_url="https://api.ecr.example"),
    ],
)
def test_without_permission_no_managed_profiles_are_known(fault: Exception) -> None:
    assert managed_profiles(Ecr(fault), IMAGE) == frozenset()
