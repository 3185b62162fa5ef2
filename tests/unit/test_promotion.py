"""Tags of a release: each is moved, gone or kept, and none is in two places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.policy.policy import Stage
from imagegate.release.promotion import TagPlan, plan_tags
from tests.unit.samples import stage, tags

tag_sets = st.frozensets(st.sampled_from(["1.0", "v1", "v2", "latest"]) | tags, max_size=6)
gates = st.builds(
    stage,
    promote_tags=st.lists(st.sampled_from(["*", "v*", "1.?", "latest"]), max_size=2).map(tuple),
    promotes_to=st.sampled_from(["staging", None]),
)


@given(gates, tag_sets, tag_sets)
def test_every_tag_of_a_release_has_one_place_in_the_plan(
    gate: Stage, requested: frozenset[str], present: frozenset[str]
) -> None:
    plan = plan_tags(gate, requested, present)
    assert sorted([*plan.move, *plan.gone, *plan.kept]) == sorted(requested)


@given(gates, tag_sets, tag_sets)
def test_a_tag_moves_when_it_matches_and_still_points_here(
    gate: Stage, requested: frozenset[str], present: frozenset[str]
) -> None:
    plan = plan_tags(gate, requested, present)
    assert set(plan.move) == {tag for tag in requested & present if gate.promotes(tag)}
    assert set(plan.gone) == {tag for tag in requested - present if gate.promotes(tag)}
    assert not any(gate.promotes(tag) for tag in plan.kept)


@given(gates, tag_sets, tag_sets)
def test_the_order_of_tags_does_not_change_the_plan(
    gate: Stage, requested: frozenset[str], present: frozenset[str]
) -> None:
    assert plan_tags(gate, sorted(requested), present) == plan_tags(
        gate, sorted(requested, reverse=True), present
    )


@given(gates, tag_sets, tag_sets, tags)
def test_only_requested_tags_are_moved(
    gate: Stage, requested: frozenset[str], present: frozenset[str], other: str
) -> None:
    plan = plan_tags(gate, requested, present | {other})
    assert set(plan.move) <= requested


def test_tags_that_come_as_an_iterator_are_all_planned() -> None:
    gate = stage(promote_tags=("v*",))
    assert plan_tags(gate, iter(["v1", "latest"]), ["v1"]) == plan_tags(gate, ["v1", "latest"], ["v1"])


@pytest.mark.parametrize(
    ("plan", "superseded"),
    [
        (TagPlan((), ("1.0",), ()), True),
        (TagPlan((), ("1.0",), ("dev",)), True),
        (TagPlan(("1.1",), ("1.0",), ()), False),
        (TagPlan((), (), ("dev",)), False),
        (TagPlan((), (), ()), False),
    ],
)
def test_a_release_is_superseded_when_all_that_could_move_points_elsewhere(
    plan: TagPlan, superseded: bool
) -> None:
    assert plan.is_superseded is superseded
