"""What people and machines are told when a release ends: understood at a glance, by someone woken at night."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagegate.grants.approval import ApprovalRequest
from imagegate.policy.rules import Attention
from imagegate.release.release import Outcome, Release
from imagegate.text import json_text, one_line, printable, subject_line

_NEXT_STEP: Mapping[Outcome, str] = {
    Outcome.BLOCKED: "Fix what is named above and push again; nothing was signed and nothing was copied.",
    Outcome.HELD: "The next stage asks for an approval before the image is copied there.",
    Outcome.CONFLICT: "Push under a new tag, or remove the tag from the next stage's repository, then release again.",
    Outcome.SUPERSEDED: "Nothing to do: a newer push took over.",
    Outcome.WITHDRAWN: "Nothing to do: the image was deleted. Push it again to release it.",
    Outcome.FAILED: "The image was neither passed nor refused. Look at the cause above, then release it again.",
}
_DETAIL_TYPE: Mapping[Outcome, str] = {
    Outcome.RELEASED: "Image Released",
    Outcome.BLOCKED: "Image Blocked",
    Outcome.HELD: "Image Held",
    Outcome.CONFLICT: "Image Promotion Conflict",
    Outcome.SUPERSEDED: "Image Superseded",
    Outcome.WITHDRAWN: "Image Withdrawn",
    Outcome.FAILED: "Image Release Failed",
}
# Eight copies of each go into one message, of 256 KiB at most (Amazon SNS API reference, Publish).
_REASONS_SHOWN = 20
_TAGS_SHOWN = 20
_TEXT_LIMIT = 300
_LINE_LIMIT = 4_000  # links to decide are long, and must stay whole


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message in its forms. Each of `lines` is one line of the mail, whatever the texts in it say."""

    subject: str
    lines: Sequence[str]
    detail_type: str
    detail: dict[str, Any]
    attributes: dict[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", subject_line(self.subject))
        object.__setattr__(self, "lines", tuple(printable(line, _LINE_LIMIT) for line in self.lines))
        printed = {name: one_line(value, _TEXT_LIMIT) for name, value in self.attributes.items()}
        object.__setattr__(self, "attributes", printed)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def announce(
    release: Release, outcome: Outcome, asks: ApprovalRequest | None = None, page: str = ""
) -> Announcement:
    """Compose the message for `release`, which ends in `outcome`.

    `asks`: what a held one waits for; `page`: the URL that shows it.
    """
    detail = _detail(release, outcome)
    if asks:
        detail["approval"] = {**asks.as_json(), "page": page or None}
    return Announcement(
        subject=_subject(release, outcome),
        lines=_lines(release, outcome, asks, page),
        detail_type=_DETAIL_TYPE[outcome],
        detail=detail,
        attributes={
            "outcome": str(outcome),
            "stage": release.stage,
            "repository": release.image.repository,
            "verdict": release.verdict or "NONE",
            "alert": _alert(release, outcome),
        },
    )


def _alert(release: Release, outcome: Outcome) -> str:
    """For subscriptions of people: log, alert, or block."""
    if outcome is Outcome.BLOCKED:
        return "block"
    if outcome in (Outcome.SUPERSEDED, Outcome.WITHDRAWN):
        return str(Attention.LOG)
    if release.break_glass:
        return str(Attention.ALERT)
    if outcome is Outcome.RELEASED and release.attention:
        return release.attention
    return str(Attention.ALERT)


def _name(release: Release) -> str:
    tags = sorted(release.tags)
    tag = f":{tags[0]}" if tags else f"@{release.image.digest.short}"
    return release.image.repository + tag


def _subject(release: Release, outcome: Outcome) -> str:
    return f"{str(outcome).upper()}: {_name(release)} {_headline(release, outcome)}"


def _headline(release: Release, outcome: Outcome) -> str:
    if outcome is Outcome.RELEASED:
        moved = f", now in {release.promotion.repository}" if release.promotion else ""
        return _judged(release) + moved
    if outcome is Outcome.BLOCKED:
        return f"at the {release.stage} gate: {_first_reason(release)}"
    if outcome is Outcome.HELD:
        return f"{_judged(release)}, waits for approval"
    return f"at the {release.stage} gate"


def _judged(release: Release) -> str:
    if release.verdict == "PASS":
        return f"passed the {release.stage} gate"
    if release.break_glass:
        return f"by break-glass: the {release.stage} gate would have blocked it ({_first_reason(release)})"
    return f"only observed: the {release.stage} gate would have blocked it ({_first_reason(release)})"


def _first_reason(release: Release) -> str:
    """Without the examples that follow a limit, and with the number of the others."""
    blocking = [reason for reason in release.reasons if reason["action"] == "enforce"]
    if not blocking:
        return "see the message"
    head, limit, _ = blocking[0]["message"].partition("): ")
    more = f" (+{len(blocking) - 1} more)" if len(blocking) > 1 else ""
    return head + (")" if limit else "") + more


def _lines(release: Release, outcome: Outcome, asks: ApprovalRequest | None, page: str) -> list[str]:
    lines = [f"{_name(release)} {_headline(release, outcome)}.", ""]
    lines += _reason_lines(release)
    lines += _remedy_lines(release)
    if release.break_glass:
        lines += [_cut(release.break_glass), ""]
    if release.detail:
        lines += [f"Cause: {_cut(release.detail)}", ""]
    if asks:
        lines += [*_asked(release, asks, page), ""]
    elif outcome in _NEXT_STEP:
        lines += [_NEXT_STEP[outcome], ""]
    if release.promotion:
        lines.append(f"Promoted to  {release.promotion.repository}: {_listed(release.promotion.tags)}")
    lines += [
        f"Repository   {release.image.repository}",
        f"Digest       {release.image.digest}",
        f"Tags         {_listed(release.tags) or 'none'}",
        f"Stage        {release.stage}, attempt {release.attempt} ({release.reason})",
        f"Verdict      {release.verdict or 'none'}",
        f"Signature    {release.signature or 'none'}",
        *([f"SBOM         {_cut(release.sbom.note)}"] if release.sbom else []),
        f"Decision     {release.decision or 'none'}",
        f"Policy       {release.policy}",
        "",
        f"More: imagegate status {release.image}",
    ]
    return lines


def _asked(release: Release, asks: ApprovalRequest, page: str) -> list[str]:
    """Who has to do what, until when; the commands stand at the ends of their lines."""
    terms, name = asks.terms, _name(release)
    who = ", ".join([*terms.approvers, *terms.by_mail]) or "whoever may decide"
    number = "one approval" if terms.quorum == 1 else f"{terms.quorum} approvals"
    why = " --reason TEXT" if terms.needs_reason else ""
    return [
        f"{asks.stage} asks for {number} until {asks.expires_at:%Y-%m-%d %H:%M} UTC, by {_cut(who)}.",
        *([f"What it changes there, and who decided:  {page}"] if page else []),
        f"Let it in:    imagegate decide approve {name}{why}",
        f"Keep it out:  imagegate decide reject {name}{why}",
    ]


def explain_fault(error: str, cause: str) -> str:
    """A fault as Step Functions reports it, in one line: Lambda's cause is JSON with a stack trace."""
    try:
        message = json.loads(cause)["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = cause
    return f"{error}: {message}" if message else error


def _reason_lines(release: Release) -> list[str]:
    shown = list(release.reasons)[:_REASONS_SHOWN]
    lines = [f"  - {_mark(reason)}{_cut(reason['message'])}  [{reason['rule']}]" for reason in shown]
    if len(release.reasons) > len(shown):
        lines.append(f"  … and {len(release.reasons) - len(shown)} more in the decision record")
    return [*lines, ""] if lines else []


def _remedy_lines(release: Release) -> list[str]:
    shown = [f"  - {_cut(text)}" for text in release.remedies[:_REASONS_SHOWN]]
    return ["What would make it pass:", *shown, ""] if shown else []


def _mark(reason: dict[str, str]) -> str:
    return "" if reason["action"] == "enforce" else "(warning) "


def _detail(release: Release, outcome: Outcome) -> dict[str, Any]:
    return {
        "schema": 1,
        "id": release.key,
        "outcome": str(outcome),
        "repository": release.image.repository,
        "digest": str(release.image.digest),
        "tags": sorted(release.tags)[:_TAGS_SHOWN],
        "stage": release.stage,
        "attempt": release.attempt,
        "verdict": release.verdict,
        "reasons": [
            {**reason, "message": _cut(reason["message"])}
            for reason in list(release.reasons)[:_REASONS_SHOWN]
        ],
        "remedies": [_cut(text) for text in release.remedies[:_REASONS_SHOWN]],
        "decision": _text_or_none(release.decision),
        "policy": str(release.policy),
        "signature": _text_or_none(release.signature),
        "sbom": _cut(release.sbom.note) if release.sbom else None,
        "promotedTo": _promoted(release),
        "breakGlass": _cut(release.break_glass) or None,
        "cause": _cut(release.detail),
    }


def _promoted(release: Release) -> dict[str, Any] | None:
    if release.promotion is None:
        return None
    return {**release.promotion.as_json(), "tags": sorted(release.promotion.tags)[:_TAGS_SHOWN]}


def _listed(tags: Iterable[str]) -> str:
    shown = sorted(tags)
    rest = len(shown) - _TAGS_SHOWN
    return ", ".join(shown[:_TAGS_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _cut(text: str) -> str:
    return one_line(text, _TEXT_LIMIT)


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def as_sns_message(announcement: Announcement) -> str:
    """MessageStructure=json: text for mail, JSON for machines (Amazon SNS, "Publishing with different payloads")."""
    machine = json_text(announcement.detail, sort_keys=True)
    protocols = dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), machine)
    return json.dumps(
        {
            "default": announcement.text,
            "email": announcement.text,
            **protocols,
            "email-json": machine,
        },
        ensure_ascii=False,
    )
