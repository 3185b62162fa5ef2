"""The message when a release ends: a person who is woken at night understands it at a glance."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from imagegate.notices.message import Message, aligned, cut_text, image_name
from imagegate.policy.rules import Attention
from imagegate.release.release import Outcome, Release
from imagegate.text import list_some

if TYPE_CHECKING:
    from imagegate.grants.approval import ApprovalRequest
    from imagegate.notices.console import ConsoleLinks

_NEXT_STEP: Mapping[Outcome, str] = {
    Outcome.BLOCKED: "Fix what is named above and push again. Nothing was signed, and nothing was copied.",
    Outcome.HELD: "The next stage asks for an approval before the image is copied there.",
    Outcome.CONFLICT: "Push under a new tag, or remove the tag from the next stage's repository, then release again.",
    Outcome.SUPERSEDED: "Nothing to do: the newer image has a release of its own.",
    Outcome.WITHDRAWN: "Nothing to do. To release it, push it again.",
    Outcome.FAILED: "The image was neither passed nor refused. Mend the cause above, then release it again.",
}
_AGAIN = ("Release it again", "imagegate release {name}")
# Commands to paste, at the ends of their lines. Capital letters are for the reader to replace.
_COMMANDS: Mapping[Outcome, tuple[tuple[str, str], ...]] = {
    Outcome.BLOCKED: (
        (
            "Let one finding pass for a while",
            "imagegate decide waive {repository} --cve CVE --package NAME --reason TEXT --expires 30d",
        ),
    ),
    Outcome.HELD: (("Let it in", "imagegate decide approve {name}"),),
    Outcome.CONFLICT: (_AGAIN,),
    Outcome.FAILED: (_AGAIN,),
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
# One message has eight copies of each, and at most 256 KiB (Amazon SNS API reference, Publish).
_REASONS_SHOWN = 20
_TAGS_SHOWN = 20


def announce(
    release: Release,
    outcome: Outcome,
    request: ApprovalRequest | None = None,
    page: str = "",
    console: ConsoleLinks | None = None,
    before: Release | None = None,
) -> Message:
    """Compose the message for `release`, which ends in `outcome`.

    `request` is the approval that a held release waits for, and `page` the URL that shows it. `console` makes links.
    `before` is the attempt before: if it ended in the same trouble, people know it, and the message is for the log.
    """
    detail = _detail(release, outcome)
    if request:
        detail["approval"] = {**request.as_json(), "page": page or None}
    return Message(
        subject=_subject(release, outcome),
        lines=[*_lines(release, outcome, request, page), *_links(release, console)],
        detail_type=_DETAIL_TYPE[outcome],
        detail=detail,
        attributes={
            "outcome": str(outcome),
            "stage": release.stage,
            "repository": release.image.repository,
            "verdict": release.verdict or "NONE",
            "alert": "log" if before and _is_same_trouble(before, release) else _alert(release, outcome),
        },
    )


def _alert(release: Release, outcome: Outcome) -> str:
    """Return the attribute that people's subscriptions filter by: log, alert, or block."""
    if outcome is Outcome.BLOCKED:
        return "block"
    if outcome in (Outcome.SUPERSEDED, Outcome.WITHDRAWN):
        return str(Attention.LOG)
    if release.break_glass:
        return str(Attention.ALERT)
    if outcome is Outcome.RELEASED and release.attention:
        return release.attention
    return str(Attention.ALERT)


def _is_same_trouble(before: Release, release: Release) -> bool:
    """Say whether both attempts were blocked for the same reasons, or failed by the same error."""
    if before.outcome is not release.outcome or release.break_glass:
        return False
    if release.outcome is Outcome.BLOCKED:
        return _blocking(before) == _blocking(release)
    # Only the name of the error: its text often has the number of a request.
    return release.outcome is Outcome.FAILED and before.detail.split(":")[0] == release.detail.split(":")[0]


def _blocking(release: Release) -> set[tuple[str, str]]:
    return {
        (reason["rule"], reason["message"]) for reason in release.reasons if reason["action"] == "enforce"
    }


def _subject(release: Release, outcome: Outcome) -> str:
    return f"{str(outcome).upper()}: {image_name(release)} {_headline(release, outcome)}"


def _headline(release: Release, outcome: Outcome) -> str:
    if outcome is Outcome.RELEASED:
        moved = f", now in {release.promotion.repository}" if release.promotion else ""
        return _verdict_text(release) + moved
    if outcome is Outcome.BLOCKED:
        return f"at the {release.stage} gate: {first_reason(release)}"
    if outcome is Outcome.HELD:
        return f"{_verdict_text(release)}, waits for approval"
    return f"at the {release.stage} gate"


def _first_words(release: Release, outcome: Outcome) -> str:
    """Return what happened, for the first line of the text; the subject begins with the outcome already."""
    gate = f"at the {release.stage} gate"
    match outcome:
        case Outcome.BLOCKED:
            return f"was blocked {gate}: {first_reason(release)}"
        case Outcome.CONFLICT:
            return f"passed {gate}, but could not be copied to the next stage"
        case Outcome.SUPERSEDED:
            return f"was overtaken {gate} by a newer push"
        case Outcome.WITHDRAWN:
            return f"was deleted before its release ended {gate}"
        case Outcome.FAILED:
            return f"could not be released {gate}, because something failed"
    return _headline(release, outcome)


def _verdict_text(release: Release) -> str:
    if release.verdict == "PASS":
        return f"passed the {release.stage} gate"
    if release.break_glass:
        return f"by break-glass: the {release.stage} gate would have blocked it ({first_reason(release)})"
    return f"only observed: the {release.stage} gate would have blocked it ({first_reason(release)})"


def first_reason(release: Release) -> str:
    """Return the first blocking reason without its examples, and the number of the others."""
    blocking = [reason for reason in release.reasons if reason["action"] == "enforce"]
    if not blocking:
        return "see the message"
    head, limit, _ = blocking[0]["message"].partition("): ")
    more = f" (+{len(blocking) - 1} more)" if len(blocking) > 1 else ""
    return head + (")" if limit else "") + more


def _lines(release: Release, outcome: Outcome, request: ApprovalRequest | None, page: str) -> list[str]:
    lines = [f"{image_name(release)} {_first_words(release, outcome)}.", ""]
    lines += _reason_lines(release)
    lines += _remedy_lines(release)
    if release.break_glass:
        lines += [cut_text(release.break_glass), ""]
    if release.detail:
        lines += [f"Cause: {cut_text(release.detail)}", ""]
    if request:
        lines += [*_approval_lines(release, request, page), ""]
    elif outcome in _NEXT_STEP:
        lines += [_NEXT_STEP[outcome], *_command_lines(release, outcome), ""]
    if release.promotion:
        lines.append(f"Promoted to  {release.promotion.repository}: {_list_tags(release.promotion.tags)}")
    lines += [
        f"Repository   {release.image.repository}",
        f"Digest       {release.image.digest}",
        f"Tags         {_list_tags(release.tags) or 'none'}",
        f"Stage        {release.stage}, attempt {release.attempt} ({release.reason})",
        f"Verdict      {release.verdict or 'none'}",
        f"Signature    {release.signature or 'none'}",
        *([f"SBOM         {cut_text(release.sbom.note)}"] if release.sbom else []),
        f"Decision     {release.decision or 'none'}",
        f"Policy       {release.policy}",
        "",
        f"More         imagegate status {release.image}",
    ]
    return lines


def _command_lines(release: Release, outcome: Outcome) -> list[str]:
    if outcome is Outcome.BLOCKED and not _may_waive_finding(release):
        return []
    names = {"name": image_name(release), "repository": release.image.repository}
    commands = [(label, command.format(**names)) for label, command in _COMMANDS.get(outcome, ())]
    return [f"  {label}:  {command}" for label, command in commands]


def _may_waive_finding(release: Release) -> bool:
    """Return True if a finding blocks it, and the remedies do not have the command to waive it already."""
    is_told = any(text.startswith("imagegate decide waive") for text in release.remedies)
    blocking = [reason["rule"] for reason in release.reasons if reason["action"] == "enforce"]
    return not is_told and any(rule.startswith("findings.") for rule in blocking)


def _links(release: Release, console: ConsoleLinks | None) -> list[str]:
    if console is None:
        return []
    record = {"Record": console.record(release.decision)} if release.decision else {}
    return aligned({"Image": console.image(release.image), **record})


def _approval_lines(release: Release, request: ApprovalRequest, page: str) -> list[str]:
    """Return who has to approve until when, and the commands for it at the ends of their lines."""
    terms, name = request.terms, image_name(release)
    who = ", ".join([*terms.approvers, *terms.by_mail]) or "anybody who may call decide"
    number = "one approval" if terms.quorum == 1 else f"{terms.quorum} approvals"
    why = " --reason TEXT" if terms.needs_reason else ""
    return [
        f"{request.stage} needs {number} until {request.expires_at:%Y-%m-%d %H:%M} UTC, by {cut_text(who)}.",
        *([f"Changes, and who has decided:  {page}"] if page else []),
        f"Let it in:    imagegate decide approve {name}{why}",
        f"Keep it out:  imagegate decide reject {name}{why}",
    ]


def explain_fault(error: str, cause: str) -> str:
    """Return a fault of Step Functions in one line. Lambda's cause is JSON with a stack trace, which is left out."""
    try:
        message = json.loads(cause)["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = cause
    return f"{error}: {message}" if message else error


def _reason_lines(release: Release) -> list[str]:
    shown = list(release.reasons)[:_REASONS_SHOWN]
    lines = [f"  - {_mark(reason)}{cut_text(reason['message'])}  [{reason['rule']}]" for reason in shown]
    if len(release.reasons) > len(shown):
        lines.append(f"  … and {len(release.reasons) - len(shown)} more in the decision record")
    return [*lines, ""] if lines else []


def _remedy_lines(release: Release) -> list[str]:
    shown = [f"  - {cut_text(text)}" for text in release.remedies[:_REASONS_SHOWN]]
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
            {**reason, "message": cut_text(reason["message"])}
            for reason in list(release.reasons)[:_REASONS_SHOWN]
        ],
        "remedies": [cut_text(text) for text in release.remedies[:_REASONS_SHOWN]],
        "decision": _text_or_none(release.decision),
        "policy": str(release.policy),
        "signature": _text_or_none(release.signature),
        "sbom": cut_text(release.sbom.note) if release.sbom else None,
        "promotedTo": _promoted(release),
        "breakGlass": cut_text(release.break_glass) or None,
        "cause": cut_text(release.detail),
    }


def _promoted(release: Release) -> dict[str, Any] | None:
    if release.promotion is None:
        return None
    return {**release.promotion.as_json(), "tags": sorted(release.promotion.tags)[:_TAGS_SHOWN]}


def _list_tags(tags: Collection[str]) -> str:
    return list_some(sorted(tags)[:_TAGS_SHOWN], len(tags))


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
