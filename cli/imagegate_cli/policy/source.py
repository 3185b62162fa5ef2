"""Policy files from a path, or from the deployed stack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from imagegate.policy.waiver import Waiver
from imagegate_cli.faults import CannotTellError
from imagegate_cli.scanners.document import read_standard_input

if TYPE_CHECKING:
    from imagegate.policy.file.load import LoadedPolicy
    from imagegate_cli.stack import Stack

# One byte more than the parser accepts. It ends the read of an endless file such as /dev/zero.
_MOST = (1 << 20) + 1
_STDIN = "-"


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file that was parsed, its name in messages, and the waivers that were granted beside it."""

    name: str
    examined: LoadedPolicy
    grants: tuple[Waiver, ...] = ()


def content_of(path: Path) -> bytes:
    """Return the content of the file, or of standard input for `-`. Raises `CannotTellError` if it cannot be read."""
    if str(path) == _STDIN:
        return read_standard_input(_MOST)
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as error:
        raise CannotTellError(f"{path}: {error.strerror or error}") from error


def examined_file(path: Path, today: date, prefix: str = "") -> PolicyFile:
    """Parse the file as one that is deployed today. `prefix` is that of every repository."""
    from imagegate.policy.file.load import load_policy

    name = "standard input" if str(path) == _STDIN else str(path)
    return PolicyFile(name, load_policy(content_of(path), prefix=prefix, today=today))


def deployed_policy(stack: Stack) -> PolicyFile:
    """Return the policy of the stack as it was accepted, with the waivers that were granted beside it."""
    from imagegate.policy.file.load import load_policy

    return PolicyFile(f"stack {stack.name}", load_policy(stack.policy_content), tuple(stack.grants.waivers()))
