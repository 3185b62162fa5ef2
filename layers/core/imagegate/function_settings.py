"""Settings of the functions, as the values that the steps take."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.canonical_json import parse_timestamp
from imagegate.settings import setting

# Imported where it is used, as in `wiring`.
if TYPE_CHECKING:
    from imagegate.notices.deployment_notice import OnError


def canary() -> str:
    """Return the repository of the daily canary, or an empty text."""
    return setting("CANARY_REPOSITORY")


def second_look() -> timedelta:
    """Return how long after a scan without findings a second look has to confirm it."""
    return timedelta(seconds=float(setting("SECOND_LOOK_SECONDS")))


def quiet_time() -> timedelta:
    """Return how long after an event about an image in use it is judged again."""
    return timedelta(seconds=float(setting("QUIET_SECONDS")))


def at_risk_pace() -> timedelta:
    """Return the time between two judgements of an image that is at risk."""
    return timedelta(seconds=float(setting("AT_RISK_SECONDS")))


def timeout_share() -> float:
    """Return which share of a stage's `scan.timeout` a release waits: 1, or less in the sandbox."""
    return float(setting("SCAN_TIMEOUT_SHARE"))


def installed_at() -> datetime:
    """Return the time of the installation; images that were pushed before are ignored."""
    return parse_timestamp(setting("INSTALLED_AT"))


def allowed_images() -> tuple[str, ...]:
    """Return the prefixes of images that may run without a gate."""
    from imagegate.oci.reference import parse_prefixes

    return parse_prefixes(setting("ALLOWED_IMAGES"))


def on_error() -> OnError:
    """Return what happens to a deployment that cannot be checked."""
    from imagegate.notices.deployment_notice import OnError

    return OnError(setting("DEPLOYMENT_CHECK_ON_ERROR"))
