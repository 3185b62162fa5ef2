"""A gate at which an image waits for its approval, and the page that people see of it, as its handler answers."""

from __future__ import annotations

import importlib.util
import json
from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

from imagegate.findings.finding import Finding, Package, Severity
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts
from imagegate.grants.approval import Approval, Choice
from imagegate.grants.approval_link import ApprovalLink, Purpose
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.policy import Policy
from imagegate.policy.rules import FindingRules, Limit
from imagegate.release.release import CurrentRelease, Outcome, Release, ReleaseId
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY, STAGING, FakeApprovalLinks, FakeLinkDecider

HANDLER = Path(__file__).parents[2] / "functions" / "approval_page" / "handler.py"
CI = "arn:aws:iam::123456789012:role/ci"
ANN, BEN = "mailto:ann@example.com", "arn:aws:iam::123456789012:user/ben"
TERMS = ApprovalTerms(
    approvers=("tag:team=platform", "arn:aws:iam::*:role/Release"), quorum=2, by_mail=("ann@example.com",)
)
EASY = FindingRules(max={Severity.CRITICAL: Limit(9), Severity.HIGH: Limit(9)})


def finding(
    number: int, severity: Severity, package: str, installed: str, fixed: str | None = None
) -> Finding:
    return Finding(f"CVE-2026-{number:04}", severity, (Package(package, installed, fixed),))


BEFORE = [
    finding(1001, Severity.CRITICAL, "libexpat1", "2.5.0-1", "2.5.0-2"),
    finding(1002, Severity.HIGH, "openssl", "3.0.11-1", "3.0.14-1"),
    finding(1003, Severity.MEDIUM, "zlib1g", "1.2.13"),
    finding(1004, Severity.LOW, "bash", "5.2.15"),
]
AFTER = [
    finding(1002, Severity.HIGH, "openssl", "3.0.13-1", "3.0.14-1"),
    finding(2001, Severity.HIGH, "curl", "7.88.1-10", "7.88.1-11"),
    finding(2002, Severity.LOW, "tar", "1.34"),
    finding(1004, Severity.LOW, "bash", "5.2.15"),
]


@dataclass
class Waiting:
    """`ann@example.com` may decide by mail."""

    monkeypatch: pytest.MonkeyPatch
    world: World = field(default_factory=World)
    links: FakeApprovalLinks = field(default_factory=FakeApprovalLinks)
    decider: FakeLinkDecider = field(default_factory=FakeLinkDecider)
    now: datetime = NOW + timedelta(hours=1)
    terms: ApprovalTerms = TERMS

    def __post_init__(self) -> None:
        self.asks(self.terms)

    def asks(self, terms: ApprovalTerms | None) -> None:
        """Set who approves images for staging."""
        self.terms = terms or self.terms
        dev = replace(POLICY.stages["dev"], findings=EASY)
        staging = replace(POLICY.stages["staging"], approval=terms)
        self.use(replace(POLICY, stages={**POLICY.stages, "dev": dev, "staging": staging}))

    def use(self, policy: Policy) -> None:
        self.world.policy = self.world.records.policies[policy.digest] = policy

    def released(self, tag: str = "1.3", findings: list[Finding] = BEFORE) -> Release:
        """Return the image that is in the next stage."""
        image = self.passed(tag, findings, seed="before").image
        for reference, manifest in list(self.world.registry.manifests.items()):
            if reference == image:
                for blob in manifest.blobs:
                    self.world.registry.blobs[STAGING, blob.digest] = self.world.registry.blobs[
                        DEV, blob.digest
                    ]
                self.world.registry.push_manifest(STAGING, manifest, tag)
        self.world.ledger.close(ReleaseId(image, 1), Outcome.RELEASED, None, NOW, "")
        release = self.world.ledger.get(ReleaseId(image, 1))
        assert release.decision is not None
        self.world.ledger.note_current_release(CurrentRelease(STAGING, image, release.decision, NOW))
        return release

    def waits(self, tag: str = "1.4", findings: list[Finding] = AFTER) -> Release:
        """Return the release that has passed its gate and is held."""
        passed = self.passed(tag, findings)
        brought = replace(passed, started_by=CI)
        self.world.ledger.releases[passed.image, passed.attempt] = brought
        self.world.ledger.close(passed.id, Outcome.HELD, None, NOW, "")
        return self.world.ledger.get(passed.id)

    def passed(
        self, tag: str = "1.4", findings: list[Finding] = AFTER, seed: str = "after, and larger"
    ) -> Release:
        image = self.world.registry.push_image(DEV, tag, seed=seed)
        self.world.scans.finish(image, findings)
        self.world.start(image, tag)
        self.world.sign(self.world.judge(image).decision)
        return self.world.ledger.get(ReleaseId(image, 1))

    def knows(self, release: Release, facts: ImageFacts) -> None:
        """Record this about the image in its decision."""
        assert release.decision is not None
        decision = Decision.decode(self.world.records.decision(release.decision))
        record = self.world.records.put_decision(replace(decision, facts=facts.as_json()).encode())
        self.world.ledger.record(release.id, decision=record)
        standing = self.world.ledger.current_release(STAGING)
        if standing is not None and standing.image == release.image:
            self.world.ledger.note_current_release(replace(standing, decision=record))

    def decides(self, release: Release, by: str, choice: Choice = Choice.APPROVE, reason: str = "") -> None:
        told = Approval(release.id, "staging", release.policy, choice, by, self.now, reason)
        self.world.grants.decided[release.id, by] = told

    # links

    def link(self, release: Release | ReleaseId, purpose: Purpose = Purpose.VIEW, **changes: Any) -> str:
        """Return the token of the link."""
        about = release.id if isinstance(release, Release) else release
        approver = "" if purpose is Purpose.VIEW else ANN
        plain = ApprovalLink(purpose, about, "staging", NOW + timedelta(days=7), approver)
        return self.links.link(replace(plain, **changes)).partition("?t=")[2]

    # the page

    @cached_property
    def function(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("approval_page_handler", HANDLER)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        given = {
            "now": lambda: self.now,
            "approval_links": lambda: self.links,
            "link_decider": lambda: self.decider,
            "ledger": lambda: self.world.ledger,
            "records": lambda: self.world.records,
            "grants": lambda: self.world.grants,
            "images": lambda: self.world.registry,
        }
        for name, made in given.items():
            self.monkeypatch.setattr(module.wiring, name, made)
        return module

    def calls(self, event: dict[str, Any]) -> dict[str, Any]:
        context = SimpleNamespace(
            function_name="approval_page",
            memory_limit_in_mb=1024,
            invoked_function_arn="arn",
            aws_request_id="1",
        )
        answered: dict[str, Any] = self.function.handler(event, context)
        json.dumps(answered)
        return answered

    def opens(self, token: str) -> dict[str, Any]:
        return self.calls(event("GET", query=urlencode({"t": token})))

    def presses(self, token: str, reason: str = "") -> dict[str, Any]:
        return self.calls(event("POST", body=urlencode({"token": token, "reason": reason}).encode()))


def event(method: str, query: str = "", body: bytes = b"", path: str = "/") -> dict[str, Any]:
    """Return the event that Lambda makes of a request."""
    called = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {"http": {"method": method, "path": path}},
        "isBase64Encoded": False,
    }
    return called | ({"body": b64encode(body).decode(), "isBase64Encoded": True} if body else {})
