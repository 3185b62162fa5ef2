"""ECR's preview of a lifecycle policy: started, waited for, and read page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.errors import ImageGateError, ImageNotFoundError, ServiceUnavailableError
from imagegate.lifecycle.preview import PreviewedEffect
from imagegate.lifecycle.rules import LifecycleAction
from imagegate.oci.image import Digest

_PAUSE, _LOOKS = 2.0, 90  # seconds; a preview of a large repository takes a minute or two
# Registries that answer like ECR and have no previews.
_MISSING = frozenset({"UnknownOperationException", "InvalidAction"})
_ERRORS: Mapping[str, type[ImageGateError]] = {
    "RepositoryNotFoundException": ImageNotFoundError,
    "LifecyclePolicyPreviewInProgressException": ServiceUnavailableError,  # one preview at a time
}


def preview_lifecycle(
    repository: str, policy: str, sleep: Callable[[float], None]
) -> dict[Digest, PreviewedEffect] | None:
    """Return what ECR says that it would do, or None if the registry has no previews.

    Raises `ServiceUnavailableError` if the preview fails, takes longer than three minutes, or if another one runs.
    """
    ecr = client("ecr")
    try:
        with translated(_ERRORS, subject=repository):
            ecr.start_lifecycle_policy_preview(repositoryName=repository, lifecyclePolicyText=policy)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise
    for _ in range(_LOOKS):
        page = ecr.get_lifecycle_policy_preview(repositoryName=repository, maxResults=100)
        if page["status"] == "COMPLETE":
            return _read(ecr, repository, page)
        if page["status"] != "IN_PROGRESS":
            raise ServiceUnavailableError(
                f"{repository}: ECR's preview of the policy ended as {page['status']}"
            )
        sleep(_PAUSE)
    raise ServiceUnavailableError(
        f"{repository}: ECR's preview of the policy is not over after three minutes"
    )


def _read(ecr: Any, repository: str, page: Any) -> dict[Digest, PreviewedEffect]:
    effects: dict[Digest, PreviewedEffect] = {}
    while True:
        for result in page.get("previewResults", ()):
            action = LifecycleAction(result["action"]["type"].lower())
            digest = Digest.parse(result["imageDigest"])
            effects[digest] = PreviewedEffect(action, result.get("appliedRulePriority"))
        if not page.get("nextToken"):
            return effects
        page = ecr.get_lifecycle_policy_preview(
            repositoryName=repository, maxResults=100, nextToken=page["nextToken"]
        )
