"""The command line over moto: what is printed, which exit code, and one line for whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import click
import pytest
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.oci.image import OCI_CONFIG, OCI_MANIFEST, Digest, ImageRef
from imagegate.release.promotion import Promotion
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate_cli.context import CommandLine, Pauses
from imagegate_cli.main import cli, main
from imagegate_cli.stack import Stack, find_stack
from tests.component.cli_gate import Result
from tests.fakes import NOW, REGISTRY

REGION = "eu-central-1"
TABLE = "gate-ledger"
STARTED = NOW - timedelta(minutes=3)
POLICY = Digest.of(b"policy")
OVER_LIMIT = {
    "rule": "findings.critical",
    "message": "2 CRITICAL (at most 0): CVE-2021-44228, CVE-2022-0778",
    "action": "enforce",
}


class Gate:
    """A stack with its outputs, a ledger, repositories, and the command line to ask about them."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.ledger = DynamoLedger(TABLE)
        self.pauses = Pauses(first=0.01, begin=0.1)
        self.starter: FakeStarter | None = None

    def _find(self, name: str) -> Stack:
        stack = find_stack(name)
        if self.starter:
            vars(stack)["starter"] = self.starter
        return stack

    def after(self, pauses: int, happen: Callable[[], object]) -> None:
        """Let something happen while the command line sleeps, in that pause."""
        sleep, count = self.pauses.sleep, 0

        def pausing(seconds: float) -> None:
            nonlocal count
            count += 1
            if count == pauses:
                happen()
            sleep(seconds)

        self.pauses = replace(self.pauses, sleep=pausing)

    def call(self, *arguments: str, find: Callable[[str], Stack] | None = None) -> Result:
        self._monkeypatch.setattr(sys, "argv", ["imagegate", *arguments])
        with pytest.raises(SystemExit) as exited:
            main(CommandLine(lambda: NOW, find or self._find, self.pauses))
        captured = self._capsys.readouterr()
        return Result(int(exited.value.code or 0), captured.out, captured.err)

    def push(self, repository: str, tag: str) -> ImageRef:
        ecr = boto3.client("ecr")
        if not ecr.describe_repositories()["repositories"]:
            ecr.create_repository(repositoryName=repository)
        config = {"mediaType": OCI_CONFIG, "digest": f"sha256:{'c' * 64}", "size": 2}
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}
        manifest["annotations"] = {"tag": tag}
        put = ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag)
        return ImageRef.of(repository, put["image"]["imageId"]["imageDigest"])

    def begin(self, image: ImageRef, tag: str = "1.0", **fields: Any) -> ReleaseId:
        begun = Release(
            image=image,
            attempt=fields.pop("attempt", 1),
            stage=fields.pop("stage", "dev"),
            policy=POLICY,
            tags=frozenset({tag}),
            reason=fields.pop("reason", StartReason.PUSH),
            started_at=fields.pop("started_at", STARTED),
            pushed_at=STARTED,
        )
        assert self.ledger.begin(begun)
        return ReleaseId(image, begun.attempt)

    def close(self, release: ReleaseId, outcome: Outcome, detail: str = "") -> None:
        assert self.ledger.close(release, outcome, None, STARTED + timedelta(seconds=2), detail)
        self.ledger.note_announcement(release, "message-1")

    def released(self, image: ImageRef, tag: str = "1.0", **fields: Any) -> ReleaseId:
        id_ = self.begin(image, tag, **fields)
        promotion = Promotion("shop-staging", image.digest, (tag,))
        self.ledger.record(id_, verdict="PASS", reasons=[], decision=Digest.of(b"decision"))
        self.ledger.record(id_, signature=Digest.of(b"signature"), promotion=promotion)
        self.close(id_, Outcome.RELEASED)
        return id_

    def blocked(self, image: ImageRef, tag: str = "1.0", **fields: Any) -> ReleaseId:
        id_ = self.begin(image, tag, **fields)
        self.ledger.record(id_, verdict="BLOCK", reasons=[OVER_LIMIT], decision=Digest.of(b"decision"))
        self.close(id_, Outcome.BLOCKED)
        return id_


class FakeStarter:
    """Starts an attempt as the function would, or refuses in silence as an asynchronous call does."""

    def __init__(self, gate: Gate, outcome: Outcome | None = None, *, works: bool = True) -> None:
        self._gate = gate
        self._outcome = outcome
        self._works = works
        self.requests: list[tuple[ImageRef, list[str], str]] = []

    def request(self, image: ImageRef, tags: list[str], reason: str, by: str = "") -> None:
        self.requests.append((image, tags, reason))
        latest = self._gate.ledger.latest(image)
        if not self._works or (latest and latest.is_open):
            return
        attempt = latest.attempt + 1 if latest else 1
        id_ = self._gate.begin(image, tags[0], attempt=attempt, reason=StartReason(reason))
        if self._outcome:
            self._gate.close(id_, self._outcome)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "IMAGEGATE_STACK", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    aws.forget()


@pytest.fixture
def gate(
    environment: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gate]:
    with mock_aws():
        _make_ledger()
        _make_stack("imagegate")
        yield Gate(capsys, monkeypatch)
    aws.forget()


def _make_stack(name: str) -> None:
    outputs = {
        "LedgerTable": TABLE,
        "StartReleaseFunction": f"arn:aws:lambda:{REGION}:123456789012:function:start:live",
        "ReleaseStateMachine": f"arn:aws:states:{REGION}:123456789012:stateMachine:release",
        "RecordsBucket": "gate-records",
        "PolicyDigest": str(POLICY),
    }
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def _make_ledger() -> None:
    indexes = {
        "by-repository": ("repository", "startedAt"),
        "by-day": ("day", "startedAt"),
        "waiting": ("waiting", "since"),
    }
    names = {"pk", "sk"} | {key for keys in indexes.values() for key in keys}
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in sorted(names)],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": hash_key, "KeyType": "HASH"},
                    {"AttributeName": range_key, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, (hash_key, range_key) in indexes.items()
        ],
    )


def _image(name: str, repository: str = "shop-dev") -> ImageRef:
    return ImageRef(repository, Digest.of(name.encode()))


# What is said


def test_json_has_the_documented_keys(gate: Gate) -> None:
    image = gate.push("shop-dev", "1.0")
    gate.released(image)
    result = gate.call("status", "shop-dev:1.0", "--json")
    assert result.code == 0
    assert result.json == {
        "repository": "shop-dev",
        "digest": str(image.digest),
        "tags": ["1.0"],
        "stage": "dev",
        "attempt": 1,
        "reason": "push",
        "verdict": "PASS",
        "outcome": "released",
        "reasons": [],
        "remedies": [],
        "detail": "",
        "decision": str(Digest.of(b"decision")),
        "signature": str(Digest.of(b"signature")),
        "sbom": None,
        "promoted_to": {"repository": "shop-staging", "digest": str(image.digest), "tags": ["1.0"]},
        "break_glass": None,
        "soaks_until": None,
        "started_by": None,
        "revoked": None,
        "message_id": "message-1",
        "started_at": STARTED.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "closed_at": (STARTED + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": 2.0,
        "state": "released",
        "by": None,
        "waivers": [],
        "risk": None,
    }


def test_a_tag_means_the_image_that_it_points_to_now(gate: Gate) -> None:
    gate.released(gate.push("shop-dev", "1.0"))
    moved = _image("elsewhere")
    gate.blocked(moved, "1.0", started_at=STARTED + timedelta(seconds=9))
    assert gate.call("status", "shop-dev:1.0", "--json").json["outcome"] == "released"
    assert gate.call("status", f"shop-dev@{moved.digest}", "--json").json["outcome"] == "blocked"


def test_the_newest_attempt_of_an_image_counts(gate: Gate) -> None:
    image = _image("again")
    gate.blocked(image)
    gate.released(image, attempt=2, reason=StartReason.OPERATOR)
    shown = gate.call("status", f"shop-dev@{image.digest}", "--json").json
    assert (shown["attempt"], shown["outcome"], shown["reason"]) == (2, "released", "operator")


def test_a_repository_lists_its_images_newest_first(gate: Gate) -> None:
    gate.released(_image("old"), "1.0")
    gate.blocked(_image("new"), "1.1", started_at=STARTED + timedelta(seconds=30))
    gate.released(_image("other", "other-dev"), "7")
    shown = gate.call("status", "shop-dev", "--json").json
    assert [(item["tags"], item["outcome"]) for item in shown] == [
        (["1.1"], "blocked"),
        (["1.0"], "released"),
    ]


def test_a_blocked_image_is_shown_with_its_reasons(gate: Gate) -> None:
    image = _image("bad")
    gate.blocked(image)
    result = gate.call("status", f"shop-dev@{image.digest}")
    assert result.code == 0
    assert OVER_LIMIT["message"] in result.out
    assert str(image.digest) in result.out
    assert "blocked" in result.out


def test_the_requested_tag_is_printed_first(gate: Gate) -> None:
    image = gate.push("shop-dev", "1.2")
    release = gate.begin(image, "1.2")
    assert gate.ledger.join(release, frozenset({"1.1"}), STARTED)
    gate.close(release, Outcome.RELEASED)
    assert "shop-dev:1.1 (+1)" in gate.call("status", f"shop-dev@{image.digest}").out
    assert "shop-dev:1.2 (+1)" in gate.call("status", "shop-dev:1.2").out
    assert "shop-dev:1.2 (+1)" in gate.call("status", "shop-dev:1.2", "--wait").out


def test_a_pasted_registry_address_does_not_count(gate: Gate) -> None:
    gate.released(gate.push("shop-dev", "1.0"))
    ours = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    for registry in (ours, f"{ours}:443", ours.replace("ecr.", "ecr-fips.", 1), "127.0.0.1:5000"):
        assert gate.call("status", f"{registry}/shop-dev:1.0", "--json").code == 0


OTHER_REGISTRIES = (
    "999999999999.dkr.ecr.eu-central-1.amazonaws.com",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com",
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
    "123456789012.dkr-ecr.eu-west-1.on.aws",
    "registry.example:5000",
    "10.0.0.1:5000",
)


VERBS_OF_IMAGES = (
    ("status",),
    ("status", "--wait"),
    ("judge",),
    ("release",),
    ("scan",),
    ("verify",),
    ("policy", "explain"),
    ("decide", "approve"),
    ("decide", "reject"),
    ("decide", "revoke", "--reason", "x", "--yes"),
    ("decide", "break-glass", "--reason", "x", "--expires", "1h"),
    ("decide", "waive", "--reason", "x", "--expires", "1d", "--cve", "CVE-2026-1", "--package", "x"),
    ("cleanup", "show"),
)


def test_an_image_of_another_registry_is_not_ours_of_that_name(gate: Gate) -> None:
    """A pasted address of another account or Region gets no answer about an image that is here."""
    image = gate.push("shop-dev", "1.0")
    gate.released(image)
    calls = [(*VERBS_OF_IMAGES[0], registry) for registry in OTHER_REGISTRIES]
    calls += [(*verb, OTHER_REGISTRIES[0]) for verb in VERBS_OF_IMAGES]
    for *verb, registry in calls:
        name = f"@{image.digest}" if verb[0] in ("cleanup", "decide") else ":1.0"
        result = gate.call(*verb, f"{registry}/shop-dev{name}")
        assert result.code == 2, verb
        assert registry in result.err, verb
        assert "the stack is of 123456789012.dkr.ecr.eu-central-1.amazonaws.com" in result.err, verb


def test_another_stack_is_named_by_option_orenvironment(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    _make_stack("gate-of-team-b")
    assert gate.call("--stack", "gate-of-team-b", "list").code == 0
    monkeypatch.setenv("IMAGEGATE_STACK", "not-there")
    assert "no stack not-there" in gate.call("list").err


# list


def test_list_filters_by_stage_and_outcome(gate: Gate) -> None:
    gate.released(_image("a"), "1")
    gate.blocked(_image("b"), "2")
    gate.begin(_image("c", "shop-staging"), "1", stage="staging")

    def tags(*options: str) -> list[str]:
        return sorted(item["tags"][0] for item in gate.call("list", "--json", *options).json)

    assert tags() == ["1", "1", "2"]
    assert tags("--outcome", "blocked") == ["2"]
    assert tags("--outcome", "open", "--stage", "staging") == ["1"]
    assert tags("--stage", "production") == []


def test_a_filter_skips_releases_that_do_not_match(gate: Gate) -> None:
    gate.blocked(_image("wanted"), "wanted", started_at=STARTED - timedelta(hours=1))
    for number in range(6):
        gate.released(_image(str(number)), str(number))
    found = gate.call("list", "--json", "--limit", "1", "--outcome", "blocked").json
    assert [item["tags"] for item in found] == [["wanted"]]


def test_each_image_is_listed_once_by_its_newest_attempt(gate: Gate) -> None:
    for attempt in (1, 2, 3):
        gate.released(_image("a"), "1", attempt=attempt, started_at=STARTED - timedelta(hours=9 - attempt))
    gate.released(_image("b"), "2")
    assert sorted((one["tags"][0], one["attempt"]) for one in gate.call("list", "--json").json) == [
        ("1", 3),
        ("2", 1),
    ]


def test_list_of_nothing_is_no_error(gate: Gate) -> None:
    assert gate.call("list", "--json") == Result(0, "[]\n", "")
    assert gate.call("list").code == 0


# Waiting


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.RELEASED, 0),
        (Outcome.BLOCKED, 1),
        (Outcome.CONFLICT, 1),
        (Outcome.SUPERSEDED, 1),
        (Outcome.WITHDRAWN, 1),
        (Outcome.FAILED, 2),
        (Outcome.HELD, 3),
    ],
)
def test_the_exit_code_of_waiting_is_the_outcome(gate: Gate, outcome: Outcome, code: int) -> None:
    image = _image("any")
    gate.close(gate.begin(image), outcome)
    assert gate.call("status", "--wait", f"shop-dev@{image.digest}").code == code
    assert gate.call("status", f"shop-dev@{image.digest}").code == 0
    uri = f"{REGISTRY}/{image}\n" if code in (0, 3) else ""
    for named, ends in (("shop-dev", 0), (f"shop-dev@{image.digest}", 0 if uri else 1)):
        result = gate.call("status", named, "--uri")
        assert (result.code, result.out) == (ends, uri)
    result = gate.call("status", "--wait", "--uri", f"shop-dev@{image.digest}")
    assert (result.code, result.out) == (code, uri)


def test_waiting_ends_when_the_release_does(gate: Gate) -> None:
    image = _image("slow")
    id_ = gate.begin(image)
    gate.after(3, lambda: gate.close(id_, Outcome.RELEASED))
    result = gate.call("status", "--wait", "--json", f"shop-dev@{image.digest}")
    assert (result.code, result.json["outcome"]) == (0, "released")


def test_waiting_waits_for_the_release_to_begin(gate: Gate) -> None:
    gate.pauses = replace(gate.pauses, begin=30)
    image = gate.push("shop-dev", "1.0")
    gate.after(3, lambda: gate.blocked(image))
    assert gate.call("status", "--wait", "shop-dev:1.0").code == 1


def test_an_ended_release_of_another_tag_is_not_what_is_waited_for(gate: Gate) -> None:
    gate.pauses = replace(gate.pauses, begin=30)
    image = gate.push("shop-dev", "1.1")
    gate.blocked(image, "1.0")
    gate.after(3, lambda: gate.released(image, "1.1", attempt=2, reason=StartReason.NEW_TAG))
    result = gate.call("status", "--wait", "--json", "shop-dev:1.1")
    assert (result.code, result.json["attempt"]) == (0, 2)


def test_waiting_gives_up_in_time(gate: Gate) -> None:
    image = _image("stuck")
    gate.begin(image)
    result = gate.call("status", "--wait", "--timeout", "0.1s", f"shop-dev@{image.digest}")
    assert result.code == 124
    assert "has not ended within" in result.err


def test_a_scan_that_never_begins_is_reported_before_the_timeout(gate: Gate) -> None:
    gate.push("shop-dev", "1.0")
    result = gate.call("status", "--wait", "shop-dev:1.0")
    assert result.code == 2
    assert "imagegate release shop-dev:1.0" in result.err


def test_watching_without_a_terminal_prints_a_line_per_step(gate: Gate) -> None:
    image = _image("watched")
    id_ = gate.begin(image)
    gate.after(2, lambda: gate.ledger.record(id_, verdict="PASS", reasons=[]))
    gate.after(4, lambda: gate.close(id_, Outcome.RELEASED))
    result = gate.call("status", "--watch", f"shop-dev@{image.digest}")
    assert result.code == 0
    lines = [line[9:] for line in result.out.splitlines()]
    steps = ["Await Scan …", "Await Scan: done", "Judge Image: PASS", "Sign Image …", "Announce: released"]
    assert [line for line in lines if line in steps] == steps
    assert "\x1b" not in result.out


def test_the_steps_of_a_release_that_ended_before_have_no_time_of_now(gate: Gate) -> None:
    gate.released(gate.push("shop-dev", "1.0"))
    result = gate.call("status", "--watch", "shop-dev:1.0")
    assert result.code == 0
    assert result.out.splitlines()[0] == "Await Scan: done"


# release


def _start_with(gate: Gate, starter: FakeStarter) -> FakeStarter:
    gate.starter = starter
    return starter


def test_release_asks_for_the_image_that_the_tag_points_to(gate: Gate) -> None:
    image = gate.push("shop-dev", "1.0")
    starter = _start_with(gate, FakeStarter(gate))
    result = gate.call("release", "shop-dev:1.0")
    assert result.code == 0
    assert starter.requests == [(image, ["1.0"], "operator")]
    assert "began attempt 1" in result.out


def test_release_waits_for_its_own_attempt_not_for_an_older_one(gate: Gate) -> None:
    gate.blocked(gate.push("shop-dev", "1.0"))
    _start_with(gate, FakeStarter(gate, Outcome.RELEASED))
    result = gate.call("release", "--wait", "--json", "shop-dev:1.0")
    assert (result.code, result.json["attempt"], result.json["outcome"]) == (0, 2, "released")


def test_release_joins_an_open_attempt(gate: Gate) -> None:
    gate.begin(gate.push("shop-dev", "1.0"))
    _start_with(gate, FakeStarter(gate))
    assert "joined attempt 1" in gate.call("release", "shop-dev:1.0").out


def test_a_request_that_starts_nothing_is_an_error(gate: Gate) -> None:
    gate.blocked(gate.push("shop-dev", "1.0"))
    _start_with(gate, FakeStarter(gate, works=False))
    result = gate.call("release", "shop-dev:1.0")
    assert result.code == 2
    assert "nothing began" in result.err


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status", "Shop"], "not an ECR repository name"),
        (["status", "shop:"], "not a tag"),
        (["status", "shop@sha256:12"], "not a sha256 digest"),
        (["release", "shop"], "names no tag"),
        (["status", "shop", "--timeout", "soon"], "is no duration"),
        (["list", "--outcome", "fine"], "is not one of"),
        (["promote"], "No such command"),
        (["status"], "Missing argument"),
    ],
)
def test_a_wrong_call_is_one_line_with_the_fault(gate: Gate, arguments: list[str], says: str) -> None:
    result = gate.call(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert says in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("nobody-dev:1.0", "no repository nobody-dev in account 123456789012, eu-central-1"),
        ("shop-dev:9", "shop-dev has no tag 9"),
        ("shop-dev:1.0", "start one: imagegate release shop-dev:1.0"),
        ("shop-dev", "no image of shop-dev was released yet"),
    ],
)
def test_a_missing_image_or_release_is_named(gate: Gate, reference: str, says: str) -> None:
    gate.push("shop-dev", "1.0")
    result = gate.call("status", reference)
    assert (result.code, result.out) == (2, "")
    assert says in result.err


def test_no_stack_says_how_to_name_one(gate: Gate) -> None:
    result = gate.call("--stack", "nope", "list")
    assert result.code == 2
    assert "no stack nope in eu-central-1" in result.err
    assert "IMAGEGATE_STACK" in result.err


def test_a_stack_of_something_else_is_no_gate(gate: Gate) -> None:
    template = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
    boto3.client("cloudformation").create_stack(StackName="other", TemplateBody=template)
    result = gate.call("--stack", "other", "list")
    assert result.code == 2
    assert "has no output LedgerTable" in result.err


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("AccessDeniedException", "access denied: User: me is not authorized"),
        ("ExpiredTokenException", "have expired"),
        ("UnrecognizedClientException", "does not accept these credentials"),
        ("InvalidClientTokenId", "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("InvalidSignatureException", "AWS_SECRET_ACCESS_KEY"),
        ("ThrottlingException", "Rate exceeded"),
        ("InternalServerError", "DescribeStacks failed with InternalServerError"),
    ],
)
def test_a_refusal_of_aws_is_one_line(gate: Gate, code: str, says: str) -> None:
    from botocore.exceptions import ClientError

    message = "Rate exceeded" if code == "ThrottlingException" else "User: me is not authorized\nto do it"

    def refuse(_name: str) -> Stack:
        raise ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")

    result = gate.call("list", find=refuse)
    assert result.code == 2
    assert says in result.err
    assert len(result.err.splitlines()) == 1


def test_an_endpoint_that_does_not_answer_is_one_line(
    environment: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    aws.forget()
    monkeypatch.setattr(sys, "argv", ["imagegate", "list"])
    with pytest.raises(SystemExit) as exited:
        main()
    aws.forget()
    err = capsys.readouterr().err
    assert exited.value.code == 2
    assert "http://127.0.0.1:9" in err
    assert "is `make sandbox` running?" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("unset", "says"),
    [("AWS_DEFAULT_REGION", "no AWS Region"), ("AWS_SECRET_ACCESS_KEY", "sign in, or set AWS_PROFILE")],
)
def test_missing_settings_of_aws_are_one_line(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, unset: str, says: str
) -> None:
    monkeypatch.delenv(unset)
    aws.forget()
    result = gate.call("list")
    assert result.code == 2
    assert says in result.err
    assert len(result.err.splitlines()) == 1


def test_an_unexpected_error_is_one_line_too(gate: Gate) -> None:
    def fail(_name: str) -> Stack:
        raise RuntimeError("surprise\nin two lines")

    result = gate.call("list", find=fail)
    assert result.code == 2
    assert result.err == ("imagegate: RuntimeError: surprise in two lines (IMAGEGATE_DEBUG=1 shows where)\n")


# Start-up


@pytest.mark.parametrize("name", ["", *cli.list_commands(click.Context(cli))])
def test_help_loads_no_heavy_library(name: str) -> None:
    heavy = ("boto3", "botocore", "cryptography", "pydantic", "rich", "yaml")
    program = (
        f"import sys; sys.argv[1:] = {[*filter(None, [name]), '--help']}; import imagegate_cli.main as program\n"
        f"try: program.main()\nexcept SystemExit: print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_help_of_the_program_has_the_first_sentence_of_each_command(gate: Gate) -> None:
    text = " ".join(gate.call("--help").out.split())
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert f"{name} {command.get_short_help_str(1000)}" in text
