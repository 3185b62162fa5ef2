"""Calls of Amazon ECR, read from the event history of CloudTrail.

All calls of ECR are management events, also those that only read (CloudTrail user guide). The history has those of the
last 90 days in this account and Region, without any trail; a call is in it some minutes later. One lookup filters by
one attribute, here by the name of the event, so that pulls are read only if somebody wants them.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate_cli.request_pace import RequestPace

# CloudTrail API reference, LookupEvents: two requests a second, for each account and Region.
PER_SECOND = 2.0
_PAGE = 50
_SOURCE = "ecr.amazonaws.com"
# The events of each kind (Amazon ECR API reference, "Actions").
EVENTS: Mapping[str, tuple[str, ...]] = {
    "push": ("PutImage",),
    "pull": ("BatchGetImage",),
    "delete": ("BatchDeleteImage", "DeleteRepository"),
    "login": ("GetAuthorizationToken",),  # only those that failed
    "policy": (
        "DeleteLifecyclePolicy",
        "DeleteRegistryPolicy",
        "DeleteRepositoryPolicy",
        "PutLifecyclePolicy",
        "PutRegistryPolicy",
        "SetRepositoryPolicy",
    ),
    "repository": (
        "CreateRepository",
        "PutImageScanningConfiguration",
        "PutImageTagMutability",
        "PutRegistryScanningConfiguration",
        "PutReplicationConfiguration",
        "TagResource",
        "UntagResource",
    ),
}
# Pulls are many: they are read if somebody names them.
USUAL = tuple(kind for kind in EVENTS if kind != "pull")
SAMPLED = f"of each event the newest {_PAGE} calls in the event history of CloudTrail, which has 90 days"


@dataclass(frozen=True, slots=True)
class RegistryCall:
    """One call of ECR. `error`: the error code, or "" if it succeeded."""

    at: datetime
    kind: str
    event: str
    who: str
    repository: str
    images: tuple[str, ...]
    address: str
    error: str

    @property
    def row(self) -> tuple[str, ...]:
        image = ", ".join(self.images)
        what = f"{self.repository} {image}".strip() or "-"
        when = f"{self.at:%Y-%m-%d %H:%M:%S}"
        return (when, self.kind, self.event, self.error or "ok", self.who, self.address, what)

    def as_json(self) -> dict[str, Any]:
        return {
            "at": timestamp(self.at),
            "kind": self.kind,
            "event": self.event,
            "who": self.who,
            "repository": self.repository or None,
            "images": list(self.images),
            "address": self.address,
            "error": self.error or None,
        }


def read_calls(
    cloudtrail: Any,
    kinds: Iterable[str],
    since: datetime,
    until: datetime,
    pace: RequestPace,
    seen: Callable[[], None],
    most_pages: int | None = None,
) -> Iterator[RegistryCall]:
    """Yield the calls of these kinds, the newest first. `seen` is called after each request.

    `most_pages`: the most pages of 50 calls of each event, or None for all.
    """
    streams = [
        _read(cloudtrail, kind, event, since, until, pace, seen, most_pages)
        for kind in kinds
        for event in EVENTS[kind]
    ]
    yield from heapq.merge(*streams, key=lambda call: call.at, reverse=True)


def _read(
    cloudtrail: Any,
    kind: str,
    event: str,
    since: datetime,
    until: datetime,
    pace: RequestPace,
    seen: Callable[[], None],
    most_pages: int | None,
) -> Iterator[RegistryCall]:
    wanted = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": event}],
        "StartTime": since,
        "EndTime": until,
        "MaxResults": _PAGE,
    }
    for number in count(1):
        pace.wait()
        page = cloudtrail.lookup_events(**wanted)
        seen()
        for one in page.get("Events", ()):
            # Other services have events of the same name: TagResource.
            if one.get("EventSource") == _SOURCE:
                call = _call(kind, event, one)
                if kind != "login" or call.error:
                    yield call
        if not page.get("NextToken") or number == most_pages:
            return
        wanted["NextToken"] = page["NextToken"]


def _call(kind: str, event: str, raw: Any) -> RegistryCall:
    document = _document(raw.get("CloudTrailEvent", ""))
    request = _dict(document.get("requestParameters"))
    return RegistryCall(
        at=raw["EventTime"],
        kind=kind,
        event=event,
        who=_who(_dict(document.get("userIdentity")), raw.get("Username", "")),
        repository=_repository(request),
        images=tuple(_images(request)),
        address=str(document.get("sourceIPAddress") or "-"),
        error=str(document.get("errorCode") or ""),
    )


def _who(identity: dict[str, Any], username: str) -> str:
    """Return the ARN of the caller; for a service, or another account without an ARN, its name."""
    named = (identity.get(key) for key in ("arn", "invokedBy", "principalId", "accountId"))
    return next((str(one) for one in named if one), username or "not known")


def _repository(request: dict[str, Any]) -> str:
    """Return the name of the repository; a call about tags has its ARN."""
    name = request.get("repositoryName") or str(request.get("resourceArn") or "").partition(":repository/")[2]
    return str(name)


def _images(request: dict[str, Any]) -> Iterator[str]:
    """Yield tags, and digests of images without a tag."""
    if tag := request.get("imageTag"):
        yield str(tag)
    for one in request.get("imageIds") or ():
        if name := _dict(one).get("imageTag") or _dict(one).get("imageDigest"):
            yield str(name)


def _document(text: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(text))
    except ValueError:
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
