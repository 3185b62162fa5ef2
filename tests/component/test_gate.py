"""The facts that the judge reads for its rules, the facts that stay from one release to the next, and judging again."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from imagegate.evidence.attestation import NOTATION_SIGNATURE
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.findings.versions import VERSIONS
from imagegate.gate import findings_record
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import OCI_CONFIG, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Mode, Policy, RepositoryPattern, Stage
from imagegate.policy.rules import (
    Action,
    EvidenceRules,
    FindingRules,
    GraceStart,
    ImageRules,
    NoGrace,
    Rule,
)
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.start import Ignore
from imagegate.workflow.decide.waive import GrantWaiver, WaiverRefusedError
from imagegate.workflow.examination.replay import Replay
from imagegate.workflow.judge import JudgeResult
from imagegate_cli.verification.evidence import read
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, POLICY, STAGING, critical

HIGH = Finding("CVE-2026-1", Severity.HIGH, (Package("openssl", "3.0.1", "3.0.2"),), fixable=True)
STRICT = {Severity.HIGH: Rule(0), Severity.CRITICAL: Rule(0)}
GITHUB = "https://github.com/actions/runner/github-hosted"


@pytest.fixture
def world() -> World:
    return World()


def governed(world: World, policy: Policy = POLICY, **changes: Any) -> Policy:
    """Set the gate of dev with other rules, deployed and pinned."""
    dev = replace(policy.stages["dev"], **changes)
    made = replace(policy, stages={**policy.stages, "dev": dev})
    world.policy = world.records.policies[POLICY.digest] = made
    return made


def built(
    world: World,
    repository: str = DEV,
    tag: str = "1.0",
    *,
    layers: tuple[str, ...] = ("base", "app"),
    annotations: dict[str, str] | None = None,
    **config: Any,
) -> ImageRef:
    """Push an image with a real config that is scanned clean."""
    raw_config = {
        "os": "linux",
        "architecture": "amd64",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer.encode())) for layer in layers]},
    }
    blobs = [json.dumps(raw_config).encode(), *(f"packed {layer}".encode() for layer in layers)]
    for blob in blobs:
        world.registry.blobs[repository, Digest.of(blob)] = blob
    described = [Descriptor("application/vnd.oci.image.layer.v1.tar", Digest.of(b), len(b)) for b in blobs]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {**described[0].as_json(), "mediaType": OCI_CONFIG},
        "layers": [layer.as_json() for layer in described[1:]],
        **({"annotations": annotations} if annotations else {}),
    }
    parsed = Manifest.parse(json.dumps(manifest).encode())
    world.registry.push_manifest(repository, parsed, tag)
    image = ImageRef(repository, parsed.digest)
    world.scans.finish(image)
    return image


def judged(world: World, image: ImageRef, now: Any = NOW) -> tuple[JudgeResult, Decision]:
    started = world.start(
        image, next(tag for (repo, tag), d in world.registry.tags.items() if d == image.digest)
    )
    assert isinstance(started, Release)
    found = world.judge(image, attempt=started.attempt, now=now)
    assert found.decision is not None
    return found, Decision.decode(world.records.decision(found.decision))


def rules_of(decision: Decision) -> list[str]:
    return [reason["rule"] for reason in decision.reasons]


# facts


def test_the_config_is_always_read_for_runtimes_go_by_it(world: World) -> None:
    image = built(world)
    _, decision = judged(world, image)
    assert decision.verdict is VerdictOutcome.PASS
    assert decision.facts is not None
    assert decision.facts["platforms"][0]["config"]["platform"] == "linux/amd64"


@pytest.mark.parametrize(
    ("config", "rules", "broken"),
    [
        ({"User": "1000"}, ImageRules(non_root=Rule(True)), []),
        ({}, ImageRules(non_root=Rule(True)), ["image.non_root"]),
        ({"Labels": {"team": "shop"}}, ImageRules(labels=Rule({"team": "*"})), []),
        ({"Labels": {"team": "shop"}}, ImageRules(labels=Rule({"team": "cart*"})), ["image.labels"]),
        ({}, ImageRules(platforms=Rule(frozenset({"linux/amd64"}))), []),
        ({}, ImageRules(platforms=Rule(frozenset({"linux/arm64"}))), ["image.platforms"]),
        ({}, ImageRules(max_size=Rule(5)), ["image.max_size"]),
        ({}, ImageRules(tags=Rule(("v*",))), ["image.tags"]),
        ({}, ImageRules(forbidden_tags=Rule(("1.*",))), ["image.forbidden_tags"]),
    ],
)
def test_rules_about_the_image_are_judged_on_its_config_and_manifest(
    world: World, config: dict[str, Any], rules: ImageRules, broken: list[str]
) -> None:
    governed(world, image=rules)
    _, decision = judged(world, built(world, **config))
    assert rules_of(decision) == broken
    assert decision.verdict is (VerdictOutcome.BLOCK if broken else VerdictOutcome.PASS)


@pytest.mark.parametrize("action", [Action.ENFORCE, Action.WARN])
@pytest.mark.parametrize("repeated", ["x", "\u0436", "\U0001f600"])
def test_a_text_of_the_image_never_makes_an_item_too_large_to_be_written(
    world: World, action: Action, repeated: str
) -> None:
    """A config may have megabytes, and an item 400 KB: the verdict could not be recorded, and would be a fault."""
    huge = repeated * 150_000
    rules = ImageRules(non_root=Rule(True, action), labels=Rule({"team": "shop"}, action))
    governed(world, image=rules)
    image = built(world, User=f"root:{huge}", Labels={"team": huge})
    _, decision = judged(world, image)
    assert set(rules_of(decision)) == {"image.non_root", "image.labels"}
    release = world.ledger.latest(image)
    assert release is not None
    assert {reason["rule"] for reason in release.reasons} == set(rules_of(decision))
    assert len(json.dumps([*release.reasons, *release.remedies])) < 20_000
    assert all(len(reason["message"]) > 150_000 for reason in decision.reasons)


def test_age_counts_from_the_first_stage_and_a_new_tag_makes_nothing_younger(world: World) -> None:
    policy = governed(world, mode=POLICY.stages["dev"].mode)
    image = built(world)
    world.start(image)
    staged = ImageRef(STAGING, image.digest)
    for (repository, digest), blob in list(world.registry.blobs.items()):
        if repository == DEV:
            world.registry.blobs[STAGING, digest] = blob
    world.registry.push_manifest(STAGING, world.registry.manifests[image], "1.0")
    world.registry.pushed_at[staged] = NOW + timedelta(days=40)
    staging = replace(policy.stages["staging"], image=ImageRules(max_age=Rule(timedelta(days=30))))
    aged = replace(policy, stages={**policy.stages, "staging": staging})
    world.policy = world.records.policies[POLICY.digest] = aged
    world.start(staged, at=NOW + timedelta(days=40))
    found = world.judge(staged, now=NOW + timedelta(days=40))
    assert found.verdict is VerdictOutcome.BLOCK


# base images


def with_bases(world: World) -> Policy:
    base = Stage("base", RepositoryPattern("base/{app}"))
    policy = replace(POLICY, stages={**POLICY.stages, "base": base})
    return governed(world, policy, image=ImageRules(base_images=Rule(("base",))))


def test_an_image_built_on_a_released_base_passes_by_its_layers(world: World) -> None:
    with_bases(world)
    judged(world, built(world, "base/debian", "12", layers=("base",)))
    _, decision = judged(world, built(world, layers=("base", "app")))
    assert decision.verdict is VerdictOutcome.PASS
    assert decision.facts is not None
    assert decision.facts["platforms"][0]["base"]["repository"] == "base/debian"


def test_a_base_that_is_only_claimed_proves_nothing(world: World) -> None:
    with_bases(world)
    judged(world, built(world, "base/debian", "12", layers=("base",)))
    claim = {"org.opencontainers.image.base.name": "base/debian:12"}
    image = built(world, layers=("other", "app"), annotations=claim)
    _, decision = judged(world, image)
    assert rules_of(decision) == ["image.base_images"]
    assert "it claims base/debian:12, and its layers do not prove it" in decision.reasons[0]["message"]


def test_a_base_that_was_refused_is_no_base(world: World) -> None:
    with_bases(world)
    base = built(world, "base/debian", "12", layers=("base",))
    world.scans.finish(base, [replace(HIGH, severity=Severity.CRITICAL)])
    judged(world, base)
    _, decision = judged(world, built(world, layers=("base", "app")))
    assert rules_of(decision) == ["image.base_images"]


def test_a_newer_base_is_named_with_what_a_rebuild_removes_and_findings_say_whose_layer(world: World) -> None:
    policy = with_bases(world)
    loose = replace(policy.stages["base"], findings=FindingRules(max={}))
    dev = replace(policy.stages["dev"], findings=FindingRules(max=STRICT))
    policy = replace(policy, stages={**policy.stages, "base": loose, "dev": dev})
    world.policy = world.records.policies[POLICY.digest] = policy
    layer = str(Digest.of(b"packed base"))
    of_base = replace(HIGH, packages=(Package("openssl", "3.0.1", None, layer=layer),), fixable=False)
    old = built(world, "base/debian", "12", layers=("base",))
    world.scans.finish(old, [of_base])
    judged(world, old)
    new = built(world, "base/debian", "12.1", layers=("newer base",))
    judged(world, new, LATER)
    image = built(world, layers=("base", "app"))
    own = replace(HIGH, vulnerability="CVE-2026-2", packages=(Package("jinja2", "3.0", "3.1.6"),))
    world.scans.finish(image, [of_base, own])
    _, decision = judged(world, image)
    assert decision.remedies is not None
    texts = {action["text"]: action["removes"] for action in decision.remedies["actions"]}
    assert texts == {
        f"rebuild on base/debian:12.1 ({new.digest.short})": 1,
        "upgrade jinja2 to 3.1.6": 1,
    }
    assert Replay(world.records, VERSIONS).again(decision).encode() == decision.encode()
    lines = [line for _, line in findings_record.read(_findings(world, decision))]
    assert [line["from"] for line in lines] == [["base"], ["unknown"]]


def _findings(world: World, decision: Decision) -> bytes:
    return world.records.findings(Digest.parse(decision.scans[0]["findings"]))


# evidence


def attach(world: World, image: ImageRef, statement: Any, *, dsse: bool = False) -> None:
    content = json.dumps(statement).encode()
    if dsse:
        payload = base64.b64encode(content).decode()
        content = json.dumps({"payloadType": "application/vnd.in-toto+json", "payload": payload}).encode()
    layer = world.registry.push_blob(image.repository, content)
    empty = world.registry.push_blob(image.repository, b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.in-toto+json",
        "config": {**empty.as_json(), "mediaType": "application/vnd.oci.empty.v1+json"},
        "layers": [{**layer.as_json(), "mediaType": "application/vnd.in-toto+json"}],
        "subject": world.registry.manifests[image].descriptor.as_json(),
    }
    world.registry.push_manifest(image.repository, Manifest.parse(json.dumps(manifest).encode()))


def provenance(digest: Digest, builder: str = GITHUB, version: int = 1) -> dict[str, Any]:
    predicates: dict[int, dict[str, Any]] = {
        0: {"builder": {"id": builder}},
        1: {"runDetails": {"builder": {"id": builder}}},
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "shop", "digest": {"sha256": digest.hex}}],
        "predicateType": f"https://slsa.dev/provenance/{'v1' if version else 'v0.2'}",
        "predicate": predicates[version],
    }


@pytest.mark.parametrize("dsse", [False, True])
@pytest.mark.parametrize("version", [0, 1])
def test_provenance_by_a_listed_builder_passes(world: World, dsse: bool, version: int) -> None:
    governed(world, evidence=EvidenceRules(require_provenance=Rule(("https://github.com/actions/*",))))
    image = built(world)
    attach(world, image, provenance(image.digest, version=version), dsse=dsse)
    assert judged(world, image)[1].verdict is VerdictOutcome.PASS


@pytest.mark.parametrize("what", ["none", "other builder", "other image", "other type", "not JSON", "deep"])
def test_other_provenance_does_not(world: World, what: str) -> None:
    governed(world, evidence=EvidenceRules(require_provenance=Rule(("https://github.com/actions/*",))))
    image = built(world)
    statements: dict[str, Any] = {
        "other builder": provenance(image.digest, "https://evil.example"),
        "other image": provenance(Digest.of(b"other")),
        "other type": {**provenance(image.digest), "predicateType": "https://spdx.dev/Document"},
        "not JSON": "x",
        "deep": {**provenance(image.digest), "subject": {"digest": []}, "predicate": [[]]},
    }
    if what in statements:
        attach(world, image, statements[what])
    decision = judged(world, image)[1]
    assert rules_of(decision) == ["evidence.require_provenance"]
    assert decision.verdict is VerdictOutcome.BLOCK


def test_a_signature_of_the_gate_before_is_required(world: World) -> None:
    staging = replace(POLICY.stages["staging"], evidence=EvidenceRules(require_signature=Rule(True)))
    world.policy = world.records.policies[POLICY.digest] = replace(
        POLICY, stages={**POLICY.stages, "staging": staging}
    )
    image = world.signed()
    assert world.promote(image)
    staged = ImageRef(STAGING, image.digest)
    world.scans.finish(staged)
    assert judged(world, staged)[1].verdict is VerdictOutcome.PASS
    beside = world.registry.push_image(STAGING, "2.0", seed="pushed past the gate")
    world.scans.finish(beside)
    decision = judged(world, beside)[1]
    assert rules_of(decision) == ["image.entry", "evidence.require_signature"]
    assert "carries no valid signature of the dev gate" in decision.reasons[1]["message"]


def test_a_missing_signature_names_the_reasons_of_the_gate_before(world: World) -> None:
    staging = replace(POLICY.stages["staging"], evidence=EvidenceRules(require_signature=Rule(True)))
    dev = replace(POLICY.stages["dev"], mode=Mode.OBSERVE)
    world.policy = world.records.policies[POLICY.digest] = replace(
        POLICY, stages={**POLICY.stages, "dev": dev, "staging": staging}
    )
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.scans.finish(image, critical())
    world.judge(image)
    reasons = world.ledger.get(ReleaseId(image, 1)).reasons
    world.promote(image)
    staged = ImageRef(STAGING, image.digest)
    world.scans.finish(staged)
    message = judged(world, staged)[1].reasons[0]["message"]
    assert message.endswith(f" gate; dev did not let it pass: {reasons[0]['message']}")


def test_the_gates_that_signed_are_recorded_from_the_ledger_where_no_rule_asks(world: World) -> None:
    image = world.signed()
    assert world.promote(image)
    staged = ImageRef(STAGING, image.digest)
    world.scans.finish(staged)
    facts = judged(world, staged)[1].facts
    assert facts
    assert facts["signature"] == {"found": ["dev"], "problem": "", "byLedger": True}
    assert ImageFacts.from_json(facts).as_json() == facts
    beside = world.registry.push_image(STAGING, "2.0", seed="pushed past the gate")
    world.scans.finish(beside)
    facts = judged(world, beside)[1].facts
    assert facts
    assert facts["signature"]["problem"] == "carries no valid signature of the dev gate"


def test_many_attestations_are_not_read_where_no_rule_asks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.scans.finish(image)
    junk = [Descriptor(OCI_MANIFEST, Digest.of(bytes([n])), 1, artifact_type="a/b") for n in range(5)]
    monkeypatch.setattr(world.registry, "referrers", lambda _: junk)
    facts = judged(world, image)[1].facts
    assert facts
    assert facts["provenance"] is None


def test_signatures_that_others_attach_do_not_hide_the_one_of_the_gate_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegate.workflow.examination.evidence._MOST_ATTESTATIONS", 1)
    staging = replace(POLICY.stages["staging"], evidence=EvidenceRules(require_signature=Rule(True)))
    world.policy = world.records.policies[POLICY.digest] = replace(
        POLICY, stages={**POLICY.stages, "staging": staging}
    )
    image = world.signed()
    assert world.promote(image)
    staged = ImageRef(STAGING, image.digest)
    listed = world.registry.referrers
    junk = Descriptor(OCI_MANIFEST, Digest.of(b"junk"), 1, artifact_type=NOTATION_SIGNATURE)
    monkeypatch.setattr(world.registry, "referrers", lambda image: [junk, *listed(image)])
    world.scans.finish(staged)
    assert judged(world, staged)[1].verdict is VerdictOutcome.PASS


def test_other_attachments_never_hide_the_gates_evidence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.signed()
    listed = world.registry.referrers
    junk = [Descriptor(OCI_MANIFEST, Digest.of(bytes([n])), 1, artifact_type="a/b") for n in range(9)]
    monkeypatch.setattr(world.registry, "referrers", lambda image: [*junk, *listed(image)])
    found = read(world.registry, image, at_most=2)
    assert (len(found.signatures), len(found.summaries)) == (1, 1)


# clocks and what Inspector knows


def test_a_clock_starts_at_the_first_gate_and_a_rebuild_does_not_restart_it(world: World) -> None:
    policy = governed(world, findings=FindingRules(max=STRICT, grace={Severity.HIGH: timedelta(days=7)}))
    first = built(world, layers=("a",))
    world.scans.finish(first, [HIGH])
    assert judged(world, first)[0].verdict is VerdictOutcome.PASS
    rebuilt = built(world, tag="1.1", layers=("a", "b"))
    world.scans.finish(rebuilt, [HIGH])
    within = NOW + timedelta(days=6, hours=23)
    assert judged(world, rebuilt, within)[0].verdict is VerdictOutcome.PASS
    again = built(world, tag="1.2", layers=("a", "b", "c"))
    world.scans.finish(again, [HIGH])
    found, decision = judged(world, again, NOW + timedelta(days=7))
    assert found.verdict is VerdictOutcome.BLOCK
    assert decision.remedies is not None
    assert decision.remedies["actions"][0]["text"] == "upgrade openssl to 3.0.2"
    assert world.ledger.clocks(policy.origin_of(STAGING)) == world.ledger.clocks(DEV)


def test_a_fix_that_appears_may_start_the_clock(world: World) -> None:
    rules = FindingRules(
        max=STRICT, grace={Severity.HIGH: timedelta(days=7)}, grace_starts=GraceStart.FIX_AVAILABLE
    )
    governed(world, findings=rules)
    unfixed = replace(HIGH, fixable=False, packages=(Package("openssl", "3.0.1"),))
    for days, finding, expected in (
        (0, unfixed, VerdictOutcome.PASS),
        (100, unfixed, VerdictOutcome.PASS),
        (100, HIGH, VerdictOutcome.PASS),
        (106, HIGH, VerdictOutcome.PASS),
        (107, HIGH, VerdictOutcome.BLOCK),
    ):
        image = built(world, tag=f"{days}-{finding.fixable}", layers=(f"{days}{finding.fixable}",))
        world.scans.finish(image, [finding])
        assert judged(world, image, NOW + timedelta(days=days))[0].verdict is expected, days


def test_inspector_is_queried_for_ten_findings_at_once_and_only_if_it_can_change_the_verdict(
    world: World,
) -> None:
    rules = FindingRules(
        max=STRICT, grace={Severity.HIGH: timedelta(days=7)}, no_grace=NoGrace(known_exploited=True)
    )
    governed(world, findings=rules)
    image = built(world)
    urgent = [replace(HIGH, vulnerability=f"CVE-2026-{n}", arn=f"arn:{n}") for n in range(23)]
    others = [replace(HIGH, vulnerability=f"CVE-2025-{n}", severity=Severity.LOW) for n in range(50)]
    world.scans.finish(image, [*others, *urgent])
    assert judged(world, image)[0].verdict is VerdictOutcome.PASS
    assert world.intelligence.asked == [10, 10, 3]
    world.intelligence.known_exploited = frozenset({"CVE-2026-7"})
    second = built(world, tag="2.0", layers=("x",))
    world.scans.finish(second, urgent)
    decision = judged(world, second)[1]
    assert decision.reasons[0]["message"].startswith("1 HIGH (at most 0): CVE-2026-7")


def test_a_waiver_that_details_made_needless_is_not_said_to_be_used(world: World) -> None:
    rules = FindingRules(
        max=STRICT, grace={Severity.HIGH: timedelta(days=7)}, no_grace=NoGrace(known_exploited=True)
    )
    governed(world, findings=rules)
    world.grants.grant(waiver())
    image = built(world)
    world.scans.finish(
        image, [replace(HIGH, arn="arn:1"), replace(HIGH, vulnerability="CVE-2026-7", arn="arn:2")]
    )
    decision = judged(world, image)[1]
    assert decision.verdict is VerdictOutcome.PASS
    assert Replay(world.records, VERSIONS).again(decision).encode() == decision.encode()


# the image released into the next stage


def test_only_what_is_worse_than_what_was_released_counts(world: World) -> None:
    governed(
        world, findings=FindingRules(max=STRICT, no_worse_than_next=True), mode=POLICY.stages["dev"].mode
    )
    first = built(world, layers=("a",))
    judged_first, _ = judged(world, first)
    world.sign(judged_first.decision)
    world.promote(first)
    world.announce(first, Outcome.RELEASED)
    standing = world.ledger.current_release(STAGING)
    assert standing is not None
    assert standing.image == first

    second = built(world, tag="2.0", layers=("b",))
    world.scans.finish(second, [HIGH])
    decision = judged(world, second)[1]
    assert decision.verdict is VerdictOutcome.BLOCK
    assert decision.baseline is not None
    assert (decision.baseline["added"], decision.baseline["removed"]) == (1, 0)


def test_earlier_findings_do_not_count_and_fixed_ones_are_named(world: World) -> None:
    policy = governed(world, findings=FindingRules(max={}, no_worse_than_next=True))
    old = replace(HIGH, vulnerability="CVE-2020-1")
    first = built(world, layers=("a",))
    world.scans.finish(first, [old, HIGH])
    found, _ = judged(world, first)
    world.sign(found.decision)
    world.promote(first)
    world.announce(first, Outcome.RELEASED)
    governed(world, policy, findings=FindingRules(max=STRICT, no_worse_than_next=True))
    second = built(world, tag="2.0", layers=("b",))
    world.scans.finish(second, [HIGH])
    decision = judged(world, second)[1]
    assert decision.verdict is VerdictOutcome.PASS
    assert decision.baseline is not None
    assert decision.baseline["removedExamples"] == ["CVE-2020-1 (openssl)"]
    assert Replay(world.records, VERSIONS).again(decision).encode() == decision.encode()


# judging again


def test_a_record_judged_again_says_the_same(world: World) -> None:
    rules = FindingRules(
        max=STRICT,
        grace={Severity.HIGH: timedelta(days=7)},
        deny=Rule(frozenset({"CVE-2026-9"}), Action.WARN),
    )
    governed(world, findings=rules, image=ImageRules(non_root=Rule(True, Action.WARN)))
    image = built(world)
    denied = replace(HIGH, vulnerability="CVE-2026-9", severity=Severity.LOW)
    critical = replace(HIGH, vulnerability="CVE-2026-8", severity=Severity.CRITICAL)
    world.scans.finish(image, [HIGH, denied, critical])
    world.grants.grant(waiver())
    decision = judged(world, image)[1]
    again = Replay(world.records, VERSIONS).same(decision)
    assert again.verdict.outcome is decision.verdict is VerdictOutcome.BLOCK
    assert [reason.as_json() for reason in again.verdict.reasons] == list(decision.reasons)
    assert again.remedies.as_json() == decision.remedies
    assert Replay(world.records, VERSIONS).again(decision).encode() == decision.encode()
    packed = [Digest.of(content) for content in again.packed_findings if content]
    assert [str(digest) for digest in packed] == [decision.scans[0]["findings"]]


# decide


def waiver(**changes: Any) -> Waiver:
    plain = Waiver(
        "ann", "not reachable", date(2026, 12, 20), vulnerability="CVE-2026-1", package="openssl",
        repositories="shop-*",
    )  # fmt: skip
    return replace(plain, **changes)


def deciding(world: World) -> GrantWaiver:
    return world.waivers()


def blocked(world: World, *findings: Finding, tag: str = "1.0") -> ImageRef:
    image = built(world, tag=tag, layers=(tag,))
    world.scans.finish(image, findings or [HIGH])
    assert judged(world, image)[0].verdict is VerdictOutcome.BLOCK
    world.announce(image, Outcome.BLOCKED)
    return image


def test_a_waiver_starts_another_attempt_only_for_images_that_it_releases(world: World) -> None:
    governed(world, findings=FindingRules(max=STRICT))
    freed = blocked(world)
    blocked(world, HIGH, replace(HIGH, vulnerability="CVE-2026-2"), tag="2.0")
    granted = deciding(world).waive(waiver(), "arn:aws:iam::123456789012:user/ann", LATER)
    assert granted.is_new
    assert granted.waiver.granted_by == "arn:aws:iam::123456789012:user/ann"
    assert world.starter.requests == [(freed, ("1.0",), "new waiver")]
    begun = world.starting().on_request(freed, ("1.0",), StartReason.NEW_WAIVER, LATER)
    assert isinstance(begun, Release)
    assert (begun.attempt, begun.reason) == (2, StartReason.NEW_WAIVER)
    found = world.judge(freed, attempt=2, now=LATER)
    assert found.verdict is VerdictOutcome.PASS
    assert found.decision is not None
    used = Decision.decode(world.records.decision(found.decision)).waivers
    assert [one["id"] for one in used] == [granted.waiver.id]


def test_a_waiver_granted_twice_is_one(world: World) -> None:
    governed(world, findings=FindingRules(max=STRICT))
    blocked(world)
    first = deciding(world).waive(waiver(), "arn:ann", NOW)
    second = deciding(world).waive(waiver(), "arn:ben", LATER)
    assert (first.is_new, second.is_new) == (True, False)
    assert second.waiver == first.waiver
    assert len(world.grants.granted) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expires": date(2027, 6, 1)}, "lasts longer than the 90 days"),
        ({"expires": date(2026, 1, 1)}, "expired on 2026-01-01"),
        ({"repositories": "*"}, "covers every repository"),
        ({"package": None}, "names no package"),
        ({"vulnerability": None, "package": None, "rule": "findings.high"}, "cannot be waived as a whole"),
        ({"until_fix": True}, "basic scanning does not say"),
    ],
)
def test_a_waiver_that_would_never_count_is_refused_in_plain_words(
    world: World, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(WaiverRefusedError, match=says):
        deciding(world).waive(waiver(**changes), "arn:ann", NOW)
    assert world.grants.granted == {}


def test_a_withdrawn_waiver_no_longer_counts_and_says_so(world: World) -> None:
    governed(world, findings=FindingRules(max=STRICT))
    granted = deciding(world).waive(waiver(), "arn:ann", NOW)
    deciding(world).withdraw(granted.waiver.id, "arn:ben", NOW)
    image = built(world)
    world.scans.finish(image, [HIGH])
    decision = judged(world, image, LATER)[1]
    assert rules_of(decision) == ["findings.high", "waiver.idle"]
    assert "was withdrawn" in decision.reasons[1]["message"]


# reconcile


def test_an_expiring_waiver_is_announced_once(world: World) -> None:
    world.grants.grant(waiver(expires=NOW.date() + timedelta(days=7)))
    world.grants.grant(waiver(expires=NOW.date() + timedelta(days=8), reason="longer"))
    assert [world.reconcile().warned, world.reconcile().warned] == [1, 0]
    message = world.notifications.messages[0]
    assert message.subject == "WAIVER ENDS in 7 days: CVE-2026-1 in openssl for shop-* (owner ann)"
    assert message.attributes["alert"] == "alert"
    assert world.reconcile(NOW + timedelta(days=1)).warned == 1


def test_a_new_policy_retries_once_the_images_that_it_would_let_pass(world: World) -> None:
    governed(world, findings=FindingRules(max=STRICT))
    image = blocked(world)
    assert world.reconcile().freed == 0
    loose = replace(POLICY, digest=Digest.of(b"looser"))
    world.policy = world.records.policies[loose.digest] = loose
    assert [world.reconcile().freed, world.reconcile().freed] == [1, 0]
    assert world.starter.requests == [(image, ("1.0",), "new policy")]
    assert isinstance(world.starting().on_request(image, ("1.0",), StartReason.NEW_POLICY, LATER), Release)
    world.ledger.close(ReleaseId(image, 2), Outcome.RELEASED, None, LATER, "")
    repeated = world.starting().on_request(image, ("1.0",), StartReason.NEW_POLICY, LATER)
    assert isinstance(repeated, Ignore)


# adoption


def test_an_adopted_image_does_not_take_a_tag_from_a_later_one(world: World) -> None:
    old = world.registry.push_image(DEV, "1.0", seed="old", at=NOW - timedelta(days=400))
    world.registry.push_image(STAGING, "1.0", seed="runs there", at=NOW - timedelta(days=300))
    standing = world.registry.tags[STAGING, "1.0"]
    world.scans.finish(old)
    begun = world.starting().on_request(old, ("1.0",), StartReason.ADOPTED, NOW)
    assert isinstance(begun, Release)
    world.sign(world.judge(old).decision)
    world.promote(old)
    assert world.registry.tags[STAGING, "1.0"] == standing


def test_a_request_about_an_image_that_is_gone_is_no_fault(world: World) -> None:
    gone = ImageRef(DEV, Digest.of(b"gone"))
    for reason in (StartReason.NEW_WAIVER, StartReason.NEW_POLICY, StartReason.ADOPTED):
        assert isinstance(world.starting().on_request(gone, ("1.0",), reason, NOW), Ignore)
