"""Which of the images that were judged still stand, and which a later push has replaced.

A later push replaces an image when it came into the same repository under a tag of the same pattern: 1.0 and 1.1,
main-3f2a9bc and main-99bc012, latest and latest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from imagegate.gate.verdict import VerdictOutcome
from imagegate.release.release import Outcome, Release

_COMMIT = re.compile(r"(?<![a-z0-9])(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,40}(?![a-z0-9])")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_GONE = (Outcome.WITHDRAWN, Outcome.SUPERSEDED)


def pattern_of(tag: str) -> str:
    """`v1.2.3` and `v2.0` are `v0`, `main-3f2a9bc` is `main-#`: what differs from push to push is left out."""
    return _NUMBERS.sub("0", _COMMIT.sub("#", tag))


@dataclass(frozen=True, slots=True)
class StageImages:
    """The judged images of one stage. Of those that did not pass, the ones that stand and those that are history."""

    judged: Sequence[Release]
    standing: Sequence[Release]
    fixed: int  # a later push passed
    replaced: int  # a later push did not pass either, or the image is gone

    @property
    def blocked(self) -> int:
        return len(self.standing) + self.fixed + self.replaced


def tally(judged: Sequence[Release]) -> StageImages:
    """`judged`: of each image its last judged attempt."""
    newest = _newest(judged)
    standing: list[Release] = []
    fixed = replaced = 0
    for release in judged:
        if release.verdict == VerdictOutcome.PASS:
            continue
        later = [newest[line] for line in _lines(release)]
        if release.outcome in _GONE:
            replaced += 1
        elif not later or any(one.image == release.image for one in later):
            standing.append(release)
        elif all(one.verdict == VerdictOutcome.PASS for one in later):
            fixed += 1
        else:
            replaced += 1
    return StageImages(judged, standing, fixed, replaced)


def _newest(judged: Iterable[Release]) -> dict[tuple[str, str], Release]:
    found: dict[tuple[str, str], Release] = {}
    for release in judged:
        for line in _lines(release):
            if line not in found or _pushed(release) > _pushed(found[line]):
                found[line] = release
    return found


def _lines(release: Release) -> list[tuple[str, str]]:
    return [(release.image.repository, pattern_of(tag)) for tag in sorted(release.tags)]


def _pushed(release: Release) -> datetime:
    return release.pushed_at or release.started_at
