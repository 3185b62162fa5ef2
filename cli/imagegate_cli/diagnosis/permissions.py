"""The reading calls with which `imagegate doctor` finds out which commands the caller may use.

Calls that change something are not tried, and no repository has to exist: AWS says so to those who may read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Bytes with this digest are not known to anybody.
_NO_IMAGE = {"imageDigest": f"sha256:{'0' * 64}"}
_READABLE = "NotFoundException"  # ends each code by which AWS says that there is nothing to read


@dataclass(frozen=True, slots=True)
class ReadingCall:
    """A call of an API that only reads. `in_repository`: it is about one."""

    service: str
    operation: str
    request: Mapping[str, Any] = field(default_factory=dict)
    in_repository: bool = False

    def fault(self, repository: str) -> str:
        """Return why the caller may not use the call, or "" if they may."""
        from botocore.exceptions import BotoCoreError, ClientError

        from imagegate.aws.clients import client
        from imagegate.errors import ImageGateError
        from imagegate_cli.faults import explain

        about = {"repositoryName": repository} if self.in_repository else {}
        try:
            getattr(client(self.service), self.operation)(**self.request, **about)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            return "" if code.endswith(_READABLE) else explain(error)
        except (BotoCoreError, ImageGateError) as error:
            return explain(error)
        return ""


@dataclass(frozen=True, slots=True)
class VerbCheck:
    """Commands that not everybody needs, the calls that they begin with, and the IAM policies that permit them."""

    name: str
    verbs: str
    policies: str
    calls: tuple[ReadingCall, ...]

    def missing(self, repository: str) -> str:
        """Return what the caller may not do, or ""."""
        return "; ".join(dict.fromkeys(why for call in self.calls if (why := call.fault(repository))))


_IMAGES = ReadingCall("ecr", "describe_images", {"imageIds": [_NO_IMAGE]}, in_repository=True)
VERB_CHECKS = (
    VerbCheck(
        "images",
        "images, scan",
        "docs/powers/read.json, and scan.json to start scans",
        (
            _IMAGES,
            ReadingCall("ecr", "describe_image_scan_findings", {"imageId": _NO_IMAGE}, in_repository=True),
        ),
    ),
    VerbCheck(
        "access",
        "access",
        "docs/powers/access.json",
        (
            ReadingCall("cloudtrail", "lookup_events", {"MaxResults": 1}),
            ReadingCall("iam", "list_roles", {"MaxItems": 1}),
        ),
    ),
    VerbCheck(
        "audit",
        "audit",
        "docs/powers/audit.json",
        (
            ReadingCall("ecr", "describe_registry"),
            ReadingCall("ecr", "get_repository_policy", in_repository=True),
        ),
    ),
    VerbCheck(
        "baseline",
        "baseline",
        "docs/powers/baseline.json",
        (
            ReadingCall("ecr", "describe_registry"),
            ReadingCall("ecr", "get_lifecycle_policy", in_repository=True),
        ),
    ),
    VerbCheck(
        "cleanup",
        "cleanup",
        "docs/powers/cleanup.json",
        (
            _IMAGES,
            ReadingCall("ecs", "list_clusters", {"maxResults": 1}),
            ReadingCall("lambda", "list_functions", {"MaxItems": 1}),
            ReadingCall("eks", "list_clusters", {"maxResults": 1}),
        ),
    ),
)
