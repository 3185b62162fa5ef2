"""What has happened to an image since it was signed, as the stack beside it knows: signatures do not say that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from imagegate.deployment.check import explain_refusal, last_decided_attempt, passes
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import ImageRef
from imagegate_cli.stack import Stack


@dataclass(frozen=True, slots=True)
class Since:
    """`refused`: the last word of the repository's own gate, where that is a no."""

    stage: str = ""
    refused: str = ""
    broken_glass: tuple[BreakGlass, ...] = ()
    unread: str = ""  # why nothing is known of it

    def problem(self, gates: Sequence[str]) -> str:
        """That a gate which has signed says something else by now; `gates`: whose signatures hold."""
        return f"the {self.stage} gate has changed its mind: {self.refused}" if self._counts(gates) else ""

    def notes(self, gates: Sequence[str], now: datetime) -> tuple[str, ...]:
        said = f"it did not pass the {self.stage} gate: {self.refused}"
        own = (said,) if self.refused and not self._counts(gates) else ()
        unread = (f"what has happened since is not known: {self.unread}",) if self.unread else ()
        return (*own, *(_shown(one, now) for one in self.broken_glass), *unread)

    def _counts(self, gates: Sequence[str]) -> bool:
        return bool(self.refused) and self.stage in gates

    def as_json(self) -> dict[str, Any]:
        return {
            "refused": self.refused or None,
            "breakGlass": [{"id": one.id, **one.as_json()} for one in self.broken_glass],
        }


def since(stack: Stack, image: ImageRef) -> Since:
    """Who may verify may not always read the ledger: that is said, and no failure."""
    try:
        stage = stack.policy.stage_of(image.repository)
        word = last_decided_attempt(stack.ledger.history(image).attempts, stage) if stage else None
        glass = tuple(one for one in stack.grants.broken_glass() if one.covers(image))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "AccessDenied" not in code:
            raise
        return Since(unread="you may not read the ledger")
    if stage is None or word is None or passes(word, stage):
        return Since(broken_glass=glass)
    return Since(stage.name, explain_refusal(word), glass)


def _shown(one: BreakGlass, now: datetime) -> str:
    """Also when it is over: what ran by it can be told from what passed."""
    return f"may run by {one}" if one.counts(now) else f"was let through by {one}"
