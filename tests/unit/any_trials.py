"""Any trial: few names, so that rules meet often, and few draws, so that hundreds are judged in a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, TypeVar

from hypothesis import strategies as st

from imagegate.findings.finding import Finding, FindingKind, Package
from imagegate.findings.scan import WaitOutcome
from imagegate.gate.facts import Evidence, PlatformFacts
from imagegate.gate.finding_rules import Clock
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.rules import (
    BASE,
    NON_ROOT,
    PROHIBITED,
    UNSUPPORTED,
    Action,
    EvidenceRules,
    FindingRules,
    GraceStart,
    ImageRules,
    Limit,
    NoGrace,
    ProhibitedPackage,
    Rule,
)
from imagegate.policy.waiver import Waiver, WaiverTerms
from tests.unit.samples import DAY, NOON, digest, stage
from tests.unit.trials import CRITICAL, FACTS, HIGH, HOUR, Platform, Trial, base, well_known

T = TypeVar("T")


def mixed(make: Callable[..., T], **choices: Sequence[Any]) -> st.SearchStrategy[T]:
    """Draw any choice for each, with one draw for all of them; the first ones are the simplest."""

    def build(number: int) -> T:
        picked = {}
        for name, options in choices.items():
            number, index = divmod(number, len(options))
            picked[name] = options[index]
        return make(**picked)

    return st.integers(0, prod(map(len, choices.values())) - 1).map(build)


OPENSSL = Package("openssl", "1", "2", "deb", "pkg:deb/debian/openssl@1?arch=amd64")
ZLIB = Package("zlib", "1", None, "deb", "pkg:deb/debian/zlib@1")
LODASH = Package("lodash", None, "3", "npm")
LOG4J = Package("log4j", "x", "4", "maven")
VULNERABILITIES = ("CVE-1", "CVE-2", "CVE-3")
PLACES = tuple(
    (vulnerability, name) for vulnerability in VULNERABILITIES for name in ("openssl", "zlib", "lodash", "")
)

findings = mixed(
    Finding,
    vulnerability=VULNERABILITIES,
    severity=(CRITICAL, HIGH),
    packages=((OPENSSL,), (ZLIB,), (OPENSSL, ZLIB), (LODASH,), (LOG4J, OPENSSL), ()),
    aliases=((), ("GHSA-1",)),
    fixable=(None, False, True),
    exploit=(None, False, True),
    known_exploited=(None, False, True),
    epss=(None, 0.1, 0.5),
    kind=(FindingKind.VULNERABILITY, FindingKind.VULNERABILITY, FindingKind.SECRET),
)
OFTEN_NONE = (None,) * 3
finding_rules = mixed(
    FindingRules,
    max=(
        {CRITICAL: Limit(0), HIGH: Limit(1)},
        {CRITICAL: Limit(1), HIGH: Limit(0)},
        {CRITICAL: Limit(2)},
        {HIGH: Limit(0)},
        {CRITICAL: Limit(0, Action.WARN), HIGH: Limit(1)},
        {CRITICAL: Limit(1), HIGH: Limit(0, Action.OFF)},
        {},
    ),
    only_fixable=(frozenset(), frozenset({CRITICAL}), frozenset({CRITICAL, HIGH})),
    grace=({}, {CRITICAL: 7 * DAY}, {CRITICAL: 7 * DAY, HIGH: 7 * DAY}, {HIGH: HOUR}),
    grace_starts=tuple(GraceStart),
    no_grace=(
        NoGrace(),
        NoGrace(known_exploited=True),
        NoGrace(exploit_available=True),
        NoGrace(epss=0.5),
        NoGrace(True, True, 0.2),
    ),
    no_worse_than_next=(False, True),
    deny=(
        *OFTEN_NONE,
        Rule(frozenset({"CVE-1"})),
        Rule(frozenset({"GHSA-1"})),
        Rule(frozenset({"CVE-2"}), Action.WARN),
        Rule(frozenset({"CVE-2"}), Action.OFF),
    ),
    prohibited=(
        *OFTEN_NONE,
        Rule((ProhibitedPackage("log*", "<2"),)),
        Rule((ProhibitedPackage("lod*", "<3"), ProhibitedPackage("open*", "<1", "deb"))),
        Rule((ProhibitedPackage("zlib"),)),
        Rule((ProhibitedPackage("zlib"),), Action.WARN),
    ),
    max_of_kind=(
        {},
        *({FindingKind.SECRET: Limit(number, action)} for number in (0, 1) for action in Action),
    ),
)
RARELY = (None,) * 6
image_rules = mixed(
    ImageRules,
    max_age=(*RARELY, Rule(5 * DAY), Rule(DAY), Rule(DAY, Action.WARN)),
    max_size=(*RARELY, Rule(50_000_000), Rule(90_000_000)),
    labels=(*RARELY, Rule({"team": "s*"}), Rule({"owner": "*"}, Action.WARN), Rule({"owner": "*"})),
    base_images=(*RARELY, Rule(("golden",)), Rule(("silver",))),
    platforms=(*RARELY, Rule(frozenset({"linux/amd64"}))),
    non_root=(*RARELY, Rule(True), Rule(True, Action.WARN)),
    forbidden_tags=(*RARELY, Rule(("latest",))),
)
stages = st.builds(
    lambda rules, more, signature, age: stage(
        findings=rules, image=more, evidence=EvidenceRules(require_signature=signature), max_scan_age=age
    ),
    finding_rules,
    image_rules,
    st.sampled_from((*RARELY, Rule(True), Rule(True, Action.WARN))),
    st.sampled_from((None, None, 2 * DAY)),
)

_RULES = (UNSUPPORTED, BASE, NON_ROOT)
waivers = mixed(
    lambda about, scope, **told: Waiver(
        owner="ann@example.com", reason="not reachable", **dict(about), **dict(scope), **told
    ),
    about=(
        {"vulnerability": "CVE-1", "package": "openssl"},
        {"vulnerability": "CVE-2", "package": "pkg:deb/debian/zlib"},
        {"vulnerability": "CVE-1", "package": "pkg:deb/debian/openssl@1"},
        {"vulnerability": "GHSA-1", "package": "lodash"},
        {"vulnerability": "CVE-1", "package": "*"},
        {"rule": PROHIBITED, "package": "zlib"},
        *({"rule": rule} for rule in _RULES),
    ),
    scope=(
        {"repositories": "shop/*"},
        {"repositories": "shop/api-dev"},
        {"repositories": "other/*"},
        {"repositories": "*"},
        {"digest": digest()},
        {"repositories": "shop/*", "digest": digest()},
        {"digest": digest("another image")},
    ),
    expires=tuple((NOON + days * DAY).date() for days in (30, 3, 0, -1, 200)),
    granted_at=(None, None, NOON - 10 * DAY),
    until_fix=(False, True),
    ticket=("SEC-1", None),
    withdrawn_at=(None, None, NOON - DAY, NOON + 2 * DAY),
)

platform_facts = mixed(
    lambda **told: replace(well_known(), **told),
    size=(80_000_000, 50_000_000, None),
    config=(
        ImageConfig("10001", {"team": "shop", "owner": "ann"}),
        ImageConfig("", {"team": "bank"}),
        None,
    ),
    base=(base("golden"), base("silver"), None),
    base_is_known=(True, True, False),
)
scans = mixed(
    lambda **told: told,
    status=("COMPLETE", "ACTIVE", "COMPLETE", "COMPLETE", "FAILED", "UNSUPPORTED_IMAGE", None, "PENDING"),
    completed_at=("2026-11-21T06:00:00Z", "2026-11-21T06:00:00Z", "2026-11-18T06:00:00Z", None),
    hidden=({}, {}, {}, {}, {}, {HIGH: 1}),
)


def _platforms(parts: Sequence[tuple[PlatformFacts, dict[str, Any], list[Finding]]]) -> tuple[Platform, ...]:
    names = [well_known(number, len(parts)) for number in range(len(parts))]
    return tuple(
        Platform(replace(facts, digest=named.digest, platform=named.platform), tuple(found), **scan)
        for named, (facts, scan, found) in zip(names, parts, strict=True)
    )


def _parts(most: int) -> st.SearchStrategy[tuple[Platform, ...]]:
    part = st.tuples(platform_facts, scans, st.lists(findings, max_size=4))
    return st.lists(part, min_size=1, max_size=most).map(_platforms)


clocks = st.dictionaries(
    st.sampled_from(PLACES),
    mixed(
        Clock, seen_at=(NOON - DAY, NOON - 7 * DAY, NOON - 9 * DAY), fix_seen_at=(None, NOON - 8 * DAY, NOON)
    ),
    max_size=4,
)
baselines = st.none() | st.frozensets(st.sampled_from(PLACES), max_size=6)
image_facts = mixed(
    lambda **told: replace(FACTS, **told),
    tags=(frozenset({"1.0"}), frozenset({"1.0", "latest"}), frozenset()),
    first_pushed_at=(NOON - 5 * DAY, NOON - 5 * DAY - HOUR, None),
    signature=(Evidence(("dev",)), Evidence(problem="not signed by dev"), None),
)
terms_of_waivers = mixed(WaiverTerms, max_days=(90, 30), needs_ticket=(False, True))


def trials(
    most_platforms: int = 2, most_waivers: int = 3, **fixed: st.SearchStrategy[Any]
) -> st.SearchStrategy[Trial]:
    """Draw any trial; `fixed` replaces the strategies of some of its parts."""
    parts: dict[str, st.SearchStrategy[Any]] = {
        "stage": stages,
        "platforms": _parts(most_platforms),
        "image": image_facts,
        "waivers": st.lists(waivers, max_size=most_waivers).map(tuple),
        "grants": st.lists(waivers, max_size=1).map(tuple),
        "waiver_terms": terms_of_waivers,
        "clocks": clocks,
        "baseline": baselines,
        "waited": st.sampled_from((WaitOutcome.READY, *WaitOutcome)),
    }
    return st.builds(Trial, **(parts | fixed))


# Where the findings decide: the scan is there, and the image itself is as it should be.
_finished = st.lists(findings, max_size=5).map(lambda found: (Platform(well_known(), tuple(found)),))
finding_trials = trials(
    stage=finding_rules.map(lambda rules: stage(findings=rules)),
    platforms=_finished,
    image=st.just(FACTS),
    waited=st.just(WaitOutcome.READY),
)
any_trials = trials() | finding_trials
