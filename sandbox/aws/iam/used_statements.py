"""Notes which statement of which policy let a request through, or refused it: what no test uses, nobody may need.

Writes to the file that `IMAGEGATE_USED_STATEMENTS` names, one line per statement: its owner and its Sid. The owner of a
role's policy is the role; that of a resource's policy the service. Several sandboxes may write to one file.
`tools/least_privilege.py` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sandbox.aws.iam.policies import Statement

VARIABLE = "IMAGEGATE_USED_STATEMENTS"
_noted: set[str] = set()


def note(owner: str, statements: Iterable[Statement]) -> None:
    """`owner`: an ARN; only roles and resources have statements of a template."""
    path = os.environ.get(VARIABLE)
    service, name = owner.split(":", 5)[2::3] if path and owner != "*" else ("", "")
    if not path or not service or (service == "iam" and not name.startswith("role/")):
        return
    by = name.rpartition("/")[2] if service == "iam" else service
    lines = {f"{by} {statement['Sid']}\n" for statement in statements if "Sid" in statement} - _noted
    if lines:
        _noted.update(lines)
        with Path(path).open(
            "a", encoding="utf-8"
        ) as file:  # one short write: whole, also beside those of others
            file.write("".join(sorted(lines)))
