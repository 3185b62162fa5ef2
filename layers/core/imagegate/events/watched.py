"""Events that the reconciler handles beside its schedule: deletions, ends of executions, and changes of settings.

Source of the last ones: AWS CloudTrail user guide, "CloudTrail record contents"; a sample is in `events/`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from imagegate.baseline.drift import SETTING_CALLS, SettingsCall
from imagegate.baseline.registry import REGISTRY
from imagegate.errors import InvalidEventError
from imagegate.events.eventbridge import (
    CLOUDTRAIL,
    EXECUTION_STATUS,
    IMAGE_ACTION,
    EcrImageAction,
    parse_execution,
)
from imagegate.events.validation import parse

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.release.release import ReleaseId


class _Caller(Struct, frozen=True, kw_only=True, rename="camel"):
    """The caller: a person or role has an ARN; a service has the name by which it was called."""

    type: str = ""
    arn: str = ""
    invoked_by: str = ""
    account_id: str = ""


class _Changed(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, as far as it says what was changed. A call for the whole registry names neither."""

    repository_name: str = ""
    resource_arn: str = ""


class SettingsCallDetail(Struct, frozen=True, kw_only=True, rename="camel"):
    """`detail` of "AWS API Call via CloudTrail" for a call that changes settings of Amazon ECR."""

    event_name: str
    event_time: datetime
    user_identity: _Caller
    source_ip_address: str = field(name="sourceIPAddress", default="")
    request_parameters: _Changed | None = None
    error_code: str | None = None


class CloudTrailSettingsCall(Struct, frozen=True, kw_only=True):
    """A recorded call that changes settings (AWS CloudTrail user guide, "CloudTrail record contents")."""

    detail_type: Literal["AWS API Call via CloudTrail"] = field(name="detail-type")
    detail: SettingsCallDetail

    @property
    def call(self) -> SettingsCall:
        detail = self.detail
        changed, caller = detail.request_parameters or _Changed(), detail.user_identity
        name = changed.repository_name or changed.resource_arn.partition(":repository/")[2]
        by = caller.arn or caller.invoked_by or f"{caller.type} {caller.account_id}".strip()
        return SettingsCall(
            name or REGISTRY, detail.event_name, by, detail.source_ip_address, detail.event_time
        )


def parse_settings_call(event: dict[str, Any]) -> SettingsCall:
    """Return the call that changed settings. Raises `InvalidEventError`."""
    recorded = parse(CloudTrailSettingsCall, event)
    if recorded.detail.error_code or recorded.detail.event_name not in SETTING_CALLS:
        raise InvalidEventError(f"this call of {recorded.detail.event_name} changed no setting")
    return recorded.call


def parse_watched(event: dict[str, Any]) -> ImageRef | ReleaseId | SettingsCall | None:
    """Return the deleted image, the release whose execution changed, the call that changed settings, or None.

    Raises `InvalidEventError`.
    """
    if event.get("detail-type") == EXECUTION_STATUS:
        return parse_execution(event)
    if event.get("detail-type") == CLOUDTRAIL:
        return parse_settings_call(event)
    if event.get("detail-type") != IMAGE_ACTION:
        return None
    return parse(EcrImageAction, event).detail.image
