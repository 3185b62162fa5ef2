"""Canonical JSON: one value, one byte form, one digest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from imagegate.canonical_json import canonical_json, parse_timestamp, timestamp
from imagegate.errors import RejectedInputError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=15,
)
# 1970 to 2200
whole_seconds = st.integers(0, 7_258_118_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(values)
def test_a_record_reads_back_as_it_was_written(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.dictionaries(st.text(max_size=8), values, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_change_the_bytes(value: Any, random: Random) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert canonical_json({key: value[key] for key in keys}) == canonical_json(value)


def test_the_form_is_sorted_dense_and_utf8() -> None:
    assert canonical_json({"b": [1, None, True], "a": "ü\n"}) == '{"a":"ü\\n","b":[1,null,true]}'.encode()


# RFC 8785 sorts keys by UTF-16 code units, we by code points: the same but for keys beyond U+FFFF. Its numbers are
# doubles.
_keys = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8)
_of_the_rfc = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=5),
    max_leaves=15,
)


@given(_of_the_rfc)
def test_it_is_the_form_of_rfc_8785(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, datetime(2026, 1, 1, tzinfo=UTC), object()])
def test_a_value_without_a_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(RejectedInputError):
        canonical_json({"value": value})


@pytest.mark.parametrize("value", [1.5, float("nan"), {1: "a"}, {None: "a"}, {1: "a", "b": 2}, "\ud800"])
def test_numbers_and_keys_without_one_form_are_refused(value: Any) -> None:
    with pytest.raises(RejectedInputError):
        canonical_json(value)


@given(whole_seconds)
def test_a_time_reads_back_as_it_was_written(moment: datetime) -> None:
    assert parse_timestamp(timestamp(moment)) == moment


@given(whole_seconds, st.integers(-14 * 60, 14 * 60))
def test_a_time_is_written_in_utc_whatever_its_zone(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert timestamp(elsewhere) == timestamp(moment)
    assert timestamp(moment).endswith("Z")


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-21", "2026-11-21T07:52:38", "2026-13-01T00:00:00Z", None, 1763711558, b"2026"],
)
def test_a_time_without_a_zone_is_refused(text: Any) -> None:
    with pytest.raises(RejectedInputError):
        parse_timestamp(text)


@pytest.mark.parametrize("year", [1, 999, 1970, 9999])
def test_a_time_of_any_year_reads_back_as_it_was_written(year: int) -> None:
    moment = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert parse_timestamp(timestamp(moment)) == moment


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_outside_the_calendar_is_refused(text: Any) -> None:
    with pytest.raises(RejectedInputError):
        parse_timestamp(text)
