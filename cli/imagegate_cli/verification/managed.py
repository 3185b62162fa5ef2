"""ECR's managed signing: profiles with which ECR signs pushes by itself. What they sign says who pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from imagegate.oci.image import ImageRef


def managed_profiles(image: ImageRef) -> frozenset[str]:
    """ARNs without version, as the registry and its signing of this image name them. Who may not ask knows none."""
    from imagegate.aws.clients import client

    ecr: Any = client("ecr")
    return frozenset(
        [
            *_allowed(lambda: _configured(ecr.get_signing_configuration())),
            *_allowed(
                lambda: _signed_with(
                    ecr.describe_image_signing_status(
                        repositoryName=image.repository, imageId={"imageDigest": str(image.digest)}
                    )
                )
            ),
        ]
    )


def _configured(answer: dict[str, Any]) -> Iterator[str]:
    for rule in answer["signingConfiguration"]["rules"]:
        yield rule["signingProfileArn"]


def _signed_with(answer: dict[str, Any]) -> Iterator[str]:
    for status in answer.get("signingStatuses", []):
        yield status["signingProfileArn"]


def _allowed(ask: Callable[[], Iterator[str]]) -> list[str]:
    """Only names come of it: whoever may not ask, or where nothing is configured, verifies all the same."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return list(ask())
    except (BotoCoreError, ClientError):
        return []
