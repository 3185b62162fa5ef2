"""Makes the board once for everything that happens within a short time.

Rule: after everything that happens, a board is read from the beginning. A run that takes the turn waits, gives it
back, and reads then; what happens after that finds the turn free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagegate.board.board import Board
    from imagegate.ports.pending import Turns
    from imagegate.ports.records import BoardPages
    from imagegate.workflow.board.read import ReadBoard

_WORK = "board"
# A run that is killed while it waits holds up others for so long.
_MARGIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeBoard:
    """Makes the board after a quiet time. `render` returns the page."""

    turns: Turns
    read: ReadBoard
    render: Callable[[Board], str]
    pages: BoardPages
    quiet: timedelta
    sleep: Callable[[float], None]
    now: Callable[[], datetime]

    def run(self) -> Board | None:
        """Return the new board, or None if another run waits already, and will read what has happened."""
        turn = self.turns.take_turn(_WORK, self.now(), self.quiet + _MARGIN)
        if turn is None:
            return None
        self.sleep(self.quiet.total_seconds())
        self.turns.end_turn(turn, turn.notes)
        board = self.read.run(self.now())
        self.pages.keep_board(self.render(board), board.as_json())
        return board
