"""A release's software bill of materials: in which format the policy asks for one, and what became of it.

Rules: an SBOM that an image carries is kept, in whatever format it is; nothing is blocked for the lack of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from imagegate.oci.image import Descriptor, Digest, ImageRef

_NAMED = 3  # platforms, in one line


@dataclass(frozen=True, slots=True)
class Sbom:
    """What became of a release's SBOM. `note`: for people; `manifests`: the referrers that hold it, as far as known."""

    note: str
    manifests: tuple[Digest, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"note": self.note, "manifests": [str(digest) for digest in self.manifests]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(str(raw["note"]), tuple(Digest.parse(digest) for digest in raw["manifests"]))


@dataclass(frozen=True, slots=True)
class Export:
    """How an export by Inspector ended (API reference, GetSbomExport). `why`: where it did not succeed.

    `batch`: which ten of the image's platforms it was about.
    """

    report: str
    status: str
    why: str = ""
    batch: int = 0

    @property
    def has_succeeded(self) -> bool:
        return self.status == "SUCCEEDED"

    def explain(self) -> str:
        """Why there is none, for a person."""
        if self.status == "IN_PROGRESS":
            return "Amazon Inspector takes too long to export it; release the image again to try again"
        return f"Amazon Inspector did not export it: {self.why or self.status}"

    def wrote(self, key: str) -> bool:
        """Seen below the prefix: FORMAT_outputs_REPORT/account=…/resource=AWS_ECR_CONTAINER_IMAGE/…"""
        return f"_outputs_{self.report}/" in key


# What stays when the function that attaches it could not even say why it failed.
NOT_YET = Sbom("none yet: where it stays so, the log of attach_sbom says why")


def note(
    image: ImageRef, platforms: Sequence[Descriptor], missing: Sequence[Descriptor], made: int, why: str
) -> str:
    """What became of it, in one line for people. `made`: how many the release attached itself."""
    if missing:
        named = ", ".join(one.platform or one.digest.short for one in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        return f"none{f' for {named}{more}' if missing[0].digest != image.digest else ''}: {why}"
    if not made:
        return "was there before, and is kept"
    if len(platforms) == 1:
        return "attached, by Amazon Inspector"
    rest = "" if made == len(platforms) else "; the others had one"
    return f"attached, by Amazon Inspector, to {made if rest else 'each'} of {len(platforms)} platforms{rest}"
