"""Text from others stays text: each kind of output looks like its clean twin, and no text controls it.

The tests find what they try: every notice, everything that is printed, every field of their types.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import json
import logging
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
import rich.columns
import rich.console
import rich.padding
import rich.panel
import rich.table
import rich.text
import rich.tree
from aws_lambda_powertools import Logger
from markdown_it import MarkdownIt

import imagegate.notices
import imagegate_cli
from imagegate.approval_page import html as approval_html
from imagegate.approval_page.view import ApprovalView
from imagegate.board.board import Board
from imagegate.board.html import board_page
from imagegate.gate.decision_record import Decision
from imagegate.log import log_line
from imagegate.notices.chat import LABELS, chat_card
from imagegate.notices.deployment_notice import Alert
from imagegate.notices.message import Message, as_sns_message
from imagegate.release.release import Outcome
from imagegate.text import is_one_line
from imagegate_cli.enforcement.formats import markdown as report_markdown
from imagegate_cli.enforcement.report import EnforcementReport
from imagegate_cli.output import markdown, screen, terminal
from imagegate_cli.output.screen import Text, console, labelled
from imagegate_cli.output.spinner import Spinner
from tests.poison import CLEAN, NAMES, PAYLOADS, CannotFillError, filled, made, product_types

poison = pytest.mark.parametrize("text", PAYLOADS, ids=NAMES)
ROOT = Path(__file__).parents[2]


def functions_of(package: ModuleType, returns: Callable[[Any], bool]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield every public function of the package that returns such a type, with its annotations."""
    for function, hints in _annotated(package):
        if returns(hints.get("return")):
            yield function, {name: hint for name, hint in hints.items() if name != "return"}


@cache
def _annotated(package: ModuleType) -> list[tuple[Any, dict[str, Any]]]:
    functions = []
    names = {**vars(rich.console), "Table": rich.table.Table, "Text": Text}
    if package.__name__.startswith("imagegate."):
        names = {**product_types(), **names}
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        for name, function in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(function) or function.__module__ != found.name:
                continue
            try:
                hints = get_type_hints(function, None, names)
            except NameError:
                continue  # what is annotated by a type that only checkers see is driven by its verb
            functions.append((function, hints))
    return functions


def called(function: Any, hints: dict[str, Any], text: str, **more: Any) -> Any:
    return function(**{name: filled(hint, text) for name, hint in hints.items()} | more)


# Chat

# The words before a command in the source of a message: `"Put back:  imagegate baseline apply`.
_WORDS_OF_A_COMMAND = re.compile(
    r"""["'][ ]*([A-Z][^"'{}()]*?)(?::[ ]*|[ ]{2,}|["'],\s*["'])imagegate [a-z]"""
)


def test_the_words_before_each_command_of_a_message_are_known_to_the_chat() -> None:
    folder = Path(imagegate.notices.__path__[0])
    found = {
        words for file in folder.glob("**/*.py") for words in _WORDS_OF_A_COMMAND.findall(file.read_text())
    }
    assert len(found) > 10
    assert found <= LABELS, found - LABELS


@pytest.mark.parametrize("before", ["x: ", "Reason: ", "1  ", "- "])
def test_no_text_of_others_becomes_the_next_step(before: str) -> None:
    """A card shows our own commands as next steps. A reason or a label may have one, too, in its own line."""
    told = [one for one in announcements(f"{before}imagegate decide revoke evil") if "id" in one.detail]
    assert len(told) > 20
    for one in told:
        for step in chat_card(one)["content"]["nextSteps"]:
            assert "`imagegate decide revoke evil" not in step, (one.detail_type, step)


# Mail


def _is_message(hint: Any) -> bool:
    return hint in (Message, Alert) or bool({Message, Alert} & set(get_args(hint)))


def announcements(text: str) -> Iterator[Message]:
    for function, hints in functions_of(imagegate.notices, _is_message):
        endings = list(Outcome) if hints.get("outcome") is Outcome else [None]
        for ending in endings:
            told = called(function, hints, text, **({"outcome": ending} if ending else {}))
            for one in told if isinstance(told, Iterator) else [told]:
                yield one.announcement if isinstance(one, Alert) else one


def test_every_message_is_tried() -> None:
    assert len({one.detail_type for one in announcements(CLEAN)}) >= 16


texts = pytest.mark.parametrize(
    "text", *[[text for name, text in zip(NAMES, PAYLOADS, strict=True) if name != "half"]]
)


@texts
def test_a_mail_has_the_lines_of_its_clean_twin(text: str) -> None:
    for told, clean in zip(announcements(text), announcements(CLEAN), strict=True):
        assert len(told.text.splitlines()) == len(clean.text.splitlines())
        assert_is_mail(told)


@poison
def test_every_message_has_only_its_own_line_breaks(text: str) -> None:
    told = Message(text, [text, f"Repository   {text}"], CLEAN, {text: text}, {CLEAN: text})
    assert len(told.text.splitlines()) == 2
    assert_is_mail(told)


def assert_is_mail(told: Message) -> None:
    assert all(is_one_line(line) for line in told.text.split("\n"))
    # Amazon SNS API reference, Publish: Subject.
    assert told.subject.isascii()
    assert told.subject.isprintable()
    assert 0 < len(told.subject) < 100
    assert all(is_one_line(value) for value in told.attributes.values())
    message = as_sns_message(told)
    assert is_one_line(message)
    assert all(is_one_line(line) for line in json.loads(message)["email-json"].split("\n"))
    assert json.loads(json.loads(message)["sqs"]) == json.loads(json.dumps(told.detail))


# Terminal


def printed(shown: Any, width: int = 200) -> str:
    console = screen.console()
    console.width, console.file = width, io.StringIO()
    for part in shown if isinstance(shown, list) else [shown]:
        console.print(part)
    return console.file.getvalue()


def _is_shown(hint: Any) -> bool:
    kinds = {rich.console.RenderableType, rich.console.Group, rich.table.Table, Text}
    return hint in kinds or bool(kinds & set(get_args(hint)))


def screens(text: str) -> Iterator[tuple[str, Any]]:
    for function, hints in functions_of(imagegate_cli, _is_shown):
        try:
            told = called(function, hints, text)
            yield (
                f"{function.__module__}.{function.__name__}",
                list(told) if isinstance(told, Iterator) else [told],
            )
        except (CannotFillError, KeyError):
            continue  # what decide answers is a JSON of its own: its verbs are tried in test_text_of_verbs


def everything_rich_can_show(text: str) -> Iterator[Any]:
    table = rich.table.Table(title=text, caption=text)
    table.add_column(text, footer=text)
    table.add_row(text)
    table.add_row(Text(text, "bold"))
    table.add_row(rich.console.Group(text, Text.assemble((text, "red"), text)))
    tree = rich.tree.Tree(text)
    tree.add(Text(text))
    yield from (text, Text(text, "bold"), rich.text.Text(text, "bold"), table, tree)
    yield from (rich.panel.Panel(text), rich.padding.Padding(text, 1), rich.columns.Columns([text, text]))
    yield rich.console.Group(text, rich.console.Group(Text(text)))


def assert_prints_as_text(out: str) -> None:
    assert all(line.isprintable() and is_one_line(line) for line in out.split("\n"))


def test_enough_screens_are_tried() -> None:
    assert len(list(screens(CLEAN))) >= 6


@poison
def test_a_screen_has_the_lines_of_its_clean_twin(text: str) -> None:
    for (name, told), (_, clean) in zip(screens(text), screens(CLEAN), strict=True):
        out = printed(told, 10_000)
        assert_prints_as_text(out)
        assert len(out.splitlines()) == len(printed(clean, 10_000).splitlines()), name


@poison
def test_every_value_on_the_console_is_text(text: str) -> None:
    for told, clean in zip(everything_rich_can_show(text), everything_rich_can_show(CLEAN), strict=True):
        out = printed(told, 10_000)
        assert_prints_as_text(out)
        assert len(out.splitlines()) == len(printed(clean, 10_000).splitlines())


def test_markup_is_shown_as_it_is_written() -> None:
    assert printed("[bold]x[/bold] [link=http://evil]y[/link] :warning:").startswith(
        "[bold]x[/bold] [link=http"
    )


@poison
def test_a_spinner_shows_text(text: str) -> None:
    console = screen.console(stderr=True)
    console._force_terminal = True
    console.file = io.StringIO()
    spinner = Spinner(text, console=lambda: console)
    spinner._speak()
    spinner.__exit__()
    assert spinner._status is not None
    assert isinstance(spinner._status.status, Text)
    assert_prints_as_text(spinner._status.status.plain)


@poison
def test_a_line_is_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(text)
    terminal.say(text, err=True)
    terminal.show_json({text: [text]})
    out, err = capsys.readouterr()
    assert_prints_as_text(out + err)
    assert err.count("\n") == 1
    assert len(out.splitlines()) == 6


def test_nothing_else_prints() -> None:
    """A module that prints by itself bypasses the code that makes it text."""
    ways = re.compile(
        r"click\.(?:confirm|prompt|echo|secho|style|edit|echo_via_pager)|(?<![\w.])print\(|sys\.std(?:out|err)\.(?!fileno)"
        r"|(?<!: )\bConsole\(|rich\.text|from_markup|from_ansi|markup=True|style=f"
    )
    for file in (ROOT / "cli").rglob("*.py"):
        code = "\n".join(ast.unparse(part) for part in ast.parse(file.read_text()).body)
        assert file.name in ("terminal.py", "screen.py") or not ways.search(code), file


# Markdown


def structure(source: str) -> Counter[tuple[str, str]]:
    """Return the structure of a page that shows the value, without its text."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = [inner for token in parser.parse(source) for inner in (token, *(token.children or ()))]
    return Counter((one.type, one.tag) for one in tokens if one.type not in ("text", "text_special"))


def markdown_text(source: str) -> str:
    return "".join(
        inner.content
        for token in MarkdownIt("commonmark").enable("table").parse(source)
        for inner in token.children or ()
    )


@poison
def test_markdown_is_made_of_what_its_clean_twin_is_made_of(text: str) -> None:
    places = [
        "{}",
        "- {}",
        "### {}",
        "_{}_",
        "| a | b |\n| --- | --- |\n| {} | x |",
        "- [ ] {}",
        "see {} there",
    ]
    for place in places:
        told = place.format(markdown.text(text))
        assert structure(told) == structure(place.format(CLEAN)), told
        assert not re.search(r"(?<!\\)://|www\.", told)  # GitHub would make links of them
    row = (
        MarkdownIt("commonmark")
        .enable("table")
        .parse(f"| a | b |\n| --- | --- |\n| {markdown.text(text)} | x |")
    )
    assert [token.content for token in row if token.type == "inline"][
        3
    ] == "x"  # more cells than columns are left out
    assert structure(f"a {markdown.code(text)} b") == structure(f"a `{CLEAN}` b")


@pytest.mark.parametrize(
    "text", ["a*b_c", "1.0", "- x", "shop-dev:1.0 (openssl 3.0.1)", "#1 & <b> | `x` ~y~"]
)
def test_markdown_shows_what_was_written(text: str) -> None:
    assert markdown_text(markdown.text(text)) == text


@poison
def test_a_report_in_markdown_is_a_report(text: str) -> None:
    told, clean = (report_markdown(made(EnforcementReport, one)) for one in (text, CLEAN))
    assert structure(told) == structure(clean)


# The approval page


class Tree(HTMLParser):
    """The elements of a page with the names of their attributes, and its links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tree: list[Any] = []
        self.links: list[str | None] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.append((tag, sorted(name for name, _ in attrs)))
        self.links += [value for name, value in attrs if name in ("href", "src", "action", "formaction")]

    def handle_endtag(self, tag: str) -> None:
        self.tree.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tree.append("comment")


def pages(text: str) -> Iterator[str]:
    waiver = {"vulnerability": text, "package": text, "expires": text, "owner": text, "reason": text}
    reasons = [{"rule": text, "message": text, "action": "enforce"}]
    facts = {"signature": {"found": [text], "problem": text}, "provenance": {"found": [], "problem": text}}
    more = {"reasons": reasons, "waivers": [waiver], "scans": [], "facts": facts}
    view = made(ApprovalView, text, decision=made(Decision, text, **more))
    yield approval_html.page(view, text)
    yield approval_html.page(made(ApprovalView, text, decision=None, refusal=""), text)
    yield approval_html.notice_page(made(approval_html.Notice, text))
    yield board_page(made(Board, text))


@poison
def test_a_page_has_the_elements_of_its_clean_twin(text: str) -> None:
    for told, clean in zip(pages(text), pages(CLEAN), strict=True):
        assert Tree(told).tree == Tree(clean).tree
        assert set(Tree(told).links) <= {"#decide", "?", "#to-do", "#application-1"}
        assert_prints_as_text(told)
        assert len(told.splitlines()) == len(clean.splitlines())


# Logs


@poison
def test_a_log_entry_is_one_line_of_json(text: str) -> None:
    stream = io.StringIO()
    service = f"text {NAMES[PAYLOADS.index(text)]}"
    logger = Logger(service=service, stream=stream, json_serializer=log_line)
    # Else pytest keeps the record, and its processes cannot tell each other of half a character.
    logging.getLogger(service).propagate = False
    logger.info(text, who=text, nested={text: [text]})
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logger.exception("failed")
    entries = stream.getvalue()
    assert all(is_one_line(line) for line in entries.split("\n"))
    told = [json.loads(line) for line in entries.splitlines()]
    assert len(told) == 2
    assert told[0]["who"] == json.loads(json.dumps(text))


def test_every_function_logs_so() -> None:
    for handler in (ROOT / "functions").glob("*/handler.py"):
        source = handler.read_text()
        assert "Logger(" not in source or re.search(r"Logger\(json_serializer=(log\.)?log_line\)", source), (
            handler
        )


def test_a_piped_table_has_no_blanks_at_the_end_of_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(labelled([("A", "x"), ("Longer", "a value\nof two lines")]))
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= 2
    assert [line for line in printed if line != line.rstrip()] == []
