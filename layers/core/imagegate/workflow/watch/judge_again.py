"""Judge Again: judge each image in use as its gate would today, and announce which is at risk and which no longer is.

Rules: the queue in the ledger is the cursor, so a run may end anywhere and the next one continues. An event says only
when to look. Nothing is blocked or revoked here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from imagegate.ports.risks import JudgedAgain, Risks
from imagegate.risk.past import EndedRisk, PastRisk
from imagegate.risk.risk import DueImage, Judgement, Risk, RiskState
from imagegate.workflow.watch.look_again import LookAgain, LookedAgain, NotInUse

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.ports.images import Images
    from imagegate.workflow.watch.announce_risks import AnnounceRisks
    from imagegate.workflow.watch.export_risks import ExportRisks
    from imagegate.workflow.watch.images_in_use import ImagesInUse

# The most images that one run takes from the queue.
_MOST_DUE = 500
# Each repository has its turn once an hour, in its own five minutes.
_TURNS, _TURN_MINUTES = 12, 5


@dataclass(frozen=True, slots=True)
class JudgementPace:
    """The times between two judgements of one image."""

    quiet: timedelta = timedelta(minutes=10)  # after an event, because more will follow
    usual: timedelta = timedelta(days=1)
    at_risk: timedelta = timedelta(minutes=30)  # also after a fault

    def after(self, state: RiskState) -> timedelta:
        """Return the time until the next judgement."""
        return {RiskState.UNKNOWN: self.quiet, RiskState.AT_RISK: self.at_risk}.get(state, self.usual)


@dataclass(frozen=True, slots=True)
class JudgedAgainResult:
    """The numbers of one run. `at_risk` and `not_watched`: all images, now. `faults`: items that failed, and why.

    `fixed`: for each image at risk that another one replaced, its stage, and the seconds since its fix was known.
    """

    judged: int
    news: int
    over: int
    at_risk: int
    not_watched: int
    faults: tuple[str, ...] = ()
    fixed: tuple[tuple[str, float], ...] = ()


class AgainLedger(JudgedAgain, Risks, Protocol):
    """The parts of the ledger that `JudgeAgain` uses."""


@dataclass
class _RunResults:
    """The results of one run, which are announced and stored at its end."""

    before: dict[ImageRef, Risk]
    judged: list[tuple[DueImage, Judgement]] = field(default_factory=list)
    left: list[DueImage] = field(default_factory=list)
    risks: list[Risk] = field(default_factory=list)
    ended: list[EndedRisk] = field(default_factory=list)
    unresolved: frozenset[ImageRef] = frozenset()  # Security Hub still has them; they stay in the queue
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, due: DueImage, result: LookedAgain | NotInUse) -> None:
        """Take in the result for one image."""
        before = self.before.get(due.image)
        if isinstance(result, NotInUse):
            self.left.append(due)
            if before is not None:
                self.ended.append(EndedRisk(before, result.why, result.is_replaced))
            return
        self.judged.append((due, result.judgement))
        if result.judgement.state is RiskState.FINE and before is not None:
            self.ended.append(EndedRisk(before, "would pass its gate now"))
        # An image at risk stays so until a complete reading of its findings says otherwise.
        is_certain = before is None or before.state is not RiskState.AT_RISK
        if result.risk is not None and (is_certain or result.risk.state is RiskState.AT_RISK):
            self.risks.append(result.risk)

    def past(self, now: datetime) -> list[PastRisk]:
        """Return the risks that are over, without those that Security Hub still has."""
        return [PastRisk.of(one, now) for one in self.ended if one.risk.image not in self.unresolved]

    def ends(self) -> dict[ImageRef, datetime]:
        """Return when the signatures of the judged images expire, as far as that is known."""
        return {due.image: end for due, judgement in self.judged if (end := judgement.signature_ends)}

    def states(self) -> list[RiskState]:
        """Return the state of each image that is at risk or not watched after this run."""
        after = self.before | {risk.image: risk for risk in self.risks}
        gone = {one.risk.image for one in self.ended}
        return [risk.state for image, risk in after.items() if image not in gone]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAgain:
    images: Images
    ledger: AgainLedger
    look: LookAgain
    announce: AnnounceRisks
    export: ExportRisks
    in_use: Callable[[], ImagesInUse]
    policy: Policy
    pace: JudgementPace = JudgementPace()

    def note(self, image: ImageRef, now: datetime) -> bool:
        """Note that there is news about the image: it is judged after a quiet time. Return False if it is not ours."""
        if self.policy.stage_of(image.repository) is None:
            return False
        self.ledger.judge_by(image, now + self.pace.quiet)
        return True

    def run(self, now: datetime, has_time: Callable[[], bool]) -> JudgedAgainResult:
        """Judge what is due until `has_time` says no, the images that run first; then announce and store it all."""
        in_use, run = self.in_use(), _RunResults({risk.image: risk for risk in self.ledger.risks()})
        self._enlist(in_use, now)
        due = list(islice(self.ledger.due_images(now), _MOST_DUE))
        running = in_use.all_running() if due else {}
        for image in sorted(due, key=lambda one: not (one.runs or one.image in running)):
            if not has_time():
                break
            self._look(image, in_use, run, now)
        news = self.announce.run(run.risks, run.ended, run.before, now)
        self.announce.remind(run.ends(), now)
        self._export(run, now)
        self._store(run, now)
        states = run.states()
        return JudgedAgainResult(
            judged=len(run.judged),
            news=news,
            over=len(run.ended),
            at_risk=states.count(RiskState.AT_RISK),
            not_watched=states.count(RiskState.NOT_WATCHED),
            faults=tuple(f"{what}: {why}" for what, why in (run.faults | in_use.faults).items()),
            fixed=tuple((one.stage, time) for one in run.past(now) if (time := one.fix_seconds) is not None),
        )

    def _enlist(self, in_use: ImagesInUse, now: datetime) -> None:
        """Put each repository's current release into the queue on its turn, and all that runs."""
        for repository in self.images.repositories():
            if self.policy.stage_of(repository) and _is_turn(repository, now):
                current = in_use.current(repository)
                if current is not None:
                    went_on = current.closed_at or current.started_at
                    self.ledger.judge_by(current.image, went_on + self.pace.usual)
        if _is_turn("running tasks", now):
            for image in in_use.all_running():
                if self.policy.stage_of(image.repository):
                    self.ledger.judge_by(image, now + self.pace.usual)

    def _look(self, due: DueImage, in_use: ImagesInUse, run: _RunResults, now: datetime) -> None:
        """Judge one image. After a fault it is due again later, so that it does not stop the others."""
        try:
            result = self.look.run(due, run.before.get(due.image), in_use, now)
            run.add(due, result)
            for index in result.indexes if isinstance(result, NotInUse) else ():
                self.ledger.judge_by(index, now)
        except Exception as fault:  # noqa: BLE001 - the others are still judged, and every fault is reported
            run.faults[str(due.image)] = f"{type(fault).__name__}: {fault}"
            self.ledger.judge_later(due, now + self.pace.at_risk)

    def _export(self, run: _RunResults, now: datetime) -> None:
        exported = self.export.run(run.risks, [one.risk for one in run.ended], run.before, now)
        run.risks, run.unresolved = exported.risks, exported.unresolved
        run.faults |= exported.faults

    def _store(self, run: _RunResults, now: datetime) -> None:
        """Store the risks before the queue moves on: a run that is killed in between is repeated."""
        for risk in run.risks:
            self.ledger.keep_risk(risk)
        for past in run.past(now):
            self.ledger.end_risk(past)
        for due in run.left:
            if due.image in run.unresolved:
                self.ledger.judge_later(due, now + self.pace.at_risk)
            else:
                self.ledger.forget_image(due)
        for due, judgement in run.judged:
            pace = self.pace.at_risk if due.image in run.unresolved else self.pace.after(judgement.state)
            self.ledger.keep_judgement(due, judgement, now + pace)


def _is_turn(name: str, now: datetime) -> bool:
    return crc32(name.encode()) % _TURNS == now.minute // _TURN_MINUTES
