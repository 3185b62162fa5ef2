"""A gate whose registry is audited: images, releases, decisions and judgements, in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.image import AuditTerms
from imagegate.audit.report import AuditPart
from imagegate.evidence.sbom import Sbom
from imagegate.findings.finding import Severity
from imagegate.findings.versions import VERSIONS
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import OCI_EMPTY, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Mode
from imagegate.policy.rules import CYCLONEDX_JSON
from imagegate.release.revocation import RunsIn
from imagegate.risk.risk import DueImage, Judgement, Risk, RiskFinding, RiskState
from imagegate.workflow.audit.images import AuditImages
from imagegate.workflow.audit.sboms import ReadSboms
from tests.component.cleaning import Cleaning
from tests.fakes import FakeRegistry
from tests.fakes.world import DEV, NOW, POLICY

HOME = "arn:aws:ecr:eu-central-1:123456789012:repository/"
EMPTY = Descriptor(OCI_EMPTY, Digest.of(b"{}"), 2).as_json()
A_DAY = timedelta(days=1)


@dataclass
class Auditing(Cleaning):
    """A clean-up's world, with all that only the audit reads."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    scans_again: bool = True
    audit_terms: AuditTerms = field(default_factory=lambda: AuditTerms(now=NOW))

    def shipped(
        self, seed: str = "app", *, days: float = 10, facts: ImageFacts | None = None, **more: Any
    ) -> Digest:
        """Push and release an image as the gate does, with everything that an audit can wish for."""
        digest = self.images.push(DEV, seed, seed, days=days)
        signature = self.images.push(DEV, f"signature of {seed}", subject=digest, days=days)
        image = ImageRef(DEV, digest)
        decision = self.records.put_decision(self.decision(image, facts).encode())
        evidence = (self.images.push(DEV, f"summary of {seed}", subject=digest, days=days),)
        given = {"decision": decision, "signature": signature, "evidence": evidence, **more}
        self.release(digest, days=days, **given)
        self.judged(digest)
        return digest

    def decision(self, image: ImageRef, facts: ImageFacts | None = None, **more: Any) -> Decision:
        return Decision(
            **{
                "registry": self.images.registry,
                "image": image,
                "media_type": OCI_MANIFEST,
                "size": 10,
                "attempt": 1,
                "stage": "dev",
                "mode": Mode.ENFORCE,
                "policy": POLICY.digest,
                "verdict": VerdictOutcome.PASS,
                "judged_at": NOW - A_DAY,
                "scans": [{"completedAt": "2026-11-20T00:00:00Z"}],
                **more,
                "facts": (facts or ImageFacts(image)).as_json(),
            }
        )

    def redecide(self, digest: Digest, **more: Any) -> None:
        """Let the release name another decision."""
        decision = self.decision(ImageRef(DEV, digest), **more)
        self.change(digest, decision=self.records.put_decision(decision.encode()))

    def lists(
        self, digest: Digest, content: bytes, kind: str = CYCLONEDX_JSON, note: str = "attached"
    ) -> None:
        """Attach an SBOM with this content, as the gate does."""
        layer = Descriptor(kind, Digest.of(content), len(content))
        raw = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": EMPTY, "layers": [layer.as_json()]}
        manifest = Manifest.parse(json.dumps({**raw, "artifactType": kind}).encode())
        self.registry.blobs[DEV, layer.digest] = content
        self.registry.manifests[ImageRef(DEV, manifest.digest)] = manifest
        self.change(digest, sbom=Sbom(note, (manifest.digest,)))

    def change(self, digest: Digest, **more: Any) -> None:
        key = (ImageRef(DEV, digest), 1)
        self.ledger.releases[key] = replace(self.ledger.releases[key], **more)

    def judged(self, digest: Digest, state: RiskState = RiskState.FINE, **more: Any) -> None:
        """Note the last judgement; `runs` says that it runs."""
        image = ImageRef(DEV, digest)
        runs = (RunsIn("arn:cluster", 2),) if more.pop("runs", False) else ()
        given = {"at": NOW, "answered_at": NOW, "runs": runs, **more}
        self.ledger.queue[image] = DueImage(image, NOW, Judgement(state=state, **given))
        if state in (RiskState.AT_RISK, RiskState.NOT_WATCHED):
            finding = RiskFinding("CVE-2026-1", "openssl", Severity.CRITICAL)
            self.ledger.at_risk[image] = Risk(
                image=image,
                stage="dev",
                tags=(),
                state=state,
                since=NOW,
                looked_at=NOW,
                policy=POLICY.digest,
                findings=(finding,) if state is RiskState.AT_RISK else (),
                why=("1 critical finding",),
                remedies=("update openssl to 3.0.2",),
            )

    @property
    def auditor(self) -> AuditImages:
        return AuditImages(
            inventory=self.parts.inventory,
            ledger=self.ledger,
            records=self.records,
            policy=self.policy or POLICY,
            running=self.users.used(()),
            terms=self.audit_terms,
            home=HOME,
            sboms=ReadSboms(lambda: self.registry),
            is_continuous=lambda _name: self.scans_again,
            satisfies=VERSIONS.satisfies,
        )

    def audit(self, repository: str = DEV) -> AuditPart:
        return self.auditor.audit(repository)

    def failing(self, repository: str = DEV) -> set[str]:
        return {one.check.id for one in self.audit(repository).findings}

    def detail(self, check: str) -> str:
        """Return the details of the findings of a check."""
        return "; ".join(one.detail for one in self.audit().findings if one.check is CATALOGUE[check])

    def not_assessed(self) -> dict[str, str]:
        return {one.check.id: one.reason for one in self.audit().not_assessed}
