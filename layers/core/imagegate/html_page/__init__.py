"""Pages as one file of HTML without outside resources: templates that escape every value, styles and their policy."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from imagegate.canonical_json import timestamp
from imagegate.text import printable

_HERE = Path(__file__).parent
# The style of pages with tables and tiles.
PAGE_STYLE = _HERE / "page.css"


def page_template(path: Path, filters: Mapping[str, Callable[..., Any]]) -> Template:
    """Return the template in a file. Each value becomes one printable line, and is escaped.

    It may import `frame.html`: the head that all pages have, and how times are written.
    """
    environment = Environment(
        loader=FileSystemLoader([path.parent, _HERE]),
        autoescape=True,
        finalize=_print,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"minute": minute, "timestamp": timestamp, **filters}
    return environment.get_template(path.name)


def page_style(*paths: Path) -> Markup:
    """Return our own style sheets as one, which is not escaped."""
    return Markup("\n".join(path.read_text(encoding="utf-8").strip() for path in paths))  # noqa: S704


def security_policy(directives: Mapping[str, str]) -> str:
    """Return a Content Security Policy that allows nothing else than the directives say (W3C, CSP Level 3)."""
    return "; ".join(
        f"{name} {value}"
        for name, value in {"default-src": "'none'", **directives, "base-uri": "'none'"}.items()
    )


def source_hash(content: str) -> str:
    """Return the source of an inline style or script for a policy: `'sha256-…'`."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def minute(at: datetime) -> str:
    """Return `2026-11-21 08:00 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _print(value: object) -> object:
    """Return a value of the page as one printable line, which is escaped afterwards. Our own markup stays."""
    return value if isinstance(value, Markup) else printable(str(value))
