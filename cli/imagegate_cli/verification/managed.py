"""ECR's managed signing: ECR signs pushes by itself. Such a signature says who pushed, not that a gate passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from imagegate.oci.image import ImageRef


def managed_profiles(ecr: Any, image: ImageRef) -> frozenset[str]:
    """Return the ARNs, without version, that the registry's configuration and this image's status name.

    `ecr` is boto3's client. The result is empty if the caller may not read them.
    """
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
    """Return the ARNs, or nothing if AWS refuses: they only help to name a signature, verifying needs none."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return list(ask())
    except (BotoCoreError, ClientError):
        return []
