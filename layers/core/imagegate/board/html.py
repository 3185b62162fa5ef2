"""The board as a page: one file without scripts or outside resources, with every value escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagegate.board import release_facts
from imagegate.board.status import ImageState
from imagegate.findings.finding import Severity
from imagegate.grants.approval import name_of
from imagegate.html_page import PAGE_STYLE, page_style, page_template, security_policy, source_hash
from imagegate.policy.approval_terms import MAIL

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from imagegate.board.board import Board
    from imagegate.release.release import Release

_STEPS_SHOWN = 12
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_IMAGES_SHOWN = 8
# Of more applications, only the sections that the reader has opened are printed: each has a page.
_PRINTED_WHOLE = 30
_BAD = (ImageState.AT_RISK, ImageState.REVOKED)
_STOPPED = (ImageState.BLOCKED, ImageState.FAILED, ImageState.CONFLICT)
_ON_THE_WAY = (ImageState.RUNNING, ImageState.SOAKING)
_TONES = {
    **dict.fromkeys((*_BAD, *_STOPPED, ImageState.REJECTED), "bad"),
    **dict.fromkeys(
        (ImageState.WAITING, ImageState.EXPIRED, ImageState.OBSERVED, ImageState.BROKEN_GLASS), "waits"
    ),
    ImageState.RELEASED: "good",
}
_SEVERITY_TONES = {Severity.CRITICAL: "bad", Severity.HIGH: "bad", Severity.MEDIUM: "waits"}


def board_page(board: Board) -> str:
    """Return the board as a page."""
    last = board.last_stages
    in_last = board.count(*_BAD, stages=last)
    return _template().render(
        board=board,
        in_last=in_last,
        last_stages=", ".join(name for name in board.stages if name in last) or "the last stage",
        elsewhere=board.count(*_BAD) - in_last,
        waiting=board.count(ImageState.WAITING),
        stopped=board.count(*_STOPPED),
        on_the_way=board.count(*_ON_THE_WAY),
        released=board.count(ImageState.RELEASED),
        states=list(ImageState),
        shown=_STEPS_SHOWN,
        images_shown=_IMAGES_SHOWN,
        printed_whole=_PRINTED_WHOLE,
        style=_style(),
        security_policy=security_policy({"style-src": source_hash(_style()), "form-action": "'none'"}),
    )


def _tag_of(release: Release) -> str:
    tags = sorted(release.tags)
    return tags[0] if tags else release.image.digest.short


@cache
def _style() -> Markup:
    return page_style(PAGE_STYLE)


@cache
def _template() -> Template:
    filters: dict[str, Callable[..., Any]] = {
        "tone": lambda state: _TONES.get(state, "calm"),
        "severity_tone": lambda severity: _SEVERITY_TONES.get(severity, "calm"),
        "tag": _tag_of,
        "is_cve": lambda name: _CVE.fullmatch(name) is not None,
        "person": name_of,
        "address": lambda by: by.removeprefix(MAIL),
        "name": release_facts.name,
        "why": release_facts.why,
    }
    return page_template(Path(__file__).parent / "board.html", filters)
