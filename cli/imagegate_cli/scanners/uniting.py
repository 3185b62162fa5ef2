"""The packages of several findings of one vulnerability as those of one finding, and whether they can be mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace

from imagegate.findings.finding import Finding, Package

ANY_PACKAGE = ""  # stands for the package of a finding that names none


def names_of_packages(finding: Finding) -> list[str]:
    """Comparable between scanners."""
    return [_comparable(package) for package in finding.packages] or [ANY_PACKAGE]


def united(members: Iterable[Finding], told: Iterable[Finding]) -> tuple[Package, ...]:
    """Each package of the members once, with all that is told about it."""
    packages: list[Package] = []
    for package in _packages(members):
        if not _fill(packages, package):
            packages.append(package)
    for package in _packages(told):
        _fill(packages, package)
    return tuple(packages)


def fixable(packages: Iterable[Package], told: Sequence[Finding]) -> bool | None:
    """No, if there is a package for which nobody knows of a fix; None, if those who could know were not asked."""
    fixed = {_comparable(package) for package in _packages(told) if package.fixed}
    answers = [_comparable(package) in fixed or _says_fixed(package, told) for package in packages]
    if not answers:
        return yes_or_no(one.fixable for one in told)
    return False if False in answers else None if None in answers else True


def yes_or_no(answers: Iterable[bool | None]) -> bool | None:
    """Yes if one says so, no if one says so, None if nobody does."""
    told = [answer for answer in answers if answer is not None]
    return any(told) if told else None


def _packages(findings: Iterable[Finding]) -> Iterator[Package]:
    return (package for finding in findings for package in finding.packages)


def _comparable(package: Package) -> str:
    """Scanners differ in a Maven package's group, and in how they write a Python package's name."""
    return package.name.rpartition(":")[2].lower().replace("_", "-")


def _fill(packages: list[Package], package: Package) -> bool:
    """Complete the same package by what this one has; False: it is not there."""
    for position, known in enumerate(packages):
        if _comparable(known) == _comparable(package) and _is_version(known.installed, package.installed):
            more = {one.name: getattr(package, one.name) for one in fields(Package)}
            missing = {name: value for name, value in more.items() if getattr(known, name) is None}
            packages[position] = replace(known, **missing)
            return True
    return False


def _is_version(one: str | None, other: str | None) -> bool:
    """Some scanners leave out the epoch (`1:3.0` is `3.0`), and Go's `v`."""
    return one is None or other is None or _bare(one) == _bare(other)


def _bare(version: str) -> str:
    epoch, _, rest = version.partition(":")
    return (rest if rest and epoch.isdigit() else version).removeprefix("v")


def _says_fixed(package: Package, told: Sequence[Finding]) -> bool | None:
    """What those say that name the package, or none at all."""
    name = _comparable(package)
    return yes_or_no(one.fixable for one in told if not one.packages or name in names_of_packages(one))
