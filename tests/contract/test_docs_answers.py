"""Twenty questions of a stranger: each is answered on a page that is at most two clicks from the start page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import yaml

from imagegate_cli.main import cli
from tests.contract.test_english import STUMBLES
from tools.reference.pages import DOCS, PAGES

ROOT = Path(__file__).parents[2]
START = DOCS / "index.md"
CLICKS = 2


class Answer(NamedTuple):
    """A part of a page, and words without which it would not answer the question."""

    anchor: str  # page below docs/, with the heading
    words: tuple[str, ...]


QUESTIONS = {
    "What is it, and is it for me?": Answer("index.md#imagegate", ("signed", "It is for teams")),
    "What does it not do?": Answer("index.md#what-it-does-not-do", ("does not scan", "does not build")),
    "How do I try it without an AWS account?": Answer(
        "tutorial/first-image.md#1-start-the-sandbox", ("make sandbox",)
    ),
    "How do I install the command line?": Answer(
        "how-to/install.md#the-command-line", ("pipx install .", "uv tool install .")
    ),
    "How do I deploy it, and what will I be asked?": Answer(
        "how-to/install.md#the-stack", ("make deploy", "RepositoryPrefix")
    ),
    "How do I get rid of it, and what stays?": Answer(
        "how-to/change-the-stack.md#remove-it", ("signing profiles",)
    ),
    "What does a release cost me?": Answer(
        "explanation/architecture.md#what-a-release-costs", ("state transitions", "Lambda")
    ),
    "Will it stop my teams on the first day?": Answer(
        "how-to/enforce-what-is-observed.md#1-observe", ("mode: observe",)
    ),
    "My image is blocked: what do I do now?": Answer(
        "how-to/fix-a-blocked-image.md#fix-a-blocked-image", ("imagegate status", "Upgrade")
    ),
    "How do I let one CVE pass for some weeks?": Answer(
        "how-to/waive-a-finding.md#at-run-time", ("decide waive", "--expires")
    ),
    "Which rules are there, and what are their defaults?": Answer(
        "reference/policy.md#all-rules", ("`findings.max`", "critical 0, high 5")
    ),
    "What do release, attempt and held mean?": Answer(
        "glossary.md#glossary", ("**release**", "**attempt**", "**held**")
    ),
    "What happens to the images that I have already?": Answer(
        "how-to/adopt-existing-images.md#adopt-existing-images", ("--adopt",)
    ),
    "Which permissions does my pipeline need?": Answer(
        "how-to/judge-in-ci.md#ready-pipelines", ("IAM role", "examples/README.md")
    ),
    "Who may approve, and how?": Answer("how-to/approve.md#decide", ("decide approve", "power")),
    "It must run now although it is blocked: how?": Answer(
        "how-to/break-glass.md#break-the-glass", ("decide break-glass", "never signed")
    ),
    "A signed image turns out to be bad: what now?": Answer(
        "how-to/revoke.md#revoke-an-image", ("decide revoke", "cannot be undone")
    ),
    "How does an auditor verify an image without AWS?": Answer(
        "how-to/verify-offline.md#verify-offline", ("--bundle", "judges the image again")
    ),
    "What does exit code 3 mean?": Answer("reference/exit-codes.md#exit-codes", ("3 held",)),
    "Who could get past the gate, and what is left?": Answer(
        "explanation/threat-model.md#who-pushes-images", ("what stops it", "what is left")
    ),
}


def links(page: Path) -> Iterator[Path]:
    """Yield the pages that a page links to."""
    for target in re.findall(r"\]\(([^)#:\s]+\.md)(?:#[^)]*)?\)", page.read_text()):
        yield Path(os.path.normpath(page.parent / target))


def clicks() -> dict[Path, int]:
    """Count the clicks from the start page to every page, by links in the text alone."""
    reached = {START: 0}
    edge = [START]
    while edge:
        page = edge.pop(0)
        for target in links(page):
            if target not in reached:
                reached[target] = reached[page] + 1
                edge.append(target)
    return reached


def slug(heading: str) -> str:
    """Return the anchor of a heading, as Python-Markdown makes it."""
    text = re.sub(r"[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", text)


def sections(page: Path) -> dict[str, str]:
    """Return the text under each heading, with the parts below it, by anchor."""
    text = re.sub(
        r"^```.*?^```$", lambda block: block[0].replace("#", "§"), page.read_text(), flags=re.M | re.S
    )
    headings = list(re.finditer(r"^(#+) (.+)$", text, re.MULTILINE))
    found: dict[str, str] = {}
    for place, heading in enumerate(headings):
        later = (other.start() for other in headings[place + 1 :] if len(other[1]) <= len(heading[1]))
        anchor, number = slug(heading[2]), 0
        while anchor in found:  # the second of two equal headings
            number += 1
            anchor = f"{slug(heading[2])}_{number}"
        found[anchor] = text[heading.start() : next(later, len(text))]
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_within_two_clicks(question: str) -> None:
    name, _, anchor = QUESTIONS[question].anchor.partition("#")
    assert clicks().get(DOCS / name, CLICKS + 1) <= CLICKS
    parts = sections(DOCS / name)
    assert anchor in parts
    assert [words for words in QUESTIONS[question].words if words not in parts[anchor]] == []


def test_there_are_twenty_questions() -> None:
    assert len(QUESTIONS) == 20


def test_every_page_is_reached_by_links_and_is_in_the_navigation() -> None:
    pages = {page for page in DOCS.rglob("*.md") if not re.match(r"\d{4}-", page.name)}
    assert pages - set(clicks()) == set()
    navigation = set(re.findall(r"[\w/-]+\.md", yaml.dump(navigation_of_the_site())))
    assert {str(page.relative_to(DOCS)) for page in pages} == navigation


def navigation_of_the_site() -> list[object]:
    """Return the part `nav` of the site's settings."""
    settings: dict[str, list[object]] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    return settings["nav"]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """`make reference` writes it anew."""
    assert (DOCS / name).read_text() == PAGES[name]()


def test_the_readme_leads_to_pages_that_exist() -> None:
    page = ROOT / "README.md"
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#([^)]*))?\)", page.read_text())
    assert targets
    assert [target for target, _ in targets if not (ROOT / target).exists()] == []
    anchors = [(ROOT / target, anchor) for target, anchor in targets if anchor and target.endswith(".md")]
    assert [(path, anchor) for path, anchor in anchors if anchor not in sections(path)] == []


def test_pictures_are_small() -> None:
    pictures = [file for file in (DOCS / "images").iterdir() if file.is_file()]
    assert pictures
    assert [file.name for file in pictures if file.stat().st_size > 150_000] == []


EVENT = re.compile(r'"((?:[A-Z][a-z]+ )+[A-Z][a-z]+)"$')


def test_the_page_about_events_names_each_of_them() -> None:
    page = (DOCS / "reference/events.md").read_text()
    sources = sorted((ROOT / "layers/core/imagegate/notices").glob("*.py"))
    lines = [line.rstrip(",") for source in sources for line in source.read_text().splitlines()]
    named = {found[1] for line in lines if (found := EVENT.search(line))}
    assert len(named) > 12
    assert {event for event in named if f"`{event}`" not in page} == set()


def commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every command of the command line by its words, without the groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        else:
            yield " ".join((*names, name))


def test_the_table_of_exit_codes_has_every_command() -> None:
    table = (DOCS / "reference/exit-codes.md").read_text()
    assert [command for command in commands(cli) if f"`{command}" not in table] == []


def test_the_glossary_defines_each_word_once() -> None:
    words = re.findall(r"^\*\*(.+)\*\*$", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert len(words) > 20
    assert sorted(words) == sorted(set(words))


# A statement that begins so is a riddle; headings and questions are none.
RIDDLE = re.compile(r"(?:^|(?<=[.!] )|(?<=\n\n)|(?<=\n- ))(?:What|Whoever|Whatever|Of)\b[^.?!|:]*\.")
BY_HAND = [
    page
    for page in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
    if str(page.relative_to(ROOT))[5:] not in PAGES
]


def prose(page: Path) -> str:
    """Return the text of a page without its code and its headings."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "`x`", text)


@pytest.mark.parametrize("page", BY_HAND, ids=lambda page: page.stem)
def test_a_page_reads_well(page: Path) -> None:
    text = prose(page)
    assert [found[0] for found in STUMBLES.finditer(text)] == []
    assert RIDDLE.findall(text) == []
