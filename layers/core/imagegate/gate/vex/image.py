"""The subjects of VEX statements: an image by its names and digests, and the packages in it.

Rule: if a name narrows by something that is not known here, the match is *perhaps*, never certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Self

from imagegate.errors import InvalidDigestError
from imagegate.findings.package_url import Match, PackageUrl, names_match
from imagegate.oci.image import Digest

if TYPE_CHECKING:
    from imagegate.findings.finding import Package
    from imagegate.gate.vex.openvex import Component, Statement
    from imagegate.policy.policy import RepositoryPattern

_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_OCI = "oci"
_REFERENCE = re.compile(r"[a-z0-9][^@ ]*@sha256:[0-9a-f]*")
# cpe:2.3:PART:VENDOR:PRODUCT:VERSION:…, and the older cpe:/PART:VENDOR:PRODUCT:VERSION:…
_CPE = re.compile(r"cpe:(?:2\.3:|/)([aoh*]):((?:\\.|[^:\\])*):((?:\\.|[^:\\])*)(?::((?:\\.|[^:\\])*))?(:.*)?")
_ANY = ("", "*", None)


@dataclass(frozen=True, slots=True)
class Name:
    """A repository as people write it: `shop`, `ghcr.io/acme/shop:1.0`, or a glob for several images."""

    registry: str | None  # None if unknown
    path: str
    tag: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name as Docker does: without a registry it is on Docker Hub."""
        bare = text.partition("@")[0]
        first, slash, rest = bare.partition("/")
        has_registry = bool(slash) and (first == "localhost" or "." in first or ":" in first)
        registry, path = (first.lower(), rest) if has_registry else ("docker.io", bare)
        path, _, tag = path.partition(":")
        if registry in _DOCKER_HUB:
            registry, path = "docker.io", path if "/" in path else f"library/{path}"
        return cls(registry, path, tag or None)

    @property
    def last(self) -> str:
        return self.path.rpartition("/")[2]

    def is_at(self, url: str) -> Match:
        """Match the `repository_url` of a purl, with or without the last part of the name."""
        bare = re.sub(r"^[a-z]+://", "", url).rstrip("/")
        best = Match.NO
        for other in (Name.parse(bare), Name.parse(f"{bare}/{self.last}")):
            if fnmatchcase(other.path, self.path):
                best = max(best, Match.of(other.registry, self.registry))
        return best


@dataclass(frozen=True, slots=True)
class Image:
    """The image that is judged, or all images of some repositories."""

    names: tuple[Name, ...] = ()
    digests: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    platform: str | None = None
    packages: tuple[Package, ...] = ()
    patterns: tuple[RepositoryPattern, ...] = ()  # with them, `shop` matches `shop-dev` and `shop-prod`
    any_digest: bool = False  # it means every image of these names
    products: tuple[str, ...] = ()  # globs for products that are this image, as whoever judges it says
    _known: dict[Component, list[tuple[Package, Match]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def match(self, product: Component) -> Match:
        """Match a product with this image."""
        if self.is_named(product):
            return Match.YES
        if not product.names and not product.hashes:
            return Match.PERHAPS
        matches = [one for one in map(self._match_name, product.names) if one is not None]
        digests = [f"sha256:{value}" for name, value in product.hashes if name == "sha-256"]
        matches += [self._match_digest(digest) for digest in digests]
        if product.hashes and not digests and matches:
            matches.append(Match.PERHAPS)
        return min(matches, default=Match.NO)

    def is_named(self, product: Component) -> bool:
        """Return True if whoever judges the image says that it is this product."""
        names = (*product.names, *product.labels)
        return any(fnmatchcase(name, glob) for name in names for glob in self.products)

    def digest_in(self, product: Component) -> Digest | None:
        """Return the digest in the names of a product, or None if it has none or is said to be this image."""
        if self.is_named(product):
            return None
        urls = [PackageUrl.parse(name) for name in product.names]
        texts = [url.version for url in urls if url and url.type == _OCI and url.version]
        texts += [name.rpartition("@")[2] for name in product.names if _REFERENCE.fullmatch(name)]
        texts += [f"sha256:{value}" for name, value in product.hashes if name == "sha-256"]
        return Digest.parse(texts[0]) if texts and _is_digest(texts[0]) else None

    def _match_name(self, name: str) -> Match | None:
        """Match a name with this image, or return None if it cannot name an image."""
        url = PackageUrl.parse(name)
        if url is not None:
            return self._match_url(url) if url.type == _OCI else None
        if _REFERENCE.fullmatch(name):
            digest = self._match_digest(name.rpartition("@")[2])
            return min(digest, self._match_last_part(Name.parse(name).last)) if self.any_digest else digest
        if "://" in name or name.startswith(("urn:", "cpe:", "pkg:")):
            return None
        other = Name.parse(name)
        same = [known for known in self.names if (known.registry, known.path) == (other.registry, other.path)]
        if not same:
            return None
        return Match.YES if other.tag in {None, *(known.tag for known in same)} else Match.NO

    def _match_url(self, url: PackageUrl) -> Match:
        """Match a package URL: by digest, else by name, repository and tag together."""
        qualifiers = dict(url.qualifiers)
        arch = Match.of(qualifiers.pop("arch", None), self.platform and self.platform.split("/")[1])
        places, tag = qualifiers.pop("repository_url", None), qualifiers.pop("tag", None)
        rest = Match.PERHAPS if qualifiers or url.subpath else Match.YES
        name_match = self._match_last_part(url.name)
        if url.version is not None:
            same = self._match_digest(url.version)
            if self.any_digest or same is Match.PERHAPS:
                same = min(same, name_match)
            return min(same, arch, rest)
        place = max((name.is_at(places) for name in self.names), default=Match.NO) if places else Match.YES
        known_tags = self.tags or None
        tagged = Match.YES if tag is None or tag in self.tags else Match.of(tag, known_tags)
        return min(name_match, place, tagged, arch, rest)

    def _match_last_part(self, name: str) -> Match:
        lowered = name.lower()
        for known in self.names:
            paths = (pattern.repository_of(name) for pattern in self.patterns)
            if fnmatchcase(lowered, known.last.lower()) or any(fnmatchcase(p, known.path) for p in paths):
                return Match.YES
        return Match.NO

    def _match_digest(self, text: str) -> Match:
        if not _is_digest(text):
            return Match.PERHAPS
        if self.any_digest:
            return Match.YES
        return Match.YES if text in self.digests else Match.NO if self.digests else Match.PERHAPS

    def match_statement(self, statement: Statement, package: Package) -> Match:
        """Match a statement with this package in this image."""
        part = self._match_parts(statement.parts, package)
        if part is Match.NO:
            return part
        whole = self.match(statement.product)
        if whole is not Match.NO:
            return min(whole, part)
        if not statement.parts:
            return match_component(statement.product, package, self.platform, unknown=Match.NO)
        program_matches = (
            self._match_program(match, other, package) for other, match in self._programs(statement.product)
        )
        return min(part, max(program_matches, default=Match.NO))

    def has(self, product: Component) -> bool:
        """Return whether a product may be this image, or a package in it."""
        return self.match(product) is not Match.NO or bool(self._programs(product))

    def _programs(self, product: Component) -> list[tuple[Package, Match]]:
        """Return the packages of the image that may be the product, with their matches."""
        if product not in self._known:
            matches = (
                (one, match_component(product, one, self.platform, unknown=Match.NO)) for one in self.packages
            )
            self._known[product] = [(one, match) for one, match in matches if match is not Match.NO]
        return self._known[product]

    def _match_parts(self, parts: Iterable[Component], package: Package) -> Match:
        matches = [match_component(part, package, self.platform, unknown=Match.PERHAPS) for part in parts]
        return max(matches, default=Match.YES)

    def _match_program(self, match: Match, program: Package, package: Package) -> Match:
        """Match a package with a program: it is the program itself, or in the same file."""
        if program == package:
            return match
        known = program.path and package.path
        same = Match.PERHAPS if not known else Match.YES if program.path == package.path else Match.NO
        return min(match, same)


def match_component(component: Component, package: Package, platform: str | None, *, unknown: Match) -> Match:
    """Match a component with a package; return `unknown` if none of its names can be read."""
    same_package: list[Match] = []
    other_packages: list[Match] = []
    was_read = False
    for name in component.names:
        url = PackageUrl.parse(name)
        if url is not None:
            was_read = True
            match = _match_url_on(platform, url, package)
            (same_package if url.is_alike(package) else other_packages).append(match)
        elif _CPE.fullmatch(name):
            was_read = True
            other_packages.append(_by_cpe(name, package))
        elif not re.match(r"[a-z][a-z0-9+.-]*:", name):
            was_read = True
            is_same = names_match(name, package.name, package.ecosystem)
            perhaps = Match.PERHAPS if name.lower() == package.name.lower() else Match.NO
            other_packages.append(Match.YES if is_same else perhaps)
    if not was_read:
        return unknown
    # Two URLs of one package narrow it together, URLs of different ones are two names.
    match = min(same_package) if same_package else max(other_packages)
    return min(match, Match.PERHAPS) if component.hashes else match


def _match_url_on(platform: str | None, url: PackageUrl, package: Package) -> Match:
    """Match a package URL; if the package has none, the platform of the image gives the architecture."""
    match = url.match(package)
    if match is not Match.PERHAPS or package.purl or not platform or set(url.qualifiers) != {"arch"}:
        return match
    same = Match.of(
        _ARCHITECTURES.get(url.qualifiers["arch"], url.qualifiers["arch"]), platform.split("/")[1]
    )
    return min(same, Match.of(url.version, package.installed))


# Names of architectures in packages → in images.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armhf": "arm"}


def _by_cpe(text: str, package: Package) -> Match:
    """Match a CPE by product, vendor and version.

    The vendor is certain if it is a part of the package name or URL, or equal to the product.
    """
    match = _CPE.fullmatch(text)
    if match is None:
        return Match.NO
    _, vendor, product, version, rest = (part and part.replace("\\", "").lower() for part in match.groups())
    own = re.split(r"[:/@]", package.name.lower())
    if product not in own:
        return Match.NO
    known = re.split(r"[^a-z0-9_-]+", f"{package.name} {package.purl or ''}".lower())
    maker = Match.YES if vendor in (*_ANY, product) or vendor in known else Match.PERHAPS
    narrowing = Match.YES if not (rest or "").strip(":*-") else Match.PERHAPS
    same = (
        Match.YES if version in _ANY else Match.of(version, package.installed and package.installed.lower())
    )
    return min(maker, narrowing, same)


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except InvalidDigestError:
        return False
    return True
