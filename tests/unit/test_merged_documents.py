"""Documents that others share: whoever writes in which order, no rule and no statement of somebody else is lost."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imagegate.baseline.registry import (
    FoundRegistry,
    merge_scanning,
    plan_registry,
)
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.baseline.statements import foreign, is_own, statements_of, with_own
from imagegate.baseline.terms import Frequency, RegistryTerms, ReplicationRule

HERE = GateRegistry("123456789012", "eu-central-1")
REGIONS = ["eu-west-1", "us-east-1", "eu-north-1"]
GLOBS = ["*", "shop-*", "shop-dev", "*-prod", "team/*"]

statements = st.fixed_dictionaries(
    {
        "Sid": st.sampled_from(["Imagegate", "ImagegateRead", "imagegateRead", "Other", "Third", ""]),
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Principal": st.sampled_from(["*", {"AWS": "210987654321"}, {"Service": "lambda.amazonaws.com"}]),
        "Action": st.sampled_from(["ecr:*", ["ecr:PutImage"], "ecr:BatchGetImage"]),
    },
    optional={"Condition": st.just({"Bool": {"aws:SecureTransport": "false"}})},
)
documents = st.none() | st.fixed_dictionaries(
    {"Statement": st.lists(statements, max_size=4) | statements},
    optional={"Version": st.sampled_from(["2012-10-17", "2008-10-17"]), "Id": st.just("of others")},
)
own = st.lists(
    statements.map(lambda one: {**one, "Sid": "ImagegateRead"}), max_size=2, unique_by=lambda one: str(one)
)


@given(documents, st.lists(own, max_size=3))
def test_no_statement_of_others_is_lost_or_changed(document: Any, writes: list[list[Any]]) -> None:
    before = document
    for ours in writes:
        after = with_own(document, ours)
        assert foreign(after) == foreign(before)
        assert len([one for one in statements_of(after) if is_own(one)]) == len(ours)
        if foreign(before):
            assert {k: v for k, v in (after or {}).items() if k != "Statement"} == {
                k: v for k, v in before.items() if k != "Statement"
            }
        assert with_own(after, ours) == after, "the second time there is nothing to write"
        document = after


scanning_rules = st.lists(
    st.builds(
        lambda frequency, globs: {
            "scanFrequency": frequency,
            "repositoryFilters": [{"filter": one, "filterType": "WILDCARD"} for one in globs],
        },
        st.sampled_from(["SCAN_ON_PUSH", "CONTINUOUS_SCAN", "MANUAL"]),
        st.lists(st.sampled_from(GLOBS), max_size=3, unique=True),
    ),
    max_size=3,
)
wishes = st.dictionaries(st.sampled_from(GLOBS), st.sampled_from(Frequency), max_size=3)


def filters(rules: Any) -> set[tuple[str, str]]:
    return {(rule["scanFrequency"], one["filter"]) for rule in rules for one in rule["repositoryFilters"]}


@given(scanning_rules, wishes, wishes)
def test_scanning_of_others_stays_whoever_writes_first(rules: Any, one: Any, other: Any) -> None:
    ours = {*one, *other}
    theirs = {pair for pair in filters(rules) if pair[1] not in ours}
    for first, second in ((one, other), (other, one)):
        merged = merge_scanning(second, merge_scanning(first, rules))
        assert theirs <= filters(merged)
        assert {pair for pair in filters(merged) if pair[1] not in ours} == theirs
        assert all(
            not second or (str(second[glob]), glob) in filters(merged)
            for glob in second
            if second[glob] is not Frequency.MANUAL
        )
        assert filters(merge_scanning(second, merged)) == filters(merged)


replication_rules = st.lists(
    st.builds(
        ReplicationRule,
        st.lists(st.sampled_from(REGIONS), min_size=1, max_size=2, unique=True).map(
            lambda regions: tuple((region, None) for region in regions)
        ),
        st.lists(st.sampled_from(["shop", "shop-", "team/"]), max_size=2, unique=True).map(tuple),
    ),
    max_size=2,
).map(tuple)


def replicated(terms: tuple[ReplicationRule, ...], rules: Any) -> Any:
    plan = plan_registry(
        RegistryTerms(replication=terms), {}, FoundRegistry({"scanType": "BASIC", "rules": []}, rules), HERE
    )
    found = [
        one.request["replicationConfiguration"]["rules"]
        for one in plan.changes
        if one.setting == "replication"
    ]
    return found[0] if found else rules


@given(replication_rules, replication_rules, replication_rules)
def test_replication_of_others_stays_whoever_writes_first(there: Any, one: Any, other: Any) -> None:
    rules = replicated(there, [])
    for first, second in ((one, other), (other, one)):
        after = replicated(second, replicated(first, rules))
        assert after[: len(rules)] == rules
        assert replicated(first, after) == replicated(second, after) == after
