"""`imagegate policy replay`: the verdicts that another policy would have changed, and those that are unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagegate.findings.finding import Finding, Package, Severity
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Mode
from imagegate.policy.waiver import Waiver
from imagegate.release.release import ReleaseId
from tests.component.cli_gate import CliGate, gate, with_stage
from tests.fakes import NOW, POLICY, critical

__all__ = ["gate"]

HIGH = [
    Finding(f"CVE-2026-{number}", Severity.HIGH, (Package("openssl", "3.0.1"),)) for number in range(1, 3)
]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def write(path: Path, dev: str = "", staging: str = "") -> str:
    path.write_text(
        'version: 1\nstages:\n  dev:\n    repositories: "{app}-dev"\n    promotes_to: staging\n'
        f'{dev}  staging:\n    repositories: "{{app}}-staging"\n{staging}'
    )
    return str(path)


STRICT = "    findings: {max: {critical: 0, high: 1}}\n"
LOOSE = "    findings: {max: {critical: 5}}\n"
OBSERVE = "    mode: observe\n"


def effects(gate: CliGate, *arguments: str) -> list[tuple[str, str]]:
    told = gate.call("policy", "replay", *arguments, "--json").json
    return [(f"{one['repository']}:{one['tags'][0]}", one["effect"]) for one in told["changes"]]


def test_replaying_a_stricter_policy_names_the_images_it_would_block_and_why(
    gate: CliGate, policy: Path
) -> None:
    gate.judged("2.0", HIGH, repository="payments-dev")
    gate.judged("1.0", HIGH[:1])
    result = gate.call("policy", "replay", write(policy, STRICT), columns=100)
    assert (result.code, result.err) == (0, "")
    assert "payments-dev:2.0" in result.out
    assert "PASS → BLOCK" in result.out
    assert "2 HIGH (at most 1): CVE-2026-1" in result.out
    assert "1 of 2 images changes: 1 would be blocked" in result.out
    assert "shop-dev:1.0" not in result.out


def test_replaying_a_looser_policy_names_the_images_that_would_pass(gate: CliGate, policy: Path) -> None:
    gate.blocked()
    result = gate.call("policy", "replay", write(policy, LOOSE))
    assert "BLOCK → PASS" in result.out
    assert "no longer counts: 1 CRITICAL (at most 0): CVE-2026-0000 (openssl 3.0.1)" in result.out
    assert "1 of 1 image changes: 1 would pass" in result.out


def test_the_same_policy_changes_nothing(gate: CliGate, policy: Path) -> None:
    gate.blocked()
    gate.judged("2.0", HIGH)
    result = gate.call("policy", "replay", write(policy), "--exit-code")
    assert result == type(result)(0, "No verdict changes: 2 images of the last 7 days judged again\n", "")


def test_changes_can_be_an_exit_code(gate: CliGate, policy: Path) -> None:
    gate.blocked()
    assert gate.call("policy", "replay", write(policy, LOOSE), "--exit-code").code == 1
    assert gate.call("policy", "replay", write(policy, LOOSE)).code == 0


def test_a_mode_that_changes_is_a_change(gate: CliGate, policy: Path) -> None:
    gate.blocked()
    assert effects(gate, write(policy, OBSERVE)) == [("shop-dev:1.0", "would be let through (observe)")]
    gate.deploy(with_stage(POLICY, mode=Mode.OBSERVE))
    gate.blocked("2.0")
    found = dict(effects(gate, write(policy)))
    assert found == {"shop-dev:2.0": "would be blocked"}
    result = gate.call("policy", "replay", write(policy), columns=120)
    assert "BLOCK (observed) → BLOCK" in result.out
    assert "the stage says enforce now: 1 CRITICAL" in result.out


def test_a_violation_in_observe_mode_is_no_block(gate: CliGate, policy: Path) -> None:
    gate.deploy(with_stage(POLICY, mode=Mode.OBSERVE))
    gate.judged("1.0", HIGH)
    gate.blocked("2.0")
    assert effects(gate, write(policy, OBSERVE + STRICT)) == [
        ("shop-dev:1.0", "would go on unsigned (observe)")
    ]
    assert effects(gate, write(policy, OBSERVE + LOOSE)) == [("shop-dev:2.0", "would pass")]


def test_of_each_image_the_newest_decision_counts(gate: CliGate, policy: Path) -> None:
    image = gate.blocked()
    first = gate.world.ledger.get(ReleaseId(image, 1))
    again = replace(first, attempt=2, outcome=None, decision=None, started_at=NOW + timedelta(minutes=1))
    gate.world.ledger.begin(again)  # it is open, and has no verdict yet
    gate.now = NOW + timedelta(minutes=2)
    assert effects(gate, write(policy, LOOSE)) == [("shop-dev:1.0", "would pass")]


def test_only_the_asked_period_and_repositories_are_looked_at(gate: CliGate, policy: Path) -> None:
    gate.blocked("old", ago=timedelta(days=8))
    gate.blocked("new", ago=timedelta(days=6))
    gate.blocked("new", repository="cart-dev")
    file = write(policy, LOOSE)
    assert len(effects(gate, file, "--since", "2w")) == 3
    assert [name for name, _ in effects(gate, file)] == ["cart-dev:new", "shop-dev:new"]
    assert effects(gate, file, "--repository", "cart-*") == [("cart-dev:new", "would pass")]
    assert effects(gate, file, "--since", "12h") == [("cart-dev:new", "would pass")]


def test_it_is_judged_at_the_time_of_the_decision_with_the_grants_of_that_time(
    gate: CliGate, policy: Path
) -> None:
    waiver = Waiver(
        "ann",
        "not reachable",
        (NOW - timedelta(days=2)).date(),
        vulnerability="CVE-2026-0000",
        package="openssl",
        repositories="shop-*",
        granted_at=NOW - timedelta(days=10),
        granted_by="arn:ann",
    )
    gate.world.grants.grant(waiver)
    gate.judged("1.0", critical(), ago=timedelta(days=3))  # the waiver counted then
    gate.world.grants.granted.clear()
    assert effects(gate, write(policy)) == []


def test_releases_from_before_findings_were_kept_are_counted(gate: CliGate, policy: Path) -> None:
    for tag in ("1.0", "2.0"):
        image = gate.blocked(tag)
        forget_findings(gate, image)
    gate.blocked("3.0")
    result = gate.call("policy", "replay", write(policy, LOOSE))
    assert "1 of 1 image changes: 1 would pass" in result.out
    assert "2 could not be judged again (judged before findings were kept)" in result.out


def forget_findings(gate: CliGate, image: ImageRef) -> None:
    id_ = ReleaseId(image, 1)
    digest = gate.world.ledger.get(id_).decision
    assert digest is not None
    old = replace(Decision.decode(gate.world.records.decision(digest)), facts=None)
    gate.world.ledger.record(id_, decision=gate.world.records.put_decision(old.encode()))


def test_a_record_that_cannot_be_read_does_not_hide_the_others(gate: CliGate, policy: Path) -> None:
    broken, _ = gate.blocked("1.0"), gate.blocked("2.0")
    gate.world.ledger.record(ReleaseId(broken, 1), decision=Digest.of(b"nowhere"))
    result = gate.call("policy", "replay", write(policy, LOOSE))
    assert result.code == 0
    assert "1 would pass" in result.out
    assert "1 could not be judged again (its record cannot be read)" in result.out
    told = gate.call("policy", "replay", write(policy, LOOSE), "--json").json
    assert "no decision" in told["not_judged_again"][0]["why"]


def test_a_repository_of_no_stage_is_said(gate: CliGate, policy: Path) -> None:
    gate.blocked()
    file = write(policy).replace("policy.yaml", "policy.yaml")
    policy.write_text(policy.read_text().replace("{app}-dev", "{app}-qa"))
    result = gate.call("policy", "replay", file)
    assert "No stage of the new policy has shop-dev: 1 image would be left alone" in result.out
    assert gate.call("policy", "replay", file, "--json").json["unmanaged"] == ["shop-dev"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("    image: {base_images: [staging]}\n", "the record does not say: it is not known what"),
        (
            "    findings: {max: {critical: 0, high: 0}, no_worse_than: next_stage}\n",
            "the image of the next stage was not recorded",
        ),
    ],
)
def test_a_fact_that_the_record_lacks_is_no_change(
    gate: CliGate, policy: Path, rules: str, says: str
) -> None:
    gate.judged("1.0", HIGH)
    file = write(policy, rules)
    report = gate.call("policy", "replay", file, "--json").json
    assert (report["changes"], report["effects"]) == ([], {})
    [one] = report["cannot_be_told"]
    assert one["effect"] == "cannot be told"
    assert says in one["why"]
    result = gate.call("policy", "replay", file, "--exit-code", columns=400)
    assert result.code == 0
    assert "No verdict changes: 1 image of the last 7 days judged again" in result.out
    assert f"1 cannot be told, and not counted as a change: {says}" in result.out


def test_facts_that_no_rule_asked_for_are_recorded_for_a_later_policy(gate: CliGate, policy: Path) -> None:
    gate.judged("1.0", [])
    rules = (
        "    image: {non_root: true, labels: [a.label], max_size: 1GB, tags: ['*'], max_age: 90d}\n"
        "    evidence: {require_provenance: ['https://ci.example/*']}\n"
    )
    report = gate.call("policy", "replay", write(policy, rules), "--json").json
    assert report["cannot_be_told"] == []
    [change] = report["changes"]
    found = {reason["rule"]: reason["message"] for reason in change["after"]["reasons"]}
    assert set(found) == {"image.labels", "image.non_root", "evidence.require_provenance"}
    assert "carries no SLSA provenance" in found["evidence.require_provenance"]


def test_every_fault_of_the_policy_is_a_line_and_nothing_is_judged(gate: CliGate, policy: Path) -> None:
    gate.blocked()
    file = write(policy, "    mode: obsrve\n", "    findings: {max: {hgh: 1}}\n")
    result = gate.call("policy", "replay", file)
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}:") for line in lines)
    missing = gate.call("policy", "replay", file + "x")
    assert (missing.code, len(missing.err.splitlines())) == (2, 1)
    assert "No such file" in missing.err


@pytest.mark.parametrize("since", ["0d", "91d", "7", "7m", "soon", "-1d"])
def test_a_period_is_read_strictly(gate: CliGate, policy: Path, since: str) -> None:
    result = gate.call("policy", "replay", write(policy), "--since", since)
    assert result.code == 2
    assert "is no period; write 12h, 7d or 2w, at most 90d" in result.err


def test_nothing_judged_is_no_error(gate: CliGate, policy: Path) -> None:
    result = gate.call("policy", "replay", write(policy))
    assert (result.code, result.out) == (
        0,
        "No verdict changes: 0 images of the last 7 days judged again\n",
    )


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_it_fits_and_loses_nothing(gate: CliGate, policy: Path, columns: int) -> None:
    names = [replace(HIGH[0], vulnerability=f"CVE-2026-{n}") for n in range(10, 15)]
    gate.judged("2.0", names, repository="payments-dev")
    result = gate.call("policy", "replay", write(policy, STRICT), columns=columns)
    assert max(map(len, result.out.splitlines())) <= columns
    assert {"payments-dev:2.0", "CVE-2026-10", "CVE-2026-14"} <= set(result.out.replace(",", " ").split())


def test_names_from_images_cannot_steer_the_terminal(gate: CliGate, policy: Path) -> None:
    bad: list[Any] = [replace(one, packages=(Package("open\x1b[2Jssl"),)) for one in HIGH]
    gate.judged("1.0", bad)
    assert "\x1b" not in gate.call("policy", "replay", write(policy, STRICT)).out
