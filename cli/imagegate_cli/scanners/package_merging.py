"""Merging of the packages of several findings of one vulnerability, and of their fixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace

from imagegate.findings.finding import Finding, Package

ANY_PACKAGE = ""  # the package of a finding that names none


def names_of_packages(finding: Finding) -> list[str]:
    """Return the names of the packages in a form that is equal between scanners."""
    return [_comparable(package) for package in finding.packages] or [ANY_PACKAGE]


def merge_packages(members: Iterable[Finding], informers: Iterable[Finding]) -> tuple[Package, ...]:
    """Return each package of the members once, completed with what the informers say about it."""
    packages: list[Package] = []
    for package in _packages(members):
        if not _complete(packages, package):
            packages.append(package)
    for package in _packages(informers):
        _complete(packages, package)
    return tuple(packages)


def merge_fixable(packages: Iterable[Package], informers: Sequence[Finding]) -> bool | None:
    """Return whether every package has a fix: False if one is known to have none, None if that is unknown."""
    fixed = {_comparable(package) for package in _packages(informers) if package.fixed}
    answers = [_comparable(package) in fixed or _says_fixed(package, informers) for package in packages]
    if not answers:
        return merge_answers(one.fixable for one in informers)
    return False if False in answers else None if None in answers else True


def merge_answers(answers: Iterable[bool | None]) -> bool | None:
    """Combine answers: yes wins over no, no over unknown (None)."""
    known = [answer for answer in answers if answer is not None]
    return any(known) if known else None


def _packages(findings: Iterable[Finding]) -> Iterator[Package]:
    return (package for finding in findings for package in finding.packages)


def _comparable(package: Package) -> str:
    """Normalize a name: scanners differ in Maven groups and in the spelling of Python names."""
    return package.name.rpartition(":")[2].lower().replace("_", "-")


def _complete(packages: list[Package], package: Package) -> bool:
    """Complete the same package in the list with the fields of this one; return False if it is not in the list."""
    for position, known in enumerate(packages):
        if _comparable(known) == _comparable(package) and _is_version(known.installed, package.installed):
            more = {one.name: getattr(package, one.name) for one in fields(Package)}
            missing = {name: value for name, value in more.items() if getattr(known, name) is None}
            packages[position] = replace(known, **missing)
            return True
    return False


def _is_version(one: str | None, other: str | None) -> bool:
    """Compare versions without the epoch (`1:3.0` is `3.0`) and Go's `v`, which some scanners omit."""
    return one is None or other is None or _bare(one) == _bare(other)


def _bare(version: str) -> str:
    epoch, _, rest = version.partition(":")
    return (rest if rest and epoch.isdigit() else version).removeprefix("v")


def _says_fixed(package: Package, informers: Sequence[Finding]) -> bool | None:
    """Combine the answers of findings that name the package, or no package at all."""
    name = _comparable(package)
    return merge_answers(
        one.fixable for one in informers if not one.packages or name in names_of_packages(one)
    )
