"""Patterns and stages: a repository belongs to at most one stage, and promotion lands in the next one."""

from __future__ import annotations

import re
from itertools import combinations, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagegate.findings.finding import Severity
from imagegate.policy.policy import APP, Policy, RepositoryPattern, Stage
from imagegate.policy.rules import Action, FindingRules, ImageRules, Rule
from tests.unit.samples import DAY, digest, stage


def words(alphabet: str, longest: int) -> list[str]:
    return ["".join(letters) for n in range(longest + 1) for letters in product(alphabet, repeat=n)]


# Small enough to look at every name; with affixes of two letters the shortest common name has at most five.
NAMES = words("ab", 5)[1:]
SMALL_PATTERNS = [
    *(RepositoryPattern(before + APP + after) for before, after in product(words("ab", 2), repeat=2)),
    *(RepositoryPattern(text) for text in words("ab", 3)[1:]),
]

affixes = st.from_regex(r"[ab/-]{0,3}", fullmatch=True)
patterns = st.builds(lambda before, after: RepositoryPattern(before + APP + after), affixes, affixes)
apps = st.from_regex(r"[ab](?:[ab/-]{0,4}[ab])?", fullmatch=True)


def matches(pattern: RepositoryPattern, name: str) -> bool:
    """Return whether a pattern matches, computed in another way."""
    expression = ".+".join(map(re.escape, pattern.text.split(APP)))
    return re.fullmatch(expression, name) is not None


def test_a_pattern_matches_what_a_regular_expression_would() -> None:
    for pattern, name in product(SMALL_PATTERNS, NAMES):
        assert (pattern.app_of(name) is not None) is matches(pattern, name), (pattern, name)


def test_patterns_overlap_exactly_when_some_name_is_matched_by_both() -> None:
    found = {pattern: frozenset(n for n in NAMES if matches(pattern, n)) for pattern in SMALL_PATTERNS}
    for one, other in product(SMALL_PATTERNS, repeat=2):
        assert one.overlaps(other) is bool(found[one] & found[other]), (one, other)


@given(patterns, patterns, st.lists(apps, min_size=1, max_size=5))
def test_a_name_that_two_patterns_share_shows_their_overlap(
    one: RepositoryPattern, other: RepositoryPattern, some_apps: list[str]
) -> None:
    for app in some_apps:
        if other.app_of(one.repository_of(app)) is not None:
            assert one.overlaps(other)
            assert other.overlaps(one)


@given(patterns, apps)
def test_the_app_of_an_apps_repository_is_that_app(pattern: RepositoryPattern, app: str) -> None:
    assert pattern.app_of(pattern.repository_of(app)) == app


def test_the_repository_of_a_repositorys_app_is_that_repository() -> None:
    for pattern, name in product(SMALL_PATTERNS, NAMES):
        app = pattern.app_of(name)
        assert app is None or pattern.repository_of(app) == name, (pattern, name)


def test_a_pattern_without_an_app_is_one_repository() -> None:
    pattern = RepositoryPattern("shop/api")
    assert pattern.app_of("shop/api") == ""
    assert pattern.repository_of("") == "shop/api"
    assert pattern.app_of("shop/api2") is None


@pytest.mark.parametrize("repository", ["shop/-dev", "shop/api", "shop/api-dev2", "xshop/api-dev", ""])
def test_a_repository_beside_the_pattern_is_not_managed(repository: str) -> None:
    assert Policy(digest(), {"dev": stage(promotes_to=None)}).stage_of(repository) is None


@given(st.lists(patterns, min_size=1, max_size=4, unique=True), st.integers(0, 3), apps)
def test_no_repository_belongs_to_two_stages_of_a_policy_without_overlaps(
    some: list[RepositoryPattern], position: int, app: str
) -> None:
    assume(not any(one.overlaps(other) for one, other in combinations(some, 2)))
    stages = {f"s{n}": Stage(f"s{n}", pattern) for n, pattern in enumerate(some)}
    chosen = position % len(some)
    repository = some[chosen].repository_of(app)
    assert [s.name for s in stages.values() if s.repositories.app_of(repository) is not None] == [
        f"s{chosen}"
    ]
    found = Policy(digest(), stages).stage_of(repository)
    assert found is stages[f"s{chosen}"]


@given(patterns, patterns, apps)
def test_a_promoted_image_lands_in_the_next_stage(
    source: RepositoryPattern, target: RepositoryPattern, app: str
) -> None:
    assume(not source.overlaps(target))
    stages = {"dev": Stage("dev", source, promotes_to="staging"), "staging": Stage("staging", target)}
    policy = Policy(digest(), stages)
    goal = policy.target_of(source.repository_of(app))
    assert goal is not None
    assert policy.stage_of(goal) is stages["staging"]
    assert target.app_of(goal) == app
    assert policy.target_of(goal) is None


def test_an_unmanaged_repository_is_promoted_nowhere() -> None:
    policy = Policy(digest(), {"dev": stage(promotes_to=None)})
    assert policy.target_of("elsewhere/api") is None
    assert policy.target_of("shop/api-dev") is None


@pytest.mark.parametrize(
    ("globs", "tag", "moves"),
    [
        (("*",), "1.0", True),
        (("v*",), "v1", True),
        (("v*",), "V1", False),
        (("v*", "release-?"), "release-2", True),
        (("release-?",), "release-22", False),
        ((), "1.0", False),
        (("v",), "v1", False),
    ],
)
def test_tags_are_promoted_by_case_sensitive_globs(globs: tuple[str, ...], tag: str, moves: bool) -> None:
    assert stage(promote_tags=globs).promotes(tag) is moves
    assert not stage(promote_tags=globs, promotes_to=None).promotes(tag)


def chain(*patterns: str) -> Policy:
    """Return stages that promote to each other, the first to the second, and so on."""
    following = [*(f"s{n}" for n in range(1, len(patterns))), None]
    stages = {
        f"s{n}": Stage(f"s{n}", RepositoryPattern(text), promotes_to=following[n])
        for n, text in enumerate(patterns)
    }
    return Policy(digest(), stages)


@given(
    st.lists(st.sampled_from(["dev", "test", "staging", "live"]), min_size=1, max_size=4, unique=True), apps
)
def test_all_repositories_of_an_application_have_the_same_origin(names: list[str], app: str) -> None:
    policy = chain(*(f"{APP}-{name}" for name in names))
    assert {policy.origin_of(f"{app}-{name}") for name in names} == {f"{app}-{names[0]}"}


@given(apps, apps)
def test_two_applications_never_have_the_same_origin(one: str, other: str) -> None:
    assume(one != other)
    policy = chain(f"{APP}-dev", f"{APP}-staging")
    assert policy.origin_of(f"{one}-staging") != policy.origin_of(f"{other}-staging")


@given(patterns, patterns, apps)
def test_the_origin_of_a_promoted_image_is_where_it_came_from(
    source: RepositoryPattern, target: RepositoryPattern, app: str
) -> None:
    assume(not source.overlaps(target))
    policy = chain(source.text, target.text)
    repository = source.repository_of(app)
    promoted = policy.target_of(repository)
    assert promoted is not None
    assert policy.origin_of(promoted) == policy.origin_of(repository) == repository


def test_an_application_of_one_repository_has_it_as_its_origin() -> None:
    assert chain("shop", "shop-live").origin_of("shop-live") == "shop"


def test_a_stage_that_two_lead_into_is_an_origin_itself() -> None:
    """Which of them an image came from is not told by its repository."""
    stages = {
        "a": Stage("a", RepositoryPattern(f"a/{APP}"), promotes_to="c"),
        "b": Stage("b", RepositoryPattern(f"b/{APP}"), promotes_to="c"),
        "c": Stage("c", RepositoryPattern(f"c/{APP}"), promotes_to="d"),
        "d": Stage("d", RepositoryPattern(f"d/{APP}")),
    }
    policy = Policy(digest(), stages)
    assert [policy.origin_of(f"{name}/shop") for name in "abcd"] == ["a/shop", "b/shop", "c/shop", "c/shop"]
    assert [stage.name for stage in policy.stages_before(stages["c"])] == ["a", "b"]


def test_an_unmanaged_repository_is_its_own_origin() -> None:
    assert chain(f"{APP}-dev", f"{APP}-live").origin_of("elsewhere") == "elsewhere"


def test_stages_that_lead_in_a_circle_have_some_origin() -> None:
    stages = {
        "a": Stage("a", RepositoryPattern(f"a/{APP}"), promotes_to="b"),
        "b": Stage("b", RepositoryPattern(f"b/{APP}"), promotes_to="a"),
    }
    assert Policy(digest(), stages).origin_of("a/shop") in ("a/shop", "b/shop")


def test_clocks_are_kept_from_the_first_gate_on_for_what_any_stage_gives_time() -> None:
    def graceful(name: str, *severities: Severity) -> Stage:
        return stage(name=name, findings=FindingRules(grace=dict.fromkeys(severities, DAY)))

    stages = {"dev": graceful("dev"), "live": graceful("live", Severity.HIGH, Severity.LOW)}
    assert Policy(digest(), stages).timed == {Severity.HIGH, Severity.LOW}
    assert Policy(digest(), {"dev": stage()}).timed == frozenset()


@pytest.mark.parametrize("action", Action)
def test_the_bases_that_some_stage_asks_for_are_known(action: Action) -> None:
    asking = stage(image=ImageRules(base_images=Rule(("golden", "silver"), action)))
    found = Policy(digest(), {"dev": asking, "live": stage()}).base_stages
    assert found == (frozenset() if action is Action.OFF else {"golden", "silver"})
