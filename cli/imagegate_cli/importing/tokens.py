"""Gets a token to pull one repository, from the token server of its registry (distribution, "Token Authentication").

Rules: the requested scope is pulling alone, whatever the registry proposes. Credentials go only to the realm that the
registry itself names, over TLS (a registry on loopback may name one on loopback), never to a place to which that realm
redirects, and never deeper into a network than the registry is. A connection keeps its token until shortly before its
end or a refusal, then it gets a new one here.
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
_TOKEN = re.compile(r"[\x21-\x7e]+")  # the characters that a header may have
# Refusals are explained here. The connection itself repeats a request after 408 and 429.
_REFUSALS = frozenset(range(400, 500)) - {408, 429}
_DEFAULT_SECONDS = 60  # "Token Response Fields": if expires_in is missing
_MOST_SECONDS = 24 * 3600
_LONGEST_ANSWER, _LONGEST_CHALLENGE = 64 * 1024, 4096
_MARGIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """Logs in as the registry at `endpoint` requires: with a token, with Basic credentials, or with none.

    `credentials` is base64 of `user:password`, or "". `name` is the registry's name in messages.
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
        """Log in. Raises `AccessRefusedError` if the token server refuses, or cannot be trusted with a password."""
        challenge = self._challenge()
        if challenge is None:
            return Login(self.endpoint, self.credentials)
        token, seconds = self._token(self._checked_realm(challenge), challenge.get("service", ""))
        ends = self.clock() + timedelta(seconds=seconds)
        return Login(self.endpoint, token, ends, scheme="Bearer", margin=_MARGIN)

    def _challenge(self) -> Mapping[str, str] | None:
        """Return the parameters of the registry's challenge, or None if it requires no token."""
        path = f"/v2/{self.repository}/manifests/{self.reference}"
        stranger = self.connect(lambda: Login(self.endpoint), guard=self.guard)
        answer = stranger.call("HEAD", path, self.name, accept=_REFUSALS)
        match = _BEARER.search(answer.headers.get("WWW-Authenticate", "")[:_LONGEST_CHALLENGE])
        if answer.status != 401 or not match or origin_of(answer.url) != origin_of(self.endpoint):
            return None
        # Another challenge may follow in the same header: the first value of each name counts.
        return dict(reversed(_PARAMETER.findall(match[1])))

    def _checked_realm(self, challenge: Mapping[str, str]) -> str:
        realm = resolve_url(challenge.get("realm", ""), "", f"the token server of {self.name}")
        if not realm.startswith("https://") and not (
            realm.startswith("http://") and self.endpoint.startswith("http://")
        ):
            raise AccessRefusedError(
                f"{self.name} names the token server {realm!r}, which is not used without TLS"
            )
        return realm

    def _token(self, realm: str, service: str) -> tuple[str, float]:
        wanted = {"service": service} if service else {}
        query = urlencode(wanted | {"scope": f"repository:{self.repository}:pull"})
        server = self.connect(lambda: Login(urljoin(realm, "/"), self.credentials), guard=self.guard)
        server_name = f"the token server of {self.name}"
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        answer = server.call("GET", url, server_name, accept=_REFUSALS)
        if not answer.is_success:
            raise self._refusal(answer)
        return _read(answer, server_name)

    def _refusal(self, answer: RegistryResponse) -> AccessRefusedError:
        why = "refuses the credentials" if self.credentials else "lets nobody in without credentials"
        return AccessRefusedError(f"the token server of {self.name} {why} ({answer.status})")


def _read(answer: RegistryResponse, server_name: str) -> tuple[str, float]:
    """Return the token, and for how many seconds it is valid."""
    try:
        if len(answer.content) > _LONGEST_ANSWER:
            raise ValueError("no token is so long")
        document = json.loads(answer.content)
        token = document.get("token") or document.get("access_token")
        seconds = float(document.get("expires_in") or _DEFAULT_SECONDS)
        if _TOKEN.fullmatch(token) and seconds > 0:
            return token, min(seconds, _MOST_SECONDS)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        pass
    raise RegistryUnavailableError(f"{server_name} answered {answer.status}, and no token that can be used")
