"""Calls that only registries of ECR offer: the login, and the state of a hundred layers at once.

They go to the stack's own registry, or to one in another account or Region by assuming a role there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.aws.clients import client, client_with, translated
from imagegate.clock import Clock, utc_now
from imagegate.errors import AccessRefusedError
from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import Digest
from imagegate.oci.login import Login

if TYPE_CHECKING:
    from imagegate.policy.policy import RemoteRegistry

_LAYERS_A_CALL = 100  # Amazon ECR API reference, BatchCheckLayerAvailability.layerDigests
_SESSION = "imagegate-promotion"
_MARGIN = timedelta(minutes=15)


class LayerState(StrEnum):
    """Amazon ECR API reference, Layer.layerAvailability."""

    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"
    ARCHIVED = "ARCHIVED"


def ecr_login() -> Login:
    """Log in to ECR (GetAuthorizationToken). The login is valid for 12 hours."""
    return _login(client("ecr"))


def ecr_layers(repository: str, digests: Sequence[Digest]) -> Mapping[Digest, LayerState]:
    """Return the state of layers (BatchCheckLayerAvailability); `UNAVAILABLE` for those that ECR does not know."""
    return _layers(client("ecr"), repository, digests)


def own_registry() -> HttpRegistry:
    """Return the account's own registry in this Region."""
    return HttpRegistry(ecr_login, layers=ecr_layers)


class RemoteEcr:
    """ECR in another account or Region, by a role there. Credentials and login expire after an hour."""

    def __init__(self, registry: RemoteRegistry, clock: Clock = utc_now) -> None:
        self._registry = registry
        self._clock = clock
        self._ends = datetime.min.replace(tzinfo=UTC)
        self._client: Any = None

    def log_in(self) -> Login:
        login = _login(self._current())
        host = login.endpoint.removeprefix("https://")
        if host != self._registry.registry:
            raise AccessRefusedError(
                f"{self._registry.role} leads to {host}, not to {self._registry.registry}"
            )
        return Login(login.endpoint, login.authorization, min(login.expires_at, self._ends))

    def layers(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, LayerState]:
        return _layers(self._current(), repository, digests)

    def _current(self) -> Any:
        if self._clock() + _MARGIN >= self._ends:
            refused = {"AccessDenied": AccessRefusedError, "AccessDeniedException": AccessRefusedError}
            with translated(refused, self._registry.role):
                session = client("sts").assume_role(RoleArn=self._registry.role, RoleSessionName=_SESSION)
            self._ends = session["Credentials"]["Expiration"]
            region = self._registry.registry.split(".")[3]
            self._client = client_with("ecr", session["Credentials"], region)
        return self._client


def _login(ecr: Any) -> Login:
    with translated({"AccessDeniedException": AccessRefusedError}, "a token for the registry"):
        token = ecr.get_authorization_token()["authorizationData"][0]
    return Login(token["proxyEndpoint"], token["authorizationToken"], token["expiresAt"])


def _layers(ecr: Any, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, LayerState]:
    states = dict.fromkeys(digests, LayerState.UNAVAILABLE)
    for start in range(0, len(digests), _LAYERS_A_CALL):
        batch = [str(digest) for digest in digests[start : start + _LAYERS_A_CALL]]
        with translated({"AccessDeniedException": AccessRefusedError}, f"the layers of {repository}"):
            try:
                response = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=batch)
            except ecr.exceptions.RepositoryNotFoundException:
                return states  # a push may create the repository, or fails because it is missing
        for layer in response.get("layers", ()):
            states[Digest.parse(layer["layerDigest"])] = LayerState(layer["layerAvailability"])
    return states
