"""Permission to deploy an image: every way in which it can have passed its gate, or not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.deployment.check import (
    DeploymentRule,
    DeploymentRuling,
    Guarded,
    apply_break_glass,
    rule_on_image,
)
from imagegate.errors import InvalidDigestError
from imagegate.findings.finding import Finding
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.reference import (
    Container,
    InvalidReferenceError,
    Reference,
    parse_prefixes,
    resolve_digests,
)
from imagegate.policy.policy import Mode
from imagegate.release.release import History, Outcome, Release
from imagegate.release.revocation import Revocation
from imagegate.workflow.watch.deployment import HookStatus, NothingToCheckError
from tests.component.deployments import IMAGE, Cluster, attempt, blocked, image_name
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, POLICY, REGISTRY, critical

INDEX = Digest.of(b"index")
OTHER_INDEX = Digest.of(b"another index")
STAGE = POLICY.stages["dev"]
GUARDED = Guarded(Container("app", image_name(IMAGE)), STAGE, DEV, "1.0", IMAGE.digest)
SOONER, MUCH_LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


def ruled(*attempts: Release, indexes: dict[Digest, tuple[Release, ...]] | None = None) -> DeploymentRuling:
    """Return the ruling by these attempts, newest first, and by those of the indexes that it was released with."""
    within = indexes or {}
    own = History(attempts, tuple(within))
    return rule_on_image(GUARDED, IMAGE, own, [(digest, History(found)) for digest, found in within.items()])


def of_index(release: Release, digest: Digest = INDEX) -> Release:
    return replace(release, image=ImageRef(DEV, digest))


# By its own attempts


@pytest.mark.parametrize(
    ("attempts", "expected", "why"),
    [
        ([], DeploymentRule.UNKNOWN, "no dev gate has seen it"),
        ([attempt()], DeploymentRule.PASSED, "passed the dev gate in attempt 1"),
        ([attempt(outcome=Outcome.HELD)], DeploymentRule.PASSED, "attempt 1"),
        (
            [blocked()],
            DeploymentRule.REFUSED,
            r"blocked in attempt 1 on 2026-11-21 08:00 UTC: 2 CRITICAL \(at most 0\)",
        ),
        ([blocked(reasons=())], DeploymentRule.REFUSED, "blocked in attempt 1 on 2026-11-21 08:00 UTC$"),
        # Judged and not passed, whatever happened to it otherwise.
        (
            [attempt(verdict="BLOCK", signature=None)],
            DeploymentRule.REFUSED,
            "judged BLOCK in attempt 1",
        ),  # observed
        ([attempt(verdict="ERROR", outcome=Outcome.BLOCKED)], DeploymentRule.REFUSED, "blocked"),
        ([attempt(outcome=None, verdict="BLOCK", signature=None)], DeploymentRule.REFUSED, "judged BLOCK"),
        ([attempt(outcome=Outcome.FAILED, verdict="BLOCK")], DeploymentRule.REFUSED, "judged BLOCK"),
        ([attempt(outcome=Outcome.SUPERSEDED, verdict="BLOCK")], DeploymentRule.REFUSED, "judged BLOCK"),
        # A pass that nobody signed, or that is not of this gate.
        ([attempt(signature=None)], DeploymentRule.REFUSED, "released in attempt 1 .* without a signature"),
        ([attempt(verdict=None)], DeploymentRule.REFUSED, "attempt 1"),
        (
            [attempt(stage="staging")],
            DeploymentRule.UNDECIDED,
            "passed the gate of staging, and its repository belongs to dev",
        ),
        # Nothing was said yet.
        (
            [attempt(outcome=None, verdict=None, signature=None)],
            DeploymentRule.UNDECIDED,
            "attempt 1 .* is not over",
        ),
        ([attempt(outcome=None)], DeploymentRule.UNDECIDED, "is not over"),
        (
            [attempt(outcome=Outcome.FAILED, verdict=None)],
            DeploymentRule.UNDECIDED,
            "ended failed, without releasing it",
        ),
        ([attempt(outcome=Outcome.FAILED)], DeploymentRule.UNDECIDED, "ended failed"),
        ([attempt(outcome=Outcome.SUPERSEDED)], DeploymentRule.UNDECIDED, "ended superseded"),
        ([attempt(outcome=Outcome.CONFLICT)], DeploymentRule.UNDECIDED, "ended conflict"),
        (
            [attempt(outcome=Outcome.WITHDRAWN)],
            DeploymentRule.REFUSED,
            "withdrawn in attempt 1 .*, the image was deleted",
        ),
        # The last word counts.
        ([blocked(2), attempt()], DeploymentRule.REFUSED, "attempt 2"),
        ([attempt(2, Outcome.WITHDRAWN), attempt()], DeploymentRule.REFUSED, "withdrawn in attempt 2"),
        ([attempt(2), blocked()], DeploymentRule.PASSED, "attempt 2"),
        (
            [attempt(2, outcome=None, verdict=None, signature=None), attempt()],
            DeploymentRule.PASSED,
            "attempt 1",
        ),
        (
            [attempt(2, outcome=None, verdict=None, signature=None), blocked()],
            DeploymentRule.REFUSED,
            "attempt 1",
        ),
        ([attempt(2, Outcome.FAILED, verdict=None), attempt()], DeploymentRule.PASSED, "attempt 1"),
        ([attempt(2, Outcome.CONFLICT), attempt()], DeploymentRule.PASSED, "attempt 1"),
        ([attempt(2, Outcome.SUPERSEDED), attempt()], DeploymentRule.PASSED, "attempt 1"),
        (
            [attempt(3, Outcome.FAILED, verdict=None), blocked(2), attempt()],
            DeploymentRule.REFUSED,
            "attempt 2",
        ),
    ],
)
def test_the_last_word_about_a_digest_counts(
    attempts: list[Release], expected: DeploymentRule, why: str
) -> None:
    ruling = ruled(*attempts)
    assert ruling.rule is expected, ruling
    assert re.search(why, ruling.why), ruling.why
    assert ruling.may_run is (expected is DeploymentRule.PASSED)
    assert bool(ruling.todo) is not ruling.may_run


# As a platform


@pytest.mark.parametrize(
    ("own", "indexes", "expected"),
    [
        ((), {INDEX: (of_index(attempt()),)}, DeploymentRule.PASSED),
        ((), {INDEX: (of_index(blocked()),)}, DeploymentRule.REFUSED),
        ((), {INDEX: (of_index(blocked(2)), of_index(attempt()))}, DeploymentRule.REFUSED),
        ((), {INDEX: (of_index(attempt(signature=None)),)}, DeploymentRule.REFUSED),
        ((), {INDEX: (of_index(attempt(outcome=None, verdict=None)),)}, DeploymentRule.UNDECIDED),
        ((), {INDEX: ()}, DeploymentRule.UNKNOWN),
        # Two indexes share it: one that is blocked, for another platform perhaps, does not refuse it.
        (
            (),
            {INDEX: (of_index(blocked()),), OTHER_INDEX: (of_index(attempt(), OTHER_INDEX),)},
            DeploymentRule.PASSED,
        ),
        # It has a word of its own.
        ((attempt(),), {INDEX: (of_index(blocked(closed_at=MUCH_LATER)),)}, DeploymentRule.PASSED),
        ((blocked(),), {INDEX: (of_index(attempt(closed_at=SOONER)),)}, DeploymentRule.REFUSED),
        ((blocked(),), {INDEX: (of_index(attempt(closed_at=NOW)),)}, DeploymentRule.REFUSED),
        ((blocked(),), {INDEX: (of_index(attempt(closed_at=MUCH_LATER)),)}, DeploymentRule.PASSED),
        ((attempt(outcome=None, verdict=None),), {INDEX: (of_index(attempt()),)}, DeploymentRule.PASSED),
    ],
)
def test_a_platform_counts_as_the_index_it_was_released_with(
    own: tuple[Release, ...], indexes: dict[Digest, tuple[Release, ...]], expected: DeploymentRule
) -> None:
    assert ruled(*own, indexes=indexes).rule is expected


def test_an_index_released_before_a_revocation_does_not_count() -> None:
    revoked = attempt(closed_at=SOONER, revoked=Revocation(LATER, "ann", "its key leaked"))
    before, after = (of_index(attempt(closed_at=at)) for at in (NOW, MUCH_LATER))
    assert ruled(revoked, indexes={INDEX: (before,)}).rule is DeploymentRule.REFUSED
    assert ruled(revoked, indexes={INDEX: (after,)}).rule is DeploymentRule.PASSED


@pytest.mark.parametrize(
    ("broken", "expected"),
    [("findings.critical", DeploymentRule.BREAK_GLASS), ("image.ambiguous", DeploymentRule.REFUSED)],
)
def test_broken_glass_lets_nothing_run_that_is_ambiguous(broken: str, expected: DeploymentRule) -> None:
    reasons = ({"rule": broken, "message": "a key is there twice", "action": "enforce"},)
    glass = BreakGlass(DEV, IMAGE.digest, "the shop is down", MUCH_LATER, NOW, "ann")
    assert apply_break_glass(ruled(blocked(reasons=reasons)), [glass], LATER).rule is expected


def test_the_message_about_a_platform_names_its_index() -> None:
    ruling = ruled(indexes={INDEX: (of_index(blocked()),)})
    assert f"imagegate status {DEV}@{INDEX}" in " ".join(ruling.todo)
    assert ruling.image == IMAGE


any_attempt = st.builds(
    attempt,
    outcome=st.sampled_from([None, *Outcome]),
    verdict=st.sampled_from([None, "PASS", "BLOCK", "ERROR"]),
    signature=st.sampled_from([None, Digest.of(b"signature")]),
    stage=st.sampled_from(["dev", "staging"]),
    closed_at=st.sampled_from([None, SOONER, NOW, MUCH_LATER]),
)
histories = st.lists(any_attempt, max_size=4).map(
    lambda found: tuple(replace(one, attempt=len(found) - place) for place, one in enumerate(found))
)


@given(histories, histories)
def test_nothing_runs_without_a_signed_pass_of_this_gate(
    own: tuple[Release, ...], index: tuple[Release, ...]
) -> None:
    ruling = ruled(*own, indexes={INDEX: index})
    if ruling.may_run:
        by = ruling.decided_by
        assert by is not None
        assert (by.verdict, by.stage) == ("PASS", "dev")
        assert by.signature is not None
        assert by.outcome in (Outcome.RELEASED, Outcome.HELD)


@given(histories)
def test_one_more_refusal_never_opens_the_gate(own: tuple[Release, ...]) -> None:
    for refusal in (blocked(9), attempt(9, Outcome.WITHDRAWN), attempt(9, None, verdict="BLOCK")):
        assert not ruled(refusal, *own).may_run


# By the image's name


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("nginx", "docker.io/library/nginx", "latest"),
        ("nginx:1.27", "docker.io/library/nginx", "1.27"),
        ("grafana/grafana", "docker.io/grafana/grafana", "latest"),
        ("public.ecr.aws/x/y:z", "public.ecr.aws/x/y", "z"),
        ("Registry.Example.com:5000/team/app:v1", "registry.example.com:5000/team/app", "v1"),
        ("localhost/app", "localhost/app", "latest"),
        (f"{REGISTRY}/shop-dev:1.0@{INDEX}", f"{REGISTRY}/shop-dev", "1.0"),
        (f"{REGISTRY}/shop-dev@{INDEX}", f"{REGISTRY}/shop-dev", None),
    ],
)
def test_a_name_is_read_as_clients_read_it(text: str, name: str, tag: str | None) -> None:
    reference = Reference.parse(text)
    assert (reference.name, reference.tag) == (name, tag)
    assert reference.digest == (INDEX if "@" in text else None)


@pytest.mark.parametrize(
    "text", ["", " ", "nginx:", "NGINX", f"{REGISTRY}/", f"{REGISTRY}//a", "a/../b", "a b", "x:y:z", "app:-1"]
)
def test_anything_but_a_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        Reference.parse(text)
    assert Cluster().check(Container("app", text)).rulings[0].rule is DeploymentRule.UNREADABLE


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidDigestError):
        Reference.parse("nginx@sha512:00")
    assert Cluster().check(Container("app", "nginx@sha256:0")).rulings[0].rule is DeploymentRule.UNREADABLE


@pytest.mark.parametrize(
    "host",
    [
        REGISTRY,
        "123456789012.dkr.ecr-fips.eu-central-1.amazonaws.com",
        "123456789012.dkr-ecr.eu-central-1.on.aws",
        "123456789012.dkr-ecr-fips.eu-central-1.on.aws",
        f"{REGISTRY}:443",
        REGISTRY.upper(),
    ],
)
def test_the_registry_is_known_by_each_of_its_names(host: str) -> None:
    cluster = Cluster()
    cluster.known(attempt())
    assert cluster.check(Container("app", f"{host}/{IMAGE}")).status is HookStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("image", "allowed", "expected"),
    [
        ("nginx", "", DeploymentRule.OUTSIDE),
        ("nginx", "docker.io/library/nginx", DeploymentRule.ALLOWED),
        ("nginx", "docker.io", DeploymentRule.ALLOWED),
        ("nginx", "nginx", DeploymentRule.OUTSIDE),
        ("public.ecr.aws/datadog/agent:7", "quay.io/x, public.ecr.aws/datadog/", DeploymentRule.ALLOWED),
        ("public.ecr.aws/datadog-evil/agent:7", "public.ecr.aws/datadog", DeploymentRule.OUTSIDE),
        ("public.ecr.aws:5000/datadog/agent:7", "public.ecr.aws", DeploymentRule.OUTSIDE),
        (f"{REGISTRY}:4430/shop-dev:1.0", "", DeploymentRule.OUTSIDE),
        (f"{REGISTRY}:80/shop-dev:1.0", "", DeploymentRule.OUTSIDE),
        ("evil.example/public.ecr.aws/datadog/agent", "public.ecr.aws/datadog", DeploymentRule.OUTSIDE),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-dev:1.0", "", DeploymentRule.OUTSIDE),
        ("999999999999.dkr.ecr.eu-central-1.amazonaws.com/shop-dev:1.0", "", DeploymentRule.OUTSIDE),
        (f"{REGISTRY}/tools/proxy:1", "", DeploymentRule.UNGUARDED),
        (f"{REGISTRY}/tools/proxy:1", f"{REGISTRY}/tools", DeploymentRule.ALLOWED),
        # What a gate guards is never let through by the list.
        (f"{REGISTRY}/shop-dev:1.0", f"{REGISTRY}/shop-dev,{REGISTRY}", DeploymentRule.MISSING),
        (f"{REGISTRY}/shop-dev@{IMAGE.digest}", f"{REGISTRY}/shop-dev", DeploymentRule.UNKNOWN),
    ],
)
def test_images_from_elsewhere_are_refused_unless_the_stack_allows_them(
    image: str, allowed: str, expected: DeploymentRule
) -> None:
    answer = Cluster(allowed=parse_prefixes(allowed)).check(Container("side", image))
    assert answer.rulings[0].rule is expected
    assert (answer.status is HookStatus.SUCCEEDED) is (expected is DeploymentRule.ALLOWED)
    if expected in (DeploymentRule.OUTSIDE, DeploymentRule.UNGUARDED):
        assert Reference.parse(image).name in " ".join(answer.rulings[0].todo)  # what to add to the list


# By real releases


def released(world: World, tag: str = "1.0", found: list[Finding] | None = None) -> ImageRef:
    """Take an image through the gate to its end."""
    image = world.registry.push_image(DEV, tag, seed=tag)
    world.scans.finish(image, found or [])
    world.start(image, tag)
    judged = world.judge(image)
    if not found:
        world.sign(judged.decision)
        world.promote(image)
    world.announce(image, Outcome.BLOCKED if found else Outcome.RELEASED)
    return image


def at(world: World, **more: Any) -> Cluster:
    return Cluster(registry=world.registry, ledger=world.ledger, **more)


def test_released_images_are_deployed_by_tag_or_digest_and_blocked_ones_are_not() -> None:
    world = World()
    good, bad = released(world, "1.0"), released(world, "2.0", critical())
    cluster = at(world)
    for text in (image_name(good), f"{REGISTRY}/{DEV}:1.0", f"{REGISTRY}/{DEV}:1.0@{good.digest}"):
        assert cluster.check(Container("app", text)).as_json() == {"hookStatus": "SUCCEEDED"}
    for text in (image_name(bad), f"{REGISTRY}/{DEV}:2.0"):
        told = cluster.check(Container("app", text)).as_json()
        assert told["hookStatus"] == "FAILED"
        assert told["hookDetails"]["reason"].startswith(f"app: {bad}: did not pass the dev gate: blocked")


def test_a_platform_of_a_released_index_is_deployed() -> None:
    world = World()
    index, platforms = world.index("amd64", "arm64")
    for platform in platforms:
        world.scans.finish(platform)
    world.start(index)
    world.sign(world.judge(index).decision)
    cluster = at(world)
    assert (
        cluster.check(Container("app", image_name(platforms[0]))).status is HookStatus.FAILED
    )  # not over yet
    world.promote(index)
    world.announce(index, Outcome.RELEASED)
    for image in (index, *platforms):
        assert cluster.check(Container("app", image_name(image))).status is HookStatus.SUCCEEDED


# What a revision consists of


def test_the_digest_that_amazon_ecs_found_counts_not_what_the_tag_is_now() -> None:
    world = World()
    good = released(world, "1.0")
    cluster = at(world)
    container = Container("app", f"{REGISTRY}/{DEV}:1.0")
    bad = world.registry.push_image(DEV, "1.0", seed="moved")
    assert cluster.check(container).status is HookStatus.FAILED
    assert (
        cluster.check(container, seen=[replace(container, digest=good.digest)]).status is HookStatus.SUCCEEDED
    )
    assert cluster.check(container, seen=[replace(container, digest=bad.digest)]).status is HookStatus.FAILED


def test_one_container_that_did_not_pass_refuses_the_deployment_and_each_is_named() -> None:
    cluster = Cluster(allowed=("public.ecr.aws/datadog",))
    cluster.known(attempt())
    answer = cluster.check(
        Container("app", image_name(IMAGE)),
        Container("agent", "public.ecr.aws/datadog/agent:7"),
        Container("proxy", "envoyproxy/envoy:v1.31"),
        Container("log", "fluent/fluent-bit"),
    )
    assert [one.rule for one in answer.rulings] == [
        DeploymentRule.PASSED,
        DeploymentRule.ALLOWED,
        DeploymentRule.OUTSIDE,
        DeploymentRule.OUTSIDE,
    ]
    assert answer.status is HookStatus.FAILED
    assert "proxy: envoyproxy/envoy:v1.31: it is not in this registry, but in docker.io" in answer.reason
    assert "log: fluent/fluent-bit" in answer.reason
    assert "agent" not in answer.reason
    assert cluster.tell(answer) == 2


def test_containers_that_amazon_ecs_adds_are_its_own_and_missing_ones_are_asked_of_the_task_definition() -> (
    None
):
    app, side = Container("app", image_name(IMAGE)), Container("side", "nginx")
    agent = Container("aws-guardduty-agent", "593207742271.dkr.ecr.eu-central-1.amazonaws.com/agent:1")
    assert resolve_digests([app, side], [agent, replace(app, digest=INDEX)]) == [
        replace(app, digest=INDEX),
        side,
    ]
    assert resolve_digests([app], [Container("app", "", INDEX)]) == [replace(app, digest=INDEX)]
    cluster = Cluster()
    cluster.known(attempt())
    assert cluster.check(app, seen=[app, agent]).status is HookStatus.SUCCEEDED
    assert cluster.check(app, side, seen=[app]).status is HookStatus.FAILED


def test_a_revision_without_containers_has_not_passed() -> None:
    with pytest.raises(NothingToCheckError):
        Cluster().check(seen=[Container("app", image_name(IMAGE))])


# Stages that only observe


def test_a_stage_that_only_observes_stops_nothing_and_tells() -> None:
    dev = replace(STAGE, mode=Mode.OBSERVE)
    cluster = Cluster(policy=replace(POLICY, stages={**POLICY.stages, "dev": dev}))
    cluster.known(attempt(verdict="BLOCK", signature=None))
    answer = cluster.check(Container("app", image_name(IMAGE)))
    assert answer.as_json() == {"hookStatus": "SUCCEEDED"}
    assert cluster.tell(answer) == 1
    [message] = cluster.notifications.messages
    assert message.subject.startswith(f"WOULD BE REFUSED: web in prod: {DEV}@{IMAGE.digest.short}: did not")
    assert message.attributes["deployment"] == "observed"
    # Elsewhere it is none of that stage's business.
    assert (
        cluster.check(Container("app", image_name(IMAGE)), Container("x", "nginx")).status
        is HookStatus.FAILED
    )


# Telling


def test_a_message_names_image_stage_reason_and_remedy() -> None:
    cluster = Cluster()
    cluster.known(blocked())
    answer = cluster.check(Container("app", image_name(IMAGE)))
    assert cluster.tell(answer) == 1
    [message] = cluster.notifications.messages
    assert message.subject == (
        f"REFUSED: web in prod: shop-dev@{IMAGE.digest.short}: did not pass the dev gate: blocked in attemp..."
    )
    for said in (
        "The deployment of service web in cluster prod was refused. Amazon ECS rolls it back.",
        "2 CRITICAL (at most 0)",
        f"imagegate status {IMAGE}",
        "Container    app",
        f"Image        {image_name(IMAGE)}",
        f"Digest       {IMAGE.digest}",
        "service-revision/prod/web/7",
    ):
        assert said in message.text
    assert message.detail_type == "Deployment Refused"
    assert message.detail["rule"] == "refused"
    assert (message.detail["cluster"], message.detail["group"]) == ("prod", "service:web")
    assert message.attributes == {
        "alert": "block",
        "deployment": "refused",
        "rule": "refused",
        "repository": "shop-dev",
        "stage": "dev",
    }


def test_the_same_refusal_is_announced_once_and_a_new_verdict_again() -> None:
    cluster = Cluster()
    cluster.known(blocked())
    app = Container("app", image_name(IMAGE))
    answer = cluster.check(app, replace(app, name="twin"))  # two containers, one image
    assert [cluster.tell(answer), cluster.tell(answer), cluster.tell(answer, LATER)] == [1, 0, 0]
    cluster.known(blocked(2))
    assert cluster.tell(cluster.check(app)) == 1
    assert [message.detail["attempt"] for message in cluster.notifications.messages] == [1, 2]
