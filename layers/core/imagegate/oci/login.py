"""The login to a registry, renewed before it expires, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagegate.clock import Clock

# A token that expires during a long upload cannot be exchanged half-way.
_TOKEN_MARGIN = timedelta(minutes=15)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Login:
    """The address of a registry, with credentials: Basic (base64 of `user:password`), or Bearer (a token).

    `authorization`: "" for none. `margin`: the login is renewed so long before it expires.
    """

    endpoint: str
    authorization: str = field(default="", repr=False)
    expires_at: datetime = _NEVER
    scheme: str = "Basic"
    margin: timedelta = _TOKEN_MARGIN

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"{self.scheme} {self.authorization}"} if self.authorization else {}


class LoginKeeper:
    """The current login to one registry, shared by all threads."""

    def __init__(self, log_in: Callable[[], Login], clock: Clock) -> None:
        self._log_in = log_in
        self._clock = clock
        self._login: Login | None = None
        self._lock = threading.Lock()

    def current(self) -> Login:
        """Return the login. Log in first if there is none, or if it expires soon."""
        with self._lock:
            login = self._login
            if login is None or self._clock() + login.margin >= login.expires_at:
                login = self._login = self._log_in()
            return login

    def forget(self, login: Login) -> None:
        """Discard a login that was refused, unless another thread has renewed it already."""
        with self._lock:
            if self._login is login:
                self._login = None
