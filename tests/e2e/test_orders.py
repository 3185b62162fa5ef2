"""Events that come twice, too early, too late or never: the same end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.gate import Gate

QUIRKS: dict[str, dict[str, Any]] = {
    "as AWS usually does": {},
    "scan event before push event": {"scan_seconds": 0.0, "swap_events": True},
    "each event three times": {"event_copies": 3},
    "late events": {"event_delay_seconds": 1.0},
    "optional fields absent": {"omit_optional_event_fields": True},
    "scan event lost": {"lose_scan_events": True},
    "push event lost": {"lose_push_events": True},
    "every event lost": {"lose_push_events": True, "lose_scan_events": True},
    "ECR throttles": {"throttle_every": 4},
    "summary before findings": {"summary_before_findings": True},
    "referrers listed late": {"referrer_listing_delay_seconds": 1.0},
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_the_end_is_the_same(gate: Gate, quirk: str) -> None:
    app = quirk.replace(" ", "-")
    gate.quirks(**QUIRKS[quirk])
    digest = gate.push(f"{app.lower()}-dev", "1.0")
    release = gate.ended(f"{app.lower()}-dev", digest)
    staged = gate.ended(f"{app.lower()}-staging", digest)
    gate.settled()
    assert (release["outcome"], staged["outcome"]) == ("released", "held")
    assert len(gate.releases(f"{app.lower()}-dev", digest)) == 1
    assert len(gate.releases(f"{app.lower()}-staging", digest)) == 1
    assert len(gate.signatures(f"{app.lower()}-dev", digest)) == 1
    gate.quirks(referrer_listing_delay_seconds=0.0)
    evidence = {entry["digest"] for entry in gate.referrers(f"{app.lower()}-dev", digest)}
    assert len(evidence) == 2
    assert evidence <= {entry["digest"] for entry in gate.referrers(f"{app.lower()}-staging", digest)}
    names = [m["subject"] for m in gate.messages() if f"{app.lower()}-dev:1.0" in m["subject"]]
    assert len(names) == 1
