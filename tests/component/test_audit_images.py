"""The audit of images: what it finds, what it leaves alone, and what it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from imagegate.audit.finding import AdvisedRemedy
from imagegate.audit.image import AuditedImage, AuditTerms, image_resource
from imagegate.audit.report import AuditReport, CheckCount, part_of
from imagegate.errors import AccessRefusedError, ThrottledError, UnreadableRecordError
from imagegate.gate.facts import Evidence, ImageFacts, PlatformFacts
from imagegate.lifecycle.stored_image import StoredImage
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.audit_rules import AuditLimits
from imagegate.policy.cleanup import CleanupRule, CleanupTerms
from imagegate.policy.file.load import parse_policy
from imagegate.policy.policy import Policy, Scanner
from imagegate.policy.rules import (
    CYCLONEDX_JSON,
    PROHIBITED,
    SPDX_JSON,
    EvidenceRules,
    FindingRules,
    ImageRules,
    ProhibitedPackage,
    Rule,
)
from imagegate.policy.waiver import Waiver, WaiverTerms
from imagegate.release.release import Outcome
from imagegate.release.revocation import Revocation
from imagegate.risk.risk import RiskState
from imagegate.workflow.audit.walk import AuditRepositories
from imagegate.workflow.watch.sweep import Workers
from tests.component.auditing import A_DAY, HOME, Auditing
from tests.fakes import InTurn
from tests.fakes.world import DEV, NOW, POLICY, REGISTRY, STAGING


@pytest.fixture
def world() -> Auditing:
    return Auditing()


def with_rules(**rules: Any) -> Policy:
    """Return the policy with these rules in its first stage."""
    return replace(POLICY, stages={**POLICY.stages, "dev": replace(POLICY.stages["dev"], **rules)})


def test_a_rightly_released_image_has_no_finding_and_nothing_is_unknown(world: Auditing) -> None:
    world.shipped()
    part = world.audit()
    assert (part.findings, part.not_assessed) == ((), ())
    assert part.counts["image-unsigned"].passed == part.counts["image-not-passing"].passed == 1
    assert part.images == 3  # with its signature and its summary


@pytest.mark.parametrize(
    ("release", "check", "detail"),
    [
        ({"signature": None}, "image-unsigned", "unsigned"),
        ({"signature": Digest.of(b"gone")}, "image-unsigned", "no longer in the repository"),
        ({"evidence": (Digest.of(b"gone"),)}, "image-evidence-missing", "no longer in the repository"),
        ({"decision": None}, "image-unrecorded", "names no decision"),
        ({"decision": Digest.of(b"gone")}, "image-unrecorded", "no decision"),
        ({"break_glass": "b-1 of alice, an outage"}, "image-break-glass", "alice"),
        ({"revoked": Revocation(NOW, "arn:bob", "a leak")}, "image-revoked", "a leak"),
    ],
)
def test_what_is_wrong_with_a_release_is_found(
    world: Auditing, release: dict[str, Any], check: str, detail: str
) -> None:
    digest = world.shipped()
    world.change(digest, **release)
    assert detail in world.detail(check)


def test_a_decision_about_another_image_proves_nothing(world: Auditing) -> None:
    digest, other = world.shipped(), Digest.of(b"other")
    decision = world.decision(ImageRef(DEV, other))
    world.change(digest, decision=world.records.put_decision(decision.encode()))
    assert str(other) in world.detail("image-unrecorded")


def test_a_record_that_was_changed_proves_nothing(world: Auditing) -> None:
    digest = world.shipped()
    record = world.ledger.releases[ImageRef(DEV, digest), 1].decision
    assert record
    world.records.contents[record] += b" "
    assert "other bytes" in world.detail("image-unrecorded")


def test_a_record_that_may_not_be_read_is_not_assessed(
    world: Auditing, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.shipped()

    def refuse(_digest: Digest) -> bytes:
        raise UnreadableRecordError("AccessDenied")

    monkeypatch.setattr(world.records, "decision", refuse)
    assert "AccessDenied" in world.not_assessed()["image-unrecorded"]
    assert "image-unrecorded" not in world.failing()


def test_an_image_at_risk_is_a_finding_with_its_remedy_and_evidence(world: Auditing) -> None:
    world.judged(world.shipped(), RiskState.AT_RISK, findings=(Digest.of(b"findings"),))
    [finding] = [one for one in world.audit().findings if one.check.id == "image-not-passing"]
    assert "CVE-2026-1" in finding.detail
    assert finding.remedy.text == "update openssl to 3.0.2"
    assert finding.evidence == (str(Digest.of(b"findings")), str(POLICY.digest))


def test_an_image_that_nobody_scans_any_more_is_stale_and_its_verdict_unknown(world: Auditing) -> None:
    world.judged(world.shipped(), RiskState.NOT_WATCHED)
    assert "image-scan-stale" in world.failing()
    assert "image-not-passing" in world.not_assessed()
    assert "image-scan-missing" not in world.failing()


def test_an_image_without_any_scan_is_said_to_have_none(world: Auditing) -> None:
    digest = world.shipped()
    world.redecide(digest, scans=[{"completedAt": None}])
    world.judged(digest, RiskState.NOT_WATCHED)
    assert {"image-scan-missing", "image-scan-stale"} <= world.failing()


@pytest.mark.parametrize("days", [3, None])
def test_a_verdict_that_is_not_of_today_is_not_assessed(world: Auditing, days: int | None) -> None:
    digest = world.shipped()
    if days is None:
        del world.ledger.queue[ImageRef(DEV, digest)]
    else:
        world.judged(digest, at=NOW - days * A_DAY)
    assert {"image-scan-missing", "image-scan-stale", "image-not-passing"} <= world.not_assessed().keys()
    assert world.failing() == set()


def test_an_image_that_runs_without_having_passed_is_found(world: Auditing) -> None:
    digest = world.images.push(DEV, "sneaked", "1.0", days=1)
    world.users.named.append((f"{REGISTRY}/{DEV}:1.0", "the service s"))
    assert "no gate of dev has decided" in world.detail("image-runs-ungated")
    world.release(digest, outcome=Outcome.BLOCKED, verdict="BLOCK", signature=None)
    assert "blocked" in world.detail("image-runs-ungated")


def test_a_platform_of_a_released_index_has_passed(world: Auditing) -> None:
    child = world.images.push(DEV, "child", days=1)
    index = world.images.push(DEV, "index", "2.0", days=1, children=[child])
    signature = world.images.push(DEV, "signature", subject=index)
    world.release(index, days=1, platforms=(child,), signature=signature)
    world.users.named.append((f"{REGISTRY}/{DEV}@{child}", "the task t"))
    assert "image-runs-ungated" not in world.failing()


def test_an_image_that_runs_and_is_gone_from_the_registry_is_still_audited(world: Auditing) -> None:
    digest = world.shipped()
    world.judged(digest, runs=True)
    del world.images.images[ImageRef(DEV, digest)]
    world.change(digest, signature=None)
    assert {"image-unsigned", "image-runs-ungated"} <= world.failing()


def test_age_counts_from_the_first_push_that_is_known(world: Auditing) -> None:
    digest = world.shipped(days=91)
    assert "91 days" in world.detail("image-old")
    world.images.change(DEV, digest, pushed_at=NOW - 5 * A_DAY)
    facts = ImageFacts(ImageRef(DEV, digest), first_pushed_at=NOW - 100 * A_DAY)
    world.redecide(digest, facts=facts)
    assert "100 days" in world.detail("image-old")


def test_the_limit_of_the_policy_replaces_that_of_the_audit(world: Auditing) -> None:
    world.shipped(days=61)
    assert "image-old" not in world.failing()
    world.policy = with_rules(image=ImageRules(max_age=Rule(60 * A_DAY)))
    assert "at most 60 days" in world.detail("image-old")


def test_labels_base_and_provenance_are_judged_by_the_policy_of_today(world: Auditing) -> None:
    config = ImageConfig.from_json(_config({"version": "1"}))
    image = ImageRef(DEV, Digest.of(f"{DEV} app".encode()))
    platform = PlatformFacts(image.digest, config=config, base_is_known=True)
    facts = ImageFacts(image, platforms=(platform,), provenance=Evidence(problem="carries no provenance"))
    world.shipped(facts=facts)
    assert world.failing() == set()  # the policy asks for nothing
    world.policy = with_rules(
        image=ImageRules(labels=Rule({"maintainer": "*"}), base_images=Rule(("staging",))),
        evidence=EvidenceRules(require_provenance=Rule(("*",))),
    )
    assert world.failing() == {"image-labels-missing", "image-base-foreign", "image-provenance-missing"}
    assert "no label maintainer" in world.detail("image-labels-missing")


@pytest.mark.parametrize("text", ["\ud800", "x" * 500_000, "\x1b[31m", "a\n- b"])
def test_no_text_of_an_image_keeps_the_report_from_being_written(world: Auditing, text: str) -> None:
    """The report has the beginning of what a finding quotes, and all other findings."""
    digest = world.shipped()
    resource = image_resource(HOME, ImageRef(DEV, digest), "dev")
    audited = AuditedImage(image=ImageRef(DEV, digest), resource=resource, stage=POLICY.stages["dev"])
    outcomes = [
        audited.result("image-labels-missing", f"label {text}", AdvisedRemedy("x")),
        audited.unknown("image-package-prohibited", f"version {text}"),
    ]
    report = AuditReport(taken_at=NOW, account="1", region="r", results=part_of(outcomes))
    content = report.to_bytes()
    assert len(content) < 10_000
    again = AuditReport.from_document(json.loads(content))
    assert [one.detail.isprintable() for one in again.results.findings] == [True]
    assert [one.reason.isprintable() for one in again.results.not_assessed] == [True]
    assert again.to_bytes() == content


def test_facts_that_no_decision_has_are_not_assessed(world: Auditing) -> None:
    world.shipped()
    world.policy = with_rules(image=ImageRules(labels=Rule({"maintainer": "*"})))
    assert "config is missing" in world.not_assessed()["image-labels-missing"]


LOG4J = (ProhibitedPackage("log4j-core", "<2.17.1"), ProhibitedPackage("telnetd"))
PROHIBITING = {"findings": FindingRules(prohibited=Rule(LOG4J))}


def components(*urls: str) -> bytes:
    inner = [{"name": "bundle", "components": [{"name": "x", "purl": url} for url in urls]}]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.4", "components": inner}).encode()


def spdx(*urls: str) -> bytes:
    packages = [
        {"name": "x", "externalRefs": [{"referenceType": "purl", "referenceLocator": url}]} for url in urls
    ]
    return json.dumps({"spdxVersion": "SPDX-2.3", "packages": packages}).encode()


def statement(content: bytes) -> bytes:
    predicate = json.loads(content)
    raw = {"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "sbom"}
    return json.dumps({**raw, "predicate": predicate}).encode()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (components("pkg:deb/debian/telnetd@0.17-41"), CYCLONEDX_JSON),
        (spdx("pkg:deb/debian/telnetd@0.17-41"), SPDX_JSON),
        (statement(spdx("pkg:deb/debian/telnetd@0.17-41")), "application/vnd.in-toto+json"),
        (json.dumps({"spdxVersion": "SPDX-2.3", "packages": [{"name": "telnetd"}]}).encode(), SPDX_JSON),
    ],
)
def test_a_prohibited_package_is_found_in_the_sbom(world: Auditing, content: bytes, kind: str) -> None:
    world.lists(world.shipped(), content, kind)
    assert "image-package-prohibited" not in {
        *world.failing(),
        *world.not_assessed(),
    }  # nothing is prohibited
    world.policy = with_rules(**PROHIBITING)
    assert "telnetd" in world.detail("image-package-prohibited")


def test_versions_of_packages_are_compared(world: Auditing) -> None:
    world.policy, digest = with_rules(**PROHIBITING), world.shipped()
    world.lists(digest, components("pkg:maven/org.apache/log4j-core@2.17.1", "pkg:npm/log4j-core@3.0"))
    assert world.audit().counts["image-package-prohibited"].passed == 1
    prohibited = (ProhibitedPackage("org.apache:log4j-core", "<2.17.1"),)
    rule: Rule[tuple[ProhibitedPackage, ...]] = Rule(prohibited)
    world.policy = with_rules(findings=FindingRules(prohibited=rule))
    world.lists(digest, components("pkg:maven/org.apache/log4j-core@2.14.1"))
    assert "2.14.1" in world.detail("image-package-prohibited")
    waiver = Waiver(
        "ann", "it goes in May", date(2027, 5, 1), rule=PROHIBITED, package="org.apache:log4j-core"
    )
    for repositories, is_found in (("legacy-*", True), ("shop-*", False)):
        waivers = [replace(waiver, repositories=repositories)]
        policy = replace(world.policy, waiver_terms=WaiverTerms(max_days=365))
        world.audit_terms = AuditTerms.of(policy, waivers, NOW)
        assert ("image-package-prohibited" in world.failing()) is is_found


# Documents that hide their packages from some readers, and one whose text could not be written into a report.
READ_OTHERWISE = (
    components("pkg:deb/debian/telnetd@1").replace(b'"components"', b'"Components"'),
    components("pkg:deb/debian/telnetd@1").replace(b'"purl"', b'"Purl"'),
    components("pkg:deb/debian/telnetd@1")[:-1] + b', "components": []}',
    b'{"bomFormat": "CycloneDX", "components": {"name": "telnetd"}}',
    b'{"bomFormat": "CycloneDX", "components": ["telnetd"]}',
    b'{"spdxVersion": "SPDX-2.3", "packages": "telnetd"}',
    b'{"spdxVersion": "SPDX-2.3", "packages": [{"name": "x", "externalRefs": {}}]}',
    spdx("pkg:deb/debian/telnetd@1").replace(b'"referenceLocator"', b'"referencelocator"'),
    spdx("pkg:deb/debian/telnetd@1").replace(b"SPDX-2.3", b"SPDX-3.0"),
    spdx("pkg:deb/debian/telnetd@1").replace(b"@1", b"@1\\ud800"),
)


@pytest.mark.parametrize(
    ("content", "note", "reason"),
    [
        (None, "", "has no SBOM"),
        (b"<xml/>", "attached", "no document of CycloneDX"),
        (components("pkg:generic/log4j-core"), "attached", "whether log4j-core is <2.17.1"),
        (components(), "none for linux/arm64: it takes too long", "linux/arm64"),
        *((content, "attached", "no document of CycloneDX") for content in READ_OTHERWISE),
    ],
)
def test_packages_that_nobody_knows_are_not_assessed(
    world: Auditing, content: bytes | None, note: str, reason: str
) -> None:
    world.policy, digest = with_rules(**PROHIBITING), world.shipped()
    if content is not None:
        world.lists(digest, content, note=note)
    assert reason in world.not_assessed()["image-package-prohibited"]
    assert world.audit().counts["image-package-prohibited"] == CheckCount()


def test_scanning_again_costs_money_for_images_that_nobody_needs(world: Auditing) -> None:
    world.shipped(days=40)
    assert world.audit().measures["scanAgainCentsEachTime"] == 0  # basic scanning costs nothing
    world.policy = replace(POLICY, scanner=Scanner.ENHANCED)
    assert "cost-scanning" not in world.failing()
    child = world.images.push(DEV, "child", days=1)
    world.images.push(DEV, "index", "2.0", days=1, children=[child])
    assert "1 image that nobody uses: at most $0.01" in world.detail("cost-scanning")
    measures = world.audit().measures
    assert (measures["firstScansCentsAMonth"], measures["scanAgainCentsEachTime"]) == (9, 2)
    world.scans_again = False
    assert "cost-scanning" not in world.failing()


def test_a_release_by_a_waiver_that_ended_is_found(world: Auditing) -> None:
    world.redecide(world.shipped(), waivers=[{"id": "w-1"}, {"id": "w-2"}])
    world.audit_terms = AuditTerms(now=NOW, waivers=frozenset({"w-1"}))
    assert "w-2" in world.detail("image-waiver-expired")
    assert "w-1" not in world.detail("image-waiver-expired")


def test_evidence_parts_and_released_images_are_no_leftovers(world: Auditing) -> None:
    digest = world.shipped()
    child = world.images.push(DEV, "child")
    world.images.push(DEV, "index", "2.0", children=[child])
    world.images.push(DEV, "cosign", f"sha256-{digest.hex}.sig")
    world.images.push(DEV, "of an image that is gone", subject=Digest.of(b"gone"))
    world.images.untag(DEV, "app")
    assert "cost-leftovers" not in world.failing()
    world.images.push(DEV, "leftover")
    assert world.detail("cost-leftovers").startswith("1 untagged image")
    assert world.audit().measures["untaggedLeftovers"] == 1


def test_without_the_parts_of_an_index_no_image_is_a_leftover(world: Auditing) -> None:
    child = world.images.push(DEV, "child")
    index = world.images.push(DEV, "index", "2.0", children=[child])
    world.images.unreadable.add(index)
    assert "1 index cannot be read" in world.not_assessed()["cost-leftovers"]
    assert "cost-leftovers" not in world.failing()


def test_layers_that_images_share_count_once(world: Auditing) -> None:
    for number in range(3):
        world.images.push(DEV, str(number), str(number), layers=["base" * 100, str(number)], days=1)
    part = world.audit()
    assert part.measures["storageBytes"] == 400 + 3
    world.audit_terms = AuditTerms(now=NOW, limits=AuditLimits(max_repository_size=402))
    assert "each layer counted once" in world.detail("repository-too-large")


def test_the_limits_are_those_of_the_policy(world: Auditing) -> None:
    world.images.push(DEV, "old", layers=["x" * 2_000_000], days=31)
    assert not world.failing() & {"repository-images-old", "repository-too-large"}
    policy = parse_policy(
        b"version: 1\naudit: {max_age: 30d, max_repository_size: 1MB}\nstages: {dev: {repositories: '{app}-dev'}}"
    )
    world.audit_terms = AuditTerms.of(policy, (), NOW)
    assert "older than 30 days" in world.detail("repository-images-old")
    assert "repository-too-large" in world.failing()


def test_a_size_that_is_only_an_upper_bound_is_not_assessed_above_the_limit(world: Auditing) -> None:
    world.images.push(DEV, "large", "1.0", layers=["x" * 100], days=1)
    world.images.pulls_count = True
    world.audit_terms = AuditTerms(now=NOW, limits=AuditLimits(max_repository_size=50))
    assert "at most" in world.not_assessed()["repository-too-large"]
    assert "storageBytesAtMost" in world.audit().measures


def test_old_images_are_counted_without_evidence_parts_and_those_in_use(world: Auditing) -> None:
    world.shipped(days=100)
    child = world.images.push(DEV, "child")
    world.images.push(DEV, "index", "2.0", children=[child], days=100)
    assert world.detail("repository-images-old") == "nobody uses 1 image, older than 90 days"


def test_the_saving_of_a_clean_up_leaves_what_is_in_use(world: Auditing) -> None:
    world.shipped(days=100)
    world.images.push(DEV, "old", "feature-1", days=100)
    rules = (CleanupRule("*", older_than=7 * A_DAY),)
    world.policy = with_rules(cleanup=CleanupTerms(rules, keep_releases=1))
    assert "let 1 image" in world.detail("cost-cleanup")


def test_a_repository_of_no_stage_is_measured_and_its_images_are_not_judged(world: Auditing) -> None:
    world.images.push("tools", "a", "1.0", days=100)
    part = world.audit("tools")
    assert [one.check.id for one in part.findings] == ["repository-images-old"]


def _config(labels: dict[str, str]) -> dict[str, Any]:
    return {**ImageConfig.parse(_minimal()).as_json(), "labels": labels}


def _minimal() -> bytes:
    return b'{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}'


# The walk


def walk_of(world: Auditing, pauses: list[float]) -> AuditRepositories:
    return AuditRepositories(
        auditors=[world.auditor],
        policy=POLICY,
        home=HOME,
        workers=Workers(InTurn(), 2),
        sleep=pauses.append,
    )


def test_a_repository_that_fails_is_named_and_the_others_are_audited(
    world: Auditing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (DEV, STAGING, "tools"):
        world.images.push(name, "a", "1.0", days=1)
    _break(world, monkeypatch, STAGING, AccessRefusedError("ecr:DescribeImages is denied"))
    results = dict(walk_of(world, []).run([DEV, STAGING, "tools"]))
    assert list(results) == [DEV, STAGING, "tools"]
    failed = results[STAGING]
    assert {one.check for one in failed.not_assessed} == set(world.auditor.checks)
    assert all("AccessRefusedError" in one.reason for one in failed.not_assessed)
    assert all(one.resource.repository == STAGING for one in failed.not_assessed)
    assert {one.passed for one in failed.counts.values()} == {0}, "an error is never a pass"
    assert results["tools"].not_assessed == ()
    assert [one.repositories for one in results.values()] == [1, 1, 1]


def test_throttling_is_waited_out(world: Auditing, monkeypatch: pytest.MonkeyPatch) -> None:
    world.images.push(DEV, "a", "1.0", days=1)
    _break(world, monkeypatch, DEV, ThrottledError("slow down"), times=2)
    pauses: list[float] = []
    part = walk_of(world, pauses).audit(DEV)
    assert (part.not_assessed, len(pauses)) == ((), 2)


def test_throttling_that_does_not_end_is_not_assessed(
    world: Auditing, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.images.push(DEV, "a", "1.0", days=1)
    _break(world, monkeypatch, DEV, ThrottledError("slow down"))
    assert "slow down" in walk_of(world, []).audit(DEV).not_assessed[0].reason


def _break(
    world: Auditing, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, times: int = 99
) -> None:
    """Let the list of a repository's images fail so many times."""
    usual, left = world.images.stored, iter(range(times))

    def stored(repository: str, digests: Any = ()) -> list[StoredImage]:
        if repository == name and next(left, None) is not None:
            raise error
        return usual(repository, digests)

    monkeypatch.setattr(world.images, "stored", stored)
