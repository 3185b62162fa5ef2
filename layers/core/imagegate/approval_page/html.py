"""The approval page as HTML: one file without scripts or outside resources, with every value escaped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagegate.approval_page.image_difference import NAMED, PartChange
from imagegate.approval_page.view import ApprovalView, Tone
from imagegate.grants.approval import Choice
from imagegate.html_page import page_style, page_template, security_policy, source_hash
from imagegate.policy.approval_terms import MAIL

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

_HERE = Path(__file__).parent
_REASONS_SHOWN = 20
_UNITS = ("B", "kB", "MB", "GB")


@dataclass(frozen=True, slots=True)
class Notice:
    """A page with one message, and what to do next."""

    title: str
    message: str
    then: str = ""
    tone: Tone = Tone.BAD
    command: str = ""


def page(view: ApprovalView, token: str) -> str:
    verb = str(view.choice).capitalize() if view.choice else "Approval:"
    return _template().render(
        view=view,
        token=token,
        title=f"{verb} {view.name} for {view.link.stage}",
        needs_reason=view.request is not None and view.request.terms.needs_reason,
        named=NAMED,
        shown=_REASONS_SHOWN,
        style=_style(),
    )


def notice_page(content: Notice) -> str:
    return _template().render(
        view=None,
        title=content.title,
        message=content.message,
        then=content.then,
        tone=content.tone,
        command=content.command,
        style=_style(),
    )


def content_security_policy() -> str:
    """Return a policy that allows only our style, and a form that posts to this page."""
    return security_policy(
        {
            "style-src": source_hash(_style()),
            "form-action": "'self'",
            "frame-ancestors": "'none'",
        }
    )


@cache
def _style() -> Markup:
    return page_style(_HERE / "approval_page.css")


@cache
def _template() -> Template:
    filters: dict[str, Callable[..., Any]] = {
        "size": _size,
        "growth": _growth,
        "address": lambda by: by.removeprefix(MAIL),
    }
    return page_template(_HERE / "approval_page.html", filters)


def _size(size: int | None) -> str:
    """Return a size in decimal units, as registries show it."""
    if size is None:
        return "not known"
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if unit < 2 else f"{number:.1f} {_UNITS[unit]}"


def _growth(part: PartChange) -> str:
    before, after = (one.size if one else None for one in (part.before, part.after))
    if before is None or after is None or before == after:
        return ""
    return f" ({'+' if after > before else '−'}{_size(abs(after - before))})"


def confirmed(choice: Choice, stage: str, response: dict[str, Any], image: str) -> Notice:
    """Return the page after a decision, by the response of `decide`."""
    done = "Approved" if choice is Choice.APPROVE else "Rejected"
    now = {
        "waiting": "More approvals are needed.",
        "approved": f"It goes to {stage}.",
        "rejected": f"It does not go to {stage}.",
    }.get(str(response.get("standing")), "")
    message = f"You have {done.lower()} {image} for {stage}."
    then = f"{now} Recorded as {str(response.get('by', '')).removeprefix(MAIL)}.".strip()
    return Notice(done, message, then, Tone.GOOD if choice is Choice.APPROVE else Tone.BAD)
