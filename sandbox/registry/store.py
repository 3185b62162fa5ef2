"""The state that ECR's JSON API and the registry share: blobs, tokens, and one lock over the index."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.ecr.models import ecr_backends

from sandbox.registry.blobs import Blobs
from sandbox.registry.manifests import StoredManifest
from sandbox.settings import Settings

TOKEN_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions of other services that the registry calls; they import the registry, so it does not import them."""

    emit: Callable[[str, str, dict[str, Any], list[str]], None]  # source, detail type, detail, resources
    is_allowed: Callable[[str, str, str], bool]  # access key id, action, ARN of the resource
    principal_arn: Callable[[str], str | None]  # access key id
    may_role: Callable[[str, str, str], bool]  # ARN of a role, action, ARN of the resource
    image_added: Callable[[Any, Any, StoredManifest, str], None]  # repository, image, manifest, access key id


@dataclass(slots=True)
class Store:
    """One sandbox's registry. moto's backend is the index of repositories, images and tags."""

    settings: Settings
    blobs: Blobs
    lock: threading.RLock = field(default_factory=threading.RLock)
    account_settings: dict[str, str] = field(default_factory=dict)
    hooks: Hooks | None = None
    managed_signing: Any = None
    cache_rules: dict[str, dict[str, Any]] = field(default_factory=dict)  # by prefix
    creation_templates: dict[str, dict[str, Any]] = field(default_factory=dict)  # by prefix
    calls: int = 0  # of the JSON API
    requests: int = 0  # to the registry
    fetches: int = 0  # of blobs
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def backend(self) -> Any:
        return ecr_backends[self.settings.account][self.settings.region]

    def issue_token(self, access_key_id: str) -> str:
        token = secrets.token_urlsafe(48)
        self._tokens[token] = (access_key_id, time.time() + TOKEN_SECONDS)
        return token

    def token_owner(self, token: str) -> str | None:
        """Return the access key id for which this token was issued, or None if it has expired."""
        owner, expires = self._tokens.get(token, ("", 0.0))
        return owner if expires > time.time() else None


_stores: list[Store] = []


def open_store(settings: Settings) -> Store:
    """Return the store of this sandbox; make a new one for a new sandbox."""
    if not _stores or _stores[-1].settings is not settings:
        _stores[:] = [Store(settings, Blobs(settings.state))]
    return _stores[-1]


def store() -> Store:
    return _stores[-1]


def hooks() -> Hooks:
    connected = store().hooks
    assert connected, "start() of the registry sets them"
    return connected
