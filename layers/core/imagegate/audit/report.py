"""The report of an audit, and its parts.

A check has one of three results for a resource: it passes, it fails (a finding), or it is not assessed, with the
reason. An error is never a pass. A check that was made is counted, also if there was nothing that it could be made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from imagegate.audit.checks import CATALOGUE, AuditCheck
from imagegate.audit.finding import LONGEST_DETAIL, AuditedResource, AuditFinding
from imagegate.canonical_json import canonical_json, parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.text import printable

SCHEMA = "imagegate.audit/v1"


@dataclass(frozen=True, slots=True)
class CheckPassed:
    """A check that passes for a resource."""

    check: AuditCheck


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """A check that could not be made for a resource.

    About a repository, it covers the images in it; about the registry, everything.
    """

    check: AuditCheck
    resource: AuditedResource
    reason: str

    def __post_init__(self) -> None:
        """Cut the reason, as the detail of a finding."""
        object.__setattr__(self, "reason", printable(self.reason, LONGEST_DETAIL))

    def as_json(self) -> dict[str, Any]:
        return {"check": self.check.id, "resource": self.resource.as_json(), "reason": self.reason}


CheckOutcome = CheckPassed | AuditFinding | NotAssessed


@dataclass(frozen=True, slots=True)
class CheckCount:
    """The number of resources for which a check passed, and for which it failed."""

    passed: int = 0
    failed: int = 0

    def __add__(self, other: CheckCount) -> CheckCount:
        return CheckCount(self.passed + other.passed, self.failed + other.failed)


@dataclass(frozen=True, slots=True)
class AuditPart:
    """The results of some checks for some resources; parts add up. Findings and reasons have the order of the parts.

    `counts`: by id of each check that was made. `measures`: whole numbers, the unit in the name (`storageBytes`).
    """

    repositories: int = 0
    images: int = 0
    findings: tuple[AuditFinding, ...] = ()
    not_assessed: tuple[NotAssessed, ...] = ()
    counts: Mapping[str, CheckCount] = field(default_factory=dict)
    measures: Mapping[str, int] = field(default_factory=dict)

    def numbers(self) -> dict[str, Any]:
        """Return everything but the two lists that grow with the registry."""
        return {
            "repositories": self.repositories,
            "images": self.images,
            "counts": {
                name: {"passed": one.passed, "failed": one.failed} for name, one in self.counts.items()
            },
            "measures": dict(self.measures),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            **self.numbers(),
            "findings": [one.as_json() for one in self.findings],
            "notAssessed": [one.as_json() for one in self.not_assessed],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read the output of `as_json`. Checks that this version does not have any more are left out."""
        findings = (AuditFinding.from_json(one) for one in raw["findings"])
        return cls(
            repositories=raw["repositories"],
            images=raw["images"],
            findings=tuple(one for one in findings if one is not None),
            not_assessed=tuple(_not_assessed(raw["notAssessed"])),
            counts={name: CheckCount(**one) for name, one in raw["counts"].items() if name in CATALOGUE},
            measures=dict(raw["measures"]),
        )


def _not_assessed(raw: Iterable[Mapping[str, Any]]) -> Iterator[NotAssessed]:
    for one in raw:
        if one["check"] in CATALOGUE:
            resource = AuditedResource.from_json(one["resource"])
            yield NotAssessed(CATALOGUE[one["check"]], resource, one["reason"])


def part_of(
    outcomes: Iterable[CheckOutcome],
    *,
    made: Iterable[AuditCheck] = (),
    repositories: int = 0,
    images: int = 0,
    measures: Mapping[str, int] | None = None,
) -> AuditPart:
    """Return the part with these outcomes. `made`: checks that were made, also if they have no outcome."""
    counts = {check.id: [0, 0] for check in made}
    findings, not_assessed = [], []
    for outcome in outcomes:
        passed_failed = counts.setdefault(outcome.check.id, [0, 0])
        if isinstance(outcome, CheckPassed):
            passed_failed[0] += 1
        elif isinstance(outcome, AuditFinding):
            passed_failed[1] += 1
            findings.append(outcome)
        else:
            not_assessed.append(outcome)
    counted = {name: CheckCount(*numbers) for name, numbers in counts.items()}
    return AuditPart(
        repositories, images, tuple(findings), tuple(not_assessed), counted, dict(measures or {})
    )


def add_parts(parts: Iterable[AuditPart]) -> AuditPart:
    """Return the sum of the parts."""
    repositories = images = 0
    findings: list[AuditFinding] = []
    not_assessed: list[NotAssessed] = []
    counts: dict[str, CheckCount] = {}
    measures: dict[str, int] = {}
    for part in parts:
        repositories += part.repositories
        images += part.images
        findings += part.findings
        not_assessed += part.not_assessed
        for name, count in part.counts.items():
            counts[name] = counts.get(name, CheckCount()) + count
        for name, number in part.measures.items():
            measures[name] = measures.get(name, 0) + number
    return AuditPart(repositories, images, tuple(findings), tuple(not_assessed), counts, measures)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The audit of a registry at one time. `scope`: the names with `*` that were audited; empty: every repository."""

    taken_at: datetime
    account: str
    region: str
    results: AuditPart
    policy: str | None = None  # its digest
    scope: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[AuditFinding, ...]:
        return self.results.findings

    @property
    def standing(self) -> Iterator[AuditFinding]:
        """The findings that somebody must act on."""
        return (one for one in self.findings if one.is_standing)

    def to_document(self) -> dict[str, Any]:
        """Return the report as `docs/reference/audit.schema.json` has it."""
        return {**self._head(), **self.results.as_json()}

    def to_bytes(self) -> bytes:
        """Return the document as canonical JSON.

        Findings are encoded one by one: the document as a whole would need several times the memory of the report.
        """
        lists: dict[str, Sequence[AuditFinding | NotAssessed]] = {
            "findings": self.results.findings,
            "notAssessed": self.results.not_assessed,
        }
        others = {**self._head(), **self.results.numbers()}
        output = bytearray()
        for name in sorted({*lists, *others}):
            output += b'%s"%s":' % (b"," if output else b"{", name.encode())
            if name in others:
                output += canonical_json(others[name])
            else:
                _write_list(output, lists[name])
        output += b"}"
        return bytes(output)

    def _head(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "takenAt": timestamp(self.taken_at),
            "account": self.account,
            "region": self.region,
            "policy": self.policy,
            "scope": list(self.scope),
        }

    @classmethod
    def from_document(cls, raw: Any) -> Self:
        """Read a report. Raises `RejectedInputError` for anything else."""
        try:
            if raw["schema"] != SCHEMA:
                raise ValueError(f"schema {raw['schema']!r}")
            return cls(
                taken_at=parse_timestamp(raw["takenAt"]),
                account=raw["account"],
                region=raw["region"],
                policy=raw["policy"],
                scope=tuple(raw["scope"]),
                results=AuditPart.from_json(raw),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RejectedInputError(f"not a report of the audit: {error!r}") from error


def _write_list(output: bytearray, outcomes: Iterable[AuditFinding | NotAssessed]) -> None:
    output += b"["
    for number, one in enumerate(outcomes):
        output += (b"," if number else b"") + canonical_json(one.as_json())
    output += b"]"
