"""The shape of prohibited packages: by name and versions, or by package URL."""

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.yaml import describe, did_you_mean
from imagegate.policy.names import PACKAGE_URL, match_package_url
from imagegate.policy.rules import ProhibitedPackage

# Package URL types (purl-spec, "Known purl types").
ECOSYSTEMS = (
    *("alpm", "apk", "bitnami", "cargo", "cocoapods", "composer", "conan", "conda", "cpan", "cran", "deb"),
    *("docker", "gem", "generic", "github", "golang", "hackage", "hex", "huggingface", "maven", "npm"),
    *("nuget", "oci", "pub", "pypi", "rpm", "swift"),
)
# Other names that people use for them.
_OTHER_NAMES = {
    "go": "golang",
    "java": "maven",
    "jar": "maven",
    "node": "npm",
    "nodejs": "npm",
    "python": "pypi",
    "pip": "pypi",
    "ruby": "gem",
    "rubygems": "gem",
    "rust": "cargo",
    "crates": "cargo",
    "php": "composer",
    "dotnet": "nuget",
    "debian": "deb",
    "ubuntu": "deb",
    "redhat": "rpm",
    "alpine": "apk",
}
# The types whose names contain the namespace, and the separator. For other types the namespace is a distribution.
_SEPARATORS = {"maven": ":", "npm": "/", "golang": "/", "composer": "/", "github": "/", "swift": "/"}


def _ecosystem(value: object) -> str:
    if value in ECOSYSTEMS:
        return str(value)
    usual = _OTHER_NAMES.get(str(value).lower())
    hint = f" (did you mean {usual}?)" if usual else did_you_mean(value, ECOSYSTEMS)
    raise ValueError(
        f"{describe(value)} is no package URL type" + (hint or ", such as maven, npm, pypi or deb")
    )


def _versions(value: object) -> str:
    # Imported late: only policies that prohibit packages need it.
    from imagegate.findings.versions import is_range

    if not isinstance(value, str) or not is_range(value):
        raise ValueError(f'must be versions such as "<2.17.1" or ">=2.0, <2.17.1", not {describe(value)}')
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be the name of a package, not {describe(value)}")
    if not value.strip("*?"):
        raise ValueError("would prohibit every package")
    return value


_Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "minLength": 1})]
_Versions = Annotated[str, BeforeValidator(_versions), WithJsonSchema({"type": "string"})]
_Ecosystem = Annotated[str, BeforeValidator(_ecosystem), WithJsonSchema({"enum": list(ECOSYSTEMS)})]


class ProhibitedShape(Shape):
    """A package that no image may have."""

    name: _Name = Field(description="Its name; * and ? match other characters.", examples=["log4j-core"])
    versions: _Versions | None = Field(
        default=None,
        description="The prohibited versions: constraints that must all hold. Default: every version.",
        examples=["<2.17.1", ">=2.0, <2.17.1", "=3.3.6"],
    )
    ecosystem: _Ecosystem | None = Field(
        default=None,
        description="The package URL type, which also decides how versions compare. Default: any.",
    )

    def packages(self) -> Iterator[ProhibitedPackage]:
        """Yield the package under each of its names: scanners name Maven packages with and without their group."""
        versions = self.versions or ""
        yield ProhibitedPackage(self.name, versions, self.ecosystem)
        bare_name = self.name.rpartition(":")[2]
        if bare_name == self.name and self.ecosystem in (None, "maven"):
            yield ProhibitedPackage(f"*:{self.name}", versions, "maven")
        elif self.ecosystem == "maven" and bare_name.strip("*?"):
            yield ProhibitedPackage(bare_name, versions, "maven")


def _long_form(value: object) -> object:
    """Return the long form of a package URL or a name."""
    if not isinstance(value, str):
        return value
    if not value.startswith(PACKAGE_URL):
        return {"name": value}
    type_, namespace, name, version = match_package_url(value).groups()
    names = [*filter(None, namespace.split("/")), name] if type_ in _SEPARATORS else [name]
    joined = _SEPARATORS.get(type_, "/").join(map(unquote, names))
    # In a package URL `*` is a literal character; brackets make it literal in the glob too.
    entry = {"name": re.sub(r"([*?\[])", r"[\1]", joined), "ecosystem": type_}
    return entry | ({"versions": f"={unquote(version)}"} if version else {})


Prohibited = Annotated[ProhibitedShape, BeforeValidator(_long_form)]
