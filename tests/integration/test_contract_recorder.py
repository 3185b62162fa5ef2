"""The contract recorder, with a sandbox in place of AWS: what it writes, what it finds, what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.recorder.behaviours import behaviours
from tests.contract.recorder.not_recorded import NOT_RECORDED
from tests.contract.recorder.recordings import FOLDER
from tests.contract.recorder.sanitise import LeakError, Sanitiser, leaks
from tests.contract.served_cloud import ServedCloud, served_cloud

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"  # of the sandbox


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCloud]:
    with served_cloud(tmp_path_factory.mktemp("cloud"), "tiny") as running:
        yield running


def user(cloud: ServedCloud, name: str, policy: str | None) -> dict[str, str]:
    """Create a user with this policy and nothing else; return its environment."""
    iam = cloud.client("iam")
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return {"PATH": os.environ["PATH"], "COLUMNS": "300", **cloud.env, **own}


def documented_policy() -> str:
    (found,) = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs/reference/contract-recorder.md").read_text(), re.DOTALL
    )
    # The sandbox takes a bus that is made or deleted for a rule, and knows no ARN of a dashboard.
    found = found.replace("event-bus/imagegate", "*/imagegate")
    found = found.replace("arn:aws:cloudwatch::ACCOUNT:dashboard/imagegate-contract-*", "*")
    return str(found).replace("REGION", "eu-central-1").replace("ACCOUNT", ACCOUNT)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.contract.recorder", *arguments]


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def recorder(cloud: ServedCloud) -> dict[str, str]:
    return user(cloud, "recorder", documented_policy())


@pytest.fixture(scope="module")
def recordings(recorder: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of recordings that were made once, with the documented permissions."""
    folder = tmp_path_factory.mktemp("recordings")
    done = run(recorder, "record", "--yes", "--to", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Cost: less than" in done.stdout
    return folder


def left_over(cloud: ServedCloud) -> list[str]:
    """Names of this tool's own things, but for the profiles, which can only be cancelled."""
    looked_at: list[Any] = [
        cloud.client("ecr").describe_repositories()["repositories"],
        cloud.client("ecr").describe_repository_creation_templates()["repositoryCreationTemplates"],
        cloud.client("dynamodb").list_tables()["TableNames"],
        cloud.client("s3").list_buckets()["Buckets"],
        cloud.client("sns").list_topics()["Topics"],
        cloud.client("sqs").list_queues().get("QueueUrls", []),
        cloud.client("events").list_event_buses()["EventBuses"],
        cloud.client("stepfunctions").list_state_machines()["stateMachines"],
        cloud.client("iam").list_roles()["Roles"],
        cloud.client("cloudwatch").list_dashboards()["DashboardEntries"],
        cloud.client("signer").list_signing_profiles(statuses=["Active"])["profiles"],
    ]
    return re.findall(r"imagegate.contract[\w-]*", json.dumps(looked_at, default=str))


def test_every_behaviour_is_recorded_with_the_documented_permissions(recordings: Path) -> None:
    assert {file.stem for file in recordings.iterdir()} == {one.id for one in behaviours()}


def test_every_made_resource_is_removed(recordings: Path, cloud: ServedCloud) -> None:
    assert list(recordings.iterdir())
    assert left_over(cloud) == []


def test_nothing_tells_whose_account_it_was(recordings: Path, recorder: dict[str, str]) -> None:
    known = [
        ACCOUNT,
        recorder["AWS_ACCESS_KEY_ID"],
        recorder["AWS_SECRET_ACCESS_KEY"],
        "eu-central-1",
        "127.0.0.1:",
    ]
    found = {file.name: leaks(file.read_text(), known) for file in recordings.iterdir()}
    assert {name: kinds for name, kinds in found.items() if kinds} == {}


def test_the_same_cloud_agrees_with_its_recordings(
    recordings: Path, recorder: dict[str, str], cloud: ServedCloud
) -> None:
    # As an administrator: the sandbox is given the settings that the account had.
    environment = recorder | {
        name: cloud.env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    done = run(environment, "compare", "--json", "--with", str(recordings))
    rows = json.loads(done.stdout)
    assert [row for row in rows if row["verdict"] != "agree"] == []
    assert done.returncode == 0, done.stderr
    # Where the documentation says what to expect, the sandbox does it, but for what is known.
    odd = {row["id"] for row in rows if row["sandbox"]["as_documented"] is False}
    assert odd == {row["id"] for row in rows if row["known"] and row["documented"]["outcomes"]}
    assert left_over(cloud) == []


def test_a_difference_from_a_recording_is_a_failure(
    recordings: Path, recorder: dict[str, str], cloud: ServedCloud, tmp_path: Path
) -> None:
    name = "a-made-up-token-is-invalid"
    document = json.loads((recordings / f"{name}.json").read_text())
    document["exchanges"][0]["outcome"] = "TaskDoesNotExist"
    (tmp_path / f"{name}.json").write_text(json.dumps(document))
    environment = recorder | {key: cloud.env[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    only = ("--only", name, "--only", "nobody-speaks-for-aws")
    done = run(environment, "compare", "--with", str(tmp_path), *only)
    assert done.returncode == 1, done.stderr
    assert "TaskDoesNotExist, InvalidToken ×2" in done.stdout
    assert "no recording" in done.stdout


def test_an_interruption_leaves_nothing(recorder: dict[str, str], cloud: ServedCloud, tmp_path: Path) -> None:
    arguments = ("record", "--yes", "--to", str(tmp_path))
    environment = recorder | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command(*arguments), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("a-blob-is-mounted "):
                process.terminate()  # a run in the background would ignore SIGINT
                break
        rest = process.stdout.read()
    assert process.returncode == 1
    assert "interrupted" in rest
    assert left_over(cloud) == []


def test_a_missing_permission_is_named(cloud: ServedCloud, tmp_path: Path) -> None:
    policy = json.loads(documented_policy())
    policy["Statement"].append({"Effect": "Deny", "Action": "dynamodb:PutItem", "Resource": "*"})
    environment = user(cloud, "half", json.dumps(policy))
    done = run(
        environment, "record", "--yes", "--to", str(tmp_path), "--only", "text-*", "--only", "a-made-up-*"
    )
    assert done.returncode == 1
    assert "text-is-ordered-by-its-bytes: permission dynamodb:PutItem is missing" in done.stdout
    assert [file.stem for file in tmp_path.iterdir()] == ["a-made-up-token-is-invalid"]
    nobody = run(user(cloud, "nobody", None), "record", "--yes", "--to", str(tmp_path))
    assert (nobody.returncode, nobody.stderr.split(":")[1]) == (2, " permission ecr")


def test_without_credentials_it_says_what_to_do() -> None:
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "HOME": "/nonexistent"}
    done = run({"PATH": os.environ["PATH"], **nowhere}, "record", "--region", "eu-central-1")
    assert done.returncode == 2
    assert done.stderr.startswith("record: no AWS credentials: set AWS_PROFILE")


def test_answers_of_a_sandbox_are_no_recordings_of_aws(recorder: dict[str, str]) -> None:
    done = run(recorder, "record", "--yes")
    assert done.returncode == 2
    assert "127.0.0.1 is not AWS" in done.stderr
    found = [json.loads(file.read_text())["recorded"]["from"] for file in FOLDER.glob("*.json")]
    assert set(found) <= {"AWS"}


def test_every_chapter_has_probes_or_a_reason_why_not() -> None:
    page = (ROOT / "docs/explanation/fidelity.md").read_text()
    chapters = {part.splitlines()[0] for part in page.split("\n## ")[1:] if "| behaviour |" in part}
    asked = {one.chapter for one in behaviours()} | {chapter for chapter, _, _ in NOT_RECORDED}
    assert asked == chapters


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:ecr:eu-central-1:210987654321:repository/x",
        "210987654321.dkr.ecr.eu-central-1.amazonaws.com",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "token " + "AbC1" * 40,
        "user/alice@example.com is not authorized",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_text_that_looks_like_an_account_or_a_key_is_not_written(text: str) -> None:
    assert leaks(json.dumps({"message": text}))
    sanitiser = Sanitiser("111122223333", "eu-central-1", "imagegate-contract-00", ["hunter2"])
    with pytest.raises(LeakError):
        sanitiser.check(text)
    with pytest.raises(LeakError, match="known as secret") as error:
        sanitiser.check("it is hunter2")
    assert "hunter2" not in str(error.value)


def test_expected_values_become_placeholders() -> None:
    sanitiser = Sanitiser("111122223333", "eu-central-1", "imagegate-contract-00", ["hunter2"])
    own = "sha256:" + "a" * 64
    sanitiser.sent({"imageDigest": own})
    message = (
        "User: arn:aws:sts::111122223333:assumed-role/Admin/alice may not touch "
        f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/imagegate-contract-00-x@{own} or sha256:{'b' * 64} "
        "with hunter2 in eu-central-1 at 2026-11-21T10:00:00.123Z"
    )
    assert sanitiser.value({"message": message, "taskToken": "AAAA"}) == {
        "message": f"User: <principal> may not touch <host>/<run>-x@{own} or <digest> "
        "with <secret> in <region> at <time>",
        "taskToken": "<taskToken>",
    }
