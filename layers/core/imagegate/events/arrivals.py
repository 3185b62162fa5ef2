"""Parses what `start_release` receives: events of AWS by one alias, requests of our own functions by another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagegate.errors import InvalidEventError
from imagegate.events.eventbridge import parse_arrival, parse_put_image
from imagegate.events.step_requests import StartEnvelope
from imagegate.workflow.reasons import Pusher, RequestedRelease

if TYPE_CHECKING:
    from imagegate.release.start import Push

# The alias of `start_release` for requests. EventBridge never calls it.
REQUESTS_ALIAS = "requests"


def parse_start(event: dict[str, Any], function_arn: str) -> Push | Pusher | RequestedRelease:
    """Return what happened to an image, or what is requested. `function_arn` was called, and ends with its alias.

    Raises `InvalidEventError`, also for the wrong alias: a caller who may request a release cannot invent an event.
    """
    is_request = "request" in event
    takes_requests = function_arn.endswith(f":{REQUESTS_ALIAS}")
    if takes_requests is not is_request:
        raise InvalidEventError(f"{function_arn} takes only {'requests' if takes_requests else 'events'}")
    if is_request:
        request = StartEnvelope.parse(event).request
        return RequestedRelease(request.image, tuple(request.tags), request.reason)
    return parse_put_image(event) or parse_arrival(event)
