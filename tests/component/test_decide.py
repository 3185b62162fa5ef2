"""Decisions: the records of a grant and a withdrawal, their requests and callers, and the text of a refusal."""

from __future__ import annotations

import base64
import importlib.util
import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from imagegate.errors import (
    AccessRefusedError,
    InvalidDigestError,
    InvalidEventError,
    RecordNotFoundError,
    ThrottledError,
)
from imagegate.events.decide_call import caller_arn, error_response, parse_decision
from imagegate.events.decisions import WaiveModel, WithdrawModel
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Mode
from imagegate.policy.waiver import Waiver, WaiverTerms
from imagegate.release.release import Outcome, ReleaseId
from imagegate.workflow.decide.waive import GrantWaiver, WaiverRefusedError
from tests.component.one_gate import World
from tests.component.proofs import FUNCTION, Caller, FakeSts
from tests.fakes import LATER, NOW, POLICY, FakeGrants, FakeStarter, critical

ANN, BEN = "arn:aws:iam::123456789012:user/ann", "arn:aws:sts::123456789012:assumed-role/Ops/ben"
HANDLER = Path(__file__).parents[2] / "functions" / "decide" / "handler.py"


@pytest.fixture
def world() -> World:
    return World()


def waiver(**changes: Any) -> Waiver:
    plain = Waiver(
        owner="ann",
        reason="not reachable",
        expires=date(2026, 12, 20),
        vulnerability="CVE-2026-0000",
        package="openssl",
        repositories="shop-*",
    )
    return replace(plain, **changes)


def deciding(world: World) -> GrantWaiver:
    return world.waivers()


def blocked(world: World, tag: str = "1.0") -> ImageRef:
    image = world.registry.push_image("shop-dev", tag, seed=tag)
    world.scans.finish(image, critical())
    world.start(image, tag)
    world.judge(image)
    world.announce(image, Outcome.BLOCKED)
    return image


# What a grant does


def test_a_first_call_that_was_killed_is_finished_by_the_next(world: World) -> None:
    class Killed(FakeStarter):
        def request(self, image: ImageRef, tags: Any, reason: str, by: str = "") -> None:
            raise ThrottledError("slow down")

    image = blocked(world)
    step = replace(deciding(world), starter=Killed())
    with pytest.raises(ThrottledError):
        step.waive(waiver(), ANN, NOW)
    granted = deciding(world).waive(waiver(), ANN, LATER)
    assert not granted.is_new
    assert world.starter.requests == [(image, ("1.0",), "new waiver")]


def test_a_waiver_can_be_granted_again_after_it_was_withdrawn(world: World) -> None:
    first = deciding(world).waive(waiver(), ANN, NOW).waiver
    deciding(world).withdraw(first.id, BEN, NOW)
    with pytest.raises(WaiverRefusedError, match="was withdrawn this second: request it again"):
        deciding(world).waive(waiver(), ANN, NOW)
    again = deciding(world).waive(waiver(), ANN, LATER)
    assert again.is_new
    assert again.waiver.id != first.id


def test_of_two_calls_at_once_both_have_the_same_waiver(world: World) -> None:
    class Late(FakeGrants):
        """Another call grants between our look and our write."""

        def grant(self, waiver: Waiver) -> bool:
            super().grant(waiver)
            return super().grant(waiver)

    world.grants = Late()
    granted = deciding(world).waive(waiver(), ANN, NOW)
    assert not granted.is_new
    assert [one.id for one in world.grants.waivers()] == [granted.waiver.id]


def test_only_the_last_attempt_of_an_image_is_freed_and_only_if_it_was_blocked(world: World) -> None:
    image = blocked(world)
    last = replace(world.ledger.get(ReleaseId(image, 1)), attempt=2, outcome=None, started_at=LATER)
    assert world.ledger.begin(last)
    assert deciding(world).waive(waiver(), ANN, LATER).freed == ()
    world.ledger.close(last.id, Outcome.WITHDRAWN, None, LATER, "")
    assert deciding(world).waive(waiver(), ANN, LATER).freed == ()


def test_images_of_other_repositories_or_long_ago_are_not_retried(world: World) -> None:
    blocked(world)
    assert deciding(world).waive(waiver(repositories="cart-*"), ANN, NOW).freed == ()
    assert deciding(world).waive(waiver(digest=Digest.of(b"x"), repositories=None), ANN, NOW).freed == ()
    late = NOW + timedelta(days=31)
    assert deciding(world).waive(waiver(expires=late.date()), ANN, late).freed == ()
    assert world.starter.requests == []


def test_a_stage_that_only_observes_has_nothing_to_free(world: World) -> None:
    dev = replace(POLICY.stages["dev"], mode=Mode.OBSERVE)
    world.policy = world.records.policies[POLICY.digest] = replace(
        POLICY, stages={**POLICY.stages, "dev": dev}
    )
    image = world.registry.push_image("shop-dev", "1.0")
    world.scans.finish(image, critical())
    world.start(image)
    world.judge(image)
    world.promote(image)
    world.announce(image, Outcome.RELEASED)
    assert deciding(world).waive(waiver(), ANN, NOW).freed == ()


def test_one_record_that_cannot_be_read_does_not_hide_the_others(world: World) -> None:
    broken, image = blocked(world, "1.0"), blocked(world, "2.0")
    decision = world.ledger.get(ReleaseId(broken, 1)).decision
    assert decision is not None
    world.records.contents[decision] = b"{}"
    granted = deciding(world).waive(waiver(), ANN, LATER)
    assert [release.image for release in granted.freed] == [image]


def test_the_policy_says_what_a_waiver_must_have(world: World) -> None:
    world.policy = replace(POLICY, waiver_terms=WaiverTerms(max_days=10, needs_ticket=True))
    with pytest.raises(WaiverRefusedError, match="lasts longer than the 10 days"):
        deciding(world).waive(waiver(), ANN, NOW)
    with pytest.raises(WaiverRefusedError, match="names no ticket"):
        deciding(world).waive(waiver(expires=date(2026, 11, 30)), ANN, NOW)
    assert deciding(world).waive(waiver(expires=date(2026, 11, 30), ticket="T-1"), ANN, NOW).is_new


def test_the_first_withdrawal_is_kept(world: World) -> None:
    granted = deciding(world).waive(waiver(), ANN, NOW).waiver
    assert deciding(world).withdraw(granted.id, BEN, NOW).withdrawn_at == NOW
    assert deciding(world).withdraw(granted.id, ANN, LATER).withdrawn_at == NOW
    with pytest.raises(RecordNotFoundError, match="imagegate decide list"):
        deciding(world).withdraw("w-0", ANN, NOW)


# Requests


ASKED = {
    "owner": "ann",
    "reason": "not reachable",
    "expires": "2026-12-20",
    "vulnerability": "CVE-2026-0000",
    "package": "openssl",
    "repositories": "shop-*",
}


def event(body: Any, arn: str | None = ANN, *, encoded: bool = False) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    iam = {"userArn": arn, "accountId": "123456789012"}
    return {
        "version": "2.0",
        "requestContext": {"authorizer": {"iam": iam}},
        "body": base64.b64encode(text.encode()).decode() if encoded else text,
        "isBase64Encoded": encoded,
    }


def waive(**changes: Any) -> dict[str, Any]:
    return {"schema": 1, "action": "waive", "waiver": {**ASKED, **changes}}


@pytest.mark.parametrize("encoded", [False, True])
def test_a_request_is_read_as_it_was_sent(encoded: bool) -> None:
    request = parse_decision(event(waive(), encoded=encoded))
    assert isinstance(request, WaiveModel)
    assert request.waiver.as_waiver() == waiver()
    other = parse_decision(event({"schema": 1, "action": "withdraw", "id": "w-1"}, encoded=encoded))
    assert isinstance(other, WithdrawModel)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "must be a JSON object"),
        ("x" * 64_001, "at most 64000 bytes"),
        ("{", "not a decision"),
        ("[]", "not a decision"),
        ({"schema": 1, "action": "approve"}, "repository"),
        ({"schema": 2, "action": "withdraw", "id": "w-1"}, "schema"),
        (waive(expires="soon"), "waiver.expires"),
        (waive(reason=""), "waiver.reason"),
        (waive(reason="x" * 501), "waiver.reason"),
        (waive(until="tomorrow"), "waiver.until"),
        (waive(vulnerability="CVE-2026-*"), "must be the name of one vulnerability"),
        (waive(vulnerability="cve-2026-1234"), "must be the name of one vulnerability"),
        (waive(package="pkg:npm"), "must be a package URL"),
        (waive(package="pkg:npm/x@1?arch=y"), "must be a package URL"),
        # Who grants it, and when, is not for the caller to say.
        (waive(grantedBy="arn:aws:iam::1:root"), r"unknown field `grantedBy` - at `\$.waiver`"),
        (waive(granted_at="2026-01-01"), "unknown field `granted_at`"),
        ({**waive(), "by": "root"}, "unknown field `by`"),
    ],
)
def test_anything_but_a_decision_is_refused_with_the_field_at_fault(body: Any, says: str) -> None:
    with pytest.raises(InvalidEventError, match=says):
        parse_decision(event(body))


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("openssl", "openssl"),
        ("*", "*"),
        ("pkg:deb/debian/openssl@3.0.1", "pkg:deb/debian/openssl@3.0.1"),
        ("pkg:npm/@angular/core", "pkg:npm/%40angular/core"),
    ],
)
def test_a_package_is_named_as_scanners_name_it(asked: str, kept: str) -> None:
    request = parse_decision(event(waive(package=asked)))
    assert isinstance(request, WaiveModel)
    assert request.waiver.as_waiver().package == kept


def test_a_body_that_is_not_base64_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="cannot be read"):
        parse_decision({"body": "%%%", "isBase64Encoded": True})
    with pytest.raises(InvalidEventError, match="must be a JSON object"):
        parse_decision({})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"rule": "image.non_root"}, InvalidEventError),
        ({"justification": "because"}, InvalidEventError),
        ({"digest": "sha256:1"}, InvalidDigestError),
    ],
)
def test_a_waiver_that_says_two_things_or_nonsense_is_refused(
    changes: dict[str, Any], error: type[Exception]
) -> None:
    request = parse_decision(event(waive(**changes)))
    assert isinstance(request, WaiveModel)
    with pytest.raises(error):
        request.waiver.as_waiver()


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        {"authorizer": None},
        {"authorizer": {"iam": None}},
        {"authorizer": {"iam": {"userArn": None}}},
        {"authorizer": {"iam": {"userArn": ["arn:aws:iam::1:root"]}}},
        {"authorizer": {"jwt": {"userArn": ANN}}},
    ],
)
def test_a_caller_without_an_identity_of_iam_decides_nothing(context: Any) -> None:
    with pytest.raises(AccessRefusedError, match="signed request"):
        caller_arn({"requestContext": context, "headers": {"userArn": ANN}})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AccessRefusedError("no"), 403),
        (RecordNotFoundError("no"), 404),
        (WaiverRefusedError("no"), 400),
        (InvalidEventError("no"), 400),
        (ThrottledError("no"), 503),
    ],
)
def test_a_refusal_has_a_status_and_a_message(error: Any, status: int) -> None:
    assert error_response(error) == (status, {"error": type(error).__name__, "message": "no"})


# The function


@pytest.fixture
def function(world: World, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("decide_handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "step", world.deciding)
    monkeypatch.setattr(module.wiring, "now", lambda: NOW)
    sts = FakeSts((Caller(ANN), Caller(BEN, "BENS0000000000000000")))
    monkeypatch.setattr(module.wiring, "identities", lambda: sts)
    monkeypatch.setattr(module.wiring, "used_proofs", lambda: sts)
    return module


def called(function: ModuleType, event: dict[str, Any], arn: str = FUNCTION) -> tuple[int, Any]:
    context = SimpleNamespace(
        function_name="decide", memory_limit_in_mb=1024, invoked_function_arn=arn, aws_request_id="1"
    )
    told = function.handler(event, context)
    assert told["headers"] == {"content-type": "application/json"}
    return told["statusCode"], json.loads(told["body"])


def test_the_caller_is_kept_with_what_was_decided(world: World, function: ModuleType) -> None:
    image = blocked(world)
    status, told = called(function, Caller(BEN, "BENS0000000000000000").asks(waive(), NOW))
    assert status == 200
    assert told["waiver"]["grantedBy"] == BEN
    assert told["released"] == [{"repository": "shop-dev", "digest": str(image.digest), "tags": ["1.0"]}]
    [kept] = world.grants.waivers()
    assert (kept.id, kept.granted_by, kept.granted_at) == (told["waiver"]["id"], BEN, NOW)
    asked = {"schema": 1, "action": "withdraw", "id": kept.id}
    status, told = called(function, Caller(ANN).asks(asked, NOW))
    assert (status, told["waiver"]["withdrawnAt"]) == (200, "2026-11-21T08:00:00Z")


@pytest.mark.parametrize(
    ("asked", "status", "error"),
    [
        (Caller(ANN).asks(waive(repositories="*"), NOW), 400, "WaiverRefusedError"),
        (Caller(ANN).asks({}, NOW), 400, "InvalidEventError"),
        (event(waive(), arn=None), 403, "AccessRefusedError"),
        (event(waive()), 403, "ProofRefusedError"),
        (Caller(ANN).asks({"schema": 1, "action": "withdraw", "id": "w-1"}, NOW), 404, "RecordNotFoundError"),
    ],
)
def test_a_refusal_is_an_answer_and_no_fault(
    function: ModuleType, asked: dict[str, Any], status: int, error: str
) -> None:
    found, told = called(function, asked)
    assert (found, told["error"]) == (status, error)
    assert told["message"]
