"""Durations as people write them, and as messages show them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.duration import UNITS, duration_pattern, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
        ("007d", timedelta(days=7)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "d", "7 d", " 7d", "7d ", "7d\n", "-7d", "+7d", "1.5h", "7D", "7min", "1h30m", "1234567s"),
        "٣d",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(0, 999_999), st.sampled_from([*UNITS]), st.sampled_from(["smh", "hdw", "d", "smhd"]))
def test_only_the_units_that_are_allowed_are_read(number: int, unit: str, units: str) -> None:
    text = f"{number}{unit}"
    assert parse_duration(text, units) == (number * UNITS[unit] if unit in units else None)
    assert (parse_duration(text, units) is None) is (re.fullmatch(duration_pattern(units), text) is None)


def test_decimals_are_read_only_where_they_are_allowed() -> None:
    assert parse_duration("0.5h", decimals=True) == timedelta(minutes=30)
    assert parse_duration("2h", decimals=True) == timedelta(hours=2)
    assert parse_duration("0.5h") is parse_duration(".5h", decimals=True) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (90, "90 s"),
        (1800, "30 min"),
        (3600, "1 h"),
        (5400, "90 min"),
    ],
)
def test_a_duration_is_shown_in_the_largest_unit_that_divides_it(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
