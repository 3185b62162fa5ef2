"""Tells images that are current from those that a later push has replaced.

A later push replaces an image if it came into the same repository under a tag of the same pattern: 1.0 and 1.1,
main-3f2a9bc and main-99bc012, latest and latest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imagegate.gate.verdict import VerdictOutcome
from imagegate.release.release import Outcome, Release

_COMMIT = re.compile(r"(?<![a-z0-9])(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,40}(?![a-z0-9])")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_GONE = (Outcome.WITHDRAWN, Outcome.SUPERSEDED)


def pattern_of(tag: str) -> str:
    """Return the tag without numbers and commits: `v0` for `v1.2.3` and `v2.0`, `main-#` for `main-3f2a9bc`."""
    return _NUMBERS.sub("0", _COMMIT.sub("#", tag))


@dataclass(frozen=True, slots=True)
class StageImages:
    """The judged images of one stage; of those that did not pass, the current ones and the number of others."""

    judged: Sequence[Release]
    current: Sequence[Release]
    fixed: int  # a later push passed
    replaced: int  # a later push did not pass either, or the image is gone

    @property
    def blocked(self) -> int:
        return len(self.current) + self.fixed + self.replaced


def sort_images(judged: Sequence[Release]) -> StageImages:
    """Sort the images of a stage. `judged` has the last judged attempt of each."""
    newest = _newest(judged)
    current: list[Release] = []
    fixed = replaced = 0
    for release in judged:
        if release.verdict == VerdictOutcome.PASS:
            continue
        later = [newest[line] for line in _lines(release)]
        if release.outcome in _GONE:
            replaced += 1
        elif not later or any(one.image == release.image for one in later):
            current.append(release)
        elif all(one.verdict == VerdictOutcome.PASS for one in later):
            fixed += 1
        else:
            replaced += 1
    return StageImages(judged, current, fixed, replaced)


def _newest(judged: Iterable[Release]) -> dict[tuple[str, str], Release]:
    newest: dict[tuple[str, str], Release] = {}
    for release in judged:
        for line in _lines(release):
            if line not in newest or release.arrived_at > newest[line].arrived_at:
                newest[line] = release
    return newest


def _lines(release: Release) -> list[tuple[str, str]]:
    """Return the lines of development that the image belongs to: repository and tag pattern."""
    return [(release.image.repository, pattern_of(tag)) for tag in sorted(release.tags)]
