"""A record of the policy statements that let a request through or refused it: a statement that no test uses may be
needless.

Writes to the file that `IMAGEGATE_USED_STATEMENTS` names, one line per statement: its owner and its Sid. The owner of a
role's policy is the role; the owner of a resource's policy is the service. Several sandboxes may write to one file.
`tools/least_privilege.py` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sandbox.aws.iam.policies import Statement

VARIABLE = "IMAGEGATE_USED_STATEMENTS"
_noted: set[str] = set()


def record_use(owner: str, statements: Iterable[Statement]) -> None:
    """Record a statement; `owner` is an ARN. Only roles and resources have statements of a template."""
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
        ) as file:  # one short write is atomic beside those of other processes
            file.write("".join(sorted(lines)))
