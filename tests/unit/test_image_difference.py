"""The difference between an image and its successor: nothing is counted twice, nothing is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagegate.approval_page.image_difference import (
    ComparedImage,
    ComparedPlatform,
    Difference,
    PackageChange,
    PartChange,
    Seen,
    difference,
    seen,
)
from imagegate.findings.finding import Finding, Package, Severity
from tests.unit.samples import finding, image, package

findings = st.lists(
    st.builds(
        Finding,
        st.sampled_from(["CVE-1", "CVE-2", "CVE-3", "CVE-4"]),
        st.sampled_from(Severity),
        st.lists(
            st.builds(Package, st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "2", None])),
            max_size=2,
        ).map(tuple),
    ),
    max_size=8,
)


def contents(
    found: list[Finding] | None = None, *parts: ComparedPlatform, seed: str = "image"
) -> ComparedImage:
    return ComparedImage(image(seed=seed), (), None if found is None else seen(found), parts)


def between(before: list[Finding], after: list[Finding]) -> Difference:
    return difference(contents(before, seed="before"), contents(after))


@given(findings, findings)
def test_the_numbers_add_up(before: list[Finding], after: list[Finding]) -> None:
    found, old, new = between(before, after), seen(before), seen(after)
    assert found.severities is not None
    assert sum(row.added + row.still for row in found.severities) == len(new)
    assert sum(row.removed for row in found.severities) == len(old.keys() - new.keys())
    assert len(found.added) == sum(row.added for row in found.severities)
    assert len(found.removed) == sum(row.removed for row in found.severities)


@given(findings, findings)
def test_added_and_removed_swap_in_the_opposite_direction(
    before: list[Finding], after: list[Finding]
) -> None:
    there, back = between(before, after), between(after, before)
    assert (there.added, there.removed) == (back.removed, back.added)


@given(findings)
def test_the_same_changes_nothing(same: list[Finding]) -> None:
    found = between(same, same)
    assert (found.added, found.removed, found.packages) == ((), (), ())
    assert found.summary == "Adds no findings; removes none."


@given(findings, findings)
def test_the_gravest_come_first(before: list[Finding], after: list[Finding]) -> None:
    ranks = [list(Severity).index(one.severity) for one in between(before, after).added]
    assert ranks == sorted(ranks)


@given(findings, st.randoms())
def test_the_order_of_findings_says_nothing_but_for_the_same_place(
    found: list[Finding], random: object
) -> None:
    assert seen(found).keys() == seen(reversed(found)).keys()
    assert {p: one.severity for p, one in seen(found).items()} == {
        p: one.severity for p, one in seen(reversed(found)).items()
    }


def test_a_vulnerability_in_two_packages_is_in_two_places() -> None:
    found = seen(
        [
            finding(
                "CVE-1", Severity.HIGH, package("a", fixed="2"), package("b"), cvss=7.5, description="A flaw."
            )
        ]
    )
    assert found == {
        ("CVE-1", "a"): Seen(Severity.HIGH, "CVE-1", "a", "3.0.1", "2", 7.5, "A flaw."),
        ("CVE-1", "b"): Seen(Severity.HIGH, "CVE-1", "b", "3.0.1", None, 7.5, "A flaw."),
    }


def test_of_two_platforms_the_graver_word_holds() -> None:
    low, high = finding("CVE-1", Severity.LOW), finding("CVE-1", Severity.HIGH)
    for order in ([low, high], [high, low]):
        [one] = seen(order).values()
        assert one.severity is Severity.HIGH


def test_another_severity_is_no_change_of_findings() -> None:
    found = between([finding("CVE-1", Severity.LOW)], [finding("CVE-1", Severity.HIGH)])
    assert (found.added, found.removed) == ((), ())
    assert found.severities is not None
    assert [(row.severity, row.still) for row in found.severities if row.still] == [(Severity.HIGH, 1)]


def test_findings_that_are_not_known_are_not_none() -> None:
    for before, after in ((None, []), ([], None), (None, None)):
        found = difference(contents(before), contents(after))
        assert found.severities is None
        assert found.added == found.removed == ()


def test_packages_differ_by_their_versions() -> None:
    before = [
        finding(
            "CVE-1", Severity.LOW, package("a"), package("b", installed="1"), package("c", installed=None)
        )
    ]
    after = [finding("CVE-2", Severity.LOW, package("a"), package("b", installed="2"), package("d"))]
    assert between(before, after).packages == (
        PackageChange("b", "1", "2"),
        PackageChange("c", "unknown version", None),
        PackageChange("d", None, "3.0.1"),
    )


def test_platforms_are_compared_with_their_like() -> None:
    amd, arm, old = (
        ComparedPlatform("linux/amd64", 2),
        ComparedPlatform("linux/arm64", 3),
        ComparedPlatform("linux/amd64", 1),
    )
    found = difference(contents([], old), contents([], arm, amd))
    assert found.parts == (PartChange("linux/amd64", old, amd), PartChange("linux/arm64", None, arm))


def test_two_single_images_are_compared_whether_they_name_their_platform_or_not() -> None:
    old, new = ComparedPlatform("", 1), ComparedPlatform("linux/arm64", 3)
    assert difference(contents([], old), contents([], new)).parts == (PartChange("linux/arm64", old, new),)
