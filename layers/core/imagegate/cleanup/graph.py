"""The structure of a repository: indexes and their parts, images and their evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from imagegate.lifecycle.stored_image import named_subjects

if TYPE_CHECKING:
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest


@dataclass(frozen=True, slots=True)
class RepositoryGraph:
    """The manifests of one repository. `indexes`: of each part; `evidence`: of each image; `subjects`: of evidence."""

    images: Mapping[Digest, StoredImage]
    indexes: Mapping[Digest, Sequence[Digest]]
    evidence: Mapping[Digest, Sequence[Digest]]
    subjects: Mapping[Digest, Sequence[Digest]]

    @classmethod
    def of(cls, images: Iterable[StoredImage]) -> Self:
        """Return the graph. Evidence of an image that the repository does not have is evidence of nothing."""
        by_digest = {image.digest: image for image in images}
        indexes: dict[Digest, list[Digest]] = {}
        evidence: dict[Digest, list[Digest]] = {}
        subjects: dict[Digest, list[Digest]] = {}
        for image in by_digest.values():
            for child in image.children:
                if child in by_digest:
                    indexes.setdefault(child, []).append(image.digest)
            for subject in named_subjects(image):
                if subject in by_digest and subject != image.digest:
                    evidence.setdefault(subject, []).append(image.digest)
                    subjects.setdefault(image.digest, []).append(subject)
        return cls(by_digest, indexes, evidence, subjects)

    def wholes(self, digest: Digest) -> list[Digest]:
        """Return what the manifest is a part or evidence of, one level up."""
        return [*self.indexes.get(digest, ()), *self.subjects.get(digest, ())]

    def parts(self, digest: Digest) -> list[Digest]:
        """Return its parts that are there, and its evidence, one level down."""
        children = (child for child in self.images[digest].children if child in self.images)
        return [*dict.fromkeys(children), *self.evidence.get(digest, ())]

    def above(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return the manifests, and all that they are parts or evidence of."""
        return _closure(digests, self.wholes)

    def below(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return the manifests, with all their parts and evidence."""
        return _closure(digests, self.parts)

    def needed(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return all that has to stay with the manifests: parts, evidence, and the subject of evidence.

        ECR deletes a manifest by itself when its subject is deleted, also where something else needs it.
        """
        return _closure(digests, lambda digest: [*self.parts(digest), *self._subject(digest)])

    def _subject(self, digest: Digest) -> Iterator[Digest]:
        subject = self.images[digest].subject
        if subject is not None and subject in self.images:
            yield subject


def _closure(digests: Iterable[Digest], following: Callable[[Digest], Iterable[Digest]]) -> set[Digest]:
    reached = set(digests)
    waiting = list(reached)
    while waiting:
        for other in following(waiting.pop()):
            if other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached
