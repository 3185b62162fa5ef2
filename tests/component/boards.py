"""A gate with three stages and four applications, in the states that people look for on a board."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from imagegate.findings.finding import Finding, Severity
from imagegate.gate.findings_record import FindingsWriter
from imagegate.grants.approval import Approval, Choice
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.policy import Entry, Policy, RepositoryPattern, Stage
from imagegate.policy.rules import FindingRules, Rule
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate.release.revocation import Revocation, RunsIn
from imagegate.release.start import Push
from imagegate.risk.risk import DueImage, Judgement, NewerRelease, Risk, RiskFinding, RiskState
from tests.component.approvals import finding
from tests.component.cli_gate import CALLER, CliGate
from tests.fakes import NOW

ZLIB = finding(4001, Severity.CRITICAL, "zlib", "1.2.11", "1.2.13")
CURL = finding(2001, Severity.HIGH, "curl", "7.88.1", "7.88.2")
BASH = finding(1005, Severity.LOW, "bash", "5.2.15")

_LIMITS = FindingRules(max={Severity.CRITICAL: Rule(0)})
POLICY_OF_BOARD = Policy(
    digest=Digest.of(b"board"),
    stages={
        "dev": Stage("dev", RepositoryPattern("{app}-dev"), promotes_to="staging", findings=_LIMITS),
        "staging": Stage(
            "staging", RepositoryPattern("{app}-staging"), entry=Entry.PROMOTION, promotes_to="production"
        ),
        "production": Stage(
            "production",
            RepositoryPattern("{app}-production"),
            entry=Entry.PROMOTION,
            approval=ApprovalTerms(approvers=("tag:team=platform",)),
        ),
    },
    owners={"shop": "team-shop", "cart": "team-cart"},
)


def fill(gate: CliGate) -> dict[str, ImageRef]:
    """Fill the gate, and return images by a name for each."""
    gate.deploy(POLICY_OF_BOARD)
    days = {number: timedelta(days=number) for number in range(1, 40)}
    waiver = Waiver(
        owner="team-cart",
        reason="not reachable from outside",
        expires=NOW.date() + days[9],
        vulnerability=ZLIB.vulnerability,
        package="zlib",
        repositories="cart-*",
        granted_at=NOW - days[30],
        granted_by=CALLER,
    )
    gate.world.grants.grant(waiver)
    images = {
        "at risk": _judged(gate, "1.4", "shop-production", days[12], BASH),
        "held": _judged(gate, "1.5", "shop-staging", days[2], CURL),
        "before": _judged(gate, "1.5", "shop-dev", days[3], CURL),
        "blocked": _judged(gate, "1.6", "shop-dev", days[1], ZLIB, CURL),
        "fine": _judged(gate, "2.0", "cart-production", days[5]),
        "same": _judged(gate, "2.0", "cart-staging", days[6]),
        "waived": _judged(gate, "2.1", "cart-dev", days[4], ZLIB, CURL),
        "safe": _judged(gate, "6", "search-production", days[30]),
        "revoked": _judged(gate, "7", "search-production", days[20], CURL),
        "soaking": _judged(gate, "8", "search-staging", timedelta(hours=3)),
        "failed": _judged(gate, "0.1", "auth-dev", timedelta(hours=5)),
    }
    change(gate, images["held"], outcome=Outcome.HELD)
    change(gate, images["revoked"], revoked=Revocation(NOW - days[1], CALLER, "the key of its build leaked"))
    change(gate, images["soaking"], outcome=None, closed_at=None, soaks_until=NOW + days[1])
    change(gate, images["failed"], outcome=Outcome.FAILED, detail="ECR did not answer for 15 minutes")
    for name in ("at risk", "held", "fine", "same", "waived"):
        change(gate, images[name], signature=Digest.of(name.encode()))
    held = ReleaseId(_judged(gate, "1.4", "shop-staging", days[13], BASH), 1)
    change(gate, held.image, outcome=Outcome.HELD)
    gate.world.grants.decide(
        Approval(held, "production", POLICY_OF_BOARD.digest, Choice.APPROVE, CALLER, NOW - days[12], "tested")
    )
    put_at_risk(gate, images["at risk"], images["held"])
    return images


def _judged(gate: CliGate, tag: str, repository: str, ago: timedelta, *findings: Finding) -> ImageRef:
    """Judge an image; the same tag of an application is the same image at each of its stages."""
    world, then = gate.world, gate.now - ago
    app = repository.partition("-")[0]
    image = world.registry.push_image(repository, tag, seed=f"{app} {tag}", at=then)
    world.scans.finish(image, findings)
    world.ledger.claim_tag(repository, tag, image.digest, then)
    started = replace(world.starting(), installed_at=then - timedelta(days=1)).on_push(
        Push(image, then, tag=tag), then
    )
    assert isinstance(started, Release)
    found = world.judge(image, now=then)
    outcome = Outcome.BLOCKED if found.outcome is Outcome.BLOCKED else Outcome.RELEASED
    world.ledger.close(started.id, outcome, None, then + timedelta(minutes=2), "")
    return image


def change(gate: CliGate, image: ImageRef, **fields: Any) -> None:
    """Change the first attempt of an image in the ledger."""
    releases = gate.world.ledger.releases
    releases[image, 1] = replace(releases[image, 1], **fields)


def put_at_risk(gate: CliGate, image: ImageRef, newer: ImageRef) -> None:
    """Find ZLIB in an image in use. `newer`: an image without it, which is held."""
    writer = FindingsWriter()
    for one in (ZLIB, BASH):
        writer.add(one, ())
    digest = gate.world.records.put_later_findings(writer.finish())
    runs = (RunsIn("arn:aws:ecs:eu-central-1:123456789012:cluster/web", 6, service="service:shop"),)
    judgement = Judgement(NOW, RiskState.AT_RISK, NOW, (digest,), runs)
    gate.world.ledger.queue[image] = DueImage(image, NOW + timedelta(hours=1), judgement)
    gate.world.ledger.keep_risk(
        Risk(
            image=image,
            stage="production",
            tags=("1.4",),
            state=RiskState.AT_RISK,
            since=NOW - timedelta(days=2),
            looked_at=NOW,
            policy=POLICY_OF_BOARD.digest,
            findings=(RiskFinding(ZLIB.vulnerability, "zlib", Severity.CRITICAL, "1.2.13"),),
            why=("1 CRITICAL (at most 0)",),
            remedies=("upgrade zlib to 1.2.13: removes 1",),
            runs=runs,
            newer=(NewerRelease(newer, ("1.5",), is_held=True),),
        )
    )
