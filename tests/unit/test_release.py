"""Releases: one attempt, one name; a closed release opens again only for a named reason."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import RepositoryPattern, Stage
from imagegate.policy.rules import Action
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.start import Begin, Ignore, Join, Situation, StartRequest, decide_start, workflow_input
from tests.unit.samples import NOON, digest, image, reason, release, repositories, stage, tags

SAME, NEW = digest("policy"), digest("another policy")
TIMED_OUT = [reason("scan.timeout", "no scan result within 30 min (last status: PENDING)")]

images = st.builds(image, repositories, st.text(max_size=3))
attempts = st.integers(1, 10**12)


def closed(outcome: Outcome = Outcome.RELEASED, **changes: Any) -> Release:
    return release(outcome=outcome, attempt=3, **changes)


def decide(latest: Release | None, request: StartRequest, policy: Digest) -> Begin | Join | Ignore:
    """Decide in the usual case: the requested tag is there."""
    return decide_start(latest, request, policy, Situation(request.tags))


def ask(tag: str = "1.0", why: StartReason = StartReason.PUSH) -> StartRequest:
    return StartRequest(image(), frozenset({tag}), NOON, why)


@pytest.mark.parametrize("why", StartReason)
def test_the_first_request_begins_the_first_attempt(why: StartReason) -> None:
    assert decide(None, ask(why=why), SAME) == Begin(1, why)


@pytest.mark.parametrize("why", StartReason)
@pytest.mark.parametrize("tag", ["1.0", "2.0"])
@pytest.mark.parametrize("policy", [SAME, NEW])
def test_an_event_during_an_open_attempt_joins_it(why: StartReason, tag: str, policy: Digest) -> None:
    assert decide(release(), ask(tag, why), policy) == Join(release())


# A push of the same tag opens these two again, see below.
settled = pytest.mark.parametrize(
    "outcome", [o for o in Outcome if o not in (Outcome.WITHDRAWN, Outcome.SUPERSEDED)]
)


@settled
def test_the_same_push_again_does_nothing_and_names_the_earlier_outcome(outcome: Outcome) -> None:
    decision = decide(closed(outcome), ask(), SAME)
    assert decision == Ignore(f"already {outcome} in attempt 3")


@settled
@pytest.mark.parametrize(
    ("tag", "policy", "why"),
    [
        ("2.0", SAME, StartReason.NEW_TAG),
        ("2.0", NEW, StartReason.NEW_TAG),
        ("1.0", NEW, StartReason.NEW_POLICY),
    ],
)
def test_a_push_opens_a_closed_release_for_a_new_tag_or_a_new_policy(
    outcome: Outcome, tag: str, policy: Digest, why: StartReason
) -> None:
    assert decide(closed(outcome), ask(tag), policy) == Begin(4, why)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("policy", [SAME, NEW])
def test_an_operator_opens_any_closed_release(outcome: Outcome, policy: Digest) -> None:
    request = ask(why=StartReason.OPERATOR)
    assert decide(closed(outcome), request, policy) == Begin(4, StartReason.OPERATOR)


@pytest.mark.parametrize("outcome", [Outcome.WITHDRAWN, Outcome.SUPERSEDED])
def test_a_deleted_image_that_is_pushed_again_is_released_again(outcome: Outcome) -> None:
    """The message about a withdrawal says so: "Push it again to release it"."""
    assert decide(closed(outcome), ask(), SAME) == Begin(4, StartReason.PUSH)
    late_event = decide_start(closed(outcome), ask(), SAME, Situation(frozenset()))
    assert late_event == Ignore(f"already {outcome} in attempt 3")


def test_an_overtaken_image_takes_its_tag_back_when_it_is_pushed_again() -> None:
    before = closed(Outcome.RELEASED, pushed_at=NOON)
    overtaken = Situation(frozenset({"1.0"}), is_overtaken=True)
    again = StartRequest(image(), frozenset({"1.0"}), NOON + timedelta(minutes=1))
    assert decide_start(before, again, SAME, overtaken) == Begin(4, StartReason.PUSH)
    assert isinstance(decide_start(before, again, SAME, Situation(frozenset({"1.0"}))), Ignore)
    assert isinstance(decide_start(before, ask(), SAME, overtaken), Ignore)  # the first push, announced again
    assert isinstance(decide_start(before, again, SAME, replace(overtaken, present=frozenset())), Ignore)


@pytest.mark.parametrize("tag", ["1.0", "2.0"])
@pytest.mark.parametrize("policy", [SAME, NEW])
def test_a_late_scan_reopens_only_images_that_were_blocked_for_its_absence(tag: str, policy: Digest) -> None:
    request = ask(tag, StartReason.LATE_SCAN)
    assert decide(closed(Outcome.BLOCKED, reasons=TIMED_OUT), request, policy) == Begin(
        4, StartReason.LATE_SCAN
    )
    for other in (
        closed(Outcome.BLOCKED, reasons=[reason()]),
        closed(Outcome.BLOCKED, reasons=[*TIMED_OUT, reason()]),
        closed(Outcome.BLOCKED),
        closed(Outcome.RELEASED, reasons=TIMED_OUT),
        closed(Outcome.FAILED, reasons=TIMED_OUT),
    ):
        assert isinstance(decide(other, request, policy), Ignore)


def test_a_warning_beside_the_timeout_does_not_hide_it() -> None:
    warned = [*TIMED_OUT, reason("findings.low", "1 LOW", Action.WARN)]
    assert closed(Outcome.BLOCKED, reasons=warned).timed_out
    assert not release(reasons=TIMED_OUT).timed_out


@given(st.lists(st.tuples(images, attempts), unique=True, max_size=6))
def test_every_attempt_of_every_image_has_a_key_of_its_own(pairs: list[tuple[ImageRef, int]]) -> None:
    assert len({release(image=i, attempt=n).key for i, n in pairs}) == len(pairs)


@given(images, attempts)
def test_the_execution_name_is_legal(of: ImageRef, attempt: int) -> None:
    """Step Functions API reference, StartExecution: 1 to 80 characters; we keep to letters, digits, - and _."""
    name = release(image=of, attempt=attempt).execution_name
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name)


@given(tags)
def test_the_key_depends_on_image_and_attempt_alone(tag: str) -> None:
    other = release(
        tags=frozenset({tag}),
        policy=NEW,
        stage="other",
        reason=StartReason.OPERATOR,
        started_at=NOON + timedelta(days=1),
        outcome=Outcome.BLOCKED,
        verdict=None,
    )
    assert other.key == release().key
    assert other.execution_name == release().execution_name


STAGING = Stage("staging", RepositoryPattern("shop/{app}-staging"))


def test_the_workflow_gets_nothing_that_decides() -> None:
    """A caller who may start executions gains nothing: the steps read stage, approval and policy themselves."""
    assert workflow_input(release(), stage()) == {
        "schema": 1,
        "release": {"repository": "shop/api-dev", "digest": str(digest()), "attempt": 1},
        "scanTimeoutSeconds": 1800,
    }


@given(st.frozensets(tags, max_size=3), st.sampled_from(StartReason))
def test_every_retry_of_an_attempt_gives_the_workflow_the_same_input(
    joined: frozenset[str], why: StartReason
) -> None:
    """StartExecution is idempotent only for the same name with the same input."""
    first = workflow_input(release(), stage())
    again = workflow_input(release(tags=joined | {"1.0"}, reason=why, verdict=None), stage())
    assert json.dumps(again) == json.dumps(first)


def test_a_release_id_names_the_image_and_the_attempt() -> None:
    assert str(ReleaseId(image(), 2)) == f"shop/api-dev@{digest()} attempt 2"
