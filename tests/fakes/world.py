"""Names, times and content that the fakes and the tests share."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from imagegate.findings.finding import Finding, Package, Severity
from imagegate.grants.approval_link import parse_link as parse_link
from imagegate.oci.image import Digest
from imagegate.policy.policy import Entry, Policy, RepositoryPattern, Stage

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"

DEV, STAGING = "shop-dev", "shop-staging"


POLICY = Policy(
    digest=Digest.of(b"policy"),
    stages={
        "dev": Stage("dev", RepositoryPattern("{app}-dev"), promotes_to="staging"),
        "staging": Stage("staging", RepositoryPattern("{app}-staging"), entry=Entry.PROMOTION),
    },
)


def critical(number: int = 1) -> list[Finding]:
    return [
        Finding(f"CVE-2026-{n:04}", Severity.CRITICAL, (Package("openssl", "3.0.1"),)) for n in range(number)
    ]


def image_config(*layers: bytes, **more: Any) -> bytes:
    """Return the config of an image with these layers, uncompressed."""
    diff_ids = [str(Digest.of(layer)) for layer in layers]
    raw = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return json.dumps(raw | more).encode()


LATER = NOW + timedelta(minutes=1)
