"""Plans as text and as JSON."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagegate.baseline.drift import setting_word
from imagegate.baseline.plan import Change, SettingsPlan
from imagegate_cli.baseline.planning import Failure

_WIDTH = 15  # a longer name is whole, too
_ALL_LINES = 1_000  # those of others are shown, too


def lines(plan: SettingsPlan) -> Iterator[str]:
    """Yield the lines of a plan: `~` changes, `!` cannot be changed, `?` should be known."""
    if plan.is_met and not plan.remarks:
        return
    yield plan.subject
    for change in plan.changes:
        yield from _change(change)
    for remark in plan.remarks:
        yield f"  {'!' if remark.is_unmet else '?'} {remark.setting:<{_WIDTH}} {remark.text}"


def _change(change: Change) -> Iterator[str]:
    if not _is_document(change.before) and not _is_document(change.after):
        yield f"  ~ {change.setting:<{_WIDTH}} {setting_word(change.before)} → {setting_word(change.after)}"
        return
    yield f"  ~ {change.setting}"
    before, after = _text(change.before), _text(change.after)
    for line in difflib.unified_diff(before, after, lineterm="", n=_ALL_LINES):
        if not line.startswith(("---", "+++", "@@")):
            yield f"      {line}"


def _is_document(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _text(document: Any) -> list[str]:
    """Return a document as lines: each rule and each statement has one."""
    if document is None:
        return []
    if isinstance(document, list):
        return [json.dumps(part) for part in document]
    return [
        f"{key}: {json.dumps(part)}"
        for key, value in document.items()
        for part in (value if isinstance(value, list) else [value])
    ]


def as_json(results: Sequence[SettingsPlan | Failure]) -> dict[str, Any]:
    """Return the plans and failures as one object."""
    plans = [result for result in results if isinstance(result, SettingsPlan)]
    return {
        "changes": [_change_json(change) for plan in plans for change in plan.changes],
        "remarks": [
            {"subject": one.subject, "setting": one.setting, "text": one.text, "unmet": one.is_unmet}
            for plan in plans
            for one in plan.remarks
        ],
        "failures": [{"subject": one.subject, "why": one.why} for one in results if isinstance(one, Failure)],
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "subject": change.subject,
        "setting": change.setting,
        "before": change.before,
        "after": change.after,
        "operation": change.operation,
        "request": dict(change.request),
    }
