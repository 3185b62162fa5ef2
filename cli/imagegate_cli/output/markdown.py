"""Escapes text from outside in Markdown (CommonMark and GitHub's extensions), so that it is shown as it is written.

It opens no link, no image, no HTML, no emphasis, no code, no table cell, no list and no heading, and mentions nobody.
"""

from __future__ import annotations

import re

from imagegate.text import one_line, printable

# CommonMark, "Backslash escapes": all characters with a meaning within a line. `&` begins an entity; `~` and `$` have
# a meaning on GitHub.
_WITHIN = re.compile(r"[\\`*_\[\]<>|#&~$]")
# Characters with a meaning only at the beginning of a line.
_AT_START = re.compile(r"(?P<before>\d{0,9})(?P<mark>[-+=]|(?<=\d)[.)])")
# GitHub makes links of these without any mark.
_BARE_LINK = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_RUN = re.compile("`+")


def text(value: str) -> str:
    """Escape text, also for the beginning of a line and for a table."""
    escaped = _BARE_LINK.sub(r"\\\g<0>", _WITHIN.sub(r"\\\g<0>", printable(value).strip()))
    if start := _AT_START.match(escaped):
        escaped = f"{start['before']}\\{start['mark']}{escaped[start.end() :]}"
    return escaped.replace("@", "@\u200b")  # the name of a package must not mention a person


def code(value: str) -> str:
    """Return a code span, for places outside of tables."""
    line = one_line(value)
    fence = "`" * (1 + max((len(run) for run in _RUN.findall(line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""
