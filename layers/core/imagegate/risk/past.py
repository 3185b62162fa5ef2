"""Risks that are over: what is announced, and what is kept of them for measures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.risk.risk import Risk


@dataclass(frozen=True, slots=True)
class EndedRisk:
    """A risk that is over. `why`: the end of a sentence that begins with the image. `is_replaced`: by another image."""

    risk: Risk
    why: str
    is_replaced: bool = False


@dataclass(frozen=True, slots=True)
class PastRisk:
    """The facts of a risk that is over."""

    image: ImageRef
    stage: str
    since: datetime
    over_at: datetime
    fixable_since: datetime | None = None
    is_replaced: bool = False

    @classmethod
    def of(cls, ended: EndedRisk, at: datetime) -> Self:
        """Return the facts of a risk that ended at that time."""
        risk = ended.risk
        return cls(risk.image, risk.stage, risk.since, at, risk.fixable_since, ended.is_replaced)

    @property
    def fix_seconds(self) -> float | None:
        """The time from the first sight of the fix to the image with it, or None if there was no such fix or image."""
        if self.fixable_since is None or not self.is_replaced:
            return None
        return (self.over_at - self.fixable_since).total_seconds()
