"""Logs: each line of a run names the stack, and the release or the image that the run is about, also when it fails."""

from __future__ import annotations

import gc
import importlib.util
import json
import logging
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from samtranslator.yaml_helper import yaml_parse

from imagegate.errors import ThrottledError
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import ReleaseId
from imagegate.workflow.watch.judge_again import JudgedAgainResult
from imagegate.workflow.watch.reconcile import Reconciled
from imagegate.workflow.watch.waits import Waits
from tests.fakes import NOW

ROOT = Path(__file__).parents[2]
IMAGE = ImageRef("shop-dev", Digest.of(b"image"))
RELEASE = ReleaseId(IMAGE, 3)
CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:eu-central-1:1:function:f:live",
    aws_request_id="1",
    log_stream_name="stream",
    get_remaining_time_in_millis=lambda: 600_000,
)
NUMBERS = count()
# The key that names what a run is about, and the one that does when it fails early; None: no image in particular.
ABOUT: dict[str, tuple[str | None, str | None]] = {
    "announce": ("release", "release"),
    "audit": (None, None),
    "approval_page": ("release", None),  # a link that cannot be read names nothing
    "attach_sbom": ("release", "release"),
    "await_scan": ("release", "release"),
    "check_deployment": ("about", "about"),  # a deployment or a task of Amazon ECS
    "decide": ("release", "release"),
    "judge_again": (None, None),
    "judge_image": ("release", "release"),
    "make_board": (None, None),
    "on_scan_completed": ("image", "image"),
    "promote_image": ("release", "release"),
    "publish_policy": (None, None),
    "reconcile": (None, None),
    "sign_image": ("release", "decision"),  # it gets the digest of a decision only
    "start_release": ("release", "image"),
}
_RELEASE = {"repository": IMAGE.repository, "digest": str(IMAGE.digest), "attempt": RELEASE.attempt}
_DECISION = str(Digest.of(b"decision"))
DEPLOYMENT = json.loads((ROOT / "events/check_deployment.json").read_text())["resourceArn"]
EXPECTED = {"release": str(RELEASE), "image": str(IMAGE), "decision": _DECISION, "about": DEPLOYMENT}


def event_of(function: str) -> dict[str, Any]:
    """Return the sample event of the function, about the image of these tests."""
    event: dict[str, Any] = json.loads((ROOT / f"events/{function}.json").read_text())
    if "release" in event:
        event["release"] = _RELEASE
    if "decision" in event:
        event["decision"] = _DECISION
    if "RequestType" in event:
        event["RequestType"] = "Update"
    if "image-digest" in event.get("detail", {}):
        event["detail"]["image-digest"] = str(IMAGE.digest)
    return event


class Run:
    """One function with steps that this test makes up, and the lines that it logs."""

    def __init__(
        self, function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.function, self.capsys = function, capsys
        self.stack = f"gate-{function}-{next(NUMBERS)}"
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", self.stack)
        self.module = module = self._load()
        logging.getLogger(self.stack).propagate = False
        wiring = MagicMock()
        wiring.now.return_value = NOW
        mocks = {name: MagicMock() for name in ("step_wiring", "function_settings", "metrics")}
        for name, value in {"wiring": wiring, **mocks, **_parts(function)}.items():
            monkeypatch.setattr(module, name, value, raising=False)
        self.step = module.step() if hasattr(module, "step") else MagicMock()
        self.monkeypatch = monkeypatch

    def fail(self) -> None:
        fault = ThrottledError("slow down")
        for mock in (self.step, self.module.wiring):
            mock.configure_mock(
                **{
                    f"{name}.side_effect": fault
                    for name in ("run", "register", "on_scan", "begin", "audit", "finish")
                }
            )
        for name in ("publish", "show", "judge"):
            if hasattr(self.module, name):
                self.monkeypatch.setattr(self.module, name, MagicMock(side_effect=fault))

    def call(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Run the handler, and return the lines of its log."""
        with suppress(ThrottledError):
            self.module.handler(event, CONTEXT)
        return [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]

    def _load(self) -> ModuleType:
        path = ROOT / f"functions/{self.function}/handler.py"
        spec = importlib.util.spec_from_file_location(f"logs_{self.function}", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def _parts(function: str) -> dict[str, Any]:
    """Return what replaces the parts of the handler's module."""
    step = MagicMock()
    done = step.run.return_value
    done.as_json.return_value = done.as_log.return_value = {}
    done.id = done.release = RELEASE
    done.image, done.execution_name, done.attempt = IMAGE, "execution", RELEASE.attempt
    if function == "reconcile":
        step.run.return_value = Reconciled()
        return {"step": lambda: step, "measure_waits": lambda *_: Waits(NOW - NOW, 0, NOW - NOW)}
    if function == "judge_again":
        step.run.return_value = JudgedAgainResult(0, 0, 0, 0, 0)
    if function == "decide":
        step.run.return_value = {}
        decision = MagicMock()
        decision.about.return_value = {"release": str(RELEASE)}
        caller = SimpleNamespace(arn="arn", user_id="user")
        return {"step": lambda: step, "parse_call": lambda *_: (caller, decision)}
    if function == "approval_page":
        done.release = SimpleNamespace(id=RELEASE)
        done.refusal = ""
        return {"ShowApproval": lambda **_: step, "page": lambda *_: ""}
    if function == "publish_policy":
        return {"respond": MagicMock(), "publish": lambda *_: {}}
    if function == "check_deployment":
        watch = MagicMock()
        watch.SendOnce.return_value.run.return_value = 0
        return {"watch": watch, "deadline": SimpleNamespace(within=lambda _seconds, call: call())}
    return {"step": lambda: step}


@pytest.mark.parametrize("function", sorted(ABOUT))
def test_a_call_ends_the_pause_of_the_garbage_collector(
    function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(function, monkeypatch, capsys)
    gc.disable()
    try:
        run.call(event_of(function))
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()


def test_every_function_is_here() -> None:
    assert set(ABOUT) == {handler.parent.name for handler in ROOT.glob("functions/*/handler.py")}


@pytest.mark.parametrize("function", sorted(ABOUT))
@pytest.mark.parametrize("fails", [False, True], ids=["works", "fails"])
def test_each_line_names_the_stack_and_the_release(
    function: str, fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(function, monkeypatch, capsys)
    if fails:
        run.fail()
    lines = run.call(event_of(function))
    assert lines or (function == "publish_policy" and not fails)
    about = ABOUT[function][fails]
    for line in lines:
        assert line["service"] == run.stack
        if about is not None:
            assert line[about] == EXPECTED[about], line
    if fails:
        assert "slow down" in str(lines)


def test_a_line_never_names_the_release_of_an_earlier_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run("judge_image", monkeypatch, capsys)
    assert [line["release"] for line in run.call(event_of("judge_image"))] == [str(RELEASE)]
    with pytest.raises(Exception, match="schema"):
        run.call({"schema": 7})
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["message"], "release" in line) == ("failed", False)


def test_the_log_of_the_workflow_names_the_release() -> None:
    """Its log has the cause of what fails, and no input."""
    states = yaml_parse((ROOT / "statemachines/release.asl.yaml").read_text())["States"]
    causes = [state["Cause"] for state in states.values() if state["Type"] == "Fail"]
    assert causes
    for cause in causes:
        assert all(f"$release.{name}" in cause for name in ("repository", "digest", "attempt"))
