"""Every rule in every situation: the outcome for the image, the reasons, and the use of waivers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from imagegate.findings.finding import Finding, FindingKind, Severity
from imagegate.findings.scan import WaitOutcome
from imagegate.gate import evaluation as judging
from imagegate.gate import image_rules, verdict
from imagegate.gate import tally as weighing
from imagegate.gate.facts import CameBy, Evidence
from imagegate.oci.image_config import ImageConfig
from imagegate.policy import rules
from imagegate.policy.policy import Entry
from imagegate.policy.rules import Action, FindingRules, Limit, ProhibitedPackage, Rule
from imagegate.policy.waiver import Waiver
from tests.unit.samples import DAY, NOON, finding, package, rule_waiver, stage, waiver
from tests.unit.trials import HOUR, Trial, base, trial

# What is expected: the outcome, the action of the rule's reason where there is one, and whether the waiver was used.
# good: the rule holds. bad: it does not. warn, off: bad, and that is its action. waived: bad, with a waiver for it.
# unknown: what the rule needs is missing; the same with the action warn, and with a waiver. -: there is no such thing.
TABLE = """
rule                        | good      | off  | warn           | bad           | waived         | unknown       | unknown, warn | unknown, waived
findings.critical           | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | ERROR enforce | PASS warn     | PASS used
findings.high               | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | ERROR enforce | PASS warn     | PASS used
findings.medium             | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | ERROR enforce | PASS warn     | PASS used
findings.low                | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | ERROR enforce | PASS warn     | PASS used
findings.informational      | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | ERROR enforce | PASS warn     | PASS used
findings.undefined          | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | ERROR enforce | PASS warn     | PASS used
findings.denied             | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | -             | -             | -
findings.secrets            | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | -             | -             | -
findings.misconfigurations  | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | -             | -             | -
findings.licenses           | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | -             | -             | -
findings.incomplete         | PASS      | -    | -              | -             | -              | ERROR enforce | -             | ERROR enforce
packages.prohibited         | PASS      | PASS | PASS warn      | BLOCK enforce | PASS used      | ERROR enforce | PASS warn     | PASS used
scan.unsupported            | PASS      | -    | -              | BLOCK enforce | PASS warn used | -             | -             | -
scan.failed                 | PASS      | -    | -              | BLOCK enforce | BLOCK enforce  | -             | -             | -
scan.never                  | PASS      | -    | -              | BLOCK enforce | BLOCK enforce  | -             | -             | -
scan.timeout                | PASS      | -    | -              | BLOCK enforce | BLOCK enforce  | -             | -             | -
scan.nothing                | PASS      | -    | -              | BLOCK enforce | BLOCK enforce  | -             | -             | -
scan.stale                  | PASS      | PASS | -              | BLOCK enforce | BLOCK enforce  | ERROR enforce | -             | ERROR enforce
image.max_age               | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
image.max_size              | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
image.labels                | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
image.base_images           | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
image.platforms             | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
image.non_root              | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
image.layers                | PASS      | -    | -              | BLOCK enforce | PASS warn used | -             | -             | -
image.ambiguous             | PASS      | -    | -              | BLOCK enforce | BLOCK enforce  | -             | -             | -
image.tags                  | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | -             | -             | -
image.forbidden_tags        | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | -             | -             | -
image.entry                 | PASS      | PASS | -              | BLOCK enforce | BLOCK enforce  | -             | -             | -
evidence.require_signature  | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
evidence.require_provenance | PASS      | PASS | PASS warn      | BLOCK enforce | PASS warn used | ERROR enforce | PASS warn     | PASS warn used
waiver.ending               | PASS used | -    | PASS warn used | -             | -              | -             | -             | -
waiver.idle                 | PASS used | -    | PASS warn      | -             | -              | -             | -             | -
"""  # noqa: E501 - a table

Change = Callable[[Trial], Trial]


@dataclass(frozen=True)
class Subject:
    """A rule's setting, and values that satisfy and violate it, in an image that is right in every other respect."""

    asked: Callable[[Trial, Action], Trial]
    bad: Change
    unknown: Change | None = None
    good: Change = lambda plain: plain
    waiver: Waiver | None = None  # None: by the name of the rule


def _always(plain: Trial, _action: Action) -> Trial:
    return plain


def _scan(number: int = 0, **changes: Any) -> Change:
    return lambda plain: plain.with_platform(number, **changes)


def _facts(**changes: Any) -> Change:
    return lambda plain: plain.with_platform_facts(0, **changes)


def _image(**changes: Any) -> Change:
    return lambda plain: replace(plain, image=replace(plain.image, **changes))


def _found(*findings: Finding) -> Change:
    return lambda plain: plain.with_findings(*findings)


def _limit(severity: Severity) -> Subject:
    """Return a limit of one fixable finding."""
    one, other, without, silent = (
        finding(f"CVE-2026-{number}", severity, fixable=fixable)
        for number, fixable in ((1, True), (2, True), (3, False), (1, None))
    )

    def asked(plain: Trial, action: Action) -> Trial:
        return plain.with_rules(max={severity: Limit(1, action)}, only_fixable=frozenset({severity}))

    return Subject(asked, _found(one, other), _found(silent, other), _found(other, without), waiver())


def _limit_of(kind: FindingKind) -> Subject:
    """Return a limit of one finding of a kind, whatever the severity; those without a fix count, too."""
    one, other = (
        replace(finding(f"CVE-2026-{number}", severity, fixable=None), kind=kind)
        for number, severity in ((1, Severity.CRITICAL), (2, Severity.LOW))
    )

    def asked(plain: Trial, action: Action) -> Trial:
        limits = dict.fromkeys(Severity, Limit(0))
        every = frozenset(Severity)
        return plain.with_rules(max=limits, only_fixable=every, max_of_kind={kind: Limit(1, action)})

    return Subject(asked, _found(one, other), good=_found(one), waiver=waiver())


def _denied() -> Subject:
    """Return a finding that is denied by another of its names; it has no fix, and its severity has no limit."""
    denied = finding(aliases=("GHSA-1",), fixable=False)

    def asked(plain: Trial, action: Action) -> Trial:
        return plain.with_rules(
            deny=Rule(frozenset({"GHSA-1"}), action), only_fixable=frozenset({Severity.HIGH})
        )

    return Subject(asked, _found(denied), good=_found(finding("CVE-2026-2")), waiver=waiver())


def _prohibited() -> Subject:
    old, new, silent = (finding("CVE-2026-1", Severity.LOW, package(installed=v)) for v in ("1", "2", None))

    def asked(plain: Trial, action: Action) -> Trial:
        return plain.with_rules(prohibited=Rule((ProhibitedPackage("open*", "<2", "deb"),), action))

    waived = rule_waiver(rules.PROHIBITED, package="openssl")
    return Subject(asked, _found(old), _found(silent), _found(new), waived)


def _of_image(name: str, value: Any, bad: Change, unknown: Change | None = None) -> Subject:
    return Subject(lambda plain, action: plain.with_image_rules(**{name: Rule(value, action)}), bad, unknown)


def _of_evidence(name: str, value: Any, kind: str, bad: Evidence) -> Subject:
    return Subject(
        lambda plain, action: plain.with_evidence_rules(**{name: Rule(value, action)}),
        _image(**{kind: bad}),
        _image(**{kind: None}),
    )


def _recent(plain: Trial, action: Action) -> Trial:
    oldest = None if action is Action.OFF else 6 * HOUR
    return replace(plain, stage=replace(plain.stage, max_scan_age=oldest))


def _shut(plain: Trial, action: Action) -> Trial:
    entry = Entry.OPEN if action is Action.OFF else Entry.PROMOTION
    return replace(plain, stage=replace(plain.stage, entry=entry))


def _waited(waited: WaitOutcome) -> Change:
    return lambda plain: replace(_scan(status=None)(plain), waited=waited)


ROOT = ImageConfig("root", {"team": "shop"})
UNKNOWN = Subject(_always, lambda plain: plain, _scan(hidden={Severity.LOW: 1}))
SUBJECTS: dict[str, Subject] = {
    **{f"findings.{severity.lower()}": _limit(severity) for severity in Severity},
    **{rule: _limit_of(kind) for kind, rule in rules.RULES_OF_KINDS.items()},
    "findings.denied": _denied(),
    "findings.incomplete": UNKNOWN,
    "packages.prohibited": _prohibited(),
    "scan.unsupported": Subject(_always, _scan(status="UNSUPPORTED_IMAGE")),
    "scan.failed": Subject(_always, _scan(status="FAILED", description="the layers cannot be read")),
    "scan.never": Subject(_always, _waited(WaitOutcome.NEVER)),
    "scan.timeout": Subject(_always, _waited(WaitOutcome.TIMED_OUT)),
    "scan.nothing": Subject(_always, lambda plain: replace(plain, platforms=())),
    "scan.stale": Subject(_recent, _scan(completed_at="2026-11-21T05:59:59Z"), _scan(completed_at=None)),
    "image.max_age": _of_image(
        "max_age", 5 * DAY, _image(first_pushed_at=NOON - 6 * DAY), _image(first_pushed_at=None)
    ),
    "image.max_size": _of_image("max_size", 80_000_000, _facts(size=80_000_001), _facts(size=None)),
    "image.labels": _of_image("labels", {"team": "s*"}, _facts(config=ImageConfig()), _facts(config=None)),
    "image.base_images": _of_image(
        "base_images", ("golden",), _facts(base=base("silver")), _facts(base_is_known=False, base=None)
    ),
    "image.platforms": _of_image(
        "platforms",
        frozenset({"linux/amd64"}),
        _facts(platform="linux/arm64"),
        _facts(platform=None, config=None),
    ),
    "image.non_root": _of_image("non_root", True, _facts(config=ROOT), _facts(config=None)),
    "image.layers": Subject(_always, _facts(unread_layers=("application/vnd.example",))),
    "image.ambiguous": Subject(_always, _image(ambiguous="its config could be read otherwise")),
    "image.tags": _of_image("tags", ("1.*",), _image(tags=frozenset({"1.0", "test"}))),
    "image.forbidden_tags": _of_image("forbidden_tags", ("lat*",), _image(tags=frozenset({"1", "latest"}))),
    "image.entry": Subject(_shut, _image(came_by=CameBy.PUSH), good=_image(came_by=CameBy.PROMOTION)),
    "evidence.require_signature": _of_evidence(
        "require_signature", True, "signature", Evidence(problem="not signed by the gate of dev")
    ),
    "evidence.require_provenance": _of_evidence(
        "require_provenance", ("https://ci.example/*",), "provenance", Evidence(("https://laptop",))
    ),
}


def _waived(ends: timedelta, allowed: int = 0) -> Trial:
    """Return a trial with one finding that is waived until then."""
    gate = stage(findings=FindingRules(max={Severity.HIGH: Limit(allowed)}))
    return trial(finding(), stage=gate, waivers=(waiver(expires=(NOON + ends).date()),))


WARNINGS = {
    "waiver.ending": {"good": _waived(8 * DAY), "warn": _waived(7 * DAY)},
    "waiver.idle": {"good": _waived(8 * DAY), "warn": _waived(-DAY, allowed=1)},
}


def situation(rule: str, column: str) -> Trial:
    if rule in WARNINGS:
        return WARNINGS[rule][column]
    subject = SUBJECTS[rule]
    action = {"off": Action.OFF, "warn": Action.WARN, "unknown, warn": Action.WARN}.get(
        column, Action.ENFORCE
    )
    plain = subject.asked(trial(), action)
    if "waived" in column:
        plain = replace(plain, waivers=(subject.waiver or rule_waiver(rule),))
    if column.startswith("unknown"):
        assert subject.unknown
        return subject.unknown(plain)
    return subject.good(plain) if column == "good" else subject.bad(plain)


def cells() -> Iterator[tuple[str, str, str]]:
    header, *rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    for rule, *expected in rows:
        yield from ((rule, column, cell) for column, cell in zip(header[1:], expected, strict=True))


@pytest.mark.parametrize(("rule", "column", "cell"), [found for found in cells() if found[2] != "-"])
def test_every_rule_decides_as_the_table_says(rule: str, column: str, cell: str) -> None:
    case = situation(rule, column)
    judged = case.judged()
    mine = [reason for reason in judged.verdict.reasons if reason.rule == rule]
    told = [judged.verdict.outcome, *(reason.action for reason in mine)]
    assert " ".join([*map(str, told), *(["used"] if judged.used_waivers else [])]) == cell
    assert {reason.rule for reason in judged.verdict.reasons} <= {rule, "waiver.idle"}
    assert judged.used_waivers in ((), case.waivers)
    assert [reason.is_unknown for reason in mine if reason.action is Action.ENFORCE] == [
        column.startswith("unknown") for _ in mine if "enforce" in cell
    ]


@pytest.mark.parametrize(("rule", "column", "cell"), [found for found in cells() if found[2] == "-"])
def test_the_table_leaves_out_only_impossible_situations(rule: str, column: str, cell: str) -> None:
    if rule in WARNINGS:
        assert column not in WARNINGS[rule]
        return
    subject = SUBJECTS[rule]
    has_no_action = subject.asked in (_always, _recent, _shut)
    is_never_unknown = subject.unknown is None
    assert (
        ("unknown" in column and is_never_unknown)
        or (column in ("off", "warn", "unknown, warn") and has_no_action)
        or subject is UNKNOWN
    )


def test_every_rule_that_there_is_has_its_row() -> None:
    source = "".join(map(inspect.getsource, (rules, verdict, weighing, image_rules, judging)))
    named = set(re.findall(r'"((?:findings|packages|scan|image|evidence|waiver)\.[a-z_]+)"', source))
    named |= {f"findings.{severity.lower()}" for severity in Severity}
    assert {rule for rule, _, _ in cells()} == named


def test_the_rules_that_can_be_waived_as_a_whole_are_those_of_the_table() -> None:
    by_rule = {
        rule for rule, column, cell in cells() if column == "waived" and "used" in cell and rule in SUBJECTS
    }
    assert {rule for rule in by_rule if not rule.startswith("findings.")} == set(rules.WAIVABLE)
