"""What only ECR's registries offer: their login, and one question about a hundred layers.

The stack's own, or that of another account or Region, for which a role there is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from imagegate.aws.clients import client, client_with, translated
from imagegate.clock import Clock, utc_now
from imagegate.errors import AccessRefusedError
from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import Digest
from imagegate.oci.login import Login
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
    """Ask ECR (GetAuthorizationToken); the answer is good for 12 hours."""
    return _login(client("ecr"))


def ecr_layers(repository: str, digests: Sequence[Digest]) -> Mapping[Digest, LayerState]:
    """Ask ECR (BatchCheckLayerAvailability). What it does not know (any more) is `UNAVAILABLE`."""
    return _layers(client("ecr"), repository, digests)


def own_registry() -> HttpRegistry:
    """Return the account's own registry in this Region."""
    return HttpRegistry(ecr_login, layers=ecr_layers)


class EcrElsewhere:
    """ECR in another account or Region, by a role there. Its credentials end after an hour, and so does the login."""

    def __init__(self, where: RemoteRegistry, clock: Clock = utc_now) -> None:
        self._where = where
        self._clock = clock
        self._ends = datetime.min.replace(tzinfo=UTC)
        self._client: Any = None

    def log_in(self) -> Login:
        login = _login(self._current())
        host = login.endpoint.removeprefix("https://")
        if host != self._where.registry:
            raise AccessRefusedError(f"{self._where.role} leads to {host}, not to {self._where.registry}")
        return Login(login.endpoint, login.authorization, min(login.expires_at, self._ends))

    def layers(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, LayerState]:
        return _layers(self._current(), repository, digests)

    def _current(self) -> Any:
        if self._clock() + _MARGIN >= self._ends:
            refused = {"AccessDenied": AccessRefusedError, "AccessDeniedException": AccessRefusedError}
            with translated(refused, self._where.role):
                granted = client("sts").assume_role(RoleArn=self._where.role, RoleSessionName=_SESSION)
            self._ends = granted["Credentials"]["Expiration"]
            region = self._where.registry.split(".")[3]
            self._client = client_with("ecr", granted["Credentials"], region)
        return self._client


def _login(ecr: Any) -> Login:
    with translated({"AccessDeniedException": AccessRefusedError}, "a token for the registry"):
        granted = ecr.get_authorization_token()["authorizationData"][0]
    return Login(granted["proxyEndpoint"], granted["authorizationToken"], granted["expiresAt"])


def _layers(ecr: Any, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, LayerState]:
    found = dict.fromkeys(digests, LayerState.UNAVAILABLE)
    for start in range(0, len(digests), _LAYERS_A_CALL):
        some = [str(digest) for digest in digests[start : start + _LAYERS_A_CALL]]
        with translated({"AccessDeniedException": AccessRefusedError}, f"the layers of {repository}"):
            try:
                answer = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=some)
            except ecr.exceptions.RepositoryNotFoundException:
                return found  # a push may make it, or says that it is missing
        for layer in answer.get("layers", ()):
            found[Digest.parse(layer["layerDigest"])] = LayerState(layer["layerAvailability"])
    return found
