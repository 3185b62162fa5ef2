"""Texts of the policy file that are read into values: durations, sizes, days, probabilities, tags, platforms and so on.

Each reader raises `ValueError` with the form that it expects. Beside it is the same form for editors (JSON Schema).
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
from imagegate.policy.names import A_VULNERABILITY, VULNERABILITY

OFF = "off"

_DURATION = duration_pattern()
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(MB|GB|MiB|GiB)")
_BYTES = {"MB": 1000**2, "GB": 1000**3, "MiB": 1024**2, "GiB": 1024**3}
_PROBABILITY = re.compile(r"0|1|0?\.[0-9]{1,6}|1\.0{1,6}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# The characters of tags (OCI distribution specification), and the wildcards.
_TAG_GLOB = re.compile(r"[A-Za-z0-9_.*?\[\]!-]+")
# OCI image specification, image-index.md: os/architecture, and a variant.
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")
# Amazon ECR user guide, "Amazon ECR private registry"; IAM user guide, "IAM identifiers".
_REGISTRY = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=.@_/-]{1,512}")
# A team, or a mail address: short enough for an attribute of a message, and the same in every filter of a subscription.
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@/-]{0,99}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")


def read_text(value: object) -> str:
    """Read text that is not empty."""
    if not isinstance(value, str):
        raise ValueError(f"must be text (in quotes), not {describe(value)}")
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def matching(pattern: re.Pattern[str], expected: str) -> Callable[[object], str]:
    """Return a reader of text that matches the pattern as a whole. `expected`: that form, for people."""

    def read(value: object) -> str:
        text = read_text(value)
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {expected}, not {describe(value)}")
        return text

    return read


def one_of(words: Sequence[str], otherwise: str) -> Callable[[object], str]:
    """Return a reader of one of these words. `otherwise`: what any other word is, after "is"."""

    def read(value: object) -> str:
        if value not in words:
            hint = did_you_mean(value, words) or f"; there are {', '.join(words)}"
            raise ValueError(f"{describe(value)} is {otherwise}{hint}")
        return str(value)

    return read


def _duration(shortest: timedelta, longest: timedelta, limits: str) -> Callable[[object], timedelta]:
    """Return a reader of durations from `shortest` to `longest`. `limits`: the same for people."""

    def read(value: object) -> timedelta:
        duration = parse_duration(value) if isinstance(value, str) else None
        if duration is None:
            raise ValueError(f"must be a time such as 45s, 30m, 2h or 7d, not {describe(value)}")
        if not shortest <= duration <= longest:
            raise ValueError(f"must be from {limits}, not {value}")
        return duration

    return read


def _or_off(read: Callable[[object], Any], off: Any = None) -> Callable[[object], Any]:
    """Return a reader that also accepts `off`, which cancels the value of a lower layer."""
    return lambda value: off if value in (OFF, None, off) else read(value)


_long_duration = _duration(timedelta(hours=1), timedelta(days=3650), "1h to 3650d")


def _grace(value: object) -> timedelta:
    """Read a duration; a number alone counts days."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return _long_duration(f"{value}d" if is_number else value)


def _size(value: object) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be a size such as 500MB, 1.5GB or 512MiB, not {describe(value)}")
    size = round(float(match[1]) * _BYTES[match[2]])
    if not size:
        raise ValueError(f"must be more than nothing, not {value}")
    return size


def _probability(value: object) -> float:
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


def _tag_glob(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text (in quotes), not {describe(value)}")
    if not _TAG_GLOB.fullmatch(value):
        raise ValueError(f"no tag can match {value!r}")
    return value


def _digest(value: object) -> str:
    try:
        return str(Digest.parse(value))
    except RejectedInputError:
        raise ValueError(f"must be sha256: and 64 digits from 0 to f, not {describe(value)}") from None


def pattern_schema(pattern: re.Pattern[str] | str, *examples: str, or_off: bool = False) -> WithJsonSchema:
    """Return the JSON Schema of text that matches the pattern as a whole, or is `off`."""
    text = pattern if isinstance(pattern, str) else pattern.pattern
    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{text}{'|off' if or_off else ''})$"}
    return WithJsonSchema({**schema, "examples": list(examples)} if examples else schema)


def _number_schema(number: dict[str, Any], pattern: str, *examples: object) -> WithJsonSchema:
    """Return the JSON Schema of a number, or of text that matches the pattern, or is `off`."""
    text = {"type": "string", "pattern": f"^(?:{pattern}|off)$"}
    return WithJsonSchema({"anyOf": [number, text], "examples": list(examples)})


Timeout = Annotated[
    timedelta,
    BeforeValidator(_duration(timedelta(seconds=30), timedelta(hours=24), "30s to 24h")),
    pattern_schema(_DURATION, "30m", "2h"),
]
DecisionTime = Annotated[
    timedelta,
    BeforeValidator(_duration(timedelta(minutes=5), timedelta(days=90), "5m to 90d")),
    pattern_schema(_DURATION, "24h", "7d"),
]
# Tests soak for seconds; the state machine ends after 30 days.
Soak = Annotated[
    timedelta,
    BeforeValidator(
        _or_off(_duration(timedelta(seconds=1), timedelta(days=14), "1s to 14d"), off=timedelta())
    ),
    pattern_schema(_DURATION, "24h", "2d", or_off=True),
]
# An archived image is billed for 90 days at least (Amazon ECR user guide, "Archiving an image").
ArchiveTime = Annotated[
    timedelta,
    BeforeValidator(
        _or_off(_duration(timedelta(days=90), timedelta(days=3650), "90d to 3650d"), off=timedelta())
    ),
    pattern_schema(_DURATION, "90d", or_off=True),
]
LongDuration = Annotated[timedelta, BeforeValidator(_long_duration), pattern_schema(_DURATION, "90d", "7d")]
LongDurationOrOff = Annotated[
    timedelta | None,
    BeforeValidator(_or_off(_long_duration)),
    pattern_schema(_DURATION, "7d", "24h", or_off=True),
]
Grace = Annotated[
    timedelta | None,
    BeforeValidator(_or_off(_grace)),
    _number_schema({"type": "integer", "minimum": 1, "maximum": 3650}, _DURATION, "2d", "14d", "12h"),
]
Size = Annotated[int, BeforeValidator(_size), pattern_schema(_SIZE, "500MB", "1.5GB", "512MiB")]
Probability = Annotated[
    float | None,
    BeforeValidator(_or_off(_probability)),
    _number_schema({"type": "number", "minimum": 0, "maximum": 1}, _PROBABILITY.pattern, 0.5, 0.1),
]
Day = Annotated[date, BeforeValidator(_day), pattern_schema(_DAY, "2027-01-31")]
TagGlob = Annotated[str, BeforeValidator(_tag_glob), pattern_schema(_TAG_GLOB, "v*", "latest")]
Platform = Annotated[
    str,
    BeforeValidator(matching(_PLATFORM, "a platform such as linux/amd64 or linux/arm/v7")),
    pattern_schema(_PLATFORM, "linux/amd64", "linux/arm64"),
]
Vulnerability = Annotated[
    str,
    BeforeValidator(matching(VULNERABILITY, A_VULNERABILITY)),
    pattern_schema(VULNERABILITY, "CVE-2021-44228", "GHSA-jfh8-c2jp-5v3q"),
]
Text = Annotated[str, BeforeValidator(read_text), WithJsonSchema({"type": "string", "minLength": 1})]
Region = Annotated[
    str,
    BeforeValidator(matching(_REGION, "a Region such as eu-west-1")),
    pattern_schema(_REGION, "eu-west-1"),
]
OwnerName = Annotated[
    str,
    BeforeValidator(matching(_OWNER, "a team or a mail address, such as payments or payments@example.com")),
    pattern_schema(_OWNER, "payments", "payments@example.com"),
]
RegistryName = Annotated[
    str,
    BeforeValidator(matching(_REGISTRY, "ACCOUNT.dkr.ecr.REGION.amazonaws.com")),
    pattern_schema(_REGISTRY),
]
RoleArn = Annotated[
    str,
    BeforeValidator(matching(_ROLE, "a role such as arn:aws:iam::ACCOUNT:role/NAME")),
    pattern_schema(_ROLE),
]
DigestText = Annotated[str, BeforeValidator(_digest), pattern_schema("sha256:[0-9a-f]{64}")]
