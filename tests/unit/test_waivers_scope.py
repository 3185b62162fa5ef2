"""A waiver with less scope, or less time, never passes more; nor does one waiver less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagegate.oci.image import Digest
from imagegate.policy.rules import PROHIBITED
from imagegate.policy.waiver import Waiver
from tests.unit.any_trials import any_trials, finding_trials
from tests.unit.samples import DAY, NOON, digest, waiver
from tests.unit.trials import Trial, never_opens


@given(any_trials)
def test_without_one_of_its_waivers_nothing_more_passes(case: Trial) -> None:
    for one in case.all_waivers:
        left = tuple(other for other in case.all_waivers if other != one)
        never_opens(case, replace(case, waivers=left, grants=()))


def _purl(waiver: Waiver) -> Waiver | None:
    """Narrow the waiver from every version to one version."""
    versions = {"pkg:deb/debian/zlib": "pkg:deb/debian/zlib@1", "openssl": "pkg:deb/debian/openssl@9"}
    purl = versions.get(waiver.package or "")
    return replace(waiver, package=purl) if purl else None


def _repositories(glob: str) -> Callable[[Waiver], Waiver | None]:
    """Narrow the waiver to repositories that it already covers."""

    def narrowed(waiver: Waiver) -> Waiver | None:
        is_wider = waiver.repositories is None or (waiver.repositories == "shop/*" != glob)
        return replace(waiver, repositories=glob) if is_wider else None

    return narrowed


def _digest(other: Digest) -> Callable[[Waiver], Waiver | None]:
    return lambda waiver: None if waiver.digest else replace(waiver, digest=other)


ABOUT: tuple[dict[str, Any], ...] = (
    {"vulnerability": "CVE-1", "package": "openssl"},
    {"vulnerability": "CVE-2", "package": "pkg:deb/debian/zlib"},
    {"vulnerability": "GHSA-1", "package": "lodash"},
    {"rule": PROHIBITED, "vulnerability": None, "package": "zlib"},
    {"vulnerability": "CVE-1", "package": "*", "digest": digest()},
)
WHERE: tuple[dict[str, Any], ...] = (
    {"repositories": "shop/*"},
    {"repositories": "shop/api-dev"},
    {"repositories": None, "digest": digest()},
)
GOOD = [
    waiver(**{"ticket": "SEC-1", **told, **where}, expires=expires, until_fix=until_fix)
    for told, where, expires, until_fix in product(
        ABOUT,
        WHERE,
        ((NOON + 30 * DAY).date(), NOON.date()),
        (False, True),
    )
]

NARROWER: Mapping[str, Callable[[Waiver], Waiver | None]] = {
    "for these repositories": _repositories("shop/*"),
    "for this repository": _repositories("shop/api-dev"),
    "for another repository": _repositories("shop/web-dev"),
    "for this image": _digest(digest()),
    "for another image": _digest(digest("another image")),
    "for one version": _purl,
    "for one package": lambda waiver: replace(waiver, package="zlib") if waiver.package == "*" else None,
    "for another package": lambda waiver: replace(waiver, package="bash") if waiver.package else None,
    "until a fix": lambda waiver: replace(waiver, until_fix=True),
    "for a shorter time": lambda waiver: replace(waiver, expires=waiver.expires - 5 * DAY),
    "until yesterday": lambda waiver: replace(waiver, expires=waiver.expires - 400 * DAY),
    "withdrawn": lambda waiver: replace(
        waiver, withdrawn_at=waiver.withdrawn_at and waiver.withdrawn_at - 9 * DAY
    ),
    "without its ticket": lambda waiver: replace(waiver, ticket=None),
}


def _cut(name: str) -> list[tuple[Waiver, Waiver]]:
    """Return waivers that count, each with a narrower one."""
    pairs = [(wide, NARROWER[name](wide)) for wide in GOOD]
    return [(wide, narrower) for wide, narrower in pairs if narrower is not None]


@pytest.mark.parametrize("name", NARROWER)
@settings(max_examples=25)
@given(case=finding_trials, data=st.data())
def test_a_waiver_with_less_scope_or_time_never_passes_more(
    name: str, case: Trial, data: st.DataObject
) -> None:
    """Than one that counted before: what covers too much, or lasts too long, counts only when it is cut."""
    wide, narrower = data.draw(st.sampled_from(_cut(name)))
    never_opens(
        replace(case, waivers=(*case.waivers, wide)), replace(case, waivers=(*case.waivers, narrower))
    )


@given(any_trials, st.integers(0, 120))
def test_shorter_waivers_by_policy_never_pass_more(case: Trial, days: int) -> None:
    shorter = min(days, case.waiver_terms.max_days)
    never_opens(case, replace(case, waiver_terms=replace(case.waiver_terms, max_days=shorter)))
    never_opens(case, replace(case, waiver_terms=replace(case.waiver_terms, needs_ticket=True)))
