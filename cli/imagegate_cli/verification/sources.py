"""Finds the image to verify: in ECR beside a stack, or in any OCI registry."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.registry import Registry
from imagegate_cli.docker_credentials import credentials_of
from imagegate_cli.faults import CannotTellError
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.releases.find import image_of, missing
from imagegate_cli.stack import Stack

# The first part of a name is a registry when it looks like one (distribution/reference: a dot, a colon, localhost).
_HOST = re.compile(r"(?P<host>localhost|[^/]*[.:][^/]*)/(?P<rest>.+)")
_ECR = re.compile(r"\d{12}\.dkr[.-]ecr[.-].*")


@dataclass(frozen=True)
class ImageSource:
    """An image in a registry, with the stack beside it if the registry is ECR."""

    registry: Registry
    image: ImageRef
    name: str
    stack: Stack | None = None
    host: str = ""  # of another registry

    def qualified(self) -> str:
        """Return the repository with its registry, as trust policies name it. Raises errors of ECR."""
        if self.stack is None:
            return f"{self.host}/{self.image.repository}"
        from imagegate.aws.clients import client

        names = [self.image.repository]
        response = client("ecr").describe_repositories(repositoryNames=names)
        return str(response["repositories"][0]["repositoryUri"])

    def latest_decision(self) -> Digest | None:
        """Return the decision of the image's newest attempt, or None if there is none."""
        latest = self.stack.ledger.latest(self.image) if self.stack else None
        return latest.decision if latest else None

    def policy_of(self, decision: Digest) -> bytes:
        """Return the content of the policy file of the decision."""
        if self.stack is None:
            raise CannotTellError("no stack, no records")
        records = self.stack.records
        return records.policy_content(Decision.decode(records.decision(decision)).policy)


def is_foreign(text: str) -> bool:
    """Tell whether the text names an image in another registry than ECR."""
    match = _HOST.fullmatch(text)
    return match is not None and not _ECR.fullmatch(match["host"])


def in_ecr(stack: Stack, reference: RepositoryReference) -> ImageSource:
    """Find an image of the stack's registry. Raises `NotFoundError` if there is none."""
    from imagegate.aws.ecr.registry import own_registry

    image = image_of(stack, reference)
    if image is None:
        raise missing(stack, reference)
    return ImageSource(own_registry(), image, str(reference), stack)


def in_registry(text: str) -> ImageSource:
    """Find an image in another registry. Raises `CannotTellError` or `RejectedInputError`."""
    from imagegate.oci.client import HttpRegistry
    from imagegate.oci.login import Login
    from imagegate.oci.wire import Guard

    match = _HOST.fullmatch(text)
    if match is None:
        raise CannotTellError(f"{text!r} names no registry")
    host, reference = match["host"], RepositoryReference.parse(match["rest"])
    if not reference.names_an_image:
        raise CannotTellError(f"{text} names no image; write HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST")
    scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    endpoint = f"{scheme}://{host}"
    credentials = credentials_of(host)
    registry = HttpRegistry(lambda: Login(endpoint, credentials), guard=Guard(endpoint))
    digest = reference.digest or registry.manifest(reference.repository, reference.tag or "").digest
    return ImageSource(registry, ImageRef(reference.repository, digest), text, host=host)
