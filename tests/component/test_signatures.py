"""A signature by a gate's profile counts if it names a decision of that gate, and not otherwise.

A caller who may use the profile can sign anything with it; the registry's managed signing signs every push.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from imagegate.errors import (
    AuthenticityError,
    IntegrityError,
)
from imagegate.evidence import attestation
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.release.release import ReleaseId
from imagegate.workflow.examination.evidence import ReadEvidence
from imagegate.workflow.examination.signatures import verify_signature
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY, STAGING, FakeRegistry, FakeSigner

SAID = {
    attestation.STAGE: "dev",
    attestation.POLICY: str(POLICY.digest),
    attestation.DECISION: str(Digest.of(b"decision")),
    attestation.VSA: str(Digest.of(b"summary")),
}
SAYS_NOTHING: list[dict[str, str]] = [
    {},
    *({name: text for name, text in SAID.items() if name != left_out} for left_out in SAID),
    *({**SAID, name: "sha256:0"} for name in SAID),
    {**SAID, attestation.STAGE: "staging"},
]


@dataclass
class Signed:
    """An image, and signatures about it as anybody could push them."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    signer: FakeSigner = field(default_factory=FakeSigner)

    def __post_init__(self) -> None:
        self.image = self.registry.push_image(DEV, "1.0")

    @property
    def subject(self) -> Descriptor:
        return self.registry.manifest(self.image).descriptor

    def sign(self, said: dict[str, str], **layer: Any) -> ImageRef:
        return signed(self.registry, self.signer, self.image, said, **layer)

    def verify(self, signature: ImageRef) -> dict[str, str]:
        return verify_signature(self.registry, self.signer, signature, self.subject, "dev", NOW)


def signed(
    registry: FakeRegistry, signer: FakeSigner, image: ImageRef, said: dict[str, str], **layer: Any
) -> ImageRef:
    subject = registry.manifest(image).descriptor.as_json()
    payload = json.dumps({"targetArtifact": {**subject, "annotations": said}})
    envelope, annotations = signer.sign("dev", payload.encode())
    registry.push_blob(image.repository, attestation.EMPTY)
    blob = registry.push_blob(image.repository, envelope)
    content = attestation.evidence_manifest(
        subject,
        {**attestation.describe_layer(blob, attestation.JOSE, envelope), **layer},
        artifact_type=attestation.NOTATION_SIGNATURE,
        config_type=attestation.NOTATION_SIGNATURE,
        annotations=annotations,
    )
    manifest = Manifest.parse(content)
    registry.push_manifest(image.repository, manifest)
    return ImageRef(image.repository, manifest.digest)


@pytest.fixture
def world() -> Signed:
    return Signed()


def test_a_signature_that_names_a_decision_of_the_gate_counts(world: Signed) -> None:
    assert world.verify(world.sign(SAID)) == SAID


@pytest.mark.parametrize("said", SAYS_NOTHING)
def test_the_profile_alone_says_nothing(world: Signed, said: dict[str, str]) -> None:
    with pytest.raises(AuthenticityError, match="names no decision"):
        world.verify(world.sign(said))


@pytest.mark.parametrize("said", SAYS_NOTHING)
def test_the_next_gate_does_not_take_it_for_a_pass(world: Signed, said: dict[str, str]) -> None:
    there = world.registry.push_image(STAGING, "1.0")
    signed(world.registry, world.signer, there, said)
    reading = ReadEvidence(
        images=world.registry, registry=lambda: world.registry, signer=lambda: world.signer
    )
    found = reading.signature(POLICY, POLICY.stages["staging"], there, NOW)
    assert not found.found
    assert "names no decision" in found.problem


def test_the_gate_signs_beside_it_and_relies_on_its_own() -> None:
    world = World()
    image = world.registry.push_image(DEV, "1.0")
    others = signed(world.registry, world.signer, image, {})
    world.start(image)
    world.scans.finish(image)
    ours = world.sign(world.judge(image).decision)
    assert ours.signature != others.digest
    assert ours.evidence
    world.ledger.record(ReleaseId(image, 1), signature=others.digest)
    with pytest.raises(AuthenticityError, match="names no decision"):
        world.promote(image)


@pytest.mark.parametrize("number", [0, 2])
def test_a_manifest_that_clients_would_not_understand_counts_nowhere(world: Signed, number: int) -> None:
    manifest = json.loads(world.registry.manifest(world.sign(SAID)).content)
    manifest["layers"] *= number
    broken = Manifest.parse(json.dumps(manifest).encode())
    world.registry.push_manifest(DEV, broken)
    with pytest.raises(IntegrityError):
        world.verify(ImageRef(DEV, broken.digest))


# Content that a manifest brings along


def test_a_signature_that_brings_its_envelope_along_needs_no_blob(world: Signed) -> None:
    signature = world.sign(SAID)
    world.registry.blobs.clear()
    assert world.verify(signature) == SAID


def test_one_that_does_not_is_read_as_ever(world: Signed) -> None:
    assert world.verify(world.sign(SAID, data=None)) == SAID
