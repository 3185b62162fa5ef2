"""The daily digest: one message with what happened on a day, what waits, what is at risk, and what ends soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from imagegate.notices.announcement import first_reason
from imagegate.notices.message import Message, cut_text, image_name, with_rest
from imagegate.release.release import Outcome, Release
from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.risk.risk import Risk

DAILY_DIGEST = "Daily Digest"
_ROWS_SHOWN = 20
_MOST_ROWS = 500  # of each kind that are kept in memory
# Endings that somebody may still have to act on, in the order in which people read them.
_TROUBLE = (Outcome.FAILED, Outcome.BLOCKED, Outcome.CONFLICT)


@dataclass(frozen=True, slots=True)
class DigestRow:
    """One thing in the digest, and the repository (or pattern) by which it has an owner."""

    repository: str
    text: str


@dataclass(frozen=True, slots=True)
class Digested:
    """All that the digest of a time is made of. `begins` and `day` are its first and last day (UTC).

    `is_cut`: more attempts began than were counted; the latest ones were.
    """

    begins: date
    day: date
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by repository and outcome
    trouble: dict[Outcome, list[DigestRow]] = field(default_factory=dict)
    waiting: Sequence[DigestRow] = ()
    at_risk: Sequence[DigestRow] = ()
    ending: Sequence[DigestRow] = ()
    is_cut: bool = False

    def add(self, release: Release) -> None:
        """Count an attempt that began in this time."""
        repository, outcome = release.image.repository, release.outcome
        self.outcomes[repository, str(outcome or "not over")] += 1
        rows = self.trouble.setdefault(outcome, []) if outcome in _TROUBLE else None
        if outcome and rows is not None and len(rows) < _MOST_ROWS:
            rows.append(DigestRow(repository, _trouble_text(release, outcome)))

    def only(self, is_ours: Callable[[str], bool]) -> Digested:
        """Return the part of these repositories."""

        def ours(rows: Sequence[DigestRow]) -> list[DigestRow]:
            return [row for row in rows if is_ours(row.repository)]

        return replace(
            self,
            outcomes=Counter({key: n for key, n in self.outcomes.items() if is_ours(key[0])}),
            trouble={outcome: ours(rows) for outcome, rows in self.trouble.items()},
            waiting=ours(self.waiting),
            at_risk=ours(self.at_risk),
            ending=ours(self.ending),
        )

    @property
    def is_empty(self) -> bool:
        return not (self.outcomes or self.waiting or self.at_risk or self.ending)

    @property
    def totals(self) -> Counter[str]:
        """The number of attempts by outcome."""
        totals: Counter[str] = Counter()
        for (_, outcome), number in self.outcomes.items():
            totals[outcome] += number
        return totals


def risk_row(risk: Risk) -> DigestRow:
    """Return the row of an image that is at risk, or that no scanner watches."""
    runs = f", {risk.units} running" if risk.units else ""
    why = risk.headline if risk.findings else "no scanner looks at it"
    return DigestRow(risk.image.repository, f"{risk.name}: {why}{runs}")


def daily_digest(digested: Digested, owner: str = "") -> Message:
    """Compose the digest of everything, or of one owner's repositories."""
    name = f" for {owner}" if owner else ""
    return Message(
        subject=f"DIGEST {digested.day}{name}: {_headline(digested)}",
        lines=_lines(digested, name),
        detail_type=DAILY_DIGEST,
        detail=_detail(digested, owner),
        attributes={"alert": "team-digest", "owner": owner} if owner else {"alert": "digest"},
    )


def _headline(digested: Digested) -> str:
    totals = digested.totals
    numbers = [
        (totals.total(), "releases" if totals.total() != 1 else "release"),
        (totals["blocked"], "blocked"),
        (totals["failed"], "failed"),
        (len(digested.waiting), "wait for approval" if len(digested.waiting) != 1 else "waits for approval"),
        (len(digested.at_risk), "at risk"),
        (len(digested.ending), "end soon" if len(digested.ending) != 1 else "ends soon"),
    ]
    return ", ".join(f"{number} {what}" for number, what in numbers if number)


def _lines(digested: Digested, name: str) -> list[str]:
    totals = digested.totals
    on = (
        f"on {digested.day}"
        if digested.begins == digested.day
        else f"from {digested.begins} to {digested.day}"
    )
    counts = ", ".join(f"{number} {outcome}" for outcome, number in totals.most_common())
    lines = [
        f"{counted(totals.total(), 'release')} began {on} (UTC){name}" + (f": {counts}." if counts else ".")
    ]
    if digested.is_cut:
        lines.append("More began than were counted here. All of them: imagegate stats --since 2d")
    for outcome in _TROUBLE:
        number, rows = totals[str(outcome)], digested.trouble.get(outcome, [])
        lines += _part(f"{str(outcome).capitalize()}:", rows, number)
    lines += _part("Waiting for an approval (imagegate list --waiting):", digested.waiting)
    lines += _part("At risk now, or not watched (imagegate list --at-risk):", digested.at_risk)
    lines += _part("Ends within a week (waivers and break-glass: imagegate decide list):", digested.ending)
    return [*lines, "", "More:  imagegate list", "Why:   imagegate policy report --since 7d"]


def _part(title: str, rows: Sequence[DigestRow], number: int | None = None) -> list[str]:
    if not rows:
        return []
    shown = [f"  - {cut_text(row.text)}" for row in rows[:_ROWS_SHOWN]]
    return ["", title, *with_rest(shown, len(rows) if number is None else number)]


def _trouble_text(release: Release, outcome: Outcome) -> str:
    why = first_reason(release) if outcome is Outcome.BLOCKED else release.detail
    return f"{image_name(release)} at the {release.stage} gate" + (f": {why}" if why else "")


def _detail(digested: Digested, owner: str) -> dict[str, Any]:
    def texts(rows: Sequence[DigestRow]) -> list[str]:
        return [cut_text(row.text) for row in rows[:_ROWS_SHOWN]]

    return {
        "schema": 1,
        "id": f"digest-{digested.day}" + (f"-{owner}" if owner else ""),
        "begins": str(digested.begins),
        "day": str(digested.day),
        "outcomes": dict(digested.totals),
        "cut": digested.is_cut,
        "trouble": {str(outcome): texts(rows) for outcome, rows in digested.trouble.items()},
        "waiting": texts(digested.waiting),
        "atRisk": texts(digested.at_risk),
        "ending": texts(digested.ending),
    }
