"""Lifecycle rules of ECR: AWS's worked examples, what is refused, and what must not be taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegate.lifecycle.danger import DangerKind, find_dangers
from imagegate.lifecycle.preview import PreviewedEffect, as_simulation, find_differences
from imagegate.lifecycle.rules import InvalidLifecycleError, LifecycleAction, parse_lifecycle
from imagegate.lifecycle.simulation import Reading, simulate
from imagegate.lifecycle.stored_image import StorageStatus, StoredImage
from imagegate.oci.image import Digest

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
EXPIRE, TO_ARCHIVE = {"type": "expire"}, {"type": "transition", "targetStorageClass": "archive"}


def image(name: str, tags: str = "", days: float = 0, **more: Any) -> StoredImage:
    return StoredImage(
        digest=Digest.of(name.encode()),
        tags=frozenset(tags.split()),
        pushed_at=NOW - timedelta(days=days),
        **more,
    )


def rule(
    priority: int, tags: str | None, count: int, *, days: str = "", prefix: bool = False, **more: Any
) -> Any:
    """Return a rule: `tags` None is any, "" is untagged; `days` the count type, or "" for imageCountMoreThan."""
    status = "any" if tags is None else "tagged" if tags else "untagged"
    lists = {"tagPrefixList" if prefix else "tagPatternList": tags.split()} if tags else {}
    unit = {"countType": days, "countUnit": "days"} if days else {"countType": "imageCountMoreThan"}
    selection = {"tagStatus": status, **lists, **unit, "countNumber": count}
    selection |= {key: value for key, value in more.items() if key == "storageClass"}
    return {
        "rulePriority": priority,
        "description": "a rule of a test",
        "selection": selection,
        "action": more.get("action", EXPIRE),
    }


def document(*rules: Any) -> bytes:
    return json.dumps({"rules": rules}, indent=4).encode().ljust(120)


def effects(rules: Sequence[Any], images: Sequence[StoredImage], reading: Reading = Reading.IMAGES) -> Any:
    found = simulate(parse_lifecycle(document(*rules)), images, NOW, reading).effects
    names = {one.digest: chr(ord("A") + number) for number, one in enumerate(images)}
    return {names[digest]: effect.rule.priority if effect.rule else None for digest, effect in found.items()}


BETA_PROD = [image("a", "beta-1 prod-1", 10), image("b", "beta-2 prod-2", 9), image("c", "beta-3", 8)]
ALPHA_BETA = [
    *(image("a", "alpha-1", 12), image("b", "beta-1", 11), image("c", "alpha-2 beta-2", 10)),
    *(image("d", "alpha-3", 4), image("e", "beta-3", 3), image("f", "alpha-4 beta-4", 2)),
]
GAMMA = [
    image("a", "alpha-1 beta-1 gamma-1", 10),
    image("b", "alpha-2 beta-2", 9),
    image("c", "alpha-3 beta-3 gamma-2", 8),
]
ANY = [image("a", "alpha-1", 4), image("b", "beta-1", 3), image("c", "", 2), image("d", "alpha-2", 1)]
SIX = [
    *(image("a", "alpha-1 beta-1", 4), image("b", "", 3), image("c", "alpha-2", 2)),
    *(image("d", "git-hash", 1.0), image("e", "", 0.99)),
]
# Amazon ECR user guide, "Examples of lifecycle policies in Amazon ECR", in the order of that page.
EXAMPLES = {
    "A": ([rule(1, "prod*", 1), rule(2, "beta*", 1)], BETA_PROD, {"A": 1}),
    "B": ([rule(1, "beta*", 1), rule(2, "prod*", 1)], BETA_PROD, {"A": 1, "B": 1}),
    "several tags, by age": ([rule(1, "alpha* beta*", 5, days="sinceImagePushed")], ALPHA_BETA, {"C": 1}),
    "several prefixes": (
        [rule(1, "alpha beta", 5, days="sinceImagePushed", prefix=True)],
        ALPHA_BETA,
        {"C": 1},
    ),
    "several tags, by number": ([rule(1, "alpha* beta*", 1)], GAMMA, {"A": 1, "B": 1}),
    "any": ([rule(1, None, 1)], ANY, {"A": 1, "B": 1, "C": 1}),
    "all kinds": (
        [rule(1, "alpha*", 1), rule(2, "", 1, days="sinceImagePushed"), rule(3, None, 1)],
        SIX,
        {"A": 1, "B": 2, "D": 3},
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_guide_end_as_it_says(name: str) -> None:
    rules, images, expected = EXAMPLES[name]
    assert effects(rules, images) == expected
    assert effects(rules[::-1], images[::-1]).keys() == {
        chr(ord("A") + len(images) - 1 - (ord(letter) - ord("A"))) for letter in expected
    }, "the order of rules and images in the documents does not matter"


@pytest.mark.parametrize("prefix", ["*", "v*", "*1", "v*1", "**"])
def test_a_wildcard_in_a_prefix_is_none(prefix: str) -> None:
    old = [image("a", "v1", 100), image("b", "v-1", 100), image("c", "1", 100)]
    assert effects([rule(1, prefix, 1, days="sinceImagePushed", prefix=True)], old) == {}
    assert effects([rule(1, prefix, 1, days="sinceImagePushed")], old)


def test_a_rule_is_about_images_that_are_older_than_its_days() -> None:
    exactly = [image("a", "v1", 14), image("b", "v2", 14.01)]
    assert effects([rule(1, "v*", 14, days="sinceImagePushed")], exactly) == {"B": 1}


def test_a_restored_image_is_as_old_as_its_restoration() -> None:
    restored = replace(image("a", "v1", 100), activated_at=NOW - timedelta(days=2))
    assert effects([rule(1, "v*", 14, days="sinceImagePushed")], [restored]) == {}
    assert effects([rule(1, "v*", 1, days="sinceImagePushed")], [restored]) == {"A": 1}


def test_pulls_decide_about_the_archive_and_without_one_the_push_does() -> None:
    pulled = rule(1, None, 30, days="sinceImagePulled", action=TO_ARCHIVE)
    images = [
        replace(image("a", "v1", 100), pulled_at=NOW - timedelta(days=29)),
        replace(image("b", "v2", 100), pulled_at=NOW - timedelta(days=31)),
        image("c", "v3", 31),
        image("d", "v4", 29),
        replace(
            image("e", "v5", 100),
            pulled_at=NOW - timedelta(days=50),
            activated_at=NOW - timedelta(days=1),
        ),
    ]
    found = simulate(parse_lifecycle(document(pulled)), images, NOW).effects
    assert [one.image.digest for one in found.values()] == [images[1].digest, images[2].digest]
    assert {one.action for one in found.values()} == {LifecycleAction.TRANSITION}


def test_the_archive_has_rules_of_its_own() -> None:
    rules = [
        rule(1, None, 30, days="sinceImagePushed", action=TO_ARCHIVE),
        rule(2, None, 90, days="sinceImageTransitioned", storageClass="archive"),
    ]
    archived = StorageStatus.ARCHIVED
    images = [
        image("a", "v1", 31),
        image("b", "v2", 300, status=archived, archived_at=NOW - timedelta(days=91)),
        image("c", "v3", 300, status=archived, archived_at=NOW - timedelta(days=89)),
        image("d", "v4", 300, status=StorageStatus.ACTIVATING),
    ]
    assert effects(rules, images) == {"A": 1, "B": 2}


def test_parts_of_an_index_stay_with_it_and_are_not_counted() -> None:
    part = image("part", "", 50)
    index = image("index", "v1", 50, is_index=True, children=(part.digest,))
    loose = image("loose", "", 40)
    assert effects([rule(1, "", 1)], [part, index, loose]) == {}
    assert effects([rule(1, "", 1, days="sinceImagePushed")], [part, index, loose]) == {"C": 1}
    assert effects([rule(1, "v*", 1, days="sinceImagePushed")], [part, index, loose]) == {"B": 1}, (
        "a later run"
    )


def test_evidence_follows_its_image_and_the_worst_reading_takes_it_alone() -> None:
    app = image("app", "v1", 50)
    signature = image("signature", "", 50, subject=app.digest)
    about_it = image("about it", "", 49, subject=signature.digest)
    by_tag = [rule(1, "v*", 1, days="sinceImagePushed")]
    assert effects(by_tag, [app, signature, about_it]) == {"A": 1, "B": None, "C": None}
    untagged = [rule(1, "", 7, days="sinceImagePushed")]
    assert effects(untagged, [app, signature, about_it]) == {}
    assert effects(untagged, [app, signature, about_it], Reading.EVERYTHING) == {"B": 1, "C": 1}


REFUSED = {
    "no rules": {"rules": []},
    "another key": {"rules": [rule(1, "v*", 1)], "version": 1},
    "countUnit with a number": {
        "rules": [{**rule(1, "v*", 1), "selection": {**rule(1, "v*", 1)["selection"], "countUnit": "days"}}]
    },
    "hours": {
        "rules": [
            {
                **rule(1, "v*", 1),
                "selection": {
                    **rule(1, "v*", 1, days="sinceImagePushed")["selection"],
                    "countUnit": "hours",
                },
            }
        ]
    },
    "expire by pulls": {"rules": [rule(1, None, 1, days="sinceImagePulled")]},
    "two priorities": {"rules": [rule(1, "v*", 1), rule(1, "w*", 1)]},
    "two lists with one pattern": {"rules": [rule(1, "v*", 1), rule(2, "v* w*", 1)]},
    "any before another": {"rules": [rule(1, None, 1), rule(2, "v*", 1)]},
    "two for untagged": {"rules": [rule(1, "", 1), rule(2, "", 2)]},
    "zero": {"rules": [rule(1, "v*", 0)]},
    "true": {"rules": [rule(1, "v*", True)]},
    "five wildcards": {"rules": [rule(1, "a*b*c*d*e*", 1)]},
    "archive too short": {
        "rules": [rule(1, None, 89, days="sinceImageTransitioned", storageClass="archive")]
    },
    "archive by push": {"rules": [rule(1, None, 90, days="sinceImagePushed", storageClass="archive")]},
    "transition to nothing": {"rules": [rule(1, "v*", 1, action={"type": "transition"})]},
    "tagged without tags": {
        "rules": [{**rule(1, "", 1), "selection": {**rule(1, "", 1)["selection"], "tagStatus": "tagged"}}]
    },
    "untagged with tags": {
        "rules": [
            {**rule(1, "v*", 1), "selection": {**rule(1, "v*", 1)["selection"], "tagStatus": "untagged"}}
        ]
    },
    "unknown key": {"rules": [{**rule(1, "v*", 1), "comment": ""}]},
    "no object": {"rules": ["rule"]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_ecr_refuses_is_refused(name: str) -> None:
    with pytest.raises(InvalidLifecycleError):
        parse_lifecycle(json.dumps(REFUSED[name]).encode().ljust(200))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", document(rule(1, "v*", 1)).replace(b"rules", b'rules": [], "rules')]
)
def test_a_document_that_clients_read_differently_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidLifecycleError):
        parse_lifecycle(content)


def kinds(
    rules: Sequence[Any], images: Sequence[StoredImage], protected: dict[Digest, list[str]]
) -> list[DangerKind]:
    parsed = parse_lifecycle(document(*rules))
    simulations = [simulate(parsed, images, NOW, reading) for reading in Reading]
    return [danger.kind for danger in find_dangers(parsed, images, simulations, protected)]


def test_dangers_are_found() -> None:
    app = image("app", "v1", 50)
    signature = image("signature", "", 50, subject=app.digest)
    cosign = image("cosign", f"sha256-{app.digest.hex}.sig", 50)
    untagged = rule(1, "", 7, days="sinceImagePushed")
    assert kinds([untagged], [app, signature], {}) == [DangerKind.EVIDENCE]
    assert kinds([rule(1, "sha256-*", 7, days="sinceImagePushed")], [app, cosign], {}) == [
        DangerKind.EVIDENCE
    ]
    old = rule(1, "v*", 7, days="sinceImagePushed")
    assert kinds([old], [app, signature], {app.digest: ["runs"]}) == [DangerKind.PROTECTED]
    assert kinds([old], [app, signature], {}) == []
    assert kinds([rule(1, "v* release-*", 7, days="sinceImagePushed")], [app], {}) == [DangerKind.NO_EFFECT]


def test_a_preview_that_takes_half_an_index_is_a_danger_and_a_difference() -> None:
    part = image("part", "", 50)
    index = image("index", "v1", 50, is_index=True, children=(part.digest,))
    rules = parse_lifecycle(document(rule(1, "", 7, days="sinceImagePushed")))
    ours = simulate(rules, [part, index], NOW)
    preview = {part.digest: PreviewedEffect(LifecycleAction.EXPIRE, 1)}
    assert find_differences(ours, preview) == [
        f"{part.digest}: ECR expires it by rule 1, the simulation keeps it"
    ]
    theirs = as_simulation(rules, [part, index], preview)
    assert [one.kind for one in find_dangers(rules, [part, index], [theirs], {})] == [
        DangerKind.HALF_INDEX,
        DangerKind.NO_EFFECT,
    ]


def test_a_preview_that_agrees_has_no_difference() -> None:
    app = image("app", "v1", 50)
    signature = image("signature", "", 50, subject=app.digest)
    ours = simulate(
        parse_lifecycle(document(rule(3, "v*", 7, days="sinceImagePushed"))), [app, signature], NOW
    )
    expired = PreviewedEffect(LifecycleAction.EXPIRE, 3)
    assert find_differences(ours, {app.digest: expired}) == []
    assert len(find_differences(ours, {})) == 1
    assert len(find_differences(ours, {app.digest: PreviewedEffect(LifecycleAction.EXPIRE, 4)})) == 1
