"""The list of the generated pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import command_line, decisions, policy_file, reports, template

DOCS = Path(__file__).parents[2] / "docs"
PAGES: Mapping[str, Callable[[], str]] = {
    "adr/index.md": decisions.page,
    "reference/command-line.md": command_line.page,
    "reference/policy-file.md": policy_file.page,
    "reference/scanner-reports.md": reports.page,
    "reference/template.md": template.page,
}


def write() -> list[Path]:
    """Write every generated page and return their paths."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
    return [DOCS / name for name in PAGES]
