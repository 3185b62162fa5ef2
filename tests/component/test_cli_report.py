"""`imagegate policy report`: what counts, what is history, and that the plan unblocks all images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.finding import Finding, Package, Severity
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Entry, Mode
from imagegate.policy.rules import EvidenceRules, FindingRules, ImageRules, ProhibitedPackage, Rule
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate_cli.enforcement.current_images import pattern_of, sort_images
from imagegate_cli.enforcement.report import ModeChange, mode_change
from imagegate_cli.enforcement.shortest_plan import FixAction, ImagePlan, Need, Waive, shortest_plan
from tests.component.cli_gate import CliGate, gate, with_stage
from tests.component.test_gate import built, with_bases
from tests.fakes import NOW, POLICY, critical

__all__ = ["gate"]

STRICT = {Severity.HIGH: Rule(0), Severity.CRITICAL: Rule(0)}
CONTENT = b"""version: 1
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: staging
    mode: observe
  staging:
    repositories: "{app}-staging"
"""


def finding(name: str, package: str = "openssl", fixed: str | None = None, **more: Any) -> Finding:
    severity = more.pop("severity", Severity.HIGH)
    packages = (Package(package, "1.0", fixed),)
    return Finding(name, severity, packages, fixable=fixed is not None, **more)


@pytest.fixture
def observed(gate: CliGate) -> CliGate:
    """Return a gate that only observes, and whose limit for HIGH is zero."""
    gate.deploy(with_stage(POLICY, mode=Mode.OBSERVE, findings=FindingRules(max=STRICT)))
    gate.policy_content = CONTENT
    return gate


def stage(gate: CliGate, *arguments: str, name: str = "dev") -> dict[str, Any]:
    told = gate.call("policy", "report", "--json", *arguments).json
    found: dict[str, Any] = next(one for one in told["stages"] if one["stage"] == name)
    return found


def texts(gate: CliGate, *arguments: str) -> list[str]:
    """Return the steps as they are printed."""
    out = gate.call("policy", "report", "--stage", "dev", *arguments, columns=400).out
    return [line.strip() for line in out.splitlines() if line.startswith("  ") and "mode:" not in line]


# What counts


def test_it_says_how_many_would_have_been_blocked_and_which_line_to_change(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1", "jinja2", "3.1.6")])
    observed.judged("1.0", [], repository="cart-dev")
    result = observed.call("policy", "report")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "dev (observe): would have blocked 1 of 2 images in the last 7 days.",
        "",
        "The shortest plan:",
        "  upgrade jinja2 to 3.1.6: frees 1 image (shop-dev:1.0)",
        "",
        "Or, until that is done:",
        "  waive CVE-1 in jinja2 for shop-dev",
        "",
        "This one upgrade, or this one waiver alone, leaves no image blocked.",
        "",
        "Then change this line:",
        "  policy.yaml:6  stages.dev.mode: enforce",
        "",
        "staging (enforce): nothing was judged in the last 7 days.",
    ]


def test_a_stage_that_enforces_has_blocked(gate: CliGate) -> None:
    gate.blocked()
    told = gate.call("policy", "report", "--stage", "dev").out
    assert "dev (enforce): blocked 1 of 1 image in the last 7 days." in told
    assert "mode: enforce" not in told


def test_nothing_in_the_way_is_said(observed: CliGate) -> None:
    observed.judged("1.0", [])
    out = observed.call("policy", "report", "--stage", "dev").out
    assert "would have blocked 0 of 1 image" in out
    assert "No current image is blocked." in out
    assert "Change this line:" in out


def test_an_image_that_a_later_push_replaced_is_history(observed: CliGate) -> None:
    bad = [finding("CVE-1")]
    observed.judged("1.0", bad, ago=timedelta(days=3))
    observed.judged("1.1", [], ago=timedelta(days=2))  # fixed by the next version
    observed.judged("latest", bad, ago=timedelta(days=3), repository="cart-dev")
    observed.judged("latest", bad, ago=timedelta(days=2), repository="cart-dev")  # and again not
    observed.judged("1.0-alpine", bad, ago=timedelta(days=4))  # another line: nothing newer
    observed.judged("1.0", [], ago=timedelta(days=1), repository="cart-dev")
    told = stage(observed)
    assert (told["judged"], told["blocked"], told["fixed_since"], told["replaced"]) == (6, 4, 1, 1)
    names = {f"{one['repository']}:{one['tags'][0]}" for one in told["standing"]}
    assert names == {"shop-dev:1.0-alpine", "cart-dev:latest"}
    out = observed.call("policy", "report").out
    assert (
        "1 already fixed since by a later push, 1 replaced by a later push that did not pass either, "
        "or gone, 2 still current." in out
    )


def test_a_newer_attempt_of_the_same_image_counts(observed: CliGate) -> None:
    image = observed.judged("1.0", [finding("CVE-1")])
    first = observed.world.ledger.get(ReleaseId(image, 1))
    again = replace(first, attempt=2, outcome=None, started_at=NOW + timedelta(minutes=1))
    observed.world.ledger.begin(again)
    observed.world.scans.finish(image, [])
    observed.now = NOW + timedelta(minutes=2)
    observed.world.judge(image, attempt=2)
    assert stage(observed)["blocked"] == 0


def test_only_the_asked_stage_and_period_are_looked_at(observed: CliGate) -> None:
    observed.judged("old", [finding("CVE-1")], ago=timedelta(days=8))
    observed.judged("1.0", critical(), repository="shop-staging")
    assert stage(observed)["judged"] == 0
    assert stage(observed, "--since", "9d")["judged"] == 1
    told = observed.call("policy", "report", "--stage", "staging", "--json").json
    assert [(one["stage"], one["blocked"]) for one in told["stages"]] == [("staging", 1)]
    wrong = observed.call("policy", "report", "--stage", "stagin")
    assert (wrong.code, wrong.out) == (2, "")
    assert "no stage 'stagin' (did you mean staging?); there are dev, staging" in wrong.err


def test_releases_judged_under_an_earlier_policy_are_named(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1")])
    observed.deploy(with_stage(observed.world.policy, scan_timeout=timedelta(hours=1)))
    assert "1 of them was judged under an earlier policy." in observed.call("policy", "report").out


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("1.0", "2.1.7", True),
        ("v1.0", "v1.0.1", True),
        ("main-3f2a9bc", "main-99bc012", True),
        ("20261124", "20261125", True),
        ("build-9", "build-10", True),
        ("latest", "latest", True),
        ("1.0", "1.0-alpine", False),
        ("1.0", "latest", False),
        ("main-3f2a9bc", "fix-3f2a9bc", False),
        ("v1.0", "v1.0-rc1", False),
        ("feedback", "facade00", False),
    ],
)
def test_tags_of_one_pattern_are_one_line(one: str, other: str, alike: bool) -> None:
    assert (pattern_of(one) == pattern_of(other)) is alike


def test_an_image_with_a_line_of_its_own_stands_whatever_happened_to_the_others() -> None:
    def release(name: str, verdict: str, minute: int, *tags: str, **more: Any) -> Release:
        return Release(
            image=ImageRef("shop-dev", Digest.of(name.encode())),
            attempt=1,
            stage="dev",
            policy=POLICY.digest,
            tags=frozenset(tags),
            reason=StartReason.PUSH,
            started_at=NOW,
            pushed_at=NOW + timedelta(minutes=minute),
            verdict=verdict,
            **more,
        )

    hotfix = release("a", "BLOCK", 1, "1.0", "hotfix")
    untagged = release("d", "ERROR", 1)
    gone = release("e", "BLOCK", 9, "gone", outcome=Outcome.WITHDRAWN)
    later = release("b", "PASS", 2, "1.1")
    found = sort_images([hotfix, later, untagged, gone])
    assert list(found.current) == [hotfix, untagged]
    assert (found.fixed, found.replaced, found.blocked) == (0, 1, 3)


# The plan


def test_one_upgrade_frees_every_image_that_needs_it(observed: CliGate) -> None:
    for name in ("shop", "cart", "web"):
        observed.judged("1.0", [finding(f"CVE-{name}", "jinja2", "3.1.6")], repository=f"{name}-dev")
    observed.judged("1.0", [finding("CVE-9", "zlib", "1.3")], repository="docs-dev")
    assert texts(observed)[:2] == [
        "upgrade jinja2 to 3.1.6: frees 3 images (cart-dev:1.0, shop-dev:1.0, web-dev:1.0)",
        "upgrade zlib to 1.3: frees 1 image (docs-dev:1.0)",
    ]


def test_images_that_need_different_versions_are_one_upgrade_with_both(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1", "openssl", "3.0.13")], ago=timedelta(hours=1))
    observed.judged("1.0", [finding("CVE-2", "openssl", "3.0.14")], repository="cart-dev")
    assert texts(observed)[0] == (
        "upgrade openssl to 3.0.14 (or 3.0.13, as each image needs): frees 2 images (cart-dev:1.0, shop-dev:1.0)"
    )


def test_actions_that_help_only_together_are_one_step(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1", "a", "2"), finding("CVE-2", "b", "3")])
    assert texts(observed)[0] == "upgrade a to 2 and upgrade b to 3: frees 1 image (shop-dev:1.0)"


def test_a_waiver_is_suggested_only_if_no_action_helps(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1", "jinja2", "3.1.6")])
    for name in ("cart", "web"):
        observed.judged("1.0", [finding("CVE-2", "openssl")], repository=f"{name}-dev")
    told = stage(observed)
    assert [one["waivers"] for one in told["steps"]] == [
        [],
        [{"what": "CVE-2", "package": "openssl", "repositories": ["cart-dev", "web-dev"]}],
    ]
    assert (
        "waive CVE-2 in openssl for cart-dev, web-dev: frees 2 images (cart-dev:1.0, web-dev:1.0)"
        in texts(observed)
    )
    out = observed.call("policy", "report", columns=400).out
    assert "These one upgrade and one waiver, or these two waivers alone, leave no image blocked." in out


def test_no_more_is_waived_than_has_to_be_and_what_helps_others_too(observed: CliGate) -> None:
    rules = FindingRules(max={Severity.HIGH: Rule(1)})
    observed.deploy(with_stage(POLICY, mode=Mode.OBSERVE, findings=rules))
    observed.judged("1.0", [finding("CVE-1"), finding("CVE-2"), finding("CVE-3")])
    observed.judged("1.0", [finding("CVE-3"), finding("CVE-4")], repository="cart-dev")
    told = stage(observed)
    waived = [one["what"] for step in told["steps"] for one in step["waivers"]]
    assert len(waived) == 2
    assert "CVE-3" in waived


def test_actions_and_waivers_of_one_image_are_one_step(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1", "jinja2", "3.1.6"), finding("CVE-2", "openssl")])
    assert texts(observed)[0] == (
        "upgrade jinja2 to 3.1.6 and waive CVE-2 in openssl for shop-dev: frees 1 image (shop-dev:1.0)"
    )


def test_a_rule_about_the_image_is_satisfied_before_it_is_waived(observed: CliGate) -> None:
    dev = ImageRules(tags=Rule(("v*",)))
    observed.deploy(with_stage(POLICY, mode=Mode.OBSERVE, image=dev))
    observed.judged("1.0", [])
    assert texts(observed)[:2] == [
        "push it under tags that match v* alone: frees 1 image (shop-dev:1.0)",
        "waive image.tags for shop-dev",
    ]
    out = observed.call("policy", "report", "--stage", "dev", columns=400).out
    assert "This one change, or this one waiver alone, leaves no image blocked." in out


def test_a_missing_signature_is_never_waived(gate: CliGate) -> None:
    rules = EvidenceRules(require_signature=Rule(True))
    gate.deploy(with_stage(POLICY, "staging", evidence=rules, entry=Entry.OPEN))
    gate.judged("1.0", [], repository="shop-staging")
    report = stage(gate, name="staging")
    assert [step["waivers"] for step in report["steps"]] == [[]]
    assert [action["kind"] for action in report["steps"][0]["actions"]] == ["change"]
    assert "pass the gate before this one first" in report["steps"][0]["actions"][0]["texts"][0]
    assert report["or_waivers"] == []


def test_a_prohibited_package_is_waived_by_its_rule(observed: CliGate) -> None:
    rules = FindingRules(max={}, prohibited=Rule((ProhibitedPackage("log4j*"),)))
    observed.deploy(with_stage(POLICY, mode=Mode.OBSERVE, findings=rules))
    observed.judged("1.0", [finding("CVE-1", "log4j-core")])
    assert texts(observed)[0] == (
        "waive packages.prohibited in log4j-core for shop-dev: frees 1 image (shop-dev:1.0)"
    )


def test_a_block_without_a_remedy_is_named_with_its_reason(observed: CliGate) -> None:
    image = observed.judged("1.0", [Finding("CVE-1", Severity.HIGH)])  # in no package
    observed.judged("2.0", [finding("CVE-2", "a", "2")], repository="cart-dev")
    kept = observed.judged("3.0", [finding("CVE-3")], repository="web-dev")
    observed.world.ledger.record(ReleaseId(kept, 1), decision=Digest.of(b"nowhere"))
    told = stage(observed)
    assert {one["image"] for one in told["left"]} == {"shop-dev:1.0", "web-dev:3.0"}
    out = observed.call("policy", "report", columns=200).out
    assert "No action and no waiver frees these:" in out
    assert "shop-dev:1.0: 1 finding names no package, and cannot be waived" in out
    assert "web-dev:3.0: its record cannot be read: no decision" in out
    assert "This one upgrade, or this one waiver alone, leaves 2 images blocked." in out
    assert "When those are settled, too, change this line:" in out
    assert image.repository == "shop-dev"


def test_one_rebuild_frees_what_was_built_on_the_base(gate: CliGate) -> None:
    policy = with_bases(gate.world)
    loose = replace(policy.stages["base"], findings=FindingRules(max={}))
    dev = replace(policy.stages["dev"], findings=FindingRules(max=STRICT), mode=Mode.OBSERVE)
    gate.deploy(replace(policy, stages={**policy.stages, "base": loose, "dev": dev}))
    gate.policy_content = CONTENT

    def judge(image: ImageRef, tag: str, findings: Sequence[Finding], minutes: int = 0) -> ImageRef:
        gate.world.scans.finish(image, findings)
        assert isinstance(gate.world.start(image, tag), Release)
        gate.world.judge(image, now=NOW + timedelta(minutes=minutes))
        return image

    of_base = finding("CVE-1")
    judge(built(gate.world, "base/debian", "12", layers=("base",)), "12", [of_base])
    new = judge(built(gate.world, "base/debian", "12.1", layers=("newer",)), "12.1", [], 1)
    judge(built(gate.world, "shop-dev", layers=("base", "shop")), "1.0", [of_base])
    judge(built(gate.world, "cart-dev", layers=("base", "cart")), "1.0", [of_base, finding("CVE-2", "own")])
    gate.now = NOW + timedelta(minutes=5)
    assert texts(gate)[:2] == [
        f"rebuild on base/debian:12.1 ({new.digest.short}): frees 1 image (shop-dev:1.0)",
        "waive CVE-2 in own for cart-dev: frees 1 image (cart-dev:1.0)",
    ]


# The algorithm

waives = st.builds(Waive, st.sampled_from("ABCDE"), st.sampled_from("pq"))
actions = st.builds(FixAction, st.sampled_from(["rebuild", "upgrade"]), st.tuples(st.sampled_from("xyz")))
needs = st.builds(
    Need, st.integers(1, 3), st.lists(st.frozensets(waives, min_size=1, max_size=2), max_size=4).map(tuple)
)
plans = st.builds(
    ImagePlan,
    name=st.text("abc", min_size=1, max_size=4),
    repository=st.sampled_from(["shop", "cart"]),
    texts=st.dictionaries(actions, st.just("do"), max_size=2),
    needs=st.lists(needs, max_size=2).map(tuple),
    needs_at_once=st.lists(needs, min_size=1, max_size=2).map(tuple),
    rules=st.frozensets(st.builds(Waive, st.just("image.tags")), max_size=1),
    obstacles=st.just(()),
)


@given(st.lists(plans, max_size=8))
def test_the_plan_frees_all_images_and_does_no_more(found: list[ImagePlan]) -> None:
    route = shortest_plan(found)
    assert len(route.freed) + len(route.left) == len(found)
    assert all(not plan.can_be_freed for plan in route.left)
    done, waived = frozenset(route.actions), frozenset(route.waivers)
    assert len(done) == len(route.actions)
    assert len(waived) == len(route.waivers)
    assert all(plan.is_freed(done, waived) for plan in route.freed)
    for plan in route.freed:
        assert all(waive in waived for waive in plan.rules)
    if all(not plan.waives for plan in route.freed):
        assert not waived


@given(st.lists(plans, max_size=6))
def test_each_step_frees_what_it_says_once_those_before_it_are_done(found: list[ImagePlan]) -> None:
    done: frozenset[FixAction] = frozenset()
    waived: frozenset[Waive] = frozenset()
    for step in shortest_plan(found).steps:
        assert step.frees
        done, waived = done | set(step.actions), waived | set(step.waivers)
        assert all(plan.is_freed(done, waived) for plan in step.frees)


@given(st.lists(plans, max_size=6))
def test_few_waivers_that_are_offered_instead_do_as_much(found: list[ImagePlan]) -> None:
    route = shortest_plan(found)
    if route.or_waivers:
        waived = frozenset(route.or_waivers)
        assert all(plan.at_once().is_freed(frozenset(), waived) for plan in route.freed)


# Which line


@pytest.mark.parametrize(
    ("content", "change"),
    [
        (CONTENT, ModeChange("p.yaml:6", "stages.dev.mode: enforce")),
        (
            b'version: 1\ndefaults:\n  mode: observe\nstages:\n  dev:\n    repositories: "{app}-dev"\n',
            ModeChange("p.yaml:5", "add to stages.dev: mode: enforce", "defaults say observe, in line 3"),
        ),
        (
            b'version: 1\nstages:\n  dev: {repositories: "{app}-dev"}\n',
            ModeChange("p.yaml:3", "add to stages.dev: mode: enforce"),
        ),
        (
            b"version: 1\nstages: {}\n",
            ModeChange("p.yaml", "stages.dev.mode: enforce", "p.yaml has no stage dev"),
        ),
        (b"- 1\n", ModeChange("p.yaml", "stages.dev.mode: enforce", "p.yaml has no stage dev")),
    ],
)
def test_the_line_to_change_is_where_the_mode_is_written(content: bytes, change: ModeChange) -> None:
    assert mode_change(content, "p.yaml", "dev") == change


def test_a_file_of_yours_is_named_instead_of_the_deployed_one(observed: CliGate, tmp_path: Path) -> None:
    observed.judged("1.0", [])
    file = tmp_path / "gate.yaml"
    file.write_bytes(b"# a comment\n" + CONTENT)
    out = observed.call("policy", "report", "--policy", str(file), columns=400).out
    assert f"{file}:7  stages.dev.mode: enforce" in out
    missing = observed.call("policy", "report", "--policy", str(file) + "x")
    assert (missing.code, missing.out) == (2, "")


def test_the_file_of_a_checkout_is_named_where_it_is_the_deployed_one(
    observed: CliGate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed.judged("1.0", [])
    file = tmp_path / "layers" / "policy" / "policy.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    assert "layers/policy/policy.yaml:6  stages.dev.mode" in observed.call("policy", "report").out
    file.write_bytes(b"# changed\n" + CONTENT)
    assert "  policy.yaml:6  stages.dev.mode" in observed.call("policy", "report").out


# How it reads


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_it_fits_any_terminal(observed: CliGate, columns: int) -> None:
    for number in range(5):
        observed.judged(
            "1.0", [finding(f"CVE-{number}", "a-package-with-a-long-name")], repository=f"app-{number}-dev"
        )
    out = observed.call("policy", "report", columns=columns).out
    assert max(map(len, out.splitlines())) <= columns
    assert "frees 1 image" in " ".join(out.split())


def test_as_markdown_it_is_a_list_to_do_that_no_name_breaks_out_of(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1", "a*b_[x](http://evil)@team", "2")])
    out = observed.call("policy", "report", "--stage", "dev", "--markdown").out
    assert out.startswith("### dev (observe): would have blocked 1 of 1 image in the last 7 days.\n")
    assert "- [ ] upgrade a\\*b\\_\\[x\\](http\\://evil)@\u200bteam to 2: frees 1 image" in out
    assert "- policy.yaml:6  stages.dev.mode: enforce\n" in out
    both = observed.call("policy", "report", "--markdown", "--json")
    assert both.code == 2


def test_names_from_images_cannot_steer_the_terminal(observed: CliGate) -> None:
    observed.judged("1.0", [finding("CVE-1", "open\x1b[2Jssl", "2")])
    assert "\x1b" not in observed.call("policy", "report").out
