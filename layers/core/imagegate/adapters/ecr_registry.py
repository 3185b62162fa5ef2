"""What only ECR's own registry offers: its login, and one question about a hundred layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from imagegate.adapters.aws import client, translated
from imagegate.adapters.registry_connection import Login
from imagegate.domain.errors import AccessRefusedError, ImageNotFoundError
from imagegate.domain.image import Digest

_LAYERS_A_CALL = 100  # Amazon ECR API reference, BatchCheckLayerAvailability.layerDigests


class LayerState(StrEnum):
    """Amazon ECR API reference, Layer.layerAvailability."""

    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"
    ARCHIVED = "ARCHIVED"


def ecr_login() -> Login:
    """Ask ECR (GetAuthorizationToken); the answer is good for 12 hours."""
    with translated({"AccessDeniedException": AccessRefusedError}, "a token for the registry"):
        granted = client("ecr").get_authorization_token()["authorizationData"][0]
    return Login(granted["proxyEndpoint"], granted["authorizationToken"], granted["expiresAt"])


def ecr_layers(repository: str, digests: Sequence[Digest]) -> Mapping[Digest, LayerState]:
    """Ask ECR (BatchCheckLayerAvailability). What it does not know (any more) is `UNAVAILABLE`."""
    found = dict.fromkeys(digests, LayerState.UNAVAILABLE)
    refused = {"AccessDeniedException": AccessRefusedError, "RepositoryNotFoundException": ImageNotFoundError}
    for start in range(0, len(digests), _LAYERS_A_CALL):
        some = [str(digest) for digest in digests[start : start + _LAYERS_A_CALL]]
        with translated(refused, f"the layers of {repository}"):
            answer = client("ecr").batch_check_layer_availability(
                repositoryName=repository, layerDigests=some
            )
        for layer in answer.get("layers", ()):
            found[Digest.parse(layer["layerDigest"])] = LayerState(layer["layerAvailability"])
    return found
