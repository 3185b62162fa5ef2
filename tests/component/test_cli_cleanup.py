"""`imagegate cleanup`: what it prints, what it stores, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagegate.errors import ThrottledError
from imagegate.lifecycle.preview import PreviewedEffect
from imagegate.lifecycle.rules import LifecycleAction
from imagegate.oci.image import Digest
from imagegate_cli.stack import Stack
from tests.component.cleaning import Cleaning
from tests.component.cli_gate import CliGate, gate
from tests.fakes.world import DEV

__all__ = ["gate"]

RULES = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "features",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["feature-*"],
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 7,
            },
            "action": {"type": "expire"},
        }
    ]
}


@pytest.fixture
def world(gate: CliGate, monkeypatch: pytest.MonkeyPatch) -> Cleaning:
    made = Cleaning()
    monkeypatch.setattr(Stack, "cleanup", property(lambda _: made.parts), raising=True)
    return made


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("imagegate.aws.cleanup.preview.preview_lifecycle", lambda *_: None)
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(RULES, indent=2))
    return path


def test_plan_apply_plan(gate: CliGate, world: Cleaning) -> None:
    old = world.images.push(DEV, "old", "feature-1")
    kept = world.images.push(DEV, "kept", "prod-1")
    planned = gate.call("cleanup", "plan")
    assert planned.code == 1
    assert str(old) in planned.out
    assert "1 go" in planned.out
    command = planned.out.splitlines()[-1].split()
    assert command[:3] == ["imagegate", "cleanup", "apply"]
    applied = gate.call(*command[1:], "--yes")
    assert (applied.code, applied.err) == (0, "")
    assert world.images.digests(DEV) == {kept}
    assert gate.call("cleanup", "plan").code == 0
    shown = gate.call("cleanup", "show", f"{DEV}@{old}")
    assert shown.code == 0
    assert "feature-*" in shown.out
    assert gate.call("cleanup", "show", f"{DEV}@{kept}").code == 1


def test_json_has_the_reasons_and_the_totals(gate: CliGate, world: Cleaning) -> None:
    world.images.push(DEV, "old", "feature-1")
    world.images.push(DEV, "kept", "prod-1")
    planned = gate.call("cleanup", "plan", "--repository", DEV, "--json").json
    assert planned["totals"]["deleted"] == 1
    assert planned["plans"][0]["steps"][0]["reasons"] == ["tag feature-* older than 7d"]
    assert planned["plans"][0]["kept"][0]["reasons"]
    applied = gate.call("cleanup", "apply", planned["run"], "--yes", "--json").json
    assert len(applied["applied"][0]["deleted"]) == 1


def test_who_cannot_tell_exits_with_2(gate: CliGate, world: Cleaning) -> None:
    world.images.push(DEV, "old", "feature-1")
    run = gate.call("cleanup", "plan", "--json").json["run"]
    world.users.error = ThrottledError("ecs: slow down")
    for command in (("plan",), ("apply", run, "--yes")):
        result = gate.call("cleanup", *command)
        assert result.code == 2
        assert "nobody can tell what runs" in result.err
    world.users.error = None
    assert gate.call("cleanup", "plan", "--repository", "none-dev").code == 2
    assert gate.call("cleanup", "apply", str(Digest.of(b"none")), "--yes").code == 2


def test_one_repository_that_nobody_knows_stops_no_other(gate: CliGate, world: Cleaning) -> None:
    world.images.push("lost-dev", "unknown", "v1", days=2)
    old = world.images.push(DEV, "old", "feature-1")
    planned = gate.call("cleanup", "plan")
    assert planned.code == 2
    assert str(old) in planned.out
    assert "lost-dev" in planned.err


def test_a_repository_that_changed_is_left_alone(gate: CliGate, world: Cleaning) -> None:
    old = world.images.push(DEV, "old", "feature-1")
    run = gate.call("cleanup", "plan", "--json").json["run"]
    world.images.push(DEV, "new", "v1", days=0)
    result = gate.call("cleanup", "apply", run, "--yes")
    assert result.code == 2
    assert "plan again" in result.err
    assert old in world.images.digests(DEV)


def test_nothing_is_done_without_a_yes(
    gate: CliGate, world: Cleaning, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = world.images.push(DEV, "old", "feature-1")
    run = gate.call("cleanup", "plan", "--json").json["run"]
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert gate.call("cleanup", "apply", run).code == 1
    assert old in world.images.digests(DEV)


def test_the_command_says_that_reading_is_a_pull(gate: CliGate, world: Cleaning) -> None:
    world.images.push(DEV, "old", "feature-1")
    world.images.pulls_count = True
    assert "register-pull-time-update-exclusion" in gate.call("cleanup", "plan").err


def test_a_simulation_shows_each_image_and_its_rule(gate: CliGate, world: Cleaning, rules: Path) -> None:
    old = world.images.push(DEV, "old", "feature-1")
    world.images.push(DEV, "kept", "prod-1")
    result = gate.call("cleanup", "simulate", str(rules), DEV)
    assert result.code == 0
    assert result.out.startswith(f"rule 1  expire  {old}  feature-1")
    assert len(result.out.splitlines()) == 1


def test_a_simulation_names_what_must_not_go(gate: CliGate, world: Cleaning, rules: Path) -> None:
    old = world.images.push(DEV, "old", "feature-1")
    world.release(old)
    result = gate.call("cleanup", "simulate", str(rules), DEV)
    assert result.code == 1
    assert "is the current release" in result.out


def test_a_simulation_names_what_ecr_says_otherwise(
    gate: CliGate, world: Cleaning, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = world.images.push(DEV, "old", "feature-1")
    preview = {old: PreviewedEffect(LifecycleAction.EXPIRE, 1)}
    monkeypatch.setattr("imagegate.aws.cleanup.preview.preview_lifecycle", lambda *_: preview)
    assert gate.call("cleanup", "simulate", str(rules), DEV, "--json").json["differences"] == []
    preview.clear()
    result = gate.call("cleanup", "simulate", str(rules), DEV)
    assert result.code == 1
    assert f"difference: {old}: ECR keeps it" in result.out


def test_rules_that_ecr_refuses_are_no_answer(gate: CliGate, world: Cleaning, rules: Path) -> None:
    rules.write_text(json.dumps({"rules": []}))
    result = gate.call("cleanup", "simulate", str(rules), DEV)
    assert result.code == 2
    assert "ECR refuses" in result.err
