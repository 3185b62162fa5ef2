"""The approval page as HTML: one file without scripts, nothing fetched from anywhere, and all that it shows escaped."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from imagegate.approval_page.image_difference import NAMED, PartChange
from imagegate.approval_page.view import ApprovalView, Tone
from imagegate.canonical_json import timestamp
from imagegate.grants.approval import Choice
from imagegate.policy.approval_terms import MAIL
from imagegate.text import printable

_HERE = Path(__file__).parent
_REASONS_SHOWN = 20
_UNITS = ("B", "kB", "MB", "GB")


@dataclass(frozen=True, slots=True)
class Notice:
    """A page that says one thing, and what to do next."""

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


def notice(told: Notice) -> str:
    return _template().render(
        view=None,
        title=told.title,
        message=told.message,
        then=told.then,
        tone=told.tone,
        command=told.command,
        style=_style(),
    )


def content_security_policy() -> str:
    """Nothing but the one style, and a form that goes back where it came from (W3C, CSP Level 3)."""
    style = b64encode(sha256(_style().encode()).digest()).decode()
    parts = {
        "default-src": "'none'",
        "style-src": f"'sha256-{style}'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


@cache
def _style() -> Markup:
    """Ours, and no input: it is not escaped."""
    return Markup((_HERE / "approval_page.css").read_text(encoding="utf-8").strip())  # noqa: S704


@cache
def _template() -> Template:
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "timestamp": timestamp,
        "minute": _minute,
        "size": _size,
        "growth": _growth,
        "address": lambda by: by.removeprefix(MAIL),
    }
    return made.get_template("approval_page.html")


def _shown(value: object) -> object:
    """Every value that the page shows, as one printable line; it is escaped afterwards. Markup is ours."""
    return value if isinstance(value, Markup) else printable(str(value))


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _size(size: int | None) -> str:
    """Decimal units, as registries show them."""
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


def confirmed(choice: Choice, stage: str, told: dict[str, Any], image: str) -> Notice:
    """What `decide` has answered to a confirmed link."""
    done = "Approved" if choice is Choice.APPROVE else "Rejected"
    now = {
        "waiting": "More approvals are needed before it is let in.",
        "approved": f"It is let into {stage}.",
        "rejected": f"It stays out of {stage}.",
    }.get(str(told.get("standing")), "")
    message = f"You have {done.lower()} {image} for {stage}."
    then = f"{now} Recorded as {str(told.get('by', '')).removeprefix(MAIL)}.".strip()
    return Notice(done, message, then, Tone.GOOD if choice is Choice.APPROVE else Tone.BAD)
