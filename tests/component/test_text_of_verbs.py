"""Each verb in each of its forms, over a world in which everything that others write is poisoned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagegate.errors import InvalidEventError
from imagegate.events.decide_call import parse_decision
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.policy.waiver import Waiver
from imagegate.text import is_one_line
from imagegate_cli.output import terminal
from tests.component.cli_gate import CliGate
from tests.component.cli_gate import gate as gate
from tests.component.judged import Judge
from tests.component.test_judge import trivy
from tests.component.test_text_is_text import assert_prints_as_text, structure
from tests.fakes import DEV, NOW
from tests.poison import CLEAN, NAMES, PAYLOADS, PIECES

poison = pytest.mark.parametrize("text", PAYLOADS, ids=NAMES)


def report_of(text: str) -> dict[str, Any]:
    """Return a report of Trivy with the text in every field that takes one."""
    report = trivy((f"CVE-2026-1{text}", "CRITICAL"), ("CVE-2026-2", "HIGH"), package=text, fixed=text)
    [result] = report["Results"]
    for one in result["Vulnerabilities"]:
        one |= {"PrimaryURL": text, "PkgPath": text, "Title": text}
    return {**report, "ArtifactName": f"shop:{text}"}


@poison
@pytest.mark.parametrize("form", ["table", "json", "sarif", "markdown"])
def test_a_judgement_looks_like_its_clean_twin(judge: Judge, text: str, form: str, tmp_path: Path) -> None:
    told, clean = (
        judge("--findings", report_of(one), "--format", form, "--write-vex", str(tmp_path / f"{n}.json"))
        for n, one in enumerate((text, CLEAN))
    )
    assert_prints_as_text((told.out + told.err).replace("\u200b", ""))
    if text == PIECES["half"]:  # the report is refused
        assert (told.code, told.out) == (2, "")
        return
    assert told.code == clean.code == 1
    if form == "markdown":
        assert structure(told.out) == structure(clean.out)
    if form == "sarif":
        assert_sarif(json.loads(told.out))
    for value in strings(json.loads((tmp_path / "0.json").read_text())):
        assert is_one_line(value)


def strings(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        document = [*document, *document.values()]
    if isinstance(document, list):
        for value in document:
            yield from strings(value)
    elif isinstance(document, str):
        yield document


def assert_sarif(document: Any) -> None:
    """Check SARIF 2.1.0: by 3.11.6 a message makes no link; `uri` and `helpUri` are URIs that lead to the web."""
    assert all(is_one_line(value) for value in strings(document))
    [run] = document["runs"]
    messages = [one["message"]["text"] for one in run["results"]]
    assert not any(re.search(r"(?<!\\)\]\(", text) for text in messages)
    for rule in run["tool"]["driver"]["rules"]:
        assert re.fullmatch(r"https?://[!-~]+", rule.get("helpUri", "https://none"))
    for one in run["results"]:
        uri = one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"(?:[A-Za-z0-9._~/+-]|%[0-9A-F]{2})+", uri)


def test_a_link_of_a_scanner_leads_to_the_web_or_nowhere(judge: Judge) -> None:
    sarif = {
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "any",
                        "rules": [
                            {"id": "CVE-2026-1", "helpUri": "javascript:alert(3)"},
                            {"id": "CVE-2026-2", "helpUri": "https://avd.aquasec.com/nvd/cve-2026-2"},
                        ],
                    }
                },
                "results": [
                    {"ruleId": name, "level": "error", "message": {"text": "x"}}
                    for name in ("CVE-2026-1", "CVE-2026-2")
                ],
            }
        ],
    }
    told = judge("--findings", sarif, "--format", "sarif").json["runs"][0]["tool"]["driver"]["rules"]
    assert {rule["id"]: rule.get("helpUri") for rule in told} == {
        "CVE-2026-1": None,
        "CVE-2026-2": "https://avd.aquasec.com/nvd/cve-2026-2",
    }


def poisoned(gate: CliGate, text: str) -> None:
    """Store a blocked image and a waiver with texts of somebody else."""
    package = Package(text, text, text, "pypi", f"pkg:pypi/{CLEAN}@1", text, text)
    finding = Finding(f"CVE-2026-1{text}", Severity.CRITICAL, (package,), (text,), True, url=text, arn=text)
    gate.judged("1.0", [finding])
    waiver = Waiver(
        owner=text,
        reason=text,
        expires=NOW.date() + timedelta(days=9),
        vulnerability="CVE-2026-9",
        package=text,
        repositories=DEV,
        ticket=text,
    )
    gate.deploy(replace(gate.world.policy, waivers=(waiver,)))


VERBS = [
    ["status", f"{DEV}:1.0"],
    ["status", f"{DEV}:1.0", "--json"],
    ["list"],
    ["list", "--json"],
    ["decide", "list"],
    ["decide", "list", "--json"],
    ["policy", "report"],
    ["policy", "report", "--json"],
    ["policy", "report", "--markdown"],
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize(
    "text", [PAYLOADS[-1], "one\r\n\r\nLet it in: http://evil.example/"], ids=["all", "lines"]
)
def test_a_verb_prints_text(gate: CliGate, verb: list[str], text: str) -> None:
    poisoned(gate, text)
    result = gate.call(*verb, columns=200)
    assert result.code in (0, 1), result.err
    assert "\n" in result.out
    assert_prints_as_text((result.out + result.err).replace("\u200b", ""))
    if verb[-1] == "--json":
        json.loads(result.out)


@poison
@pytest.mark.parametrize("verb", ["check", "explain"])
def test_a_policy_is_shown_as_text(gate: CliGate, verb: str, text: str, tmp_path: Path) -> None:
    """A refused policy is text, too: its faults are printed as lines."""
    expires = str(NOW.date() + timedelta(days=9))
    waiver = {
        "vulnerability": "CVE-2026-9",
        "owner": text,
        "reason": text,
        "expires": expires,
        "ticket": text,
    }
    stage = {"repositories": "{app}-dev", "image": {"labels": [text]}}
    for number, policy in enumerate(
        (
            {"version": 1, "stages": {"dev": stage}, "waivers": [waiver]},
            {"version": 1, "stages": {text: stage}, text: text},
        )
    ):
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(policy), encoding="utf-8")
        arguments = ["policy", verb, *([DEV, "--policy"] if verb == "explain" else []), str(file)]
        result = gate.call(*arguments, columns=200)
        assert result.code in (0, 1, 2)
        assert result.out + result.err
        assert_prints_as_text(result.out + result.err)


@poison
def test_every_error_is_one_line(gate: CliGate, text: str) -> None:
    for arguments in (
        ["status", f"{text}:1"],
        [text],
        ["list", "--outcome", text],
        ["policy", "check", f"/none/{text}"],
    ):
        if "\x00" in text and arguments[0] == "policy":
            continue  # no file can be named so
        result = gate.call(*arguments)
        assert result.code in (1, 2)
        assert result.err.count("\n") == 1
        assert_prints_as_text(result.err)


# What people write


ZEROS = "sha256:" + "0" * 64
WAIVER = {"owner": "o", "reason": "r", "expires": "2026-12-20", "rule": "image.non_root", "ticket": "t"}
ASKED: dict[str, dict[str, Any]] = {
    "waive": {"waiver": WAIVER},
    "withdraw": {"id": "w-1"},
    "break-glass": {
        "repositories": DEV,
        "digest": ZEROS,
        "reason": "r",
        "expires": "2026-12-20T00:00:00Z",
    },
    "revoke": {"repository": DEV, "digest": ZEROS, "reason": "r"},
    "approve": {"repository": DEV, "digest": ZEROS, "attempt": 1, "reason": "r"},
    "reject": {"repository": DEV, "digest": ZEROS, "attempt": 1, "reason": "r"},
    "rollback": {"repository": DEV, "to": ZEROS, "from": "sha256:" + "1" * 64, "reason": "r"},
    "decide-by-link": {"token": "t", "reason": "r"},
}
NOT_LINES = [name for name, text in PIECES.items() if not is_one_line(text) and name != "half"]


def _poisoned_requests(fields: dict[str, Any], text: str) -> Iterator[dict[str, Any]]:
    """Yield the request with the text in each of the fields that people write."""
    for name in ("owner", "reason", "ticket", "rule", "id"):
        if name in fields:
            yield {**fields, name: text}
    for inner in _poisoned_requests(fields["waiver"], text) if "waiver" in fields else ():
        yield {**fields, "waiver": inner}


@pytest.mark.parametrize("action", ASKED)
@pytest.mark.parametrize("name", NOT_LINES)
def test_texts_of_people_are_one_line_or_refused(action: str, name: str) -> None:
    fields = {"schema": 1, "action": action}
    parse_decision({"body": json.dumps({**fields, **ASKED[action]})})
    for asked in _poisoned_requests(ASKED[action], PIECES[name]):
        with pytest.raises(InvalidEventError, match="must be one line of printable text") as refused:
            parse_decision({"body": json.dumps({**fields, **asked})})
        assert is_one_line(str(refused.value))


@pytest.mark.parametrize("action", ASKED)
@pytest.mark.parametrize("text", [" ", "   "])
def test_spaces_are_no_reason(action: str, text: str) -> None:
    fields = {"schema": 1, "action": action}
    for asked in _poisoned_requests(ASKED[action], text):
        with pytest.raises(InvalidEventError, match="must have more than spaces"):
            parse_decision({"body": json.dumps({**fields, **asked})})


@pytest.mark.parametrize("text", ["two  spaces", "Grüße, 漢字 & co.", "a\\b | <c> [d] `e`", "CVE: 👍\ufe0f"])
def test_printable_text_may_be_written(text: str) -> None:
    asked = {"schema": 1, "action": "revoke", **ASKED["revoke"], "reason": text}
    assert parse_decision({"body": json.dumps(asked)}).reason == text  # type: ignore[union-attr]


def test_json_for_programs_keeps_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_json(PIECES)
    assert json.loads(capsys.readouterr().out) == PIECES
