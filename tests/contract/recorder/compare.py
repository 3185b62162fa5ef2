"""`compare`: send the same calls to a sandbox, and compare with the documentation and the recordings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.contract.recorder.behaviours import Behaviour, behaviours
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.conditions import Conditions
from tests.contract.recorder.exchange import Exchange, outcomes, summary
from tests.contract.recorder.probing import Probed, ask
from tests.contract.recorder.recordings import Recording
from tests.contract.recorder.target import open_bench


class Verdict(StrEnum):
    AGREE = "agree"
    DIFFER = "differ"
    LOOSER = "differ, known"
    NO_RECORDING = "no recording"


@dataclass(frozen=True, slots=True)
class Row:
    """One behaviour, from all three sides."""

    probed: Probed
    recording: Recording | None

    @property
    def behaviour(self) -> Behaviour:
        return self.probed.behaviour

    @property
    def verdict(self) -> Verdict:
        if not self.recording:
            return Verdict.NO_RECORDING
        if not self.differences:
            return Verdict.AGREE
        return Verdict.LOOSER if self.behaviour.looser and not self.probed.problem else Verdict.DIFFER

    @property
    def differences(self) -> list[dict[str, Any]]:
        """Call by call; words of messages may differ."""
        if self.probed.problem:
            return [{"problem": self.probed.problem}]
        recorded = self.recording.exchanges if self.recording else ()
        pairs = zip_longest(recorded, self.probed.exchanges)
        return [{"recorded": _document(a), "sandbox": _document(b)} for a, b in pairs if _key(a) != _key(b)]

    def document(self) -> dict[str, Any]:
        probed, recorded = self.probed, self.recording
        return {
            "id": self.behaviour.id,
            "behaviour": self.behaviour.sentence,
            "documented": {"where": self.behaviour.documented, "outcomes": self.behaviour.says},
            "recorded": recorded and {"from": recorded.source, "outcomes": outcomes(recorded.exchanges)},
            "sandbox": {"outcomes": outcomes(probed.exchanges), "as_documented": probed.is_as_documented},
            "verdict": self.verdict,
            "known": self.behaviour.looser,
            "differences": self.differences if recorded else [],
        }


def compare(folder: Path, session: Any, only: Sequence[str], *, as_json: bool, console: Console) -> int:
    """Run the comparison; return 0, or 1 if the sandbox differs from a recording."""
    rows = rows_of(open_bench(session), behaviours(only), folder)
    if as_json:
        print(json.dumps([row.document() for row in rows], indent=2))
    else:
        _print(rows, console)
    return 1 if any(row.verdict == Verdict.DIFFER for row in rows) else 0


def rows_of(bench: Bench, wanted: Sequence[Behaviour], folder: Path) -> list[Row]:
    if not bench.is_loopback:
        raise RuntimeError("only a sandbox is compared")
    try:
        with Conditions.restored(bench):
            return [_row(bench, behaviour, Recording.read(folder, behaviour)) for behaviour in wanted]
    finally:
        bench.throw_away.remove_all()


def _row(bench: Bench, behaviour: Behaviour, recording: Recording | None) -> Row:
    if recording:
        recording.conditions.apply(bench)
    return Row(ask(bench, behaviour), recording)


def _key(exchange: Exchange | None) -> Any:
    # As JSON has it, because a recording was read from JSON.
    return exchange and json.loads(json.dumps(exchange.compared))


def _document(exchange: Exchange | None) -> dict[str, Any] | None:
    return exchange.document() if exchange else None


_COLOURS = {
    Verdict.AGREE: "green",
    Verdict.DIFFER: "red",
    Verdict.LOOSER: "yellow",
    Verdict.NO_RECORDING: "dim",
}


def _print(rows: Sequence[Row], console: Console) -> None:
    table = Table()
    for column in ("behaviour", "documented", "recorded", "sandbox", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.behaviour.id, *_cells(row), f"[{_COLOURS[row.verdict]}]{row.verdict}[/]")
    console.print(table, highlight=False)
    for row in rows:
        for difference in row.differences if row.verdict == Verdict.DIFFER else ():
            console.print(f"{row.behaviour.id}: {json.dumps(difference)}", highlight=False, markup=False)
    recorded = sum(row.recording is not None for row in rows)
    console.print(f"{len(rows)} behaviours, {recorded} with a recording")


def _cells(row: Row) -> tuple[str, str, str]:
    says = row.behaviour.says
    recorded = summary(outcomes(row.recording.exchanges)) if row.recording else "–"
    sandbox = row.probed.problem or summary(outcomes(row.probed.exchanges))
    return ("not said" if says is None else summary(says)), recorded, sandbox
