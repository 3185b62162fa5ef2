"""Clean-up: what may go goes, what is needed stays, and a plan is done only as it was made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest

from imagegate.cleanup.plan import CleanupPlan
from imagegate.cleanup.selection import CleanupAction
from imagegate.errors import AccessRefusedError, ThrottledError
from imagegate.lifecycle.stored_image import StorageStatus
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.cleanup import CleanupRule, CleanupTerms, ImageUser
from imagegate.policy.policy import Scanner
from imagegate.release.release import Outcome
from imagegate.release.revocation import RunsIn
from imagegate.workflow.cleanup.protection import CleanupRefusedError
from tests.component.cleaning import TERMS, WEEK, Cleaning, policy_with
from tests.fakes.world import DEV, NOW, REGISTRY, STAGING

DAY = timedelta(days=1)


@pytest.fixture
def world() -> Cleaning:
    return Cleaning()


# What the rules let go


def test_untagged_images_go_when_they_are_old(world: Cleaning) -> None:
    old, young = world.images.push(DEV, "old", days=8), world.images.push(DEV, "young", days=6)
    assert world.going() == {old}
    assert "not older" in world.reasons(young)


def test_the_last_of_a_pattern_stay(world: Cleaning) -> None:
    versions = [world.images.push(DEV, f"{n}", f"v{n}", days=50 - n) for n in range(4)]
    assert world.going() == set(versions[:2])


def test_each_tag_of_an_image_has_to_let_it_go(world: Cleaning) -> None:
    both = world.images.push(DEV, "both", "feature-1", "prod-1")
    unknown = world.images.push(DEV, "unknown", "feature-2", "hotfix")
    one = world.images.push(DEV, "one", "feature-3")
    assert world.going() == {one}
    assert "prod-1" in world.reasons(both)
    assert "no rule is about the tag hotfix" in world.reasons(unknown)


def test_without_rules_nothing_is_planned() -> None:
    world = Cleaning(terms=CleanupTerms())
    world.images.push(DEV, "old")
    assert world.parts.planning(NOW).plan(DEV, NOW) is None
    assert world.parts.planning(NOW).plan("no-stage", NOW) is None


def test_a_rule_with_both_conditions_needs_both() -> None:
    world = Cleaning(terms=CleanupTerms((CleanupRule("v*", older_than=10 * WEEK, keep_last=1),)))
    world.images.push(DEV, "new", "v3", days=50)
    young = world.images.push(DEV, "young", "v2", days=60)
    old = world.images.push(DEV, "old", "v1", days=80)
    assert world.going() == {old}
    assert world.reasons(young)


def test_a_rule_may_be_about_some_repositories() -> None:
    world = Cleaning(terms=CleanupTerms((CleanupRule(None, "legacy-*", WEEK),)))
    world.images.push(DEV, "a")
    assert world.going() == set()
    legacy = world.images.push("legacy-dev", "a")
    assert world.going("legacy-dev") == {legacy}


# What stays, whatever the rules say

PROTECT: dict[str, Callable[[Cleaning, Digest], object]] = {
    "it runs by digest": lambda w, d: w.users.named.append((f"{REGISTRY}/{DEV}@{d}", "the service s")),
    "it runs by tag": lambda w, d: w.users.named.append((f"{REGISTRY}/{DEV}:feature-1", "the service s")),
    "it runs by both": lambda w, d: w.users.named.append((f"{REGISTRY}/{DEV}:x@{d}", "the task t")),
    "it was released last": lambda w, d: w.release(d),
    "it is released in the next stage": lambda w, d: w.release(d, STAGING),
    "its release runs": lambda w, d: w.release(d, outcome=None, closed_at=None, verdict=None),
    "it soaks": lambda w, d: w.release(d, outcome=None, closed_at=None, soaks_until=NOW + DAY),
    "it waits for an approval": lambda w, d: w.release(
        d, outcome=Outcome.HELD, verdict="BLOCK", signature=None
    ),
    "it was decided today": lambda w, d: w.release(d, outcome=Outcome.BLOCKED, verdict="BLOCK", days=0.5),
    "it was pulled": lambda w, d: w.images.change(DEV, d, pulled_at=NOW - 29 * DAY),
    "it is kept by its tag": lambda w, d: w.images.change(DEV, d, tags=frozenset({"feature-1", "keep"})),
    "it was just pushed": lambda w, d: w.images.change(DEV, d, pushed_at=NOW - DAY / 2),
    "it was just restored": lambda w, d: w.images.change(DEV, d, activated_at=NOW - DAY / 2),
    "it is being restored": lambda w, d: w.images.change(DEV, d, status=StorageStatus.ACTIVATING),
}


@pytest.mark.parametrize("why", PROTECT)
def test_what_is_needed_stays_with_all_that_belongs_to_it(world: Cleaning, why: str) -> None:
    part = world.images.push(DEV, "part")
    other = world.images.push(DEV, "other part")
    index = world.images.push(DEV, "index", "feature-1", children=(part, other))
    signature = world.images.push(DEV, "signature", subject=index)
    about_it = world.images.push(DEV, "signature of the signature", subject=signature)
    cosign = world.images.push(DEV, "cosign", f"sha256-{part.hex}.sig")
    everything = {part, other, index, signature, about_it, cosign}
    assert world.going() == everything
    PROTECT[why](world, index)
    assert world.going() == set()


@pytest.mark.parametrize("of", ["part", "signature", "cosign"])
def test_what_uses_a_part_or_evidence_keeps_the_whole(world: Cleaning, of: str) -> None:
    digests = {"part": world.images.push(DEV, "part")}
    index = world.images.push(DEV, "index", "feature-1", children=(digests["part"],))
    digests["signature"] = world.images.push(DEV, "signature", subject=index)
    digests["cosign"] = world.images.push(DEV, "cosign", f"sha256-{index.hex}.att")
    world.users.named.append((f"{REGISTRY}/{DEV}@{digests[of]}", "the service s"))
    assert world.going() == set()


def test_a_part_of_two_indexes_stays_with_the_one_that_stays(world: Cleaning) -> None:
    shared, own = world.images.push(DEV, "shared"), world.images.push(DEV, "own")
    old = world.images.push(DEV, "old", "feature-1", children=(shared, own))
    world.images.push(DEV, "kept", "prod-1", children=(shared,))
    assert world.going() == {old, own}


@pytest.mark.parametrize("how", ["part", "evidence"])
def test_a_release_that_runs_of_what_stays_for_another_image_keeps_both(world: Cleaning, how: str) -> None:
    if how == "part":
        shared = world.images.push(DEV, "shared")
        world.images.push(DEV, "old", "feature-1", children=(shared,))
        world.images.push(DEV, "kept", "prod-1", children=(shared,))
    else:
        old, kept = world.images.push(DEV, "old", "feature-1"), world.images.push(DEV, "kept", "prod-1")
        shared = world.images.push(DEV, "shared", f"sha256-{old.hex}.sig", subject=kept)
    assert len(world.going()) == 1
    world.release(shared, outcome=None, closed_at=None, verdict=None)
    assert world.going() == set()


def test_the_last_releases_stay_to_go_back_to() -> None:
    world = Cleaning(terms=dataclasses.replace(TERMS, keep_releases=2))
    digests = [world.images.push(DEV, f"{n}", f"feature-{n}", days=90 - n) for n in range(4)]
    for number, digest in enumerate(digests):
        world.release(digest, days=80 - number)
    assert world.going() == set(digests[:2])


def test_the_time_for_an_approval_ends() -> None:
    approval = ApprovalTerms(expires=WEEK)
    policy = policy_with(dev=dataclasses.replace(TERMS, keep_releases=1))
    stages = {**policy.stages, "staging": dataclasses.replace(policy.stages["staging"], approval=approval)}
    world = Cleaning(policy=dataclasses.replace(policy, stages=stages))
    digest = world.images.push(DEV, "a", "feature-1")
    world.release(world.images.push(DEV, "later", "prod-1"), days=2)
    for number, (days, goes) in enumerate(((6, False), (8, True))):
        held = world.release(digest, days=days, outcome=Outcome.HELD, verdict="BLOCK", signature=None)
        assert (world.going() == {digest}) is goes, number
        del world.ledger.releases[held.image, held.attempt]


@pytest.mark.parametrize(("days", "goes"), [(8, False), (89, False), (91, True)])
def test_an_approval_has_the_time_of_the_policy_that_judged_the_image(days: int, goes: bool) -> None:
    policy = policy_with(dev=dataclasses.replace(TERMS, keep_releases=1))
    staging = dataclasses.replace(policy.stages["staging"], approval=ApprovalTerms(expires=WEEK))
    world = Cleaning(policy=dataclasses.replace(policy, stages={**policy.stages, "staging": staging}))
    digest = world.images.push(DEV, "a", "feature-1")
    world.release(world.images.push(DEV, "later", "prod-1"), days=2)
    earlier = Digest.of(b"an earlier policy, which gave more time")
    world.release(digest, days=days, outcome=Outcome.HELD, verdict="BLOCK", signature=None, policy=earlier)
    assert (world.going() == {digest}) is goes


def test_inspector_says_what_a_cluster_runs(world: Cleaning) -> None:
    digest = world.images.push(DEV, "a", "feature-1")
    world.scans.kind = Scanner.ENHANCED
    world.usage.runs_in[ImageRef(DEV, digest)] = [RunsIn("arn:aws:eks:r:1:cluster/c", 0, NOW)]
    assert "cluster/c" in world.reasons(digest)


def test_indexes_stay_where_amazon_eks_runs(world: Cleaning) -> None:
    part = world.images.push(DEV, "part")
    index = world.images.push(DEV, "index", "feature-1", children=(part,))
    alone = world.images.push(DEV, "alone", "feature-2")
    world.users.clusters, world.scans.kind = ("c",), Scanner.ENHANCED
    assert world.going() == {alone}
    assert "Amazon EKS" in world.reasons(index)


def test_evidence_of_an_image_that_is_gone_goes_like_an_untagged_image(world: Cleaning) -> None:
    gone = Digest.of(b"gone")
    signature = world.images.push(DEV, "signature", subject=gone)
    cosign = world.images.push(DEV, "cosign", f"sha256-{gone.hex}.sig")
    young = world.images.push(DEV, "young", subject=gone, days=3)
    assert world.going() == {signature, cosign}
    assert world.reasons(young)


@pytest.mark.parametrize("tag", ["prod-1", "v1", "no-rule-is-about-it"])
def test_nobody_gets_an_image_deleted_by_calling_it_evidence(world: Cleaning, tag: str) -> None:
    """A role that may push may set a tag of Cosign's form on any image, or give a manifest any subject."""
    old = world.images.push(DEV, "old")
    by_tag = world.images.push(DEV, "tagged", tag, f"sha256-{old.hex}.sig")
    assert world.going() == {old}
    world.images.change(DEV, by_tag, tags=frozenset({tag}), subject=old)
    assert world.going() == set(), "ECR deletes an image together with its subject"


def test_an_image_with_a_subject_may_run_in_a_cluster(world: Cleaning) -> None:
    old = world.images.push(DEV, "old")
    runs = world.images.push(DEV, "runs", "feature-1", subject=old)
    world.scans.kind = Scanner.ENHANCED
    assert world.going() == {old, runs}
    world.usage.runs_in[ImageRef(DEV, runs)] = [RunsIn("arn:aws:eks:r:1:cluster/c", 0, NOW)]
    assert world.going() == set()


def test_an_index_that_cannot_be_read_keeps_all_that_could_be_its_part(world: Cleaning) -> None:
    part, alone = world.images.push(DEV, "part"), world.images.push(DEV, "alone", "feature-2")
    index = world.images.push(DEV, "index", "feature-1", children=(part,))
    world.images.unreadable.add(index)
    assert world.going() == {alone}


# Who does not know, does nothing

SILENT: dict[str, tuple[Callable[[Cleaning], object], str]] = {
    "an empty ledger": (lambda w: setattr(w, "installed_at", None), "ledger is empty"),
    "no answer about what runs": (
        lambda w: setattr(w.users, "error", AccessRefusedError("the role r of the policy: denied")),
        "the role r",
    ),
    "throttling": (lambda w: setattr(w.users, "error", ThrottledError("ecs: slow down")), "slow down"),
    "clusters that nobody watches": (lambda w: setattr(w.users, "clusters", ("c",)), "cluster c"),
    "a clock that is ahead": (lambda w: setattr(w, "now", NOW + timedelta(minutes=6)), "clock"),
    "a clock that is behind": (lambda w: setattr(w, "now", NOW - timedelta(minutes=6)), "clock"),
    "a push in the future": (lambda w: w.images.push(DEV, "later", days=-1), "clock"),
    "a stale ledger": (lambda w: w.images.push(DEV, "unknown", "v9", days=2), "does not know"),
}


@pytest.mark.parametrize("what", SILENT)
def test_without_an_answer_nothing_is_planned_and_nothing_is_done(world: Cleaning, what: str) -> None:
    world.images.push(DEV, "old")
    plan = world.plan()
    before = dict(world.images.images)
    change, words = SILENT[what]
    change(world)
    with pytest.raises(CleanupRefusedError, match=words):
        world.plan()
    with pytest.raises(CleanupRefusedError):
        world.apply(plan)
    assert before.items() <= world.images.images.items()


def test_the_accounts_of_the_policy_are_read() -> None:
    user = ImageUser("arn:aws:iam::210987654321:role/usage", ("eu-west-1",))
    world = Cleaning(terms=dataclasses.replace(TERMS, used_by=(user,)))
    world.images.push(DEV, "old")
    world.plan()
    assert world.users.asked == [[user]]


# Plans


def test_a_plan_is_a_record_with_a_reason_for_each_image(world: Cleaning) -> None:
    part = world.images.push(DEV, "part")
    world.images.push(DEV, "index", "feature-1", children=(part,))
    world.images.push(DEV, "kept", "prod-1", pulled=3)
    plan = world.plan()
    assert CleanupPlan.read(plan.as_record()) == plan
    assert CleanupPlan.read(plan.as_record()).as_record() == plan.as_record()
    assert all(one.reasons for one in (*plan.steps, *plan.kept))
    assert len(plan.steps) + len(plan.kept) == 3


def test_apply_and_nothing_is_left(world: Cleaning) -> None:
    part = world.images.push(DEV, "part")
    index = world.images.push(DEV, "index", "feature-1", children=(part,))
    signature = world.images.push(DEV, "signature", subject=index)
    kept = world.images.push(DEV, "kept", "prod-1")
    plan = world.plan()
    done = world.apply(plan)
    assert set(done.deleted) == {part, index, signature}
    assert done.failed == {}
    assert world.images.digests(DEV) == {kept}
    assert world.going() == set()
    assert world.apply(plan).deleted == [], "twice changes nothing"
    name = Digest.of(plan.as_record())
    assert {note.plan for note in world.cleaned.notes.values()} == {name}
    assert {image.digest for image in world.cleaned.notes} == {part, index, signature}


CHANGES: dict[str, Callable[[Cleaning, Digest, Digest], object]] = {
    "a new image": lambda w, going, kept: w.images.push(DEV, "new", "v9", days=0),
    "a new index over it": lambda w, going, kept: w.images.push(DEV, "new", "v9", days=0, children=(going,)),
    "another tag": lambda w, going, kept: w.images.change(
        DEV, going, tags=frozenset({"feature-1", "feature-2"})
    ),
    "another tag of one that stays": lambda w, going, kept: w.images.change(DEV, kept, tags=frozenset()),
    "a pull": lambda w, going, kept: w.images.change(DEV, going, pulled_at=NOW - 90 * DAY),
    "one that stays is gone": lambda w, going, kept: w.images.delete(DEV, [kept]),
    "it is archived and restored": lambda w, going, kept: w.images.change(
        DEV, going, status=StorageStatus.ACTIVATING
    ),
    "it runs": lambda w, going, kept: w.users.named.append((f"{REGISTRY}/{DEV}@{going}", "the service s")),
    "its release runs": lambda w, going, kept: w.release(going, outcome=None, closed_at=None),
    "another policy": lambda w, going, kept: setattr(
        w, "policy", dataclasses.replace(policy_with(dev=TERMS), digest=Digest.of(b"another"))
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_plan_is_not_applied_after_a_change(world: Cleaning, what: str) -> None:
    going = world.images.push(DEV, "going", "feature-1")
    kept = world.images.push(DEV, "kept", "prod-1")
    plan = world.plan()
    CHANGES[what](world, going, kept)
    with pytest.raises(CleanupRefusedError):
        world.apply(plan)
    assert going in world.images.digests(DEV)


def test_a_stop_leaves_whole_images_and_the_same_plan_goes_on(world: Cleaning) -> None:
    for number in range(40):
        part = world.images.push(DEV, f"part {number}")
        index = world.images.push(DEV, f"index {number}", f"feature-{number}", children=(part,))
        world.images.push(DEV, f"signature {number}", subject=index)
    plan = world.plan()
    done = world.apply(plan, stop_after=1)
    assert done.is_stopped
    assert 0 < len(done.deleted) < 120
    left = world.images.digests(DEV)
    assert len(left) % 3 == 0
    for image in world.images.images.values():
        assert image.subject is None or image.subject in left
        assert set(image.children) <= left
    assert not world.apply(plan).is_stopped
    assert world.images.digests(DEV) == set()


def test_an_index_that_appears_in_between_keeps_its_part_and_the_evidence(world: Cleaning) -> None:
    going = world.images.push(DEV, "going", "feature-1")
    signature = world.images.push(DEV, "signature", subject=going)
    plan = world.plan()
    describe = world.images.stored

    def stored(repository: str, digests: object = ()) -> object:
        found = describe(repository, digests)  # type: ignore[arg-type]
        if digests:  # the last look: then somebody pushes an index
            world.images.push(DEV, "new", "v9", days=0, children=(going,))
        return found

    world.images.stored = stored  # type: ignore[method-assign, assignment]
    done = world.apply(plan)
    assert set(done.failed) == {going, signature}
    assert {going, signature} <= world.images.digests(DEV)


# The archive


def test_production_is_archived_first_and_deleted_when_its_time_is_over() -> None:
    terms = dataclasses.replace(TERMS, archive=90 * DAY, pulled_within=None)
    world = Cleaning(terms=terms)
    part = world.images.push(DEV, "part")
    index = world.images.push(DEV, "index", "feature-1", children=(part,))
    signature = world.images.push(DEV, "signature", subject=index)
    plan = world.plan()
    assert {step.action for step in plan.steps} == {CleanupAction.ARCHIVE}
    assert plan.savings.cents_a_month == 0
    assert set(world.apply(plan).archived) == {part, index, signature}
    assert world.going() == set()
    world.images.unreadable |= {part, index, signature}  # nobody can pull from the archive
    world.now = world.images.now = NOW + 89 * DAY
    assert world.going() == set()
    world.now = world.images.now = NOW + 90 * DAY
    plan = world.plan()
    assert {step.action for step in plan.steps} == {CleanupAction.DELETE}
    assert set(world.apply(plan).deleted) == {part, index, signature}


def test_evidence_that_ecr_does_not_archive_is_deleted_with_its_image() -> None:
    world = Cleaning(terms=dataclasses.replace(TERMS, archive=90 * DAY))
    app = world.images.push(DEV, "app", "feature-1")
    signature = world.images.push(DEV, "signature", subject=app)
    world.images.not_archived.add(signature)
    assert set(world.apply(world.plan()).failed) == {signature}
    world.now = world.images.now = NOW + 91 * DAY
    assert set(world.apply(world.plan()).deleted) == {app, signature}


# Numbers


def test_layers_that_images_share_count_once(world: Cleaning) -> None:
    world.images.push(DEV, "old", "feature-1", layers=("shared" * 10, "old"))
    world.images.push(DEV, "kept", "prod-1", layers=("shared" * 10, "kept!"))
    savings = world.plan().savings
    assert (savings.images, savings.deleted) == (2, 1)
    assert (savings.bytes_before, savings.bytes_after) == (68, 65)
    assert savings.is_exact


def test_only_indexes_are_read_where_reading_is_a_pull(world: Cleaning) -> None:
    part = world.images.push(DEV, "part")
    index = world.images.push(DEV, "index", "feature-1", children=(part,))
    world.images.pulls_count = True
    assert world.going() == {part, index}
    assert "read 1" in world.images.calls
    assert not world.plan().savings.is_exact


def test_applying_reads_no_manifest(world: Cleaning) -> None:
    part = world.images.push(DEV, "part")
    world.images.push(DEV, "index", "feature-1", children=(part,))
    plan = world.plan()
    world.images.calls.clear()
    world.apply(plan)
    assert not [call for call in world.images.calls if call.startswith("read")]
