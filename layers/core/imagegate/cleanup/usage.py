"""Images in use: the images that services use, as they named them, in all accounts that were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeVar

from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.reference import Reference

if TYPE_CHECKING:
    from imagegate.lifecycle.stored_image import StoredImage


K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class UsedImages:
    """The users of images. `by_tag`: of images that are named by a tag, whichever image has it.

    `clusters`: the clusters of Amazon EKS; only Inspector says what these run.
    """

    by_digest: Mapping[ImageRef, tuple[str, ...]] = field(default_factory=dict)
    by_tag: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    clusters: tuple[str, ...] = ()

    @classmethod
    def read(cls, registry: str, named: Iterable[tuple[str, str]], clusters: Iterable[str] = ()) -> Self:
        """Return the users of the registry's images. `named`: pairs of an image's name and who uses it."""
        by_digest: dict[ImageRef, tuple[str, ...]] = {}
        by_tag: dict[tuple[str, str], tuple[str, ...]] = {}
        for name, user in dict.fromkeys(named):
            reference = _reference(name, registry)
            if reference and reference.digest:
                image = ImageRef(reference.path, reference.digest)
                by_digest[image] = (*by_digest.get(image, ()), user)
            elif reference and reference.tag:
                place = (reference.path, reference.tag)
                by_tag[place] = (*by_tag.get(place, ()), user)
        return cls(by_digest, by_tag, tuple(clusters))

    def merged(self, other: Self) -> UsedImages:
        """Return the users of both."""
        return UsedImages(
            _merged(self.by_digest, other.by_digest),
            _merged(self.by_tag, other.by_tag),
            (*self.clusters, *other.clusters),
        )

    def reasons(self, repository: str, images: Iterable[StoredImage]) -> dict[Digest, list[str]]:
        """Return why images of the repository are used, by their digest."""
        reasons: dict[Digest, list[str]] = {}
        for image in images:
            users = [*self.by_digest.get(ImageRef(repository, image.digest), ())]
            for tag in sorted(image.tags):
                users += self.by_tag.get((repository, tag), ())
            if users:
                reasons[image.digest] = [f"is used by {user}" for user in dict.fromkeys(users)]
        return reasons


def _reference(name: str, registry: str) -> Reference | None:
    """Return the reference, or None if it is no image of the registry."""
    try:
        reference = Reference.parse(name)
    except RejectedInputError:
        return None
    return reference if reference.is_in(registry) else None


def _merged(one: Mapping[K, tuple[str, ...]], other: Mapping[K, tuple[str, ...]]) -> dict[K, tuple[str, ...]]:
    return {key: (*one.get(key, ()), *other.get(key, ())) for key in {**one, **other}}
