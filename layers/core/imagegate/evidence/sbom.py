"""The software bill of materials of a release: how its export ended, and the note about it for people.

Rules: an SBOM that an image already has is kept, in any format; a missing SBOM blocks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.text import list_some

_MAX_NAMED = 3  # platforms in one line


@dataclass(frozen=True, slots=True)
class Sbom:
    """The result for a release's SBOM. `note`: for people; `manifests`: the known referrers with the SBOM."""

    note: str
    manifests: tuple[Digest, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"note": self.note, "manifests": [str(digest) for digest in self.manifests]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(str(raw["note"]), tuple(Digest.parse(digest) for digest in raw["manifests"]))


@dataclass(frozen=True, slots=True)
class Export:
    """The end of an export by Inspector (API reference, GetSbomExport). `why`: the reason if it did not succeed.

    `batch`: the number of the group of ten platforms that was exported.
    """

    report: str
    status: str
    why: str = ""
    batch: int = 0

    @property
    def has_succeeded(self) -> bool:
        return self.status == "SUCCEEDED"

    def explain(self) -> str:
        """Explain to a person why there is no SBOM."""
        if self.status == "IN_PROGRESS":
            return "Amazon Inspector takes too long to export it; release the image again to try again"
        return f"Amazon Inspector did not export it: {self.why or self.status}"

    def wrote(self, key: str) -> bool:
        """Return True if the object in S3 is of this report.

        Keys were seen as FORMAT_outputs_REPORT/account=…/resource=AWS_ECR_CONTAINER_IMAGE/… below the prefix.
        """
        return f"_outputs_{self.report}/" in key


# The result that stays if the function that attaches the SBOM fails without a reason.
NOT_ATTACHED_YET = Sbom("none yet: where it stays so, the log of attach_sbom says why")


def describe_sbom(
    image: ImageRef, platforms: Sequence[Descriptor], missing: Sequence[Descriptor], attached: int, why: str
) -> str:
    """Return the note for people, in one line. `attached`: how many SBOMs the release attached itself."""
    if missing:
        shown = [leaf.platform or leaf.digest.short for leaf in missing[:_MAX_NAMED]]
        names = list_some(shown, len(missing))
        return f"none{f' for {names}' if missing[0].digest != image.digest else ''}: {why}"
    if not attached:
        return "was there before, and is kept"
    if len(platforms) == 1:
        return "attached, by Amazon Inspector"
    rest = "" if attached == len(platforms) else "; the others had one"
    return f"attached, by Amazon Inspector, to {attached if rest else 'each'} of {len(platforms)} platforms{rest}"
