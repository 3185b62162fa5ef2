"""The index of the decisions, from the pages in `docs/adr/`."""

from __future__ import annotations

import re
from pathlib import Path

from tools.reference.markdown import NOTE, table

FOLDER = Path(__file__).parents[2] / "docs/adr"
_INTRODUCTION = """\
# Decisions

Architecture decision records: each has its context, the decision, and its consequences. A later record may change an
earlier one, and then says so. Code and tests name them by number ("ADR 24").
"""


def page() -> str:
    """Return the page `docs/adr/index.md`."""
    rows = [_row(path) for path in sorted(FOLDER.glob("[0-9]*.md"))]
    return "\n".join([NOTE, "", _INTRODUCTION, *table(("number", "decision", "status"), rows)])


def _row(path: Path) -> list[str]:
    text = path.read_text()
    number, title = re.findall(r"^# (\d+)\. (.+)", text)[0]
    status = re.findall(r"^\*\*Status\*\*: (.+)", text, re.MULTILINE)[0]
    return [number, f"[{title}]({path.name})", status]
