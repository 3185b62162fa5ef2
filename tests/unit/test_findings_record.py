"""The record of findings: it reads back as it was written, the same findings have the same bytes, damage is noticed."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import CorruptContentError
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.gate.finding_rules import Clock, FindingRuling, RulingReason
from imagegate.gate.findings_record import SCHEMA, FindingsWriter, clocks_of, mentions, read
from tests.unit.samples import DAY, NOON, finding, json_values, package, severities

texts = st.text(max_size=6)
maybe = st.none() | texts
sometimes = st.none() | st.booleans()
packages = st.builds(Package, texts, maybe, maybe, maybe, maybe, maybe, maybe)
findings = st.builds(
    Finding,
    vulnerability=texts,
    severity=severities,
    packages=st.lists(packages, max_size=2).map(tuple),
    aliases=st.lists(texts, max_size=2).map(tuple),
    fixable=sometimes,
    exploit=sometimes,
    known_exploited=sometimes,
    epss=st.none() | st.floats(0, 1),
    published=maybe,
    url=maybe,
    arn=maybe,
    at_worst=st.none() | severities,
    cvss=st.none() | st.floats(0, 10),
    description=st.none() | st.text(min_size=1, max_size=6),
)
some_findings = st.lists(findings, max_size=4)
COUNTS = (FindingRuling("findings.high", RulingReason.COUNTS),)


def written(*some: Finding) -> bytes:
    writer = FindingsWriter()
    for one in some:
        writer.add(one, COUNTS)
    return writer.finish()


def findings_in(content: bytes) -> list[Finding]:
    return [one for one, _ in read(content)]


@given(some_findings)
def test_findings_read_back_as_they_were_written(some: list[Finding]) -> None:
    assert findings_in(written(*some)) == some


@given(some_findings)
def test_the_same_findings_have_the_same_bytes(some: list[Finding]) -> None:
    assert written(*some) == written(*some)


@given(some_findings, some_findings)
def test_other_findings_have_other_bytes(some: list[Finding], others: list[Finding]) -> None:
    assert (written(*some) == written(*others)) is (some == others)


def test_the_form_is_json_lines_that_any_tool_unpacks() -> None:
    first, second = gzip.decompress(written(finding(epss=0.0, fixable=False))).splitlines()
    assert json.loads(first) == {"schema": SCHEMA} == {"schema": "imagegate.findings/v1"}
    assert json.loads(second) == {
        "vulnerability": "CVE-2026-1",
        "severity": "HIGH",
        "packages": [{"name": "openssl", "installed": "3.0.1", "ecosystem": "deb"}],
        "fixable": False,
        "epss": 0.0,
        "rulings": [{"rule": "findings.high", "why": "counts"}],
    }


@pytest.mark.parametrize("reason", RulingReason)
def test_a_finding_is_described_where_it_counts_and_in_200_characters(reason: RulingReason) -> None:
    ruling = FindingRuling("findings.high", reason)
    writer = FindingsWriter()
    writer.add(finding(description="x" * 201), (ruling,))
    ((kept, _),) = read(writer.finish())
    assert kept.description == (f"{'x' * 199}…" if ruling.holds else None)


def test_a_record_that_is_written_again_has_the_same_bytes() -> None:
    first = written(finding(description="x" * 300, cvss=7.5))
    assert written(*findings_in(first)) == first


def test_the_packed_bytes_name_no_time() -> None:
    assert written()[4:8] == bytes(4)


def test_a_record_has_the_result_of_each_rule() -> None:
    writer = FindingsWriter()
    writer.add(
        finding(), (FindingRuling("findings.denied", RulingReason.WAIVED, "2026-12-01", "w-1"), *COUNTS)
    )
    ((_, line),) = read(writer.finish())
    assert line["rulings"] == [
        {"rule": "findings.denied", "why": "waived", "until": "2026-12-01", "waiver": "w-1"},
        {"rule": "findings.high", "why": "counts"},
    ]
    assert writer.number == 1


seconds = st.integers(0, 10**8).map(lambda number: NOON - timedelta(seconds=number))
clocks = st.builds(Clock, seconds, st.none() | seconds)


@given(st.lists(clocks, min_size=2, max_size=2))
def test_the_clocks_of_a_finding_read_back(some: list[Clock]) -> None:
    both = finding("CVE-2026-1", Severity.HIGH, package("openssl"), package("zlib"))
    running = dict(zip(both.places, some, strict=True))
    writer = FindingsWriter()
    writer.add(both, COUNTS, running)
    ((kept, line),) = read(writer.finish())
    assert clocks_of(kept, line) == running


def test_a_finding_without_clocks_has_none() -> None:
    ((kept, line),) = read(written(finding()))
    assert clocks_of(kept, line) == {}


def test_findings_say_whether_the_package_is_from_the_base() -> None:
    mixed = finding(
        "CVE-2026-1",
        Severity.HIGH,
        package("a", layer="sha256:1"),
        package("b", layer="sha256:2"),
        package("c"),
    )
    writer = FindingsWriter()
    writer.add(mixed, COUNTS, {}, frozenset({"sha256:1"}))
    writer.add(mixed, COUNTS)
    (_, first), (_, second) = read(writer.finish())
    assert first["from"] == ["base", "own", "unknown"]
    assert "from" not in second


def test_half_a_surrogate_pair_does_not_stop_the_record() -> None:
    (kept,) = findings_in(written(finding("CVE-\ud800")))
    assert kept.vulnerability == "CVE-?"


def test_the_lines_of_a_finding_are_one_line() -> None:
    odd = finding("CVE\n\u2028\r\x00", url="ü")
    assert findings_in(written(odd, odd)) == [odd, odd]


def test_a_large_record_is_read_through() -> None:
    many = [
        finding(f"CVE-{number}", url=f"https://example.com/{number * 7919 % 10007}") for number in range(3000)
    ]
    content = written(*many)
    assert findings_in(content) == many


# damage

WHOLE = written(*(finding(f"CVE-{number}", published=str(NOON - number * DAY)) for number in range(5)))


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_record_that_was_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(CorruptContentError):
        findings_in(WHOLE[:length])


@given(st.integers(10, len(WHOLE) - 1), st.integers(1, 255))
def test_a_record_that_was_altered_is_noticed(position: int, change: int) -> None:
    """After the ten bytes of gzip's header, which its checksum leaves out."""
    altered = bytearray(WHOLE)
    altered[position] ^= change
    with pytest.raises(CorruptContentError):
        findings_in(bytes(altered))


@given(st.integers(0, 9), st.integers(1, 255))
def test_an_altered_header_changes_no_finding(position: int, change: int) -> None:
    altered = bytearray(WHOLE)
    altered[position] ^= change
    try:
        assert findings_in(bytes(altered)) == findings_in(WHOLE)
    except CorruptContentError:
        return


@given(st.binary(max_size=60))
def test_anything_but_a_record_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptContentError):
        findings_in(content)


def packed(*lines: Any) -> bytes:
    return gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


LINE = {"vulnerability": "CVE-1", "severity": "HIGH", "packages": [{"name": "a"}]}


@pytest.mark.parametrize(
    "content",
    [
        packed(),
        packed({}),
        packed([]),
        packed({"schema": "imagegate.findings/v2"}),
        packed({"schema": SCHEMA}, 3),
        packed({"schema": SCHEMA}, {**LINE, "severity": "high"}),
        packed({"schema": SCHEMA}, {**LINE, "severity": None}),
        packed({"schema": SCHEMA}, {**LINE, "packages": [{"name": "a", "colour": "red"}]}),
        packed({"schema": SCHEMA}, {**LINE, "packages": [{}]}),
        packed({"schema": SCHEMA}, {**LINE, "packages": None}),
        packed({"schema": SCHEMA}, {**LINE, "aliases": 3}),
        packed({"schema": SCHEMA}, {"severity": "HIGH", "packages": []}),
        gzip.compress(b'{"schema":"imagegate.findings/v1"}'),
        gzip.compress(b'{"schema":"imagegate.findings/v1"}\n\xff\n'),
        gzip.compress(b'{"schema":"imagegate.findings/v1"}\n{\n'),
    ],
    ids=range(15),
)
def test_a_record_of_another_form_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptContentError):
        findings_in(content)


@given(json_values, st.sampled_from(sorted(LINE)))
def test_garbage_in_a_line_is_refused_or_read_but_never_crashes(garbage: Any, field: str) -> None:
    for line in (garbage, {**LINE, field: garbage}):
        try:
            findings_in(packed({"schema": SCHEMA}, line))
        except CorruptContentError:
            continue


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_record_mentions_each_name_of_its_findings(name: str, alias: str) -> None:
    writer = FindingsWriter()
    writer.add(Finding(name, Severity.LOW, aliases=(alias,)), ())
    record = writer.finish()
    assert mentions(record, name)
    assert mentions(record, alias)


def test_a_record_does_not_mention_a_name_that_begins_like_one() -> None:
    writer = FindingsWriter()
    writer.add(Finding("CVE-2026-10", Severity.LOW), ())
    assert not mentions(writer.finish(), "CVE-2026-1")
