"""The function that makes the board: once for all that happens meanwhile, never too early, in a private bucket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagegate.board.html import board_page
from imagegate.notices.console import ConsoleLinks
from imagegate.notices.message import Message, with_board
from imagegate.workflow.board.make import MakeBoard
from imagegate.workflow.board.read import ReadBoard
from tests.component.boards import fill
from tests.component.cli_gate import CliGate, gate
from tests.fakes import NOW, REGISTRY

__all__ = ["gate"]

QUIET = timedelta(seconds=30)


@dataclass
class Board:
    """The function with its clock, and the boards that it has stored."""

    gate: CliGate
    at: datetime = NOW
    kept: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def keep_board(self, page: str, document: Mapping[str, Any]) -> None:
        self.kept.append((page, document))

    def _sleep(self, seconds: float) -> None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        self.at += timedelta(seconds=seconds)

    def make(self) -> bool:
        world = self.gate.world
        read = ReadBoard(
            stack="imagegate",
            ledger=world.ledger,
            records=world.records,
            grants=world.grants,
            policy=world.policy,
        )
        step = MakeBoard(
            turns=world.ledger,
            read=read,
            render=board_page,
            pages=self,
            quiet=QUIET,
            sleep=self._sleep,
            now=lambda: self.at,
        )
        return step.run() is not None


@pytest.fixture
def board(gate: CliGate) -> Board:
    fill(gate)
    return Board(gate)


def test_the_page_and_its_json_are_the_same_as_the_command_makes(board: Board) -> None:
    assert board.make()
    [(page, document)] = board.kept
    assert "<title>imagegate: what is released" in page
    board.gate.now = board.at
    assert json.loads(json.dumps(document)) == board.gate.call("board", "--json").json


def test_what_happens_meanwhile_is_on_the_same_board(board: Board) -> None:
    others: list[bool] = []

    def meanwhile() -> None:
        board.gate.judged("9.0", [], repository="late-dev")
        others.extend(board.make() for _ in range(50))

    board.meanwhile = meanwhile
    assert board.make()
    assert others == [False] * 50
    [(page, _)] = board.kept
    assert "late-dev:9.0" in page


def test_what_happens_while_a_board_is_read_is_on_the_next_one(board: Board) -> None:
    recent = board.gate.world.ledger.recent
    taken: list[bool] = []

    def reading(*arguments: Any, **more: Any) -> Any:
        if not taken:
            taken.append(board.gate.world.ledger.take_turn("board", board.at, QUIET) is not None)
        return recent(*arguments, **more)

    board.gate.monkeypatch.setattr(board.gate.world.ledger, "recent", reading)
    assert board.make()
    assert taken == [True]


def test_a_run_that_was_killed_holds_up_others_for_a_minute_only(board: Board) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    board.meanwhile = killed
    with pytest.raises(KeyboardInterrupt):
        board.make()
    assert not board.make()
    board.at += timedelta(minutes=1)
    assert board.make()


def test_a_message_links_to_the_board_in_its_last_line() -> None:
    link = ConsoleLinks(REGISTRY, "boards").object("index.html")
    assert link == (
        "https://eu-central-1.console.aws.amazon.com/s3/object/boards?region=eu-central-1&prefix=index.html"
    )
    message = Message("a", ["one"], "Image Released", {}, {})
    assert with_board(message, link).lines == ("one", f"Board        {link}")
    assert with_board(message, "") is message


def test_a_stack_without_a_board_says_how_to_have_one(gate: CliGate) -> None:
    result = gate.call("board", "--link")
    assert (result.code, "deploy it with Board=on" in result.err) == (2, True)


@pytest.mark.parametrize(("options", "seconds"), [(["--link"], 3600), (["--link", "15m"], 900)])
def test_the_link_is_signed_as_encrypted_objects_need_it(
    gate: CliGate, options: list[str], seconds: int
) -> None:
    gate.monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    gate.outputs["BoardBucket"] = "boards"
    result = gate.call("board", *options)
    assert (result.code, result.err) == (0, "")
    # Signature Version 4 covers the host, and s3.amazonaws.com redirects to the Region.
    assert result.out.startswith("https://boards.s3.eu-central-1.amazonaws.com/index.html?")
    assert f"X-Amz-Expires={seconds}" in result.out
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in result.out


def test_a_link_for_longer_than_s3_accepts_is_refused(gate: CliGate) -> None:
    gate.outputs["BoardBucket"] = "boards"
    refused = gate.call("board", "--link", "169h")
    assert (refused.code, "168h" in refused.err) == (2, True)
