"""Texts of the policy file that stand for something: times, sizes, days, probabilities, tags, platforms, and more.

Each reader raises `ValueError` with what should stand there; beside it is what editors are told (JSON Schema).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from imagegate.duration import duration_pattern, parse_duration
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest
from imagegate.policy.file.yaml import describe, did_you_mean

OFF = "off"

_DURATION = duration_pattern()
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(MB|GB|MiB|GiB)")
_BYTES = {"MB": 1000**2, "GB": 1000**3, "MiB": 1024**2, "GiB": 1024**3}
_PROBABILITY = re.compile(r"0|1|0?\.[0-9]{1,6}|1\.0{1,6}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# What tags consist of (OCI distribution specification), and the wildcards.
_TAG_PATTERN = re.compile(r"[A-Za-z0-9_.*?\[\]!-]+")
# OCI image specification, image-index.md: os/architecture, and a variant.
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")
# Amazon ECR user guide, "Amazon ECR private registry"; IAM user guide, "IAM identifiers".
_REGISTRY = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=.@_/-]{1,512}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
_VULNERABILITY = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}|(?![Cc][Vv][Ee])[A-Za-z0-9][A-Za-z0-9.:_/-]{2,}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text (in quotes), not {describe(value)}")
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _span(shortest: timedelta, longest: timedelta, said: str) -> Callable[[object], timedelta]:
    """A reader of times from `shortest` to `longest`; `said`: the same for people."""

    def read(value: object) -> timedelta:
        span = parse_duration(value) if isinstance(value, str) else None
        if span is None:
            raise ValueError(f"must be a time such as 45s, 30m, 2h or 7d, not {describe(value)}")
        if not shortest <= span <= longest:
            raise ValueError(f"must be from {said}, not {value}")
        return span

    return read


_NO_TIME = timedelta()
# Tests soak for seconds; the state machine ends after 30 days.
_soak = _span(timedelta(seconds=1), timedelta(days=14), "1s to 14d")
_long_span = _span(timedelta(hours=1), timedelta(days=3650), "1h to 3650d")


def _or_off(read: Callable[[object], Any]) -> Callable[[object], Any]:
    """`off` unsets what a layer below gives."""
    return lambda value: None if value in (OFF, None) else read(value)


def _grace(value: object) -> timedelta | None:
    """A plain number is one of days."""
    if value in (OFF, None):
        return None
    return _long_span(f"{value}d" if isinstance(value, int) and not isinstance(value, bool) else value)


def _size(value: object) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be a size such as 500MB, 1.5GB or 512MiB, not {describe(value)}")
    size = round(float(match[1]) * _BYTES[match[2]])
    if not size:
        raise ValueError(f"must be more than nothing, not {value}")
    return size


def _probability(value: object) -> float | None:
    if value is None or value == OFF:
        return None
    if isinstance(value, bool) or not _PROBABILITY.fullmatch(str(value)):
        raise ValueError(f"must be a probability from 0 to 1 such as 0.5, not {describe(value)}")
    return float(str(value))


def _day(value: object) -> date:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # 30 February
    raise ValueError(f"must be a day such as 2027-01-31, not {describe(value)}")


def _tag(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text (in quotes), not {describe(value)}")
    if not _TAG_PATTERN.fullmatch(value):
        raise ValueError(f"no tag can match {value!r}")
    return value


def _platform(value: object) -> str:
    text = _text(value)
    if not _PLATFORM.fullmatch(text):
        raise ValueError(f"must be a platform such as linux/amd64 or linux/arm/v7, not {describe(value)}")
    return text


def _vulnerability(value: object) -> str:
    """Names are compared letter by letter: one that no scanner writes would silently match nothing."""
    text = _text(value)
    if not _VULNERABILITY.fullmatch(text):
        raise ValueError(
            f"must be the name of one vulnerability such as CVE-2021-44228, not {describe(value)}"
        )
    return text


def _registry(value: object) -> str:
    text = _text(value)
    if not _REGISTRY.fullmatch(text):
        raise ValueError(f"must be ACCOUNT.dkr.ecr.REGION.amazonaws.com, not {describe(value)}")
    return text


def _role(value: object) -> str:
    text = _text(value)
    if not _ROLE.fullmatch(text):
        raise ValueError(f"must be a role such as arn:aws:iam::ACCOUNT:role/NAME, not {describe(value)}")
    return text


def _digest(value: object) -> str:
    try:
        return str(Digest.parse(value))
    except RejectedInputError:
        raise ValueError(f"must be sha256: and 64 digits from 0 to f, not {describe(value)}") from None


def one_of(words: Sequence[str], what: str) -> Callable[[object], str]:
    """A reader of one of many words; `what`: what such a word is."""

    def read(value: object) -> str:
        if value not in words:
            hint = did_you_mean(value, words) or f"; there are {', '.join(words)}"
            raise ValueError(f"{describe(value)} is {what}{hint}")
        return str(value)

    return read


def _region(value: object) -> str:
    if not isinstance(value, str) or not _REGION.fullmatch(value):
        raise ValueError(f"must be a Region such as eu-west-1, not {describe(value)}")
    return value


def _words(pattern: str, *examples: str, or_off: bool = False) -> WithJsonSchema:
    schema = {"type": "string", "pattern": f"^(?:{pattern}{'|off' if or_off else ''})$"}
    return WithJsonSchema({**schema, "examples": list(examples)})


_DAYS_OR_TIME: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 3650},
        {"type": "string", "pattern": f"^(?:{_DURATION}|off)$"},
    ],
    "examples": ["2d", "14d", "12h"],
}
_FROM_0_TO_1: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": f"^(?:{_PROBABILITY.pattern}|off)$"},
    ],
    "examples": [0.5, 0.1],
}

Timeout = Annotated[
    timedelta,
    BeforeValidator(_span(timedelta(seconds=30), timedelta(hours=24), "30s to 24h")),
    _words(_DURATION, "30m", "2h"),
]
DecisionTime = Annotated[
    timedelta,
    BeforeValidator(_span(timedelta(minutes=5), timedelta(days=90), "5m to 90d")),
    _words(_DURATION, "24h", "7d"),
]
Soak = Annotated[
    timedelta,
    BeforeValidator(lambda value: _NO_TIME if value in (OFF, None, _NO_TIME) else _soak(value)),
    _words(_DURATION, "24h", "2d", or_off=True),
]
Span = Annotated[timedelta, BeforeValidator(_long_span), _words(_DURATION, "90d", "7d")]
SpanOrOff = Annotated[
    timedelta | None,
    BeforeValidator(_or_off(_long_span)),
    _words(_DURATION, "7d", "24h", or_off=True),
]
Grace = Annotated[timedelta | None, BeforeValidator(_grace), WithJsonSchema(_DAYS_OR_TIME)]
Size = Annotated[int, BeforeValidator(_size), _words(_SIZE.pattern, "500MB", "1.5GB", "512MiB")]
Probability = Annotated[float | None, BeforeValidator(_probability), WithJsonSchema(_FROM_0_TO_1)]
Day = Annotated[date, BeforeValidator(_day), _words(_DAY.pattern, "2027-01-31")]
TagGlob = Annotated[str, BeforeValidator(_tag), _words(_TAG_PATTERN.pattern, "v*", "latest")]
Platform = Annotated[str, BeforeValidator(_platform), _words(_PLATFORM.pattern, "linux/amd64", "linux/arm64")]
Vulnerability = Annotated[
    str,
    BeforeValidator(_vulnerability),
    _words(_VULNERABILITY.pattern, "CVE-2021-44228", "GHSA-jfh8-c2jp-5v3q"),
]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
Region = Annotated[str, BeforeValidator(_region), _words(_REGION.pattern, "eu-west-1")]
RegistryName = Annotated[str, BeforeValidator(_registry), _words(_REGISTRY.pattern)]
RoleArn = Annotated[str, BeforeValidator(_role), _words(_ROLE.pattern)]
DigestText = Annotated[str, BeforeValidator(_digest), _words("sha256:[0-9a-f]{64}")]
