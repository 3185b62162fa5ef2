"""Waivers: a named owner lets a rule pass for some repositories, for a reason, until a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Waiver:
    """Counts up to and including the day `expires` (UTC)."""

    rule: str
    repositories: str  # a glob: `legacy-*`
    owner: str
    reason: str
    expires: date

    def counts(self, rule: str, repository: str, now: datetime) -> bool:
        in_time = now.date() <= self.expires
        return in_time and rule == self.rule and fnmatchcase(repository, self.repositories)

    def __str__(self) -> str:
        return f"waived until {self.expires} by {self.owner}: {self.reason}"
