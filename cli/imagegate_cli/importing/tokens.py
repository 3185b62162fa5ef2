"""A token to pull one repository, from the token server that its registry names (distribution, "Token Authentication").

Rules: only pulling is asked for, whatever the registry proposes. Credentials go to the realm that the registry itself
named, over TLS (a registry on loopback may name one there), and to no other place that this one sends to; and that is
no deeper in a network than the registry is. A connection keeps its token until it is about to end or is refused, then
it asks here again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode, urljoin

from imagegate.clock import Clock, utc_now
from imagegate.errors import AccessRefusedError, RegistryUnavailableError
from imagegate.oci.http import Connection
from imagegate.oci.login import Login
from imagegate.oci.response import RegistryResponse, origin_of, resolve_url
from imagegate.oci.wire import Guard

_BEARER = re.compile(r"\bbearer\s+(.*)", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what fits into a header
# All refusals are explained here; what passes (408, 429) is asked again by the connection.
_REFUSALS = frozenset(range(400, 500)) - {408, 429}
_UNSAID_SECONDS = 60  # "Token Response Fields": for compatibility, where expires_in is missing
_MOST_SECONDS = 24 * 3600
_LONGEST_ANSWER, _LONGEST_CHALLENGE = 64 * 1024, 4096
_MARGIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """Logs in as the registry at `endpoint` wants it: with a token, with Basic credentials, or with none.

    `credentials`: base64 of `user:password`, or "". `name`: what the registry is called in messages.
    """

    endpoint: str
    repository: str
    reference: str  # a tag or a digest
    name: str
    credentials: str = field(default="", repr=False)
    clock: Clock = utc_now
    connect: Callable[..., Connection] = Connection
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "guard", Guard(self.endpoint))

    def __call__(self) -> Login:
        """Raise `AccessRefusedError` when the token server lets nobody in, or is not to be trusted with a password."""
        challenge = self._challenge()
        if challenge is None:
            return Login(self.endpoint, self.credentials)
        token, seconds = self._token(self._checked_realm(challenge), challenge.get("service", ""))
        ends = self.clock() + timedelta(seconds=seconds)
        return Login(self.endpoint, token, ends, scheme="Bearer", margin=_MARGIN)

    def _challenge(self) -> Mapping[str, str] | None:
        """What the registry answers to somebody whom it does not know; None: it wants no token."""
        path = f"/v2/{self.repository}/manifests/{self.reference}"
        stranger = self.connect(lambda: Login(self.endpoint), guard=self.guard)
        answer = stranger.call("HEAD", path, self.name, accept=_REFUSALS)
        found = _BEARER.search(answer.headers.get("WWW-Authenticate", "")[:_LONGEST_CHALLENGE])
        if answer.status != 401 or not found or origin_of(answer.url) != origin_of(self.endpoint):
            return None
        # Another challenge may follow in the same header: the first value of each name is ours.
        return dict(reversed(_PARAMETER.findall(found[1])))

    def _checked_realm(self, challenge: Mapping[str, str]) -> str:
        realm = resolve_url(challenge.get("realm", ""), "", f"the token server of {self.name}")
        if not realm.startswith("https://") and not (
            realm.startswith("http://") and self.endpoint.startswith("http://")
        ):
            raise AccessRefusedError(
                f"{self.name} names the token server {realm!r}: none is asked without TLS"
            )
        return realm

    def _token(self, realm: str, service: str) -> tuple[str, float]:
        wanted = {"service": service} if service else {}
        query = urlencode(wanted | {"scope": f"repository:{self.repository}:pull"})
        server = self.connect(lambda: Login(urljoin(realm, "/"), self.credentials), guard=self.guard)
        asked = f"the token server of {self.name}"
        answer = server.call("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", asked, accept=_REFUSALS)
        if not answer.is_success:
            raise self._refusal(answer)
        return _read(answer, asked)

    def _refusal(self, answer: RegistryResponse) -> AccessRefusedError:
        given = "refuses the credentials" if self.credentials else "lets nobody in without credentials"
        return AccessRefusedError(f"the token server of {self.name} {given} ({answer.status})")


def _read(answer: RegistryResponse, asked: str) -> tuple[str, float]:
    """The token, and for how many seconds it is good."""
    try:
        if len(answer.content) > _LONGEST_ANSWER:
            raise ValueError("no token is so long")
        told = json.loads(answer.content)
        token = told.get("token") or told.get("access_token")
        seconds = float(told.get("expires_in") or _UNSAID_SECONDS)
        if _TOKEN.fullmatch(token) and seconds > 0:
            return token, min(seconds, _MOST_SECONDS)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        pass
    raise RegistryUnavailableError(f"{asked} answered {answer.status}, and no token that can be used")
