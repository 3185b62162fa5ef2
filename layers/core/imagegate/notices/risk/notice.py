"""Messages about released images that are at risk, that no scanner watches any more, or whose risk is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.notices.message import Message, aligned, cut_text, with_rest
from imagegate.policy.rules import Attention
from imagegate.risk.risk import NewerRelease, Risk, RiskFinding, RiskState
from imagegate.text import one_line

if TYPE_CHECKING:
    from imagegate.release.revocation import RunsIn

IMAGE_AT_RISK = "Image At Risk"
IMAGE_NOT_WATCHED = "Image Not Watched"
RISK_OVER = "Image Risk Over"
IMAGES_AT_RISK = "Images At Risk"
# One message has eight copies of each, and at most 256 KiB (Amazon SNS API reference, Publish).
_FINDINGS_SHOWN, _SENTENCES_SHOWN, _PLACES_SHOWN, _NEWER_SHOWN, _IMAGES_SHOWN = 20, 8, 10, 3, 50
_CUT, _NAME_LIMIT = 150, 50  # characters of a sentence and of a name


def risk_began(risk: Risk, *, is_loud: bool) -> Message:
    """Compose the message that an image is at risk or not watched. `is_loud`: somebody gets it as a mail."""
    is_at_risk = risk.state is RiskState.AT_RISK
    return Message(
        subject=_subject(risk),
        lines=_at_risk_lines(risk) if is_at_risk else _not_watched_lines(risk),
        detail_type=IMAGE_AT_RISK if is_at_risk else IMAGE_NOT_WATCHED,
        detail=_detail(risk),
        attributes=_attributes(risk, is_loud=is_loud),
    )


def risk_ended(risk: Risk, why: str, now: datetime, *, is_loud: bool) -> Message:
    """Compose the message that the risk is over. `why`: the end of a sentence that begins with the image."""
    was = f"It was {risk.state} since {risk.since:%Y-%m-%d %H:%M} UTC."
    about = f" It was about {risk.headline}." if risk.findings else ""
    return Message(
        subject=f"RISK OVER: {risk.name} {why}",
        lines=[f"{risk.name} {_cut(why)}.", "", was + about, "", f"More: imagegate status {risk.image}"],
        detail_type=RISK_OVER,
        detail={**_detail(risk), "over": f"{now:%Y-%m-%dT%H:%M:%SZ}", "why": _cut(why)},
        attributes=_attributes(risk, is_loud=is_loud),
    )


def many_risks(risks: Sequence[Risk], over: int, now: datetime) -> Message:
    """Compose the one mail about many images. `over`: the number of images that are no longer at risk."""
    at_risk = [risk for risk in risks if risk.state is RiskState.AT_RISK]
    running = [risk for risk in at_risk if risk.units]
    shown = sorted(risks, key=lambda risk: (risk.state is not RiskState.AT_RISK, -risk.units, risk.name))
    rows = [f"  {_row(risk)}" for risk in shown[:_IMAGES_SHOWN]]
    numbers = f"{len(at_risk)} released images are at risk, {len(running)} of them run"
    return Message(
        subject=f"AT RISK: {len(at_risk)} released images, {len(running)} of them run",
        lines=[
            f"{numbers}; {len(risks) - len(at_risk)} are not watched any more; {over} are no longer at risk.",
            "",
            *with_rest(rows, len(risks)),
            "",
            "Nothing was stopped or revoked. Begin with the images that run:",
            "  imagegate list --at-risk",
            "  imagegate status REPOSITORY:TAG",
        ],
        detail_type=IMAGES_AT_RISK,
        detail={
            "schema": 1,
            "id": f"images-at-risk-{now:%Y-%m-%dT%H:%M:%SZ}",
            "atRisk": len(at_risk),
            "running": len(running),
            "notWatched": len(risks) - len(at_risk),
            "over": over,
        },
        attributes={"alert": str(Attention.ALERT)},
    )


def _subject(risk: Risk) -> str:
    if risk.state is RiskState.NOT_WATCHED:
        return f"NOT WATCHED: {risk.name}, released in {risk.stage}"
    where = f"{risk.units} running" if risk.units else f"released in {risk.stage}"
    return f"AT RISK: {risk.name} ({where}): {risk.headline}"


def _at_risk_lines(risk: Risk) -> list[str]:
    return [
        f"{risk.name} is released in {risk.stage}, and would not pass its gate today.",
        "",
        *_some("  - ", risk.why, _SENTENCES_SHOWN),
        "",
        *_some("  ", risk.findings, _FINDINGS_SHOWN),
        "",
        *_where(risk),
        *_way_out(risk),
        "",
        "Nothing was stopped or revoked. You get this message once for these vulnerabilities, and one when it is over.",
        *_facts(risk),
    ]


def _not_watched_lines(risk: Risk) -> list[str]:
    return [
        f"{risk.name} is released in {risk.stage}, and no scanner looks at it any more.",
        "A new vulnerability in it gives no message until this is changed:",
        "",
        *(f"  - {cut_text(why)}" for why in risk.why[:_SENTENCES_SHOWN]),
        "",
        *_where(risk),
        *_facts(risk),
    ]


def _where(risk: Risk) -> list[str]:
    if not risk.runs:
        return ["Amazon ECS and Inspector do not see it run.", ""]
    return ["It runs here:", *_some("  ", risk.runs, _PLACES_SHOWN), ""]


def _way_out(risk: Risk) -> list[str]:
    """Return the shortest way: a release that has the fix, else what to change; the commands end their lines."""
    lines = [_next_step(newer) for newer in risk.newer[:_NEWER_SHOWN]]
    if lines:
        return ["These releases of the application do not have it:", *lines]
    fixes = [f"  - {_cut(text)}" for text in risk.remedies[:_SENTENCES_SHOWN]]
    head = ["No release of the application is without it. Build one:", *fixes] if fixes else []
    first = risk.findings[0]
    package = f" --package {first.package}" if first.package else ""
    waive = f"imagegate decide waive {risk.image.repository} --cve {first.vulnerability}{package}"
    return [*head, f"Or accept it for a while:  {waive} --reason TEXT --expires 30d"]


def _next_step(newer: NewerRelease) -> str:
    command = "decide approve" if newer.is_held else "status"
    return f"  {newer}:  imagegate {command} {newer.name}"


def _facts(risk: Risk) -> list[str]:
    return [
        "",
        *aligned(
            {
                "Repository": risk.image.repository,
                "Digest": risk.image.digest,
                "Tags": ", ".join(risk.tags[:_PLACES_SHOWN]) or "none",
                "Stage": risk.stage,
                "Since": f"{risk.since:%Y-%m-%d %H:%M} UTC",
                "Policy": risk.policy,
            }
        ),
        "",
        f"More: imagegate status {risk.image}",
    ]


def _row(risk: Risk) -> str:
    if risk.state is RiskState.NOT_WATCHED:
        return f"{risk.name}: not watched"
    runs = f", {risk.units} running" if risk.units else ""
    fix = f"; without it: {risk.newer[0]}" if risk.newer else ""
    return _cut(f"{risk.name}: {risk.headline}{runs}{fix}")


def _some(mark: str, items: Sequence[object], most: int) -> list[str]:
    """Return a line for each of the first items, and one with the number of the others."""
    return with_rest([mark + _cut(str(item)) for item in items[:most]], len(items))


def _shortened(risk: Risk) -> Risk:
    """Return the risk with so much of each list and text that a message fits, whatever they have."""
    return replace(
        risk,
        tags=tuple(one_line(tag, _NAME_LIMIT) for tag in risk.tags[:_PLACES_SHOWN]),
        findings=tuple(map(_short_finding, risk.findings[:_FINDINGS_SHOWN])),
        why=tuple(cut_text(why) for why in risk.why[:_SENTENCES_SHOWN]),
        remedies=tuple(map(_cut, risk.remedies[:_SENTENCES_SHOWN])),
        runs=tuple(map(_short_place, risk.runs[:_PLACES_SHOWN])),
        newer=tuple(replace(one, tags=one.tags[:1]) for one in risk.newer[:_NEWER_SHOWN]),
        exported_at=None,
    )


def _short_finding(finding: RiskFinding) -> RiskFinding:
    return replace(
        finding,
        vulnerability=one_line(finding.vulnerability, _NAME_LIMIT),
        package=one_line(finding.package, _NAME_LIMIT),
        fixed=finding.fixed and one_line(finding.fixed, _NAME_LIMIT),
    )


def _short_place(runs: RunsIn) -> RunsIn:
    return replace(runs, cluster=one_line(runs.cluster, _CUT), service=one_line(runs.service, _NAME_LIMIT))


def _detail(risk: Risk) -> dict[str, Any]:
    """Return the risk for machines. The numbers are of the whole risk."""
    return {
        **_shortened(risk).as_json(),
        "schema": 1,
        "id": f"{risk.fingerprint}-{risk.image.digest.short}",
        "findingsTotal": len(risk.findings),
        "running": risk.units,
        "needsBuild": risk.state is RiskState.AT_RISK and not risk.newer,
    }


def _attributes(risk: Risk, *, is_loud: bool) -> dict[str, str]:
    return {
        "stage": risk.stage,
        "repository": risk.image.repository,
        "alert": str(Attention.ALERT if is_loud else Attention.LOG),
    }


def _cut(text: str) -> str:
    return one_line(text, _CUT)
