"""The check for prohibited packages, by the SBOMs that were attached at the release.

The gate judges packages that have findings. An SBOM also lists those without one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagegate.audit.finding import AdvisedRemedy
from imagegate.policy.rules import active

if TYPE_CHECKING:
    from imagegate.audit.image import AuditedImage
    from imagegate.audit.report import CheckOutcome
    from imagegate.findings.finding import Package, Satisfies
    from imagegate.oci.image import Digest
    from imagegate.policy.waiver import Waiver

_CHECK = "image-package-prohibited"
_MOST_NAMED = 5
_REMEDY = AdvisedRemedy(
    "take the package out or upgrade it, build the image again, and push that", "imagegate status {image}"
)


@dataclass(frozen=True, slots=True)
class ListedPackages:
    """The packages by the SBOMs of an image. `missing`: why some or all of them are not known, or ""."""

    packages: Collection[Package] = ()
    sboms: tuple[Digest, ...] = ()
    missing: str = ""


def check_packages(
    image: AuditedImage, listed: ListedPackages, satisfies: Satisfies, waivers: Iterable[Waiver] = ()
) -> Iterator[CheckOutcome]:
    """Check the packages by today's policy, if it prohibits any. `waivers`: those of packages that count today."""
    rule = active(image.stage.findings.prohibited)
    if rule is None:
        return
    hits, doubts = [], []
    covering = [one for one in waivers if one.covers_image(image.image.repository, [image.image.digest])]
    for package in listed.packages:
        if any(waiver.covers_package(package) for waiver in covering):
            continue
        for prohibited in rule.value:
            if prohibited.names(package):
                within = _is_within(package, prohibited.versions, satisfies)
                hits += [f"{package} (prohibited: {prohibited})"] if within else []
                doubts += [f"whether {package} is {prohibited.versions}"] if within is None else []
    if not hits and (doubts or listed.missing):
        yield image.unknown(_CHECK, "; ".join([listed.missing] if listed.missing else _some(doubts)))
        return
    decision = image.release.decision if image.release else None
    fault = f"it has {', '.join(_some(hits))}" if hits else ""
    yield image.result(_CHECK, fault, _REMEDY, decision, *listed.sboms)


def _is_within(package: Package, versions: str, satisfies: Satisfies) -> bool | None:
    """Return whether the version is one of those, or None if they cannot be compared."""
    if not versions:
        return True
    return satisfies(package.installed, versions, package.ecosystem) if package.installed else None


def _some(texts: list[str]) -> list[str]:
    different = list(dict.fromkeys(texts))
    more = len(different) - _MOST_NAMED
    return [*different[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
