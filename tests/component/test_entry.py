"""A way in is a way through the gates before: what the ledger proves, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from imagegate.errors import DecisionRefusedError, InvalidPolicyError
from imagegate.findings.versions import VERSIONS
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.file.load import parse_policy
from imagegate.policy.policy import Entry, Mode, Policy
from imagegate.policy.rules import ENTRY, WAIVABLE
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.revocation import Revocation
from imagegate.release.start import Ignore
from imagegate.workflow.examination.replay import Replay
from imagegate.workflow.judge import JudgeResult, JudgeRoute
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, POLICY, STAGING, critical

ELSEWHERE = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "arn:aws:iam::210987654321:role/imagegate-promotion"


@pytest.fixture
def world() -> World:
    return World()


def there(image: ImageRef) -> ImageRef:
    return ImageRef(STAGING, image.digest)


def pushed_straight(world: World, tag: str = "1.0") -> ImageRef:
    image = world.registry.push_image(STAGING, tag)
    world.scans.finish(image)
    return image


def arrives(world: World, image: ImageRef, tag: str = "1.0", attempt: int = 1) -> JudgeResult:
    """Push the image, and judge it."""
    begun = world.start(image, tag)
    assert isinstance(begun, Release)
    assert begun.attempt == attempt
    return world.judge(image, attempt=attempt)


def rules(world: World, image: ImageRef, attempt: int = 1) -> list[str]:
    return [reason["rule"] for reason in world.ledger.get(ReleaseId(image, attempt)).reasons]


def with_staging(world: World, **changes: object) -> Policy:
    staging = replace(POLICY.stages["staging"], **changes)  # type: ignore[arg-type]
    world.policy = replace(POLICY, stages={**POLICY.stages, "staging": staging})
    world.records.policies[POLICY.digest] = world.policy
    return world.policy


def promoted(world: World) -> ImageRef:
    image = world.signed()
    assert world.promote(image).outcome is Outcome.RELEASED
    world.announce(image, Outcome.RELEASED)
    return image


def test_a_push_straight_into_a_later_stage_is_blocked_and_never_signed(world: World) -> None:
    image = pushed_straight(world)
    judged = arrives(world, image)
    assert (judged.route, judged.outcome, judged.verdict) == (JudgeRoute.ANNOUNCE, Outcome.BLOCKED, "BLOCK")
    assert rules(world, image) == ["image.entry"]
    [reason] = world.ledger.get(ReleaseId(image, 1)).reasons
    assert (
        "push it to shop-dev and let it be promoted, or write entry: open in stages.staging"
        in reason["message"]
    )


def test_a_promoted_image_is_admitted(world: World) -> None:
    image = promoted(world)
    assert arrives(world, there(image)).verdict == "PASS"


def test_an_image_that_is_judged_before_its_promotion_is_recorded_is_admitted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ECR's event may be handled while `promote_image` still runs."""
    image = world.signed()
    found: list[JudgeResult] = []
    push = world.registry.push_manifest

    def tells_at_once(repository: str, manifest: object, tag: str | None = None) -> None:
        push(repository, manifest, tag)  # type: ignore[arg-type]
        if (repository, tag) == (STAGING, "1.0"):
            found.append(arrives(world, there(image)))

    monkeypatch.setattr(world.registry, "push_manifest", tells_at_once)
    world.promote(image)
    assert [one.verdict for one in found] == ["PASS"]


def test_a_promotion_that_was_killed_before_it_was_noted_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.signed()
    monkeypatch.setattr(world.ledger, "record", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        world.promote(image)
    monkeypatch.undo()
    assert arrives(world, there(image)).verdict == "PASS"


def test_a_later_image_with_the_tag_does_not_change_the_promoted_one(world: World) -> None:
    """A claim is for one image at a time, but the record stays."""
    image = promoted(world)
    world.ledger.claims[STAGING, "1.0"] = Digest.of(b"another"), LATER
    assert arrives(world, there(image)).verdict == "PASS"


def test_a_tag_that_is_added_by_hand_to_what_was_promoted_is_admitted(world: World) -> None:
    image = promoted(world)
    world.registry.tags[STAGING, "by-hand"] = image.digest
    assert arrives(world, there(image), "by-hand").verdict == "PASS"


def test_a_tag_that_is_added_to_what_was_refused_changes_nothing(world: World) -> None:
    image = pushed_straight(world)
    world.announce(image, arrives(world, image).outcome)
    world.registry.tags[STAGING, "2.0"] = image.digest
    assert arrives(world, image, "2.0", attempt=2).verdict == "BLOCK"


def test_another_image_under_a_promoted_tag_is_refused(world: World) -> None:
    promoted(world)
    other = world.registry.push_image(STAGING, "1.0", seed="another")
    world.scans.finish(other)
    assert arrives(world, other).verdict == "BLOCK"


def test_having_passed_the_stage_before_is_not_having_been_promoted(world: World) -> None:
    """Its promotion may wait for an approval."""
    image = world.signed()
    pushed_straight(world)
    assert arrives(world, there(image)).verdict == "BLOCK"


def test_an_image_revoked_in_the_stage_before_does_not_count_as_promoted(world: World) -> None:
    image = promoted(world)
    world.ledger.revoke(ReleaseId(image, 1), Revocation(NOW, "ann", "stolen"))
    assert arrives(world, there(image)).verdict == "BLOCK"


def test_a_promotion_to_another_repository_proves_nothing_here(world: World) -> None:
    image = promoted(world)
    release = world.ledger.get(ReleaseId(image, 1))
    assert release.promotion is not None
    elsewhere = replace(release.promotion, repository="other-staging")
    world.ledger.record(release.id, promotion=elsewhere)
    world.ledger.claims.clear()
    assert arrives(world, there(image)).verdict == "BLOCK"


def test_a_platform_comes_with_its_index_and_alone_by_nothing(world: World) -> None:
    index, platforms = world.index("amd64", "arm64")
    stranger = world.registry.push_image(STAGING, "stranger", seed="stranger")
    for one in (*platforms, stranger):
        world.scans.finish(one)
    world.start(index)
    world.sign(world.judge(index).decision)
    world.promote(index)
    world.announce(index, Outcome.RELEASED)
    for platform, tag in ((there(platforms[0]), "amd64"), (stranger, "stranger")):
        world.registry.tags[STAGING, tag] = platform.digest
        expected = "PASS" if platform is not stranger else "BLOCK"
        assert arrives(world, platform, tag).verdict == expected, platform


@pytest.mark.parametrize("promote", ["observe", "break-glass"])
def test_an_unpassed_image_that_went_on_counts_as_promoted(world: World, promote: str) -> None:
    if promote == "observe":
        dev = replace(POLICY.stages["dev"], mode=Mode.OBSERVE)
        world.policy = replace(POLICY, stages={**POLICY.stages, "dev": dev})
        world.records.policies[POLICY.digest] = world.policy
    else:
        broken = world.registry.push_image(DEV, "1.0")
        ends = NOW + timedelta(hours=1)
        world.grants.break_glass(BreakGlass(DEV, broken.digest, "down", ends, NOW, "ann"))
    image, judged = world.judged(critical())
    assert judged.route is JudgeRoute.PROMOTE
    world.promote(image)
    world.scans.finish(image)
    assert arrives(world, there(image)).verdict == "PASS"


def test_an_open_stage_admits_whatever_is_pushed(world: World) -> None:
    with_staging(world, entry=Entry.OPEN)
    assert arrives(world, pushed_straight(world)).verdict == "PASS"


def test_a_stage_that_observes_says_it_and_lets_it_be_unsigned(world: World) -> None:
    with_staging(world, mode=Mode.OBSERVE)
    image = pushed_straight(world)
    judged = arrives(world, image)
    assert (judged.route, judged.outcome, judged.verdict) == (JudgeRoute.PROMOTE, Outcome.RELEASED, "BLOCK")
    assert rules(world, image) == ["image.entry"]


def test_no_waiver_opens_the_way_in() -> None:
    assert ENTRY not in WAIVABLE


def test_images_from_before_the_installation_are_adopted_in_place(world: World) -> None:
    image = world.registry.push_image(STAGING, "1.0", at=NOW - timedelta(days=9))
    world.scans.finish(image)
    begun = world.starting().on_request(image, ("1.0",), StartReason.ADOPTED, NOW)
    assert isinstance(begun, Release)
    assert world.judge(image).verdict == "PASS"


@pytest.mark.parametrize("ask", [StartReason.OPERATOR, StartReason.PUSH])
def test_nothing_else_adopts_it(world: World, ask: StartReason) -> None:
    image = pushed_straight(world)
    begun = world.starting().on_request(image, ("1.0",), ask, NOW)
    assert isinstance(begun, Release)
    assert world.judge(image).verdict == "BLOCK"


def test_images_pushed_after_the_installation_are_not_adopted(world: World) -> None:
    image = pushed_straight(world)
    found = world.starting().on_request(image, ("1.0",), StartReason.ADOPTED, NOW)
    assert found == Ignore("pushed after the installation: it is no image to adopt")


def test_a_refused_image_that_is_then_promoted_is_judged_again(world: World) -> None:
    """Its tag is there already, so that no event tells of the promotion."""
    image = world.signed()
    early = pushed_straight(world)
    assert early == there(image)
    world.announce(early, arrives(world, early).outcome)
    world.promote(image)
    world.reconcile()
    world.reconcile()
    assert world.starter.requests == [(early, ("1.0",), "promoted")]
    begun = world.starting().on_request(early, ("1.0",), StartReason.PROMOTED, LATER)
    assert isinstance(begun, Release)
    assert (begun.attempt, begun.reason) == (2, StartReason.PROMOTED)
    assert world.judge(early, attempt=2).verdict == "PASS"


def test_only_what_lacked_a_promotion_is_looked_at_again_for_one(world: World) -> None:
    image, judged = world.judged(critical())
    world.announce(image, judged.outcome)
    found = world.starting().on_request(image, ("1.0",), StartReason.PROMOTED, LATER)
    assert isinstance(found, Ignore)


def test_a_promotion_to_where_nothing_was_asks_for_nothing(world: World) -> None:
    promoted(world)
    assert world.ledger.asked == {}


@pytest.mark.parametrize("come", [promoted, pushed_straight])
def test_a_kept_decision_is_judged_again_with_how_the_image_came(
    world: World, come: Callable[[World], ImageRef]
) -> None:
    image = there(come(world))
    judged = arrives(world, image)
    assert judged.decision is not None
    decision = Decision.decode(world.records.decision(judged.decision))
    assert decision.facts is not None
    assert decision.facts["cameBy"] == ("promotion" if judged.verdict == "PASS" else "push")
    again = Replay(world.records, VERSIONS).again(decision)
    assert again.encode() == decision.encode()


def test_a_decision_from_before_this_was_kept_is_judged_as_it_was(world: World) -> None:
    open_policy = with_staging(world, entry=Entry.OPEN)
    image = pushed_straight(world)
    judged = arrives(world, image)
    assert judged.decision is not None
    decision = Decision.decode(world.records.decision(judged.decision))
    assert decision.facts is not None
    old = replace(decision, facts={key: fact for key, fact in decision.facts.items() if key != "cameBy"})
    closed = with_staging(world, entry=Entry.PROMOTION)
    replay = Replay(world.records, VERSIONS)
    for kept, verdict in ((old, VerdictOutcome.PASS), (decision, VerdictOutcome.BLOCK)):
        found = replay.run(kept, closed, closed.stages["staging"], [], NOW)
        assert found.verdict.outcome is verdict
    assert replay.run(decision, open_policy, open_policy.stages["staging"], [], NOW).verdict.outcome == "PASS"


def test_nothing_is_claimed_for_what_may_not_leave(world: World) -> None:
    """Else a claim would prove nothing."""
    image, _ = world.judged(critical())
    with pytest.raises(DecisionRefusedError, match="has not passed"):
        world.promote(image)
    assert world.ledger.claims == {}


STAGES = """\
version: 1
stages:
  dev: {{repositories: "{{app}}-dev", promotes_to: staging{dev}}}
  staging: {{repositories: "{{app}}-staging", promotes_to: production}}
  hotfix: {{repositories: "{{app}}-hotfix", promotes_to: production}}
  production: {{repositories: "{{app}}-production"{production}}}
{more}"""


def file(dev: str = "", production: str = "", more: str = "") -> bytes:
    return STAGES.format(dev=dev, production=production, more=more).encode()


def test_a_stage_that_others_promote_into_admits_what_was_promoted_unless_it_says_open() -> None:
    entries = {name: str(stage.entry) for name, stage in parse_policy(file()).stages.items()}
    assert entries == {"dev": "open", "staging": "promotion", "hotfix": "open", "production": "promotion"}
    assert parse_policy(file(production=", entry: open")).stages["production"].entry is Entry.OPEN
    assert parse_policy(file(production=", entry: promotion")).stages["production"].entry is Entry.PROMOTION


def test_the_ways_to_a_repository_begin_where_no_stage_leads() -> None:
    policy = parse_policy(file())
    assert policy.entrances("shop-production") == ["shop-hotfix", "shop-dev"]
    assert policy.entrances("shop-dev") == ["shop-dev"]
    assert policy.entrances("tools") == ["tools"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (file(dev=", entry: open"), "stages.dev.entry: no stage promotes into dev, so that all is pushed"),
        (file(dev=", entry: promotion"), "stages.dev.entry: no stage promotes into dev"),
        (file(production=", entry: shut"), "stages.production.entry: must be 'promotion' or 'open'"),
        (file(more="defaults: {entry: open}\n"), "defaults.entry: every stage has its own"),
        (
            file(production=f", entry: open, registry: {ELSEWHERE}, role: '{ROLE}'"),
            "stages.production.entry: the stage is in another registry",
        ),
    ],
)
def test_entry_cannot_be_set_where_there_is_no_choice(text: bytes, says: str) -> None:
    with pytest.raises(InvalidPolicyError, match=re.escape(says)):
        parse_policy(text)


def test_no_waiver_file_opens_the_way_in() -> None:
    waiver = "{rule: image.entry, repositories: '*', owner: ann, reason: x, expires: 2026-12-24}"
    with pytest.raises(InvalidPolicyError, match=r"image\.entry"):
        parse_policy(file(more=f"waivers:\n  - {waiver}\n"))
