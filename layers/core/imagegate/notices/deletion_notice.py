"""The message to people and deployers that a released image was deleted from its repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imagegate.notices.message import Message, image_name
from imagegate.policy.rules import Attention

if TYPE_CHECKING:
    from imagegate.policy.policy import Stage
    from imagegate.release.release import Release

IMAGE_DELETED = "Image Deleted"
_TAGS_SHOWN = 20


def notice(release: Release) -> str:
    """Return the name under which the ledger notes the message. With the attempt: a second deletion is news."""
    return f"{release.image} deleted after attempt {release.attempt}"


def image_deleted(release: Release, stage: Stage, before: Sequence[str], *, is_current: bool) -> Message:
    """Compose the message about `release`, whose image nobody can pull any more.

    `before`: the repositories from which images are promoted there. `is_current`: the image is the last one that was
    announced to deployers, and its stage is the last one.
    """
    image, name = release.image, image_name(release)
    what = f"the current image of {stage.name}" if is_current else f"it had been released in {stage.name}"
    detail: dict[str, Any] = {
        "schema": 1,
        "id": f"{release.key}-deleted",
        "repository": image.repository,
        "digest": str(image.digest),
        "tags": sorted(release.tags)[:_TAGS_SHOWN],
        "stage": release.stage,
        "attempt": release.attempt,
        "current": is_current,
        "decision": str(release.decision) if release.decision else None,
    }
    return Message(
        subject=f"DELETED: {name} is gone, {what}",
        lines=_lines(release, stage, before, is_current=is_current),
        detail_type=IMAGE_DELETED,
        detail=detail,
        attributes={
            "stage": release.stage,
            "repository": image.repository,
            "alert": str(Attention.ALERT if is_current else Attention.LOG),
        },
    )


def _lines(release: Release, stage: Stage, before: Sequence[str], *, is_current: bool) -> list[str]:
    image = release.image
    head = [f"{image} was deleted from its repository, by a person, a program or a lifecycle policy."]
    if not is_current:
        head += [
            "Tasks that run it cannot be started again. Its decision and signature are kept in the records."
        ]
        return [*head, "", f"More: imagegate status {image}"]
    app = stage.repositories.app_of(image.repository) or image.repository
    again = [f"  imagegate release {name}@{image.digest}" for name in before]
    return [
        *head,
        f"It is the image that deployers use in {stage.name}: no task can be started from it any more.",
        "",
        "Release it again from the stage before, if it still exists there, or go back to the release before:",
        *again,
        f"  imagegate rollback {app} {stage.name} --reason ...",
        "",
        "Then check who may delete images there, and the repository's lifecycle policy.",
        f"More: imagegate status {image}",
    ]
