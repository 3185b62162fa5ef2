"""Output formats of an opinion: JSON, SARIF 2.1.0 for code scanning, and Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from imagegate.canonical_json import timestamp
from imagegate.findings.finding import Finding, Severity
from imagegate.gate.findings_record import finding_json
from imagegate.gate.verdict import Reason
from imagegate.text import json_text, lines_only, one_line, web_link
from imagegate_cli.judgement.opinion import (
    Line,
    Opinion,
    count_not_counting,
    decision_text,
    explanations,
    headline,
    severity_text,
)
from imagegate_cli.output import markdown as md
from imagegate_cli.scanners.severities import by_score

# GitHub's limits for SARIF: 25,000 results a run, of which it keeps the 5,000 gravest.
_MOST_RESULTS = 5_000
_MOST_EXPLAINED = 10  # vulnerabilities, in Markdown
# What code scanning sorts by: a number where scanners give a word (CVSS v3, the middle of each band).
_SCORES = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
    Severity.INFORMATIONAL: "0.0",
    Severity.UNDEFINED: "5.0",
}


def as_json(opinion: Opinion) -> dict[str, Any]:
    """Return the JSON form. `verdict` is PASS, BLOCK or ERROR; `findings` are all with `rulings`, gravest first."""
    judged = opinion.judged
    return {
        "schema": "imagegate.judgement/v1",
        "subject": opinion.subject,
        "digest": str(opinion.digest) if opinion.digest else None,
        "verdict": str(opinion.outcome),
        "exitCode": opinion.exit_code,
        "stage": opinion.stage.name,
        "mode": str(opinion.stage.mode),
        "policy": str(opinion.policy),
        "judgedAt": timestamp(opinion.now),
        "scanners": list(opinion.scanners),
        "reasons": [_reason(reason) for reason in judged.verdict.reasons],
        "remedies": judged.remedies.as_json(),
        "aside": count_not_counting(opinion),
        "waivers": [{"id": waiver.id, **waiver.as_json()} for waiver in judged.used_waivers],
        "delta": judged.delta,
        "notes": list(opinion.notes),
        "findings": [_line(line) for line in opinion.lines()],
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {**reason.as_json(), "unknown": reason.is_unknown, "advice": reason.advice}


def _line(line: Line) -> dict[str, Any]:
    optional = {"platform": line.platform, "from": list(line.origin), "seenAt": line.seen_at}
    described = {"description": line.finding.description} if line.finding.description else {}
    return {
        **finding_json(line.finding),
        **described,
        "rulings": list(line.rulings),
        **{name: value for name, value in optional.items() if value},
    }


def as_sarif(opinion: Opinion) -> dict[str, Any]:
    """Return SARIF 2.1.0 (OASIS): a result for each finding that some rule is about, and for each broken rule."""
    lines = [line for line in opinion.lines() if line.why != "no limit"]
    lines_shown = lines[:_MOST_RESULTS]
    reasons = [r for r in opinion.judged.verdict.reasons if not r.rule.startswith(("findings.", "packages."))]
    rules = {line.finding.vulnerability: _rule(line) for line in lines_shown}
    rules |= {reason.rule: _plain_rule(reason.rule) for reason in reasons}
    places = {name: number for number, name in enumerate(rules)}
    results = [_result(opinion, line, places) for line in lines_shown]
    results += [_rule_result(opinion, reason, places) for reason in reasons]
    driver = {"name": "imagegate", "version": _version(), "rules": list(rules.values())}
    run = {
        "tool": {"driver": driver},
        "results": results,
        "properties": {
            "verdict": str(opinion.outcome),
            "stage": opinion.stage.name,
            "policy": str(opinion.policy),
            "leftOut": len(lines) - len(lines_shown),
        },
        "automationDetails": {"id": f"imagegate/{opinion.stage.name}/{opinion.subject}"},
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return dict(lines_only({"$schema": schema, "version": "2.1.0", "runs": [run]}))


def _rule_result(opinion: Opinion, reason: Reason, places: dict[str, int]) -> dict[str, Any]:
    """Return a result for a broken rule that is not about a finding."""
    return {
        "ruleId": reason.rule,
        "ruleIndex": places[reason.rule],
        "level": "error" if reason.action == "enforce" else "warning",
        "message": _message(reason.message),
        "locations": [_location(opinion)],
        "partialFingerprints": {"imagegate/v1": _fingerprint(opinion, reason.rule, "")},
    }


def _message(text: str) -> dict[str, str]:
    """Make a message without links: `[text](target)` would be one (SARIF 2.1.0, 3.11.6)."""
    return {"text": text.replace("](", "\\](")}


def _version() -> str:
    from importlib.metadata import version

    return version("imagegate")


def _rule(line: Line) -> dict[str, Any]:
    finding = line.finding
    rule: dict[str, Any] = {
        "id": finding.vulnerability,
        "shortDescription": _message(str(finding)),
        "properties": {
            "security-severity": _security_severity(finding),
            "tags": ["security", str(finding.kind)],
        },
    }
    link = web_link(finding.url or "")
    described = {"fullDescription": _message(finding.description)} if finding.description else {}
    return rule | described | ({"helpUri": link} if link else {})


def _security_severity(finding: Finding) -> str:
    """Return the CVSS score if it means the severity that the gate counts, else a score that does."""
    if finding.cvss is not None and by_score(finding.cvss) is finding.severity:
        return f"{finding.cvss:.1f}"
    return _SCORES[finding.severity]


def _plain_rule(name: str) -> dict[str, Any]:
    return {"id": name, "shortDescription": _message(f"The policy's rule {name}")}


def _result(opinion: Opinion, line: Line, places: dict[str, int]) -> dict[str, Any]:
    finding = line.finding
    result: dict[str, Any] = {
        "ruleId": finding.vulnerability,
        "ruleIndex": places[finding.vulnerability],
        "level": _level(opinion, line),
        "message": _message(_sentence(line)),
        "locations": [_location(opinion)],
        "partialFingerprints": {
            "imagegate/v1": _fingerprint(opinion, finding.vulnerability, str(finding.places))
        },
    }
    if line.why == "waived":
        waiver = line.ruling["waiver"]
        reason = next((w.reason for w in opinion.judged.used_waivers if w.id == waiver), "")
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _level(opinion: Opinion, line: Line) -> str:
    """Return `error` if it blocks, `warning` if it counts without blocking, `note` if it does not count."""
    if not line.counts:
        return "note"
    blocking = {reason.rule for reason in opinion.judged.verdict.blocking}
    return "error" if line.ruling["rule"] in blocking else "warning"


def _sentence(line: Line) -> str:
    finding = line.finding
    fixes = [f"{package.name} {package.fixed}" for package in finding.packages if package.fixed]
    fixed = f" Fixed in {', '.join(fixes)}." if fixes else ""
    return f"{finding.severity}: {finding}: {decision_text(line)}.{fixed}"


def _location(opinion: Opinion) -> dict[str, Any]:
    """Return the image as a location: code scanning requires a file."""
    uri = quote(one_line(opinion.subject).replace(" ", "_").replace("@", "/").replace(":", "/"), safe="/+")
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
        "message": _message(opinion.subject),
    }


def _fingerprint(opinion: Opinion, name: str, places: str) -> str:
    """Return a fingerprint that stays equal for the next build, so that code scanning recognises the result."""
    repository = opinion.subject.partition("@")[0].rpartition(":")[0] or opinion.subject
    return hashlib.sha256("\n".join((opinion.stage.name, repository, name, places)).encode()).hexdigest()


def to_text(document: dict[str, Any]) -> str:
    return json_text(document, indent=2) + "\n"


def as_markdown(opinion: Opinion, *, most: int = 50) -> str:
    """Return Markdown for a pull request or a job summary. Text from an image is escaped."""
    lines = [f"### {md.text(headline(opinion))}", ""]
    lines += [
        f"- {'' if reason.action == 'enforce' else '(warning) '}{md.text(reason.message)} {md.code(reason.rule)}"
        for reason in opinion.judged.verdict.reasons
    ]
    remedies = opinion.advice
    if remedies:
        lines += ["", "**What would make it pass**", ""]
        lines += [f"- {md.text(text)}" for text in remedies]
    findings = [line for line in opinion.lines() if line.why != "no limit"]
    lines += _table(findings, most)
    described = explanations(findings, _MOST_EXPLAINED)
    lines += ["", "**In the words of the scanner**", ""] if described else []
    lines += [f"- {md.text(one.vulnerability)}: {md.text(one.description)}" for one in described]
    lines += [f"\n_{md.text(note)}_" for note in opinion.notes]
    lines += ["", f"Policy {md.code(opinion.policy.short)}, stage {md.text(opinion.stage.name)}."]
    return "\n".join(lines) + "\n"


def _table(lines: Sequence[Line], most: int) -> list[str]:
    if not lines:
        return []
    rows = ["", "| | vulnerability | package | fixed in | decided |", "| --- | --- | --- | --- | --- |"]
    for line in lines[:most]:
        packages = ", ".join(dict.fromkeys(map(str, line.finding.packages)))
        fixes = ", ".join(dict.fromkeys(p.fixed for p in line.finding.packages if p.fixed))
        cells = (
            severity_text(line.finding),
            line.finding.vulnerability,
            packages,
            fixes,
            decision_text(line),
        )
        rows.append("| " + " | ".join(map(md.text, cells)) + " |")
    if len(lines) > most:
        rows.append(f"\n… and {len(lines) - most} more.")
    return rows
