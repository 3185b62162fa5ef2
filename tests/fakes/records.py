"""Documents and signatures in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from imagegate.baseline.section import RegistryBaseline
from imagegate.errors import (
    AuthenticityError,
    CorruptContentError,
    ExpiryError,
    IntegrityError,
    RecordNotFoundError,
    RevocationError,
)
from imagegate.evidence.signature_manifest import THUMBPRINTS
from imagegate.grants.approval_link import parse_link as parse_link
from imagegate.oci.image import Descriptor, Digest
from imagegate.policy.policy import Policy
from tests.fakes.world import POLICY


@dataclass
class FakeRecords:
    uri: str = "s3://records"
    contents: dict[Digest, bytes] = field(default_factory=dict)
    policies: dict[Digest, Policy] = field(default_factory=lambda: {POLICY.digest: POLICY})

    def put_decision(self, content: bytes) -> Digest:
        self.contents[Digest.of(content)] = content
        return Digest.of(content)

    def decision(self, digest: Digest) -> bytes:
        if digest not in self.contents:
            raise RecordNotFoundError(f"no decision {digest}")
        if Digest.of(self.contents[digest]) != digest:
            raise CorruptContentError(f"decision {digest}: other bytes")
        return self.contents[digest]

    def put_findings(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def put_later_findings(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def later_findings(self, digest: Digest) -> bytes:
        return self.decision(digest)

    def put_waivers(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def findings(self, digest: Digest) -> bytes:
        return self.decision(digest)

    def put_cleanup(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def cleanup(self, digest: Digest) -> bytes:
        return self.decision(digest)

    def put_policy(self, content: bytes) -> Digest:
        return self.put_decision(content)

    def put_parsed(self, policy: Policy, baseline: RegistryBaseline) -> Digest:
        self.policies[policy.digest] = policy
        return policy.digest

    def policy(self, digest: Digest) -> Policy:
        try:
            return self.policies[digest]
        except KeyError:
            raise RecordNotFoundError(f"no policy {digest}") from None


@dataclass
class FakeSigner:
    """Envelopes that say in plain text who signed what: enough for the steps, the real ones are tested for real."""

    signed: list[bytes] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    revoked: dict[bytes, str] = field(default_factory=dict)
    end: datetime | None = None  # when signatures expire

    def make_profile(self, stage: str) -> None:
        self.profiles.append(stage)

    def profile_arn(self, stage: str) -> str:
        return f"arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate_{stage}"

    def sign(self, stage: str, payload: bytes) -> tuple[bytes, dict[str, str]]:
        self.signed.append(payload)
        envelope = json.dumps({"by": self.profile_arn(stage), "payload": payload.decode()}).encode()
        return envelope, {THUMBPRINTS: "[]"}

    def verify(
        self, envelope: bytes, subject: Descriptor, stage: str, at: datetime, *, is_new: bool = False
    ) -> dict[str, str]:
        if envelope in self.revoked:
            raise RevocationError(f"revoked: {self.revoked[envelope]}")
        if self.end is not None and at >= self.end:
            raise ExpiryError(f"expired at {self.end}")
        raw = json.loads(envelope)
        target = json.loads(raw["payload"])["targetArtifact"]
        annotations: dict[str, str] = target.pop("annotations")
        if raw["by"] != self.profile_arn(stage):
            raise AuthenticityError(f"signed by {raw['by']}")
        if target != subject.as_json():
            raise IntegrityError("another subject")
        return annotations

    def ends(self, envelope: bytes) -> datetime | None:
        return self.end

    def revoke(self, envelope: bytes, stages: Iterable[str], reason: str) -> str | None:
        by = json.loads(envelope)["by"]
        stage = next((stage for stage in stages if self.profile_arn(stage) == by), None)
        if stage:
            self.revoked.setdefault(envelope, reason)
        return stage
