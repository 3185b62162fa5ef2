"""The images that run: the leaves of an index, however deep it is nested."""

from __future__ import annotations

from collections.abc import Iterator

from imagegate.domain.errors import RejectedInputError
from imagegate.domain.image import Descriptor, Digest, ImageRef, Kind, Manifest
from imagegate.ports import Images

# Nothing that people build comes near; something that does is not an image.
_DEPTH = 4
_MOST = 100


def platforms(images: Images, image: ImageRef) -> tuple[Descriptor, ...]:
    """Each platform once. Raises `ImageNotFoundError`, and `RejectedInputError` for an index without end."""
    found: dict[Digest, Descriptor] = {}
    for platform in _leaves(images, image.repository, images.manifest(image), _DEPTH):
        found[platform.digest] = platform
        if len(found) > _MOST:
            raise RejectedInputError(f"{image}: an index of more than {_MOST} platforms")
    return tuple(found.values())


def _leaves(images: Images, repository: str, manifest: Manifest, depth: int) -> Iterator[Descriptor]:
    if depth == 0:
        raise RejectedInputError(f"{repository}@{manifest.digest}: an index nested more than {_DEPTH} deep")
    for platform in manifest.runnable:
        if manifest.kind is Kind.INDEX and platform.is_index:
            nested = images.manifest(ImageRef(repository, platform.digest))
            yield from _leaves(images, repository, nested, depth - 1)
        else:
            yield platform
