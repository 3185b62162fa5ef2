"""Images in use are judged again: who gets which message, how often, and when a risk is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from unittest.mock import Mock

import pytest

from imagegate.canonical_json import timestamp
from imagegate.deployment.rollback import Rollback
from imagegate.errors import AccessRefusedError, ThrottledError
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.gate.finding_rules import Clock
from imagegate.notices.risk.security_finding import SecurityFindingFormat
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Mode, Policy, Scanner
from imagegate.policy.rules import FindingRules, Rule
from imagegate.policy.waiver import Waiver
from imagegate.release.release import EcrImage, Outcome, Release
from imagegate.release.revocation import RunsIn
from imagegate.release.start import Push
from imagegate.risk.risk import RiskState
from imagegate.workflow.watch.announce_risks import AnnounceRisks
from imagegate.workflow.watch.export_risks import ExportRisks
from imagegate.workflow.watch.images_in_use import ImagesInUse
from imagegate.workflow.watch.judge_again import JudgeAgain, JudgedAgainResult, JudgementPace
from imagegate.workflow.watch.look_again import LookAgain
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY, STAGING, FakeSecurityHub, FakeTasks, critical

QUIET = JudgementPace().quiet
SOON, TOMORROW = NOW + timedelta(hours=1), NOW + timedelta(hours=23)
PRODUCT = "arn:aws:securityhub:eu-central-1:123456789012:product/123456789012/default"
FIXABLE = Finding("CVE-2026-0001", Severity.CRITICAL, (Package("openssl", "3.0.1", "3.0.9"),), fixable=True)


class Watch:
    """A world with the function that judges again."""

    def __init__(self) -> None:
        self.world, self.tasks, self.hub = World(), FakeTasks(), FakeSecurityHub()
        self.world.scans.kind = Scanner.ENHANCED
        self.policy: Policy = POLICY

    def step(self) -> JudgeAgain:
        world, policy = self.world, self.policy
        common = {"images": world.registry, "ledger": world.ledger, "policy": policy}
        examine = world.judging().examine
        look = LookAgain(examine=examine, scans=world.scans, records=world.records, **common)  # type: ignore[arg-type]
        in_use = partial(
            ImagesInUse,
            ledger=world.ledger,
            running=self.tasks,
            usage=world.usage,
            scans=world.scans,
            policy=policy,
        )
        announce = AnnounceRisks(world.ledger, world.notifications)
        export = ExportRisks(self.hub, SecurityFindingFormat(PRODUCT), policy)
        return JudgeAgain(look=look, announce=announce, export=export, in_use=in_use, **common)  # type: ignore[arg-type]

    def run(self, now: datetime, *, most: int = 1000) -> JudgedAgainResult:
        left = iter([True] * most)
        return self.step().run(now, lambda: next(left, False))

    def released(
        self, tag: str = "1.0", findings: Iterable[Finding] = (), repository: str = DEV, ago: int = 60
    ) -> ImageRef:
        """Return an image that was released that many minutes ago, with its findings of then."""
        world, at = self.world, NOW - timedelta(minutes=ago)
        image = world.registry.push_image(repository, tag, seed=f"{repository} {tag}", at=at)
        world.registry.names.add(repository)
        world.scans.finish(image, findings)
        begun = world.starting().on_push(Push(image, at, "SUCCESS", tag), at)
        assert isinstance(begun, Release)
        world.ledger.record(begun.id, clean_since={image.digest: at})
        world.judge(image)
        world.ledger.close(begun.id, Outcome.RELEASED, None, at, "")
        return image

    def found(self, image: ImageRef, *findings: Finding) -> None:
        """Let the scanner find these today, and say so."""
        self.world.scans.finish(image, findings)
        self.step().note(image, NOW)

    def subjects(self, alert: str | None = None) -> list[str]:
        messages = self.world.notifications.messages
        return [one.subject for one in messages if alert in (None, one.attributes["alert"])]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_new_vulnerability_is_one_alert_with_all_that_helps(watch: Watch) -> None:
    image = watch.released()
    watch.tasks.runs[image] = [RunsIn("arn:aws:ecs:eu-central-1:1:cluster/web", 3, service="service:shop")]
    watch.found(image, FIXABLE)
    assert watch.run(SOON).at_risk == 1
    [message] = watch.world.notifications.messages
    assert message.detail_type == "Image At Risk"
    assert message.subject == "AT RISK: shop-dev:1.0 (3 running): CVE-2026-0001 CRITICAL"
    assert "cluster/web service:shop: 3 running" in message.text
    assert "CVE-2026-0001 (openssl), CRITICAL, fixed in 3.0.9" in message.text
    assert "upgrade openssl to 3.0.9" in message.text
    assert message.attributes["alert"] == "alert"
    [risk] = watch.world.ledger.risks()
    assert (risk.state, risk.since, risk.units) == (RiskState.AT_RISK, SOON, 3)


def test_events_and_passes_without_news_say_nothing(watch: Watch) -> None:
    image = watch.released()
    watch.found(image, FIXABLE)
    for hours in range(1, 50, 3):
        watch.step().note(image, NOW + timedelta(hours=hours))
        watch.run(NOW + timedelta(hours=hours + 1))
    assert len(watch.subjects()) == 1


def test_one_more_vulnerability_is_news_and_one_less_is_none(watch: Watch) -> None:
    image = watch.released()
    watch.found(image, *critical(2))
    watch.run(SOON)
    watch.found(image, *critical(1))
    watch.run(SOON + timedelta(hours=1))
    assert len(watch.subjects()) == 1
    watch.found(image, *critical(3))
    watch.run(SOON + timedelta(hours=2))
    assert len(watch.subjects()) == 2
    [risk] = watch.world.ledger.risks()
    assert risk.since == SOON


def test_events_wait_for_a_quiet_time_and_write_one_item(watch: Watch) -> None:
    image = watch.released()
    for minute in range(5):
        watch.step().note(image, NOW + timedelta(minutes=minute))
    assert watch.world.ledger.queue[image].due == NOW + QUIET
    assert watch.run(NOW + QUIET - timedelta(seconds=1)).judged == 0
    assert watch.run(NOW + QUIET).judged == 1


def test_an_image_of_no_stage_is_not_noted(watch: Watch) -> None:
    assert not watch.step().note(ImageRef("other", Digest.of(b"other")), NOW)
    assert watch.world.ledger.queue == {}


def test_the_daily_pass_finds_what_events_lost(watch: Watch) -> None:
    image = watch.released()
    watch.world.scans.finish(image, critical())
    for minutes in range(0, 26 * 60, 5):
        watch.run(NOW + timedelta(minutes=minutes))
    assert [subject[:22] for subject in watch.subjects()] == ["AT RISK: shop-dev:1.0 "]


def test_what_runs_is_judged_also_if_another_image_is_current(watch: Watch) -> None:
    old, new = watch.released("1.0", ago=90), watch.released("2.0")
    watch.tasks.runs[old] = [RunsIn("cluster", 1)]
    watch.found(old, *critical())
    watch.run(SOON)
    [risk] = watch.world.ledger.risks()
    assert (risk.image, risk.is_current) == (old, False)
    assert [one.image for one in risk.newer] == [new]
    assert "imagegate status shop-dev:2.0" in watch.world.notifications.messages[0].text


def test_an_image_that_is_not_in_use_leaves_the_queue(watch: Watch) -> None:
    old = watch.released("1.0", ago=90)
    watch.released("2.0")
    watch.found(old, *critical())
    assert (watch.run(SOON).judged, old in watch.world.ledger.queue) == (0, False)
    assert watch.subjects() == []


@pytest.mark.parametrize("how", ["a rebuild", "findings that go away", "a deletion", "a waiver"])
def test_a_risk_that_is_over_is_announced_once(watch: Watch, how: str) -> None:
    image = watch.released()
    watch.found(image, *critical())
    watch.run(SOON)
    if how == "a rebuild":
        watch.released("2.0", ago=0)
    elif how == "a deletion":
        watch.world.registry.delete(image)
    elif how == "a waiver":
        watch.policy = replace(watch.policy, waivers=(_waiver(),))
    else:
        watch.world.scans.finish(image)
        watch.world.ledger.record(
            watch.world.ledger.history(image).attempts[0].id, clean_since={image.digest: NOW}
        )
    for hours in (2, 3, 4):
        result = watch.run(NOW + timedelta(hours=hours))
    assert (result.at_risk, list(watch.world.ledger.risks())) == (0, [])
    assert [subject[:9] for subject in watch.subjects()] == ["AT RISK: ", "RISK OVER"]


@pytest.mark.parametrize(("days", "expected"), [(29, 1), (40, 0), (-1, 0)])
def test_the_end_of_a_signature_in_use_is_reminded_of_once(watch: Watch, days: int, expected: int) -> None:
    image = watch.released()
    end = SOON + timedelta(days=days)
    latest = watch.world.ledger.history(image).attempts[0]
    watch.world.ledger.record(latest.id, signature=image.digest, signature_ends=end)
    for hours in (0, 24, 48):
        watch.step().note(image, SOON + timedelta(hours=hours))
        watch.run(SOON + timedelta(hours=hours + 1))
    ends = [one for one in watch.world.notifications.messages if one.detail_type == "Image Signature Ending"]
    assert [one.detail["repository"] for one in ends] == [DEV] * expected
    assert watch.world.ledger.queue[image].last.signature_ends == end  # type: ignore[union-attr]


@pytest.mark.parametrize(("number", "alert"), [(5, "alert"), (6, "log")])
def test_many_signatures_that_end_at_once_are_no_wave_of_mails(watch: Watch, number: int, alert: str) -> None:
    ends = {ImageRef(DEV, Digest.of(bytes(one))): TOMORROW for one in range(number)}
    AnnounceRisks(watch.world.ledger, watch.world.notifications).remind(ends, NOW)
    assert [one.attributes["alert"] for one in watch.world.notifications.messages] == [alert] * number


def test_the_time_to_a_fix_counts_from_its_first_sight_to_the_image_with_it(watch: Watch) -> None:
    image = watch.released()
    watch.found(image, replace(FIXABLE, fixable=False, packages=(Package("openssl", "3.0.1"),)))
    watch.run(SOON)
    watch.found(image, FIXABLE)
    watch.run(SOON + timedelta(hours=2))
    watch.run(SOON + timedelta(hours=4))
    watch.released("2.0", ago=0)
    watch.step().note(image, SOON + timedelta(hours=6))
    result = watch.run(SOON + timedelta(hours=7))
    assert result.fixed == (("dev", 5 * 3600.0),)
    [past] = watch.world.ledger.past
    assert (past.since, past.fixable_since) == (SOON, SOON + timedelta(hours=2))


def test_a_risk_that_ends_without_another_image_is_no_fix(watch: Watch) -> None:
    image = watch.released()
    watch.found(image, FIXABLE)
    watch.run(SOON)
    watch.world.registry.delete(image)
    assert watch.run(SOON + timedelta(hours=2)).fixed == ()
    [past] = watch.world.ledger.past
    assert (past.is_replaced, past.fix_seconds) == (False, None)


def _waiver() -> Waiver:
    return Waiver(
        repositories="shop-*",
        vulnerability="CVE-2026-0000",
        package="openssl",
        owner="team",
        reason="not reachable",
        expires=(NOW + timedelta(days=20)).date(),
    )


@pytest.mark.parametrize(
    "reason", ["SCAN_ELIGIBILITY_EXPIRED", "SCAN_FREQUENCY_SCAN_ON_PUSH", "IMAGE_ARCHIVED"]
)
def test_an_image_that_nobody_watches_is_reported_once_with_the_setting(watch: Watch, reason: str) -> None:
    image = watch.released()
    _coverage(watch, image, reason)
    watch.step().note(image, NOW)
    for hours in (1, 26, 51):
        result = watch.run(NOW + timedelta(hours=hours))
    assert (result.at_risk, result.not_watched) == (0, 1)
    [message] = watch.world.notifications.messages
    assert message.detail_type == "Image Not Watched"
    assert reason in message.text


def test_a_closed_finding_of_an_image_at_risk_proves_nothing(watch: Watch) -> None:
    image = watch.released()
    watch.found(image, *critical())
    watch.run(SOON)
    watch.world.scans.finish(image)
    _coverage(watch, image, "SCAN_ELIGIBILITY_EXPIRED")
    assert watch.run(SOON + timedelta(hours=1)).at_risk == 1
    assert len(watch.subjects()) == 1


def _coverage(watch: Watch, image: ImageRef, reason: str) -> None:
    results = watch.world.scans.results
    results[image.digest] = replace(
        results[image.digest], coverage=(Coverage("INACTIVE", reason, timestamp(NOW)),)
    )


def test_grace_runs_before_an_image_is_at_risk(watch: Watch) -> None:
    rules = FindingRules(grace={Severity.CRITICAL: timedelta(days=2)})
    dev = replace(POLICY.stages["dev"], findings=rules)
    watch.policy = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    image = watch.released()
    watch.found(image, *critical())
    assert watch.run(SOON).at_risk == 0
    assert watch.world.ledger.running == {(DEV, ("CVE-2026-0000", "openssl")): Clock(SOON)}
    assert watch.run(SOON + timedelta(days=1, hours=1)).at_risk == 0
    assert watch.run(SOON + timedelta(days=3)).at_risk == 1


def test_an_image_that_went_on_unsigned_is_at_risk_only_for_what_is_new(watch: Watch) -> None:
    _let_dev_observe(watch)
    image = watch.released(findings=critical(1))
    watch.found(image, *critical(1))
    assert watch.run(SOON).at_risk == 0
    watch.found(image, *critical(2))
    assert watch.run(SOON + timedelta(hours=1)).at_risk == 1


def _let_dev_observe(watch: Watch) -> None:
    dev = replace(POLICY.stages["dev"], mode=Mode.OBSERVE)
    policy = replace(POLICY, digest=Digest.of(b"observes"), stages={**POLICY.stages, "dev": dev})
    watch.policy = watch.world.policy = watch.world.records.policies[policy.digest] = policy


def test_only_vulnerabilities_put_an_image_at_risk(watch: Watch) -> None:
    image = watch.released()
    rules = replace(POLICY.stages["dev"].image, max_age=Rule(timedelta(minutes=1)))
    dev = replace(POLICY.stages["dev"], image=rules)
    watch.policy = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    watch.step().note(image, NOW)
    assert (watch.run(SOON).judged, watch.subjects()) == (1, [])


def test_the_message_has_no_reason_that_is_not_about_vulnerabilities(watch: Watch) -> None:
    rules = replace(POLICY.stages["dev"].image, max_age=Rule(timedelta(minutes=1)))
    dev = replace(POLICY.stages["dev"], image=rules)
    image = watch.released()
    watch.policy = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    watch.found(image, *critical())
    watch.run(SOON)
    [risk] = watch.world.ledger.risks()
    assert [why.partition(" (")[0] for why in risk.why] == ["1 CRITICAL"]


def test_an_earlier_release_is_no_way_out(watch: Watch) -> None:
    watch.released("1.0", ago=90)
    watch.found(watch.released("2.0", repository=STAGING), *critical())
    watch.run(SOON)
    [risk] = watch.world.ledger.risks()
    assert risk.newer == ()


def test_a_later_release_with_the_same_vulnerability_is_no_way_out(watch: Watch) -> None:
    _let_dev_observe(watch)
    old = watch.released("1.0", repository=STAGING, ago=90)
    watch.released("2.0", critical())
    watch.found(old, *critical())
    watch.run(SOON)
    [risk] = [risk for risk in watch.world.ledger.risks() if risk.image == old]
    assert risk.newer == ()


def test_an_image_at_risk_in_production_is_out_by_a_later_release_of_the_stage_before(watch: Watch) -> None:
    old, new = watch.released("1.0", repository=STAGING, ago=90), watch.released("2.0")
    watch.found(old, *critical())
    watch.run(SOON)
    [risk] = watch.world.ledger.risks()
    assert [(one.image, one.tags) for one in risk.newer] == [(new, ("2.0",))]


def test_silence_of_two_days_is_not_watched(watch: Watch) -> None:
    image = watch.released()
    watch.step().note(image, NOW)
    watch.world.scans.results[image.digest] = replace(
        watch.world.scans.results[image.digest], status="IN_PROGRESS", coverage=()
    )
    for hours in range(1, 47, 5):
        assert watch.run(NOW + timedelta(hours=hours)).not_watched == 0
    assert watch.run(NOW + timedelta(hours=50)).not_watched == 1


def test_a_run_that_is_killed_before_it_stores_sends_no_second_message(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.found(watch.released(), *critical())
    with monkeypatch.context() as patch:
        patch.setattr(watch.world.ledger, "keep_risk", None)
        with pytest.raises(TypeError):
            watch.run(SOON)
    assert watch.run(SOON + timedelta(minutes=5)).at_risk == 1
    assert len(watch.subjects()) == 1


def test_after_a_rollback_the_release_before_is_current(watch: Watch) -> None:
    old = watch.released("0", ago=999)
    newer = [watch.released(str(number + 1), ago=900 - number) for number in range(25)]
    back = Rollback(DEV, old.digest, newer[-1].digest, "ann", NOW, "broken")
    watch.world.ledger.note_rollback(back)
    watch.found(old, *critical())
    watch.found(newer[-1], *critical())
    watch.run(SOON)
    assert [risk.image for risk in watch.world.ledger.risks()] == [old]


def test_basic_scanning_is_started_once_a_day_and_then_judged(watch: Watch) -> None:
    watch.world.scans.kind = Scanner.BASIC
    image, later = watch.released(), NOW + timedelta(hours=24)
    watch.step().note(image, NOW)
    assert watch.run(SOON).judged == 1
    assert watch.world.scans.started == []  # its scan is of today
    watch.step().note(image, later - QUIET)
    watch.run(later)
    assert watch.world.scans.started == [image]
    watch.world.scans.finish(image, critical())
    assert watch.run(later + QUIET).at_risk == 1
    for minutes in range(30, 20 * 60, 30):
        watch.run(later + timedelta(minutes=minutes))
    assert watch.world.scans.started == [image]


def test_many_at_once_are_one_mail_and_an_event_each(watch: Watch) -> None:
    for number in range(7):
        watch.found(watch.released(repository=f"app{number}-dev"), *critical())
    assert watch.run(SOON).news == 7
    assert watch.subjects("alert") == ["AT RISK: 7 released images, 0 of them run"]
    assert len(watch.subjects("log")) == 7


def test_a_run_without_time_leaves_the_rest_to_the_next_one(watch: Watch) -> None:
    images = [watch.released(repository=f"app{number}-dev") for number in range(4)]
    for image in images:
        watch.found(image, *critical())
    watch.tasks.runs[images[3]] = [RunsIn("cluster", 1)]
    assert watch.run(SOON, most=1).judged == 1
    assert [risk.image for risk in watch.world.ledger.risks()] == [images[3]]  # what runs comes first
    assert watch.run(SOON).at_risk == 4


def test_a_fault_of_one_image_does_not_stop_the_others(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = watch.released(repository="good-dev"), watch.released(repository="bad-dev")
    for image in (good, bad):
        watch.found(image, *critical())
    real = watch.world.registry.facts

    def facts(image: ImageRef) -> EcrImage:
        if image == bad:
            raise ThrottledError("too many")
        return real(image)

    monkeypatch.setattr(watch.world.registry, "facts", facts)
    result = watch.run(SOON)
    assert (result.at_risk, len(result.faults)) == (1, 1)
    assert watch.world.ledger.queue[bad].due > SOON


@pytest.mark.parametrize(
    "fault", [AccessRefusedError("ecs:ListClusters"), ThrottledError("slow"), OSError("?")]
)
def test_if_no_cluster_can_be_listed_images_are_judged_all_the_same(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(watch.tasks, "running", Mock(side_effect=fault))
    watch.found(watch.released(), *critical())
    result = watch.run(SOON)
    assert (result.at_risk, len(result.faults)) == (1, 1)
    assert str(fault) in result.faults[0]


def test_what_ran_in_a_cluster_that_cannot_be_read_still_runs(watch: Watch) -> None:
    old, gone = watch.released("1.0", ago=99), watch.released("2.0", ago=90)
    watch.released("3.0")
    watch.tasks.runs = {old: [RunsIn("blue", 2)], gone: [RunsIn("green", 1)]}
    for image in (old, gone):
        watch.found(image, *critical())
    assert watch.run(SOON).at_risk == 2
    watch.tasks.runs, watch.tasks.unread = {}, {"blue": "ServerException"}
    result = watch.run(SOON + timedelta(hours=1))
    assert [(risk.image, risk.units) for risk in watch.world.ledger.risks()] == [(old, 2)]
    assert result.faults == ("the tasks of blue: ServerException",)


def test_the_findings_of_today_are_kept_once(watch: Watch) -> None:
    image = watch.released(repository=STAGING)
    watch.found(image, *critical())
    watch.run(SOON)
    last = watch.world.ledger.queue[image].last
    assert last is not None
    [digest] = last.findings
    assert watch.world.records.findings(digest)


def test_a_platform_in_an_event_has_its_index_judged(watch: Watch) -> None:
    index, platforms = watch.world.index("amd64", "arm64")
    for one in platforms:
        watch.world.scans.finish(one)
    begun = watch.world.start(index, "1.0")
    assert isinstance(begun, Release)
    digests = [one.digest for one in platforms]
    clean = dict.fromkeys(digests, NOW)
    watch.world.ledger.record(begun.id, platforms=digests, verdict="PASS", clean_since=clean)
    watch.world.ledger.close(begun.id, Outcome.RELEASED, None, NOW, "")
    watch.world.ledger.note_platforms(watch.world.ledger.get(begun.id))
    watch.found(platforms[0], *critical())
    watch.run(SOON)
    assert watch.run(SOON).at_risk == 1
    assert [risk.image for risk in watch.world.ledger.risks()] == [index]
