"""The message to people that settings differ from the baseline, or were put back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.canonical_json import timestamp
from imagegate.notices.message import Message, aligned, cut_text, with_rest
from imagegate.policy.rules import Attention
from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.baseline.drift import SettingsCall, SubjectDrift

SETTINGS_DIFFER = "Settings Differ"
_SUBJECTS_SHOWN, _SETTINGS_SHOWN = 20, 10


def settings_differ(drifts: Sequence[SubjectDrift], call: SettingsCall | None, now: datetime) -> Message:
    """Compose the message. `call`: who changed them, or None if a comparison of all settings has found them."""
    subjects = list(dict.fromkeys(drift.subject for drift in drifts))
    attributes = {"alert": str(Attention.ALERT)}
    if len(subjects) == 1:
        attributes["repository"] = subjects[0]
    return Message(
        subject=_headline(drifts, subjects),
        lines=_lines(drifts, subjects, call),
        detail_type=SETTINGS_DIFFER,
        detail={
            "schema": 1,
            "id": f"settings-{timestamp(now)}-{drifts[0].settings[0].known_as if drifts else ''}",
            "number": len(subjects),
            "drifts": [_as_json(drift) for drift in drifts[:_SUBJECTS_SHOWN]],
            "call": call and _call_as_json(call),
        },
        attributes=attributes,
    )


def _headline(drifts: Sequence[SubjectDrift], subjects: Sequence[str]) -> str:
    is_over = all(drift.is_restored for drift in drifts)
    word = "PUT BACK" if is_over else "DRIFT"
    if len(subjects) != 1:
        verb = "differed" if is_over else "differ"
        return f"{word}: {counted(len(subjects), 'repository')} {verb} from the baseline"
    return f"{word}: {subjects[0]}: " + ", ".join(
        dict.fromkeys(one.setting for drift in drifts for one in drift.settings)
    )


def _lines(drifts: Sequence[SubjectDrift], subjects: Sequence[str], call: SettingsCall | None) -> list[str]:
    verb = "differed" if all(drift.is_restored for drift in drifts) else "differ"
    lines = [f"Settings {verb} from the baseline of the policy."]
    for drift in drifts[:_SUBJECTS_SHOWN]:
        lines += ["", *_paragraph(drift)]
    if len(drifts) > _SUBJECTS_SHOWN:
        lines += ["", f"and {len(drifts) - _SUBJECTS_SHOWN} more"]
    return [*lines, "", *_origin(call), "", *_commands(drifts, subjects)]


def _paragraph(drift: SubjectDrift) -> list[str]:
    head = f"{drift.subject}, put back:" if drift.is_restored else f"{drift.subject}:"
    shown = drift.settings[:_SETTINGS_SHOWN]
    rows = [f"  {one.setting} {cut_text(one.text)}" for one in shown]
    lines = [head, *with_rest(rows, len(drift.settings))]
    if drift.fault:
        lines.append(f"  They were not put back: {cut_text(drift.fault)}")
    return lines


def _origin(call: SettingsCall | None) -> list[str]:
    if call is None:
        return [
            "A comparison of all settings found this, so nobody knows who did it. This may tell:",
            "Who did it:  imagegate access",
        ]
    return aligned({"Call": call.operation, "By": call.by, "From": call.source, "At": timestamp(call.at)})


def _commands(drifts: Sequence[SubjectDrift], subjects: Sequence[str]) -> list[str]:
    name = f" {subjects[0]}" if len(subjects) == 1 else ""
    if all(drift.is_restored for drift in drifts):
        return [f"Check:     imagegate baseline plan{name}"]
    return [f"See:       imagegate baseline plan{name}", f"Put back:  imagegate baseline apply{name}"]


def _as_json(drift: SubjectDrift) -> dict[str, Any]:
    settings = [
        {"setting": one.setting, "text": cut_text(one.text)} for one in drift.settings[:_SETTINGS_SHOWN]
    ]
    fault = cut_text(drift.fault) or None
    return {"subject": drift.subject, "settings": settings, "restored": drift.is_restored, "fault": fault}


def _call_as_json(call: SettingsCall) -> dict[str, str]:
    return {
        "operation": call.operation,
        "by": call.by,
        "from": call.source,
        "at": timestamp(call.at),
    }
