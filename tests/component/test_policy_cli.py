"""`imagegate policy check`, `schema` and `explain`: what they print, and how they exit."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from imagegate.canonical_json import parse_timestamp
from imagegate.oci.image import Digest
from imagegate.policy.waiver import Waiver
from imagegate_cli.context import CommandLine
from imagegate_cli.main import main
from imagegate_cli.policy.check import ending
from imagegate_cli.stack import Stack, find_stack
from tests.component.cli_gate import Result
from tests.component.policies import SAMPLES, SCHEMA
from tests.fakes import NOW, FakeGrants

TODAY = NOW.date()
TEXT = f"""\
version: 1
defaults:
  findings:
    max: {{high: {{value: 7, action: warn}}}}
  image: {{max_age: 90d}}
stages:
  dev:
    repositories: "{{app}}-dev"
    mode: observe
    promotes_to: prod
    image: {{max_age: {{action: warn}}}}
  prod:
    repositories: "{{app}}-prod"
    approval: required
    image: {{max_age: off}}
waivers:
  - {{rule: image.max_age, repositories: "old-*", owner: ann, reason: x, expires: {TODAY + timedelta(days=3)}}}
  - {{rule: image.max_age, repositories: "old-*", owner: ann, reason: x, expires: 2020-01-01}}
  - {{rule: image.max_age, repositories: "new-*", owner: ann, reason: x, expires: {TODAY + timedelta(days=60)}}}
"""


Call = Callable[..., Result]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.delenv("COLUMNS", raising=False)

    def called(*arguments: object, stack: Stack | None = None) -> Result:
        monkeypatch.setattr(sys, "argv", ["imagegate", "policy", *map(str, arguments)])
        find = (lambda _name: stack) if stack else find_stack
        with pytest.raises(SystemExit) as exited:
            main(CommandLine(lambda: NOW, find))
        captured = capsys.readouterr()
        return Result(int(exited.value.code or 0), captured.out, captured.err)

    return called


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT)
    return path


# check


def test_a_valid_file_is_printed_stage_by_stage_with_expiring_waivers(call: Call, file: Path) -> None:
    assert call("check", file) == Result(
        0,
        "dev: 5 rules, 2 of them warn; observe\n"
        "prod: 4 rules, 1 of them warns; enforce; approval required\n"
        f"{file}:14: note: stages.prod.approval: whoever pushed the image is recognised only where the stack's "
        "parameter KnowPushers is on, and in a role that is not of named_sessions only as that role\n"
        f"{file}:17: note: waivers[0]: image.max_age for old-* ends in 3 days, on {TODAY + timedelta(days=3)} "
        "(owner: ann)\n"
        f"{file}:18: note: waivers[1]: image.max_age for old-* expired on 2020-01-01 (owner: ann)\n",
        "",
    )


def test_faults_are_lines_in_the_order_of_the_file(call: Call, file: Path) -> None:
    file.write_text(TEXT.replace("observe", "obsrve").replace("version: 1", "version: 2"))
    assert call("check", file) == Result(
        1,
        f"{file}:1: version: must be 1, not 2\n"
        f"{file}:9: stages.dev.mode: must be 'enforce' or 'observe', not 'obsrve' (did you mean observe?)\n",
        "",
    )


def test_a_stage_that_is_open_to_pushes_is_named(call: Call, file: Path) -> None:
    file.write_text(TEXT.replace("    approval: required", "    approval: required\n    entry: open"))
    result = call("check", file)
    assert result.code == 0
    note = "note: stages.prod.entry: open: whoever pushes into {app}-prod goes past dev and its approval"
    assert f"{file}:15: {note}\n" in result.out


def test_a_signature_that_a_stage_before_may_not_give_is_a_note(call: Call, file: Path) -> None:
    evidence = "    approval: required\n    evidence: {require_signature: true}"
    text = TEXT.replace("    approval: required", evidence)
    file.write_text(text)
    note = (
        f"{file}:15: note: stages.prod.evidence.require_signature: dev only observes: an image that does not pass "
        "there goes on without a signature, and prod blocks it; say off until dev enforces"
    )
    assert note in call("check", file).out.splitlines()
    for change in (("mode: observe", "mode: enforce"), ("true}", "{value: true, action: warn}}")):
        file.write_text(text.replace(*change))
        assert "only observes" not in call("check", file).out


def test_a_rule_that_no_scan_of_ecr_can_answer_is_a_note(call: Call, file: Path) -> None:
    rules = "    approval: required\n    findings: {secrets: 0, licenses: {value: 2, action: warn}}"
    file.write_text(TEXT.replace("    approval: required", rules))
    notes = [line for line in call("check", file).out.splitlines() if "ECR and Inspector report no" in line]
    assert [note.partition(": ECR")[0] for note in notes] == [
        f"{file}:15: note: stages.prod.findings.secrets",
        f"{file}:15: note: stages.prod.findings.licenses",
    ]


def test_check_as_json(call: Call, file: Path) -> None:
    good = call("check", file, "--json").json
    assert good["stages"][1] == {
        "name": "prod",
        "repositories": "{app}-prod",
        "mode": "enforce",
        "rules": 4,
        "warnings": 1,
        "approval": True,
    }
    assert [note["line"] for note in good["notes"]] == [14, 17, 18]
    file.write_text("version: 1\nstages: []\n")
    bad = call("check", file, "--json")
    assert (bad.code, bad.json) == (
        1,
        {
            "file": str(file),
            "faults": [{"line": 2, "path": "stages", "message": "must be a mapping, not a list"}],
            "stages": [],
            "notes": [],
        },
    )


def test_check_knows_what_the_stack_is_limited_to(call: Call, file: Path) -> None:
    result = call("check", file, "--prefix", "team/")
    assert result.code == 1
    assert "must begin with 'team/'" in result.out


def test_a_waiver_that_lasts_too_long_from_today_is_a_fault(call: Call, file: Path) -> None:
    file.write_text(TEXT.replace("2020-01-01", str(TODAY + timedelta(days=91))))
    assert "waivers[1].expires: is more than 90 days away" in call("check", file).out


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "1: the file is empty"),
        (b"a: b: c", "1: not YAML: "),
        (b"\x7fELF\x00\xff", "1: not UTF-8 text"),
        (b"#" * (1 << 20) + b"##", "1: the file is larger than 1048576 bytes"),
        (b"[" * 1000, "1: nested deeper than 20 levels"),
    ],
    ids=["empty", "yaml", "binary", "large", "deep"],
)
def test_anything_but_a_policy_is_one_line(call: Call, tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    result = call("check", path)
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith(f"{path}:{fault}")
    assert result.out.count("\n") == 1


def test_a_policy_is_read_from_standard_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"stages: 7")))
    result = call("check", "-")
    assert result.code == 1
    assert "standard input:1: " in result.out + result.err


def test_an_unreadable_file_is_one_line_on_stderr(call: Call, tmp_path: Path) -> None:
    assert call("check", tmp_path / "nope") == Result(
        2, "", f"imagegate: {tmp_path}/nope: No such file or directory\n"
    )
    assert call("check", tmp_path) == Result(2, "", f"imagegate: {tmp_path}: Is a directory\n")
    assert call("check").code == 2


def test_a_file_without_an_end_is_not_read_to_its_end(call: Call) -> None:
    assert call("check", "/dev/zero").out == "/dev/zero:1: the file is larger than 1048576 bytes\n"


def test_no_file_steers_the_terminal(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('version: 1\n"\\e[31mred": 1\nstages: {"\\e]0;x\\a": {repositories: a}}\n')
    assert "\x1b" not in call("check", path).out


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (-1, "expired on 2026-11-23"),
        (0, "ends today, on 2026-11-24"),
        (1, "ends tomorrow, on 2026-11-25"),
        (7, "ends in 7 days, on 2026-12-01"),
        (8, None),
    ],
)
def test_a_note_is_about_the_last_week_of_a_waiver(days: int, told: str | None) -> None:
    today = date(2026, 11, 24)
    assert ending(Waiver("ann", "x", today + timedelta(days=days)), today) == told


# schema


def test_the_schema_is_the_checked_in_one(call: Call) -> None:
    assert call("schema") == Result(0, SCHEMA.read_text(), "")


# explain


def explained(call: Call, *arguments: object) -> Any:
    result = call("explain", *arguments, "--json")
    assert result.code == 0, result.err
    return result.json


def part(told: Any, kind: str, path: str) -> Any:
    [found] = [one for one in told[kind] if one["path"] == path]
    return found


def test_every_part_is_printed_with_its_source(call: Call, file: Path) -> None:
    told = explained(call, "shop-dev", "--policy", file)
    assert (told["stage"], told["policy"]["digest"]) == ("dev", str(Digest.of(TEXT.encode())))
    assert part(told, "rules", "findings.max.critical") == {
        "path": "findings.max.critical",
        "value": 0,
        "from": {"layer": "built in", "line": None},
        "action": "enforce",
        "action_from": {"layer": "built in", "line": None},
    }
    assert part(told, "rules", "findings.max.high")["from"] == {"layer": "defaults", "line": 4}
    assert part(told, "rules", "image.max_age") == {
        "path": "image.max_age",
        "value": "90d",
        "from": {"layer": "defaults", "line": 5},
        "action": "warn",
        "action_from": {"layer": "stage dev", "line": 11},
    }
    assert part(told, "settings", "mode") == {
        "path": "mode",
        "value": "observe",
        "from": {"layer": "stage dev", "line": 9},
    }
    assert part(told, "settings", "scan.timeout")["value"] == "30m"
    assert part(told, "settings", "alerts.none") == {
        "path": "alerts.none",
        "value": "log",
        "from": {"layer": "built in", "line": None},
    }
    assert "image.labels" in told["unused"]


def test_the_built_in_settings_are_those_of_a_stage_without_settings(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nstages: {a: {repositories: a}}\n")
    told = explained(call, "a", "--policy", path)
    assert {one["from"]["layer"] for kind in ("settings", "rules") for one in told[kind]} == {"built in"}
    assert {
        one["path"]: one["value"] for one in told["settings"] if not one["path"].startswith("alerts.")
    } == {
        "mode": "enforce",
        "approval": "none",
        "soak": "off",
        "entry": "open",
        "promotes_to": None,
        "promote_tags": ["*"],
        "sign_platforms": False,
        "security_hub": False,
        "evidence.sbom": "off",
        "replication.regions": [],
        "replication.timeout": "30m",
        "arrivals.replication": "gated",
        "arrivals.pull_through_cache": "gated",
        "scan.timeout": "30m",
        "scan.max_scan_age": None,
        "findings.grace_starts": "seen",
    }


def test_the_entry_rule_is_printed_even_if_the_file_lacks_it(call: Call, file: Path) -> None:
    built_in = {"layer": "built in", "line": None}
    for repository, value in (("shop-dev", "open"), ("shop-prod", "promotion")):
        told = part(explained(call, repository, "--policy", file), "settings", "entry")
        assert told == {"path": "entry", "value": value, "from": built_in}
    file.write_text(TEXT.replace("    approval: required", "    approval: required\n    entry: open"))
    told = part(explained(call, "shop-prod", "--policy", file), "settings", "entry")
    assert told == {"path": "entry", "value": "open", "from": {"layer": "stage prod", "line": 15}}


def test_waivers_about_the_repository_are_printed_with_their_state(call: Call, file: Path) -> None:
    told = explained(call, "old-dev", "--policy", file)["waivers"]
    assert [(one["from"], one["counts"], one["state"]) for one in told] == [
        ("line 17", True, f"ends in 3 days, on {TODAY + timedelta(days=3)}"),
        ("line 18", False, "does not count: expired on 2020-01-01"),
    ]
    assert told[0]["waiver"]["id"].startswith("w-")
    assert explained(call, "shop-dev", "--policy", file)["waivers"] == []


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_table_for_people_fits_and_says_the_same(
    call: Call, file: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = call("explain", "old-dev:1.0", "--policy", file)
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= columns
    words = "".join(result.out.split())
    for told in ("old-dev:stagedev", "findings.max.high", "defaults", "expiredon2020-01-01", "Notused:"):
        assert told in words


def test_an_unknown_repository_is_refused_with_the_known_ones(call: Call, file: Path) -> None:
    assert call("explain", "shop", "--policy", file) == Result(
        2,
        "",
        "imagegate: no stage has the repository shop, it is left alone; there are {app}-dev (dev), {app}-prod (prod)\n",
    )


def test_a_policy_with_faults_is_not_explained(call: Call, file: Path) -> None:
    file.write_text("version: 2\nstages: {a: {repositories: a}}\n")
    assert call("explain", "a", "--policy", file) == Result(2, "", f"{file}:1: version: must be 1, not 2\n")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_stage_of_every_sample_is_explained(call: Call, path: Path) -> None:
    for stage in yaml.safe_load(path.read_text())["stages"].values():
        repository = stage["repositories"].replace("{app}", "shop")
        assert explained(call, repository, "--policy", path)["rules"]


def test_without_a_file_the_deployed_policy_is_explained(call: Call) -> None:
    grant = Waiver(
        owner="bob",
        reason="y",
        expires=TODAY + timedelta(days=1),
        rule="image.max_age",
        repositories="old-*",
        granted_at=parse_timestamp(f"{TODAY}T00:00:00Z"),
        granted_by="arn:aws:iam::1:user/bob",
    )
    grants = FakeGrants()
    grants.grant(grant)
    stack = Stack("imagegate", "arn:aws:cloudformation:r:1:stack/imagegate/1", {})
    vars(stack).update(policy_content=TEXT.encode(), grants=grants)
    told = explained(partial(call, stack=stack), "old-dev")
    assert told["policy"]["source"] == "stack imagegate"
    assert [one["from"] for one in told["waivers"]] == [
        "line 17",
        "line 18",
        f"granted by {grant.granted_by}",
    ]
    assert told["waivers"][2]["state"].startswith("ends in 1 day, on ")


def test_the_table_of_rules_is_whole() -> None:
    from imagegate.policy.file.inheritance import LIMITS, RULES
    from imagegate_cli.policy.effective import RULES_IN_ORDER

    assert {place for place in RULES_IN_ORDER if place[:2] != LIMITS} == RULES
