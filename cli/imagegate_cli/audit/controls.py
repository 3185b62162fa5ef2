"""The controls that the audit supports, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING, Any

from imagegate.audit.controls import ControlMapping

if TYPE_CHECKING:
    from imagegate.audit.controls import ControlSupport


def load_controls() -> ControlMapping:
    """Return the mapping of checks to controls."""
    content = resources.files("imagegate.audit").joinpath("controls.json").read_text(encoding="utf-8")
    return ControlMapping.from_document(json.loads(content))


def support_as_json(support: ControlSupport) -> dict[str, Any]:
    """Return the results for one control."""
    control = support.control
    return {
        "framework": control.framework.id,
        "control": control.id,
        "asks": control.asks,
        "shows": control.shows,
        "supportedBy": [check.id for check in control.checks],
        "published": [check.id for check in control.published],
        "passed": support.passed,
        "failed": support.failed,
        "waived": support.waived,
        "notAssessed": support.not_assessed,
        "notMade": [check.id for check in support.not_made],
        "sentence": support.sentence,
        "source": control.framework.source,
    }


def control_lines(supports: Sequence[ControlSupport]) -> Iterator[str]:
    """Yield the lines for people, by framework."""
    for framework, some in groupby(supports, key=lambda one: one.control.framework):
        yield f"{framework.name} ({framework.source})"
        for support in some:
            control = support.control
            yield f"  {control.id:<10} {control.asks}"
            yield f"             {support.sentence}; supported by {', '.join(one.id for one in control.checks)}"
        yield ""
    yield "A check supports a control; it proves no compliance. One result is one check of one resource."
    yield "Mappings are proposals for a person to review, where --format json does not name them as published."
