"""Finds the attempt that a reference names, or says what to do if there is none."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import islice

from imagegate.errors import ImageGateError
from imagegate.oci.image import ImageRef
from imagegate.release.release import Release, ReleaseId
from imagegate_cli.faults import NotFoundError
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.stack import Stack


def image_of(stack: Stack, reference: RepositoryReference) -> ImageRef | None:
    """Return the image that the reference names now, or None if it has no such tag or names a repository."""
    if reference.image or reference.tag is None:
        return reference.image
    digest = stack.images.digest_of(reference.repository, reference.tag)
    return ImageRef(reference.repository, digest) if digest else None


def newest(stack: Stack, reference: RepositoryReference) -> Release | None:
    """Return the newest attempt of the image or of the repository, or None if there is none."""
    if not reference.names_an_image:
        return next(iter(of_repository(stack, reference.repository, 1)), None)
    image = image_of(stack, reference)
    return stack.ledger.latest(image) if image else None


def begun(stack: Stack, reference: RepositoryReference) -> Release | None:
    """Return the newest attempt that is about the tag, or None right after a push that adds a tag to an image."""
    release = newest(stack, reference)
    is_of_tag = reference.tag is None or reference.digest or (release and reference.tag in release.tags)
    return release if is_of_tag else None


def of_repository(stack: Stack, repository: str, limit: int) -> list[Release]:
    """Return the newest attempt of each image, newest first."""
    attempts = islice(stack.ledger.recent_of_repository(repository), limit)
    return sorted(attempts, key=lambda release: release.started_at, reverse=True)


def again(stack: Stack, release: Release) -> Release:
    """Read the same attempt again."""
    return stack.ledger.get(ReleaseId(release.image, release.attempt))


def missing(stack: Stack, reference: RepositoryReference) -> NotFoundError:
    """Return an error that says what is missing: the repository, the tag, or a release of the image."""
    if not stack.has_repository(reference.repository):
        place = f"account {stack.account}, {stack.region}"
        return NotFoundError(f"there is no repository {reference.repository} in {place}")
    if not reference.names_an_image:
        return NotFoundError(f"no image of {reference.repository} was released yet: push one with a tag")
    image = image_of(stack, reference)
    if image is None:
        return NotFoundError(f"{reference.repository} has no tag {reference.tag}: push it first")
    check_managed(stack, reference)
    if ignored := stack.ledger.ignored(image):
        when = f"{ignored.at:%Y-%m-%d %H:%M} UTC"
        return NotFoundError(f"{reference} has no release: it was left alone on {when}: {ignored.why}")
    how = f"imagegate release {reference.repository}:{reference.tag or 'TAG'}"
    return NotFoundError(
        f"{reference} has no release: it was pushed before the installation, or its event was lost; start one: {how}"
    )


def check_can_begin(stack: Stack, reference: RepositoryReference) -> None:
    """Raise `NotFoundError` for a repository in which no release can begin: it has no stage, or does not exist.

    One that does not exist yet may be created by a promotion, if images of the stage before can come.
    """
    check_managed(stack, reference)
    if not any(map(stack.has_repository, _way_to(stack, reference.repository))):
        raise missing(stack, reference)


def _way_to(stack: Stack, repository: str) -> list[str]:
    """Return the repository and those before it; only itself if the policy cannot be read."""
    from botocore.exceptions import ClientError

    try:
        return stack.policy.way_to(repository)
    except (ClientError, ImageGateError):
        return [repository]


def check_stage(stack: Stack, name: str) -> None:
    """Raise `NotFoundError` if the policy has no such stage. Return if the policy cannot be read."""
    from botocore.exceptions import ClientError

    try:
        stages = stack.policy.stages
    except (ClientError, ImageGateError):
        return
    if name not in stages:
        raise NotFoundError(f"there is no stage {name}: the policy has {', '.join(stages)}")


def matches_nothing(stack: Stack, glob: str) -> bool:
    """Return True if the glob matches no repository of a stage; False if the caller may not know."""
    from botocore.exceptions import ClientError

    try:
        names = [name for name in stack.images.repositories() if fnmatchcase(name, glob)]
        return not any(stack.policy.stage_of(name) for name in names)
    except (ClientError, ImageGateError):
        return False


def check_managed(stack: Stack, reference: RepositoryReference) -> None:
    """Raise `NotFoundError` for a repository of no stage. Return if the policy cannot be read."""
    from botocore.exceptions import ClientError

    try:
        stage = stack.policy.stage_of(reference.repository)
    except (ClientError, ImageGateError):
        return
    if stage is None:
        fault = "no stage of the deployed policy has the repository"
        raise NotFoundError(f"{fault} {reference.repository}: add it to the policy")
