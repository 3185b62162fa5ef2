"""Recordings on disk: one JSON file per behaviour, written only if nothing in it identifies the account."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.contract.recorder.behaviours import Behaviour
from tests.contract.recorder.conditions import Conditions
from tests.contract.recorder.exchange import Exchange
from tests.contract.recorder.sanitise import Sanitiser

FOLDER = Path(__file__).parents[1] / "recordings"


@dataclass(frozen=True, slots=True)
class Recording:
    """`source` is AWS, or the loopback address that answered instead; `date` is a day."""

    source: str
    date: str
    botocore: str
    conditions: Conditions
    exchanges: tuple[Exchange, ...]

    def write(self, folder: Path, behaviour: Behaviour, sanitiser: Sanitiser) -> None:
        text = json.dumps(self._document(behaviour), indent=2, ensure_ascii=False) + "\n"
        sanitiser.check(text)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{behaviour.id}.json").write_text(text)

    def _document(self, behaviour: Behaviour) -> dict[str, Any]:
        return {
            "behaviour": behaviour.sentence,
            "documented": behaviour.documented,
            "recorded": {"from": self.source, "date": self.date, "botocore": self.botocore},
            "account": self.conditions.document(),
            "exchanges": [exchange.document() for exchange in self.exchanges],
        }

    @classmethod
    def read(cls, folder: Path, behaviour: Behaviour) -> Self | None:
        file = folder / f"{behaviour.id}.json"
        if not file.exists():
            return None
        found = json.loads(file.read_text())
        made = found["recorded"]
        exchanges = tuple(Exchange.of(one) for one in found["exchanges"])
        return cls(made["from"], made["date"], made["botocore"], Conditions(**found["account"]), exchanges)
