"""All vulnerabilities of the images on a board."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagegate.board.board import BoardVulnerability
from imagegate.findings.finding import Severity

if TYPE_CHECKING:
    from imagegate.approval_page.image_difference import Places

# The most vulnerabilities on a board.
_MOST = 100
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(slots=True)
class VulnerabilityIndex:
    """All vulnerabilities of the current images."""

    _found: dict[str, BoardVulnerability] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, images: Mapping[str, Places], refused: Collection[str]) -> None:
        """Add those of the images of an application. `refused`: those that put one of the images at risk."""
        for image, places in images.items():
            for place in places.values():
                known = self._found.get(place.vulnerability)
                self._found[place.vulnerability] = BoardVulnerability(
                    place.vulnerability,
                    min(place.severity, known.severity, key=_RANK.__getitem__) if known else place.severity,
                    _with(known.packages if known else (), place.package),
                    _with(
                        known.fixed if known else (), f"{place.package} {place.fixed}" if place.fixed else ""
                    ),
                    _with(known.images if known else (), image),
                    (known is not None and known.is_refused) or place.vulnerability in refused,
                )

    def gravest(self) -> list[BoardVulnerability]:
        """Return those that a gate refuses, then the gravest ones in the most images."""
        order = sorted(
            self._found.values(),
            key=lambda one: (not one.is_refused, _RANK[one.severity], -len(one.images), one.name),
        )
        return order[:_MOST]


def _with(known: Sequence[str], one: str) -> Sequence[str]:
    return known if not one or one in known else (*known, one)
