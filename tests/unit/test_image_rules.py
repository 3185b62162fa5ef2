"""Rules about the image itself: what exactly they ask for, and what a person reads where they do not hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.gate.facts import Evidence, ImageFacts, PlatformFacts
from imagegate.gate.image_rules import Violation, megabytes, violations
from imagegate.oci.image_config import ImageConfig
from imagegate.policy import rules
from imagegate.policy.rules import Action, EvidenceRules, ImageRules, Rule
from tests.unit.samples import DAY, NOON, digest, tags
from tests.unit.trials import FACTS, HOUR, base, well_known

NOTHING = EvidenceRules()
GOLDEN: Rule[tuple[str, ...]] = Rule(("golden", "silver"))


def violations_of(image: ImageRules, facts: ImageFacts, evidence: EvidenceRules = NOTHING) -> list[Violation]:
    return list(violations(image, evidence, facts, NOON))


def one_platform(**changes: Any) -> ImageFacts:
    return replace(FACTS, platforms=(replace(well_known(), **changes),))


def says(image: ImageRules, facts: ImageFacts, evidence: EvidenceRules = NOTHING) -> list[str]:
    return [violation.message for violation in violations_of(image, facts, evidence)]


@pytest.mark.parametrize(
    ("age", "most", "message"),
    [
        (5 * DAY, 5 * DAY, None),
        (5 * DAY + HOUR, 5 * DAY, "first pushed 5 days ago, on 2026-11-16 (at most 5 days)"),
        (40 * DAY, 30 * DAY, "first pushed 40 days ago, on 2026-10-12 (at most 30 days)"),
        (13 * HOUR, 12 * HOUR, "first pushed 0 days ago, on 2026-11-20 (at most 12 hours)"),
        (-DAY, 5 * DAY, None),
    ],
)
def test_an_image_is_too_old_from_its_first_push_on(
    age: timedelta, most: timedelta, message: str | None
) -> None:
    asked = ImageRules(max_age=Rule(most))
    assert says(asked, replace(FACTS, first_pushed_at=NOON - age)) == ([message] if message else [])


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, None),
        (100_000_000, None),
        (100_000_001, "101 MB compressed (at most 100 MB)"),
        (1_234_000_000, "1,234 MB compressed (at most 100 MB)"),
    ],
)
def test_an_image_is_too_large_by_its_compressed_size(size: int, message: str | None) -> None:
    assert says(ImageRules(max_size=Rule(100_000_000)), one_platform(size=size)) == (
        [message] if message else []
    )


@given(st.integers(0, 10**12))
def test_a_size_is_never_rounded_down(size: int) -> None:
    told = int(megabytes(size).removesuffix(" MB").replace(",", "")) * 1_000_000
    assert size <= told < size + 1_000_000


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"team": "shop", "cost": "7"}, None),
        ({"team": "", "cost": "7"}, "label team is '', not ?*"),
        ({"team": "shop"}, "no label cost"),
        ({"team": "Shop", "cost": "x"}, "label cost is 'x', not [0-9]"),
        ({}, "no label team; no label cost"),
        ({"TEAM": "shop", "cost": "7"}, "no label team"),
    ],
)
def test_labels_must_be_there_and_match(labels: dict[str, str], message: str | None) -> None:
    asked = ImageRules(labels=Rule({"team": "?*", "cost": "[0-9]"}))
    facts = one_platform(config=ImageConfig("app", labels))
    assert says(asked, facts) == ([message] if message else [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": base("golden")}, None),
        ({"base": base("silver")}, None),
        ({"base": base("dev")}, "built on base/debian:12 of dev, not on one of golden or silver"),
        ({"base": None}, "built on no released image of golden or silver"),
        (
            {"base": None, "claimed_base": "debian:12"},
            "built on no released image of golden or silver; it claims debian:12, and its layers do not prove it",
        ),
        ({"base": None, "base_is_known": False}, "it is not known what the image is built on"),
        (
            {"base": None, "base_is_known": False, "claimed_base": "golden"},
            "it is not known what the image is built on",
        ),
    ],
)
def test_an_image_is_built_on_a_released_one_and_what_it_claims_is_no_proof(
    changes: dict[str, Any], message: str | None
) -> None:
    told = says(ImageRules(base_images=GOLDEN), one_platform(**changes))
    assert told == ([message] if message else [])


def for_platforms(*names: str | None) -> ImageFacts:
    there = tuple(PlatformFacts(digest(str(name)), name) for name in names)
    return replace(FACTS, platforms=there)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("linux/amd64", "linux/arm64"), None),
        (("linux/arm64/v8", "linux/amd64", "windows/amd64"), None),
        (("linux/amd64",), "not built for linux/arm64; only for linux/amd64"),
        (("linux/amd64", "linux/arm64v8"), "not built for linux/arm64; only for linux/amd64, linux/arm64v8"),
        (("windows/amd64",), "not built for linux/amd64, linux/arm64; only for windows/amd64"),
        (("linux/amd64", None), "it is not known what the image is built for"),
        ((), "it is not known what the image is built for"),
    ],
)
def test_an_image_must_be_there_for_every_platform(
    names: tuple[str | None, ...], message: str | None
) -> None:
    asked = ImageRules(platforms=Rule(frozenset({"linux/amd64", "linux/arm64"})))
    assert says(asked, for_platforms(*names)) == ([message] if message else [])


def test_the_config_tells_the_platform_where_the_index_does_not() -> None:
    asked = ImageRules(platforms=Rule(frozenset({"linux/arm64"})))
    facts = one_platform(platform=None, config=ImageConfig("app", {}, "linux/arm64/v8"))
    assert says(asked, facts) == []


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("1000", None),
        ("app", "it is not known whether the user app is root: write a number, such as USER 10001"),
        ("", "runs as root (USER: none, which is root)"),
        ("root:app", "runs as root (USER: root:app)"),
        ("0", "runs as root (USER: 0)"),
    ],
)
def test_an_image_must_name_a_user_that_is_not_root(user: str, message: str | None) -> None:
    facts = one_platform(config=ImageConfig(user))
    assert says(ImageRules(non_root=Rule(True)), facts) == ([message] if message else [])
    assert says(ImageRules(non_root=Rule(False)), facts) == []


@pytest.mark.parametrize(
    ("user", "passes"), [("app", True), ("root", False), ("app:root", False), ("+0", False)]
)
def test_a_policy_may_take_names_for_users_and_never_root(user: str, passes: bool) -> None:
    rule = ImageRules(non_root=Rule(True), user_names=True)
    assert (says(rule, one_platform(config=ImageConfig(user))) == []) is passes


def test_a_layer_that_no_scanner_reads_is_always_refused() -> None:
    facts = one_platform(unread_layers=("application/x", "application/x", "application/y"))
    assert says(ImageRules(), facts) == [
        "has layers that no scanner reads, of the type application/x, application/y"
    ]


@pytest.mark.parametrize(
    ("tagged", "wanted", "forbidden"),
    [
        ({"1.0", "v2"}, None, None),
        (set(), None, None),
        ({"1.0", "test", "dev"}, "tagged dev, test; tags must match 1.* or v?", None),
        ({"1.0", "1.0-rc"}, None, "tagged 1.0-rc, which no image may be"),
        ({"V1"}, "tagged V1; tags must match 1.* or v?", None),
        ({"latest"}, "tagged latest; tags must match 1.* or v?", "tagged latest, which no image may be"),
    ],
)
def test_tags_must_match_one_form_and_no_forbidden_one(
    tagged: set[str], wanted: str | None, forbidden: str | None
) -> None:
    asked = ImageRules(tags=Rule(("1.*", "v?")), forbidden_tags=Rule(("latest", "*-rc")))
    facts = replace(FACTS, tags=frozenset(tagged))
    assert says(asked, facts) == [message for message in (wanted, forbidden) if message]


@given(st.frozensets(tags, max_size=3), tags)
def test_one_more_tag_never_helps(tagged: frozenset[str], extra: str) -> None:
    asked = ImageRules(tags=Rule(("[0-9]*",)), forbidden_tags=Rule(("*a*",)))
    before, after = (violations_of(asked, replace(FACTS, tags=some)) for some in (tagged, tagged | {extra}))
    assert {violation.rule for violation in before} <= {violation.rule for violation in after}


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        (Evidence(("https://ci.example/builder",)), None),
        (Evidence(("https://laptop", "https://ci.example/x")), None),
        (Evidence(("https://laptop",)), "built by https://laptop, not by https://ci.example/* or jenkins"),
        (Evidence(problem="the provenance is of another image"), "the provenance is of another image"),
        (Evidence(("jenkins",), problem="it is not signed"), "it is not signed"),
        (None, "it is not known whether it has a provenance"),
    ],
)
def test_an_image_must_come_from_a_known_builder(evidence: Evidence | None, message: str | None) -> None:
    asked = EvidenceRules(require_provenance=Rule(("https://ci.example/*", "jenkins")))
    told = says(ImageRules(), replace(FACTS, provenance=evidence), asked)
    assert told == ([message] if message else [])


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        (Evidence(("dev",)), None),
        (Evidence(problem="not signed by the gate of dev"), "not signed by the gate of dev"),
        (None, "it is not known whether the gate before signed it"),
    ],
)
def test_an_image_must_be_signed_by_the_gate_before(evidence: Evidence | None, message: str | None) -> None:
    asked = EvidenceRules(require_signature=Rule(True))
    told = says(ImageRules(), replace(FACTS, signature=evidence), asked)
    assert told == ([message] if message else [])


ALL = ImageRules(
    max_age=Rule(DAY),
    max_size=Rule(1),
    labels=Rule({"x": "y"}),
    base_images=Rule(("bronze",)),
    platforms=Rule(frozenset({"plan9/mips"})),
    non_root=Rule(True),
    tags=Rule(("x",)),
    forbidden_tags=Rule(("*",)),
)
ALL_EVIDENCE = EvidenceRules(Rule(True), Rule(("nobody",)))
BAD = replace(
    FACTS,
    signature=Evidence(problem="no"),
    platforms=(
        replace(well_known(), config=ImageConfig()),
        replace(well_known(1, 2), config=ImageConfig()),
    ),
)


def test_every_platform_is_looked_at_and_named_where_there_are_several() -> None:
    told = [violation.message for violation in violations_of(ALL, BAD) if violation.rule == rules.SIZE]
    assert told == [
        "linux/amd64: 80 MB compressed (at most 1 MB)",
        "linux/arm64: 80 MB compressed (at most 1 MB)",
    ]
    alone = replace(BAD, platforms=BAD.platforms[:1])
    assert says(ImageRules(max_size=Rule(1)), alone) == ["80 MB compressed (at most 1 MB)"]


@pytest.mark.parametrize("action", Action)
def test_all_rules_do_what_their_action_says(action: Action) -> None:
    def acting(asked: Any) -> Any:
        given = {
            name: getattr(asked, name) for name in asked.__slots__ if name not in ("sbom", "user_names")
        }  # no rules
        return replace(asked, **{name: replace(rule, action=action) for name, rule in given.items()})

    told = violations_of(acting(ALL), BAD, acting(ALL_EVIDENCE))
    expected = {*rules.WAIVABLE} - {rules.UNSUPPORTED, rules.PROHIBITED, rules.LAYERS}
    assert {violation.rule for violation in told} == (set() if action is Action.OFF else expected)
    assert {violation.action for violation in told} <= {action}


def test_unknown_facts_differ_from_violations() -> None:
    unknown = ImageFacts(FACTS.image, platforms=(PlatformFacts(digest()),))
    told = violations_of(ALL, unknown, ALL_EVIDENCE)
    assert {violation.rule for violation in told if violation.is_unknown} == {
        *(rules.AGE, rules.SIZE, rules.LABELS, rules.BASE, rules.PLATFORMS, rules.NON_ROOT),
        *(rules.SIGNATURE, rules.PROVENANCE),
    }
    assert all(violation.message.startswith("it is not known ") for violation in told if violation.is_unknown)
    assert not [violation for violation in violations_of(ALL, BAD, ALL_EVIDENCE) if violation.is_unknown]


def test_unknown_facts_of_one_of_several_platforms_differ_too() -> None:
    half = replace(BAD, platforms=(well_known(0, 2), replace(well_known(1, 2), size=None)))
    (told,) = violations_of(ImageRules(max_size=Rule(10**9)), half)
    assert told.is_unknown
    assert told.message == "linux/arm64: it is not known how large the image is"


def test_facts_that_no_rule_needs_may_be_unknown() -> None:
    assert violations_of(ImageRules(), ImageFacts(FACTS.image), EvidenceRules()) == []


# Whatever an image lacks, a person reads what to do about it.
_WRONG = one_platform(
    size=2_000_000_000,
    config=ImageConfig("", {}, "linux/amd64"),
    base=None,
    base_is_known=True,
    unread_layers=("application/x-other",),
)
_DEMANDS = ImageRules(
    max_age=Rule(DAY),
    max_size=Rule(1_000_000),
    labels=Rule({"team": "shop", "org.opencontainers.image.source": "https://*"}),
    base_images=GOLDEN,
    platforms=Rule(frozenset({"linux/arm64"})),
    non_root=Rule(True),
    tags=Rule(("v*",)),
    forbidden_tags=Rule(("latest",)),
)
_EVIDENCE = EvidenceRules(require_signature=Rule(True), require_provenance=Rule(("https://ci.example/*",)))


def test_each_violation_says_what_to_do() -> None:
    facts = replace(
        _WRONG,
        first_pushed_at=NOON - 9 * DAY,
        tags=frozenset({"latest"}),
        signature=Evidence((), "carries no valid signature of the dev gate"),
        provenance=Evidence((), "carries no provenance"),
    )
    advice = {one.rule: one.advice for one in violations_of(_DEMANDS, facts, _EVIDENCE)}
    assert set(advice) == {
        *(
            rules.AGE,
            rules.TAGS,
            rules.FORBIDDEN_TAGS,
            rules.PLATFORMS,
            rules.LAYERS,
            rules.SIZE,
            rules.NON_ROOT,
        ),
        *(rules.LABELS, rules.BASE, rules.SIGNATURE, rules.PROVENANCE),
    }
    assert all(advice.values())
    assert "USER 10001" in advice[rules.NON_ROOT]
    assert advice[rules.LABELS].endswith('LABEL team="shop" org.opencontainers.image.source="…"')
    assert "--platform linux/amd64,linux/arm64" in advice[rules.PLATFORMS]
    assert "imagegate list --stage golden" in advice[rules.BASE]
