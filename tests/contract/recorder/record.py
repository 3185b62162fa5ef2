"""`record`: send calls to an AWS account, write down the answers, leave nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import botocore
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from tests.contract.recorder.behaviours import Behaviour, behaviours
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.conditions import Conditions
from tests.contract.recorder.exchange import outcomes, summary
from tests.contract.recorder.not_recorded import NOT_RECORDED
from tests.contract.recorder.probing import Probed, ask, explain
from tests.contract.recorder.questions import QUESTIONS
from tests.contract.recorder.recordings import FOLDER, Recording
from tests.contract.recorder.sanitise import LeakError
from tests.contract.recorder.target import AWS, NoTargetError, open_bench

_PLAN = """\

This asks {target} ({region}) about {number} behaviours, in a quarter of an hour at most. It creates,
under names that begin with [bold]{run}[/bold], and removes again, also after Ctrl-C:
  - up to fifty ECR repositories with images of a few hundred bytes, one of them archived,
  - two repository creation templates for names of this run,
  - a DynamoDB table, an S3 bucket, an SNS topic with two queues, and an SQS queue,
  - an event bus, three state machines, and a role that may use these,
  - a dashboard of CloudWatch,
  - one finding in Security Hub, if that is enabled, which is archived at the end.
It changes no setting of the account. What stays: two cancelled signing profiles, which
Signer does not delete at once, the archived finding, for 90 days, and what CloudTrail writes.
Cost: less than 0.05 USD. {scanning}
Recordings go to {folder}."""
_BASIC = "Basic scanning is free."
_ENHANCED = (
    "This registry uses enhanced scanning: Inspector bills the first scan of an image that it scans, about 0.09 USD "
    "each, some 4 USD if its filters match names like these."
)


class Recorder:
    """One run of `record`; its exit code is 0 (all recorded), 1 (not all, or something is left over) or 2."""

    def __init__(self, bench: Bench, folder: Path, console: Console) -> None:
        self._bench, self._folder, self._console = bench, folder, console
        self._problems: list[str] = []
        self._recorded = 0

    def run(self, wanted: Sequence[Behaviour], confirm: Callable[[], bool]) -> int:
        self._print_questions()
        self._print_plan(len(wanted))
        if not confirm():
            self._console.print("Nothing was done.")
            return 0
        try:
            self._record_all(wanted)
        except KeyboardInterrupt:
            self._problems.append("interrupted")
        finally:
            self._clean_up()
        self._print_end(len(wanted))
        return 1 if self._problems else 0

    def _print_questions(self) -> None:
        self._console.print("What matters most, how to find out, and what goes wrong if the answer is no:")
        for number, question in enumerate(QUESTIONS, 1):
            self._console.print(
                f"  {number}. {question.text}\n     {question.by}\n     Else {question.otherwise}.",
                highlight=False,
            )

    def _print_plan(self, number: int) -> None:
        scanning = self._bench.do("ecr", "GetRegistryScanningConfiguration")["scanningConfiguration"]
        self._console.print(
            _PLAN.format(
                target=self._bench.source,
                region=self._bench.region,
                number=number,
                run=self._bench.run,
                scanning=_ENHANCED if scanning["scanType"] == "ENHANCED" else _BASIC,
                folder=self._folder,
            )
        )

    def _record_all(self, wanted: Sequence[Behaviour]) -> None:
        try:
            conditions = Conditions.read(self._bench)
        except (ClientError, BotoCoreError) as error:
            self._problems.append(explain(error))
            return
        for behaviour in wanted:
            self._record(ask(self._bench, behaviour), conditions)

    def _record(self, probed: Probed, conditions: Conditions) -> None:
        problem = probed.problem
        if not problem:
            today = datetime.now(UTC).date().isoformat()
            recording = Recording(
                self._bench.source, today, botocore.__version__, conditions, probed.exchanges
            )
            try:
                recording.write(self._folder, probed.behaviour, self._bench.sanitiser)
                self._recorded += 1
            except LeakError as error:
                problem = f"not written: {error}"
        if problem:
            self._problems.append(f"{probed.behaviour.id}: {problem}")
        self._print(probed, problem)

    def _print(self, probed: Probed, problem: str | None) -> None:
        odd = "" if probed.is_as_documented in (None, True) else "  [yellow]not as documented[/yellow]"
        said = f"[red]{problem}[/red]" if problem else summary(outcomes(probed.exchanges)) + odd
        self._console.print(f"{probed.behaviour.id}  {said}", highlight=False)

    def _clean_up(self) -> None:
        self._console.print("Removing what was made …")
        left = self._bench.throw_away.remove_all()
        self._problems += [f"left over: {what}" for what in left]

    def _print_end(self, number: int) -> None:
        self._console.print(f"\n{self._recorded} of {number} behaviours recorded. Not recorded, ever:")
        for chapter, what, why in NOT_RECORDED:
            self._console.print(f"  {chapter}: {what} ({why})", highlight=False)
        for problem in self._problems:
            self._console.print(f"[red]{problem}[/red]", highlight=False)


def record(
    session_of: Callable[[], object], folder: Path, only: Sequence[str], *, yes: bool, console: Console
) -> int:
    try:
        session = session_of()
        bench = open_bench(session)
        _check_folder(bench, folder)
        wanted = behaviours(only)
        return Recorder(bench, folder, console).run(wanted, lambda: yes or _confirmed())
    except NoTargetError as error:
        problem = str(error)
    except (ClientError, BotoCoreError) as error:
        problem = explain(error)
    print(f"record: {problem}", file=sys.stderr)
    return 2


def _check_folder(bench: Bench, folder: Path) -> None:
    """Refuse to write into the project's folder of recordings unless AWS answers."""
    asked = bench.source
    if asked != AWS and folder.resolve() == FOLDER:
        raise NoTargetError(f"{asked} is not AWS: its answers are no recordings; give another folder by --to")


def _confirmed() -> bool:
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        return False
