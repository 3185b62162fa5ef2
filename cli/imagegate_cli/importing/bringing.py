"""Copies an image into a repository of a first stage, with all its platforms and evidence. The tag is pushed last.

The push of the tag starts the release, as every push does. Parts that exist are not copied again, so that an
interrupted import goes on where it stopped.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import click

from imagegate.errors import TagConflictError
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Release
from imagegate_cli.faults import CannotTellError, NotFoundError
from imagegate_cli.importing.sources import Opened, RemoteImage
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.output.terminal import say
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.stack import Stack


class NotImportedError(click.ClickException):
    """The import is refused; the message says why."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class ImportedImage:
    """The image, its newest attempt before the import, and whether the tag is new, which starts a release."""

    image: ImageRef
    before: Release | None
    is_new: bool


def bring(stack: Stack, source: RemoteImage, target: RepositoryReference) -> ImportedImage:
    """Import the image. Raises `NotImportedError` before anything is copied, or an error of the registries."""
    _check_first_stage(stack, target)
    mutability = _mutability(stack, target.repository)
    with Spinner(f"looking for {source}"):
        opened = source.opened()
    image = ImageRef(target.repository, opened.image.digest)
    before = stack.ledger.latest(image)
    if before and before.revoked:
        raise NotImportedError(f"{image}: its signature was {before.revoked}; import another image")
    held = stack.images.digest_of(target.repository, str(target.tag))
    _check_free(target, held, image.digest, mutability)
    with Spinner(f"copying {source} to {target}"), _until_interrupted() as has_time:
        left = _copy(opened, target, has_time, is_tagged=held == image.digest)
    say(f"{target} ({image.digest.short}): {_result(source, left, held == image.digest)}", err=True)
    return ImportedImage(image, before, is_new=held != image.digest)


def _copy(
    source: Opened, target: RepositoryReference, has_time: Callable[[], bool], *, is_tagged: bool
) -> list[str]:
    """Copy the image, then push its tag. Return the referrers that were not copied because they could run."""
    from imagegate.aws.ecr.registry import ecr_layers, ecr_login
    from imagegate.oci.client import HttpRegistry
    from imagegate.workflow.copying import Copy, OutOfTimeError

    registry = HttpRegistry(ecr_login, source=source.registry, layers=ecr_layers)
    copy = Copy(
        origin=source.registry,
        registry=registry,
        image=source.image,
        target=target.repository,
        has_time=has_time,
    )
    try:
        manifest = copy.run(copy.find(), is_tagged_next=not is_tagged)
        if not is_tagged:
            registry.push_manifest(target.repository, manifest, target.tag)
    except OutOfTimeError:
        raise CannotTellError(f"interrupted: {target} was not tagged; the same command goes on") from None
    except TagConflictError as error:
        raise NotImportedError(f"{error}; import it under another tag") from error
    return copy.left_behind


def _result(source: RemoteImage, left: list[str], existed: bool) -> str:
    result = f"is {source} already; no release begins" if existed else f"came from {source}"
    return f"{result}; referrers that could run were not copied: {', '.join(left)}" if left else result


def _check_first_stage(stack: Stack, target: RepositoryReference) -> None:
    """Raise unless the repository belongs to a first stage: later stages only get promoted images."""
    stage = stack.policy.stage_of(target.repository)
    if stage is None:
        raise NotFoundError(
            f"no stage of the deployed policy has the repository {target.repository}: add it to the policy"
        )
    before = stack.policy.stages_before(stage)
    if before:
        names = " and ".join(other.name for other in before)
        begin = stack.policy.origin_of(target.repository)
        advice = f"import into {begin}" if begin != target.repository else "import into a first stage"
        raise NotImportedError(
            f"{target.repository} is of the stage {stage.name}, which gets its images from {names}: {advice}"
        )


def _mutability(stack: Stack, repository: str) -> str:
    from imagegate.aws.clients import client

    ecr: Any = client("ecr")
    try:
        described = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
    except ecr.exceptions.RepositoryNotFoundException:
        raise NotFoundError(
            f"there is no repository {repository} in account {stack.account}, {stack.region}: create it (aws ecr"
            f" create-repository --repository-name {repository}), then import again"
        ) from None
    return str(described.get("imageTagMutability", "MUTABLE"))


def _check_free(target: RepositoryReference, held: Digest | None, wanted: Digest, mutability: str) -> None:
    """Raise if an immutable tag is taken. If some tags are exempt, the registry itself refuses at the end."""
    if held and held != wanted and mutability == "IMMUTABLE":
        raise NotImportedError(
            f"{target}: the immutable tag is taken by {held.short}; import {wanted.short} under another tag"
        )


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C end a copy at once; an exception would wait until all blobs are copied."""
    interrupted = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        interrupted.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: not interrupted.is_set()
    finally:
        signal.signal(signal.SIGINT, before)
