"""The links of approval messages, and the tokens in them.

Rules: a link serves one purpose, one attempt and one stage until it expires; a link to decide by serves one person.
A token that is not written exactly as here is refused before its authentication code (MAC) is verified.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from imagegate.errors import ImageGateError, RejectedInputError
from imagegate.grants.approval import Choice
from imagegate.oci.image import ImageRef
from imagegate.policy.approval_terms import MAIL
from imagegate.release.release import ReleaseId

LONGEST_TOKEN = (
    1446  # characters of a token, as `_TOKEN` allows: long enough for every name that a policy may contain
)
# The MAC comes last: the last of 43 digits is one of those that no mail program takes for the end of a sentence.
_TOKEN = re.compile(r"1\.([A-Za-z0-9_-]{1,1400})\.([A-Za-z0-9_-]{43})")
_CONTEXT = b"imagegate approval link 1 "  # the key signs nothing that means anything elsewhere
_APPROVER = re.compile(rf"{MAIL}[^\s@<>\"]{{1,64}}@[^\s@<>\"]{{1,255}}")
_STAGE = re.compile(r"[^\s]{1,64}")
_MOST_ATTEMPTS = 99_999


class LinkRefusedError(RejectedInputError):
    """The link is not valid. The message says why, to the person who followed it."""


class LinkEndedError(LinkRefusedError):
    """The link has expired."""


class NotDecidedError(RejectedInputError):
    """`decide` accepts no decision by this link. The message says why."""


class Purpose(StrEnum):
    """The purpose of a link."""

    VIEW = "view"
    APPROVE = "approve"
    REJECT = "reject"

    @property
    def choice(self) -> Choice | None:
        return None if self is Purpose.VIEW else Choice(self.value)


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """The contents of a link. Raises `LinkRefusedError` for contents that no link can have."""

    purpose: Purpose
    release: ReleaseId
    stage: str  # the stage that the image enters
    expires: datetime  # whole seconds
    approver: str = ""  # `mailto:ann@example.com`; "" for a link that only shows

    def __post_init__(self) -> None:
        names_somebody = _APPROVER.fullmatch(self.approver) is not None
        is_right = names_somebody if self.purpose.choice else not self.approver
        in_bounds = 1 <= self.release.attempt <= _MOST_ATTEMPTS and self.expires.microsecond == 0
        if not (is_right and in_bounds and _STAGE.fullmatch(self.stage)):
            raise LinkRefusedError(f"no link can be about this: {self!r}")

    @property
    def signed(self) -> bytes:
        """The bytes that the MAC authenticates."""
        return _CONTEXT + self._payload.encode()

    def token(self, mac: bytes) -> str:
        """Return the token of the link. Raises `LinkRefusedError` if it would be too long to be read again."""
        token = f"1.{self._payload}.{_encoded(mac)}"
        if not _TOKEN.fullmatch(token):
            raise LinkRefusedError(f"the link is too long: {self!r}")
        return token

    @property
    def _payload(self) -> str:
        """The fields by position: none can be missing, given twice, or unknown."""
        image, ends = self.release.image, int(self.expires.timestamp())
        fields = [
            *(str(self.purpose), image.repository, str(image.digest), self.release.attempt),
            *(self.stage, self.approver, ends),
        ]
        return _encoded(json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())

    @classmethod
    def _of(cls, fields: Any) -> Self:
        purpose, repository, digest, attempt, stage, approver, ends = fields
        if not all(type(number) is int for number in (attempt, ends)):
            raise TypeError("a number that is none")
        return cls(
            Purpose(purpose),
            ReleaseId(ImageRef.of(repository, digest), attempt),
            stage,
            datetime.fromtimestamp(ends, UTC),
            approver,
        )


def parse_link(token: str, now: datetime) -> tuple[ApprovalLink, bytes]:
    """Return the link that a token claims to be, and the MAC that has to prove it. Raises `LinkRefusedError`."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise LinkRefusedError("this is no link of an approval; perhaps it was cut: copy all of it")
    try:
        link, mac = ApprovalLink._of(json.loads(_decoded(match[1]))), _decoded(match[2])
        is_ours = link.token(mac) == token  # there is one way to write it
    except (ValueError, TypeError, OverflowError, OSError, RecursionError, ImageGateError) as error:
        raise LinkRefusedError("this is no link of an approval: it says nothing that can be read") from error
    if not is_ours:
        raise LinkRefusedError("this is no link of an approval: nobody writes one like this")
    if now >= link.expires:
        raise LinkEndedError(f"this link ended on {link.expires:%Y-%m-%d %H:%M} UTC")
    return link, mac


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
