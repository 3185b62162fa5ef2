"""Ways past the gate that were found once: each stays shut."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from imagegate.errors import CorruptContentError, RejectedInputError
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.gate import findings_record
from imagegate.gate.evaluation import ImageEvaluation
from imagegate.gate.facts import Evidence, ImageFacts, PlatformFacts
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.policy import Policy, RepositoryPattern, Stage
from imagegate.policy.rules import EvidenceRules, FindingRules, ImageRules, Rule
from imagegate.policy.waiver import Waiver, WaiverTerms
from tests.unit.samples import finished

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
INDEX, AMD, ARM = (Digest.of(name) for name in (b"index", b"amd64", b"arm64"))
CRITICAL = Finding("CVE-2026-1", Severity.CRITICAL, (Package("openssl", "3.0", "3.1"),), fixable=True)


def judged(
    found: dict[Digest, list[Finding]], *, facts: ImageFacts, waivers: tuple[Waiver, ...] = (), **rules: Any
) -> Any:
    stage = Stage("dev", RepositoryPattern("{app}-dev"), **rules)
    judging = ImageEvaluation(Policy(Digest.of(b"policy"), {"dev": stage}, waivers), stage, facts, NOW)
    for digest, findings in found.items():
        counts: dict[Severity, int] = {}
        for finding in findings:
            counts[finding.severity] = counts.get(finding.severity, 0) + 1
        judging.read_scan(finished(counts, image=digest), findings)
    return judging.decide()


def index(*platforms: PlatformFacts) -> ImageFacts:
    return ImageFacts(ImageRef("shop-dev", INDEX), platforms=platforms)


def test_a_waiver_for_one_platform_is_not_about_its_siblings() -> None:
    waiver = Waiver("ann", "x", date(2026, 12, 1), vulnerability="CVE-2026-1", package="openssl", digest=ARM)
    facts = index(PlatformFacts(AMD), PlatformFacts(ARM))
    for found, outcome in (
        ({AMD: [CRITICAL], ARM: []}, VerdictOutcome.BLOCK),
        ({AMD: [], ARM: [CRITICAL]}, VerdictOutcome.PASS),
    ):
        assert judged(found, facts=facts, waivers=(waiver,)).verdict.outcome is outcome
    whole = replace(waiver, digest=INDEX)
    assert (
        judged({AMD: [CRITICAL], ARM: []}, facts=facts, waivers=(whole,)).verdict.outcome
        is VerdictOutcome.PASS
    )


def test_a_rule_that_is_waived_for_one_platform_holds_for_its_siblings() -> None:
    waiver = Waiver("ann", "x", date(2026, 12, 1), rule="image.non_root", digest=ARM)
    root, user = ImageConfig(), ImageConfig(user="1000")
    for amd, arm, outcome in ((root, user, VerdictOutcome.BLOCK), (user, root, VerdictOutcome.PASS)):
        facts = index(PlatformFacts(AMD, config=amd), PlatformFacts(ARM, config=arm))
        found = judged(
            {AMD: [], ARM: []}, facts=facts, waivers=(waiver,), image=ImageRules(non_root=Rule(True))
        )
        assert found.verdict.outcome is outcome


@pytest.mark.parametrize("is_first", [True, False])
def test_the_first_sight_of_a_fix_is_kept_in_any_order(is_first: bool) -> None:
    fixed = replace(CRITICAL, severity=Severity.HIGH)
    other = replace(fixed, fixable=False)
    rules = FindingRules(grace={Severity.HIGH: timedelta(days=1)})
    findings = [fixed, other] if is_first else [other, fixed]
    found = judged({AMD: findings}, facts=index(PlatformFacts(AMD)), findings=rules)
    assert [clock.fix_seen_at for clock in found.started_clocks.values()] == [NOW]


def test_an_image_of_whose_platforms_nothing_is_known_does_not_pass_their_rules() -> None:
    found = judged({AMD: []}, facts=index(), image=ImageRules(non_root=Rule(True), max_size=Rule(10**9)))
    assert found.verdict.outcome is VerdictOutcome.ERROR


@pytest.mark.parametrize("config", [{"User": ["root"]}, {"User": {"a": 1}}, {"Labels": {"team": None}}])
def test_a_config_of_another_shape_is_refused(config: Any) -> None:
    with pytest.raises(RejectedInputError):
        ImageConfig.of({"config": config})


def test_no_signature_is_no_signature() -> None:
    facts = replace(index(PlatformFacts(AMD)), signature=Evidence())
    rules = EvidenceRules(require_signature=Rule(True))
    assert judged({AMD: []}, facts=facts, evidence=rules).verdict.outcome is VerdictOutcome.BLOCK


def test_a_record_of_findings_ends_where_it_ends() -> None:
    packed = findings_record.FindingsWriter().finish()
    assert list(findings_record.read(packed)) == []
    with pytest.raises(CorruptContentError):
        list(findings_record.read(packed + b"more"))


@pytest.mark.parametrize("change", [{"until": "later"}, {"grantedBy": ["ann"]}])
def test_a_waiver_that_says_more_than_we_know_is_refused(change: Any) -> None:
    plain = Waiver("ann", "x", date(2026, 12, 1), rule="image.non_root", repositories="shop-*").as_json()
    with pytest.raises(RejectedInputError):
        Waiver.from_json({**plain, **change})


def test_the_last_day_of_a_waiver_is_utc() -> None:
    waiver = Waiver("ann", "x", date(2026, 11, 20), rule="image.non_root", repositories="shop-*")
    tokyo = datetime.fromisoformat("2026-11-21T05:00:00+09:00")
    assert waiver.fault(tokyo, WaiverTerms()) is None
