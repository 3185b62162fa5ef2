"""The events of one search, and how many of them go wrong."""

from __future__ import annotations

from dataclasses import dataclass

from tests.component.port_calls import Stops


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that somebody or something does, once, at any moment after `after`."""

    name: str
    what: str  # push, delete, scan
    image: str = "v1"
    tag: str = "1.0"
    critical: int = 0  # findings
    after: tuple[str, ...] = ()
    copies: int = 1  # of the event that ECR sends


@dataclass(frozen=True, slots=True)
class Scenario:
    """The events, and how many of them go wrong on any one way through it."""

    name: str
    happenings: tuple[Happening, ...]
    at_once: int = 1  # functions that run at the same time
    stops: Stops = Stops.WHERE_OTHERS_SEE  # NOWHERE: nothing happens while a function runs
    stops_in: str = ""  # only in this function; the others run as a whole
    kills: int = 0
    timeouts: int = 0
    stopped: int = 0  # executions that somebody stops
    stop_events: int = 1  # copies of the event about each
    reconciles: int = 0  # while all that happens; afterwards it always runs
    blobs_a_call: int | None = None  # then a promotion's time is up
    is_enhanced: bool = False  # Inspector scans
    led_to: str = ""  # the state of the state machine where the search begins, after `first` has happened
    first: tuple[str, ...] = ()
