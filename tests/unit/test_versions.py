"""The comparison of versions that builds choose: an answer, or none, whatever they are."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagegate.findings.versions import later, satisfies

ECOSYSTEMS = (
    "deb",
    "rpm",
    "apk",
    "pypi",
    "npm",
    "maven",
    "golang",
    "gem",
    "nuget",
    "cargo",
    "composer",
    "swift",
    None,
)
PIECES = (
    "0",
    "1",
    "10",
    ".",
    "-",
    "_",
    "+",
    "~",
    "^",
    "a",
    "rc",
    "v",
    ":",
    "!",
    " ",
    "\n",
    "dev",
    "\ud800",
    "é",
    "1" * 99,
)
versions = st.text() | st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


@given(versions, st.sampled_from(["<", "<=", ">", ">=", "=", "!=", "", "=="]), versions)
@example("dev", "<", "2.0")
@example("1.0-" * 3000, "<", "2")
@example("1-" * 3000, "<", "2")
@example("1", "<", "1-" * 3000)
def test_any_two_versions_have_an_answer_or_none(one: str, sign: str, other: str) -> None:
    for ecosystem in ECOSYSTEMS:
        assert satisfies(one, sign + other, ecosystem) in (True, False, None)
        assert later(one, other, ecosystem) in (one, other, None)


@pytest.mark.parametrize(
    ("version", "constraints", "ecosystem", "expected"),
    [
        ("2.14.1", ">=2.0, <2.17.1", "maven", True),
        ("2.17.1", ">=2.0, <2.17.1", "maven", False),
        ("1.0~rc1", "<1.0", "deb", True),
        ("1.9.0", "<1.10.0", "npm", True),
        ("dev", "<2.0", "nuget", None),
        ("1" * 300, "<2", "deb", None),
        ("1", "<2 or so", "deb", None),
    ],
)
def test_a_version_satisfies_constraints_or_that_is_unknown(
    version: str, constraints: str, ecosystem: str, expected: bool | None
) -> None:
    assert satisfies(version, constraints, ecosystem) is expected
