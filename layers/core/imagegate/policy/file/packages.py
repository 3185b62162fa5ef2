"""Packages that no image may have, as the policy file names them: by name and versions, or by package URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.policy.file.shape import Shape
from imagegate.policy.file.yaml import describe, did_you_mean
from imagegate.policy.rules import ProhibitedPackage

# Package URL types (purl-spec, "Known purl types").
ECOSYSTEMS = (
    *("alpm", "apk", "bitnami", "cargo", "cocoapods", "composer", "conan", "conda", "cpan", "cran", "deb"),
    *("docker", "gem", "generic", "github", "golang", "hackage", "hex", "huggingface", "maven", "npm"),
    *("nuget", "oci", "pub", "pypi", "rpm", "swift"),
)
# What people call them.
_CALLED = {
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
# Their names are written with the namespace, and with what in between; elsewhere a namespace is a distribution.
_SEPARATORS = {"maven": ":", "npm": "/", "golang": "/", "composer": "/", "github": "/", "swift": "/"}
PACKAGE_URL = "pkg:"
# purl-spec: scheme:type/namespace/name@version; qualifiers and a subpath would say less than the whole package.
_PURL = re.compile(r"pkg:([a-z][a-z0-9.+-]*)/((?:[^/?#@\s]+/|@[^/?#@\s]+/)*)([^/?#@\s]+)(?:@([^/?#@\s]+))?")


def package_url(value: str) -> re.Match[str]:
    """Type, namespace, name and version. Raises `ValueError`."""
    match = _PURL.fullmatch(value)
    if match is None:
        example = "pkg:npm/event-stream@3.3.6 (no ? and no #)"
        raise ValueError(f"must be a package URL such as {example}, not {describe(value)}")
    return match


def _ecosystem(value: object) -> str:
    if value in ECOSYSTEMS:
        return str(value)
    called = _CALLED.get(str(value).lower())
    hint = f" (did you mean {called}?)" if called else did_you_mean(value, ECOSYSTEMS)
    raise ValueError(
        f"{describe(value)} is no package URL type" + (hint or ", such as maven, npm, pypi or deb")
    )


def _versions(value: object) -> str:
    # Only policies that prohibit packages need it.
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

    name: _Name = Field(description="Its name; * and ? stand for other characters.", examples=["log4j-core"])
    versions: _Versions | None = Field(
        default=None,
        description="Which versions: constraints that must all hold. Left out: every version.",
        examples=["<2.17.1", ">=2.0, <2.17.1", "=3.3.6"],
    )
    ecosystem: _Ecosystem | None = Field(
        default=None,
        description="The package URL type: how versions compare, and whose package it is. Left out: any.",
    )

    def packages(self) -> Iterator[ProhibitedPackage]:
        yield from _spelled(self.name, self.versions or "", self.ecosystem)


def _spelled(name: str, versions: str, ecosystem: str | None) -> Iterator[ProhibitedPackage]:
    """Scanners name Maven packages with and without their group: each name stands for the other, too."""
    yield ProhibitedPackage(name, versions, ecosystem)
    bare = name.rpartition(":")[2]
    if bare == name and ecosystem in (None, "maven"):
        yield ProhibitedPackage(f"*:{name}", versions, "maven")
    elif ecosystem == "maven" and bare.strip("*?"):
        yield ProhibitedPackage(bare, versions, "maven")


def _entry(value: object) -> object:
    """A package URL, or a bare name, in the long form."""
    if not isinstance(value, str):
        return value
    if not value.startswith(PACKAGE_URL):
        return {"name": value}
    type_, namespace, name, version = package_url(value).groups()
    names = [*filter(None, namespace.split("/")), name] if type_ in _SEPARATORS else [name]
    joined = _SEPARATORS.get(type_, "/").join(map(unquote, names))
    # `*` in a name is its own letter there, but no package has one: brackets make it so for the glob.
    entry = {"name": re.sub(r"([*?\[])", r"[\1]", joined), "ecosystem": type_}
    return entry | ({"versions": f"={unquote(version)}"} if version else {})


Prohibited = Annotated[ProhibitedShape, BeforeValidator(_entry)]
