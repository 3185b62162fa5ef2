"""Answers of Amazon ECS, and the ledger's items about a digest and about messages."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Lock
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.ecs.revisions import Ecs
from imagegate.aws.ecs.tasks import EcsTasks
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.errors import (
    AccessRefusedError,
    InvalidDigestError,
    RecordNotFoundError,
    ThrottledError,
)
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.reference import Container
from imagegate.ports.ledger import Ledger
from imagegate.ports.risks import RunningTasks
from imagegate.ports.services import Services
from imagegate.release.revocation import RunsIn
from tests.component.deployments import DEFINITION, IMAGE, REVISION, attempt, blocked, image_name
from tests.fakes import DEV, NOW, REGISTRY

pytestmark = pytest.mark.usefixtures("aws_account")
INDEX = ImageRef(DEV, Digest.of(b"index"))


@pytest.fixture
def stub(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("ecs")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def ecs() -> Services:
    return Ecs()


def revision(*images: dict[str, Any]) -> dict[str, Any]:
    found = {"serviceRevisionArn": REVISION, "taskDefinition": DEFINITION, "containerImages": list(images)}
    return {"serviceRevisions": [found]}


def test_a_revision_has_the_images_that_amazon_ecs_found(stub: Stubber, ecs: Services) -> None:
    images = (
        {"containerName": "app", "image": image_name(IMAGE), "imageDigest": str(IMAGE.digest)},
        {"containerName": "side", "image": "nginx"},  # not resolved (yet)
        {"containerName": "odd"},
    )
    stub.add_response("describe_service_revisions", revision(*images), {"serviceRevisionArns": [REVISION]})
    assert ecs.revision(REVISION) == (
        DEFINITION,
        [Container("app", image_name(IMAGE), IMAGE.digest), Container("side", "nginx"), Container("odd", "")],
    )


def test_a_revision_that_is_not_there_is_no_empty_one(stub: Stubber, ecs: Services) -> None:
    failure = {"failures": [{"arn": REVISION, "reason": "MISSING"}], "serviceRevisions": []}
    stub.add_response("describe_service_revisions", failure)
    with pytest.raises(RecordNotFoundError, match="MISSING"):
        ecs.revision(REVISION)


def test_a_digest_that_is_none_is_refused(stub: Stubber, ecs: Services) -> None:
    stub.add_response("describe_service_revisions", revision({"containerName": "app", "imageDigest": "x"}))
    with pytest.raises(InvalidDigestError):
        ecs.revision(REVISION)


def test_a_task_definition_is_read_once_as_it_never_changes(stub: Stubber, ecs: Services) -> None:
    said = {
        "taskDefinition": {"containerDefinitions": [{"name": "app", "image": "nginx", "essential": True}]}
    }
    stub.add_response("describe_task_definition", said, {"taskDefinition": DEFINITION})
    for _ in range(2):
        assert ecs.written(DEFINITION) == [Container("app", "nginx")]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ClientException", RecordNotFoundError),
        ("InvalidParameterException", RecordNotFoundError),
        ("ServiceNotFoundException", RecordNotFoundError),
        ("AccessDeniedException", AccessRefusedError),
        ("ThrottlingException", ThrottledError),
        ("UnsupportedFeatureException", ClientError),
    ],
)
def test_a_refusal_names_the_requested_resource(
    stub: Stubber, ecs: Services, code: str, error: type[Exception]
) -> None:
    for call, arn, operation in (
        (ecs.revision, REVISION, "describe_service_revisions"),
        (ecs.written, DEFINITION, "describe_task_definition"),
    ):
        for _ in range(3):  # the SDK's own retries
            stub.add_client_error(operation, code)
        with pytest.raises(error, match=None if error is ClientError else arn):
            call(arn)
        stub._queue.clear()  # type: ignore[attr-defined]


# The ledger


@pytest.fixture
def ledger(aws_account: None) -> Iterator[Ledger]:
    with mock_aws():
        names = ("pk", "sk")
        dynamodb: Any = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield DynamoLedger("ledger")


def test_a_history_has_all_attempts_newest_first_and_the_indexes(ledger: Ledger) -> None:
    assert (ledger.history(IMAGE).attempts, ledger.history(IMAGE).indexes) == ((), ())
    for number in (2, 10, 1):
        ledger.begin(attempt(number))
    others = [replace(INDEX, digest=Digest.of(name)) for name in (b"one", b"two")]
    for index in others:
        ledger.note_platforms(attempt(image=index, platforms=(IMAGE.digest,)))
    history = ledger.history(IMAGE)
    assert [release.attempt for release in history.attempts] == [10, 2, 1]
    assert history.attempts[0] == attempt(10)
    assert set(history.indexes) == {index.digest for index in others}
    assert ledger.history(INDEX).attempts == ()


def test_a_history_is_read_consistently_and_to_its_end(ledger: Ledger) -> None:
    asked: list[dict[str, Any]] = []
    client: Any = aws.client("dynamodb")
    client.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: asked.append(dict(params))
    )
    detail = "x" * 300_000  # two of these are more than a page
    for number in range(1, 6):
        ledger.begin(blocked(number, detail=detail))
    assert [release.attempt for release in ledger.history(IMAGE).attempts] == [5, 4, 3, 2, 1]
    assert len(asked) > 1
    assert all(query["ConsistentRead"] for query in asked)


def test_of_many_that_claim_at_once_one_gets_it(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = aws.client("dynamodb")
    send, one_at_a_time = client._make_api_call, Lock()

    def call(*request: Any) -> Any:
        """Check a condition and write in one step, as DynamoDB does and moto does not."""
        with one_at_a_time:
            return send(*request)

    monkeypatch.setattr(client, "_make_api_call", call)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: ledger.claim("drift", NOW), range(16)))
    assert got.count(True) == 1
    assert not ledger.claim("drift", NOW + timedelta(seconds=54))
    assert ledger.claim("another", NOW)


def test_an_unfinished_claim_is_free_after_a_minute_and_a_finished_one_never(ledger: Ledger) -> None:
    assert ledger.claim("drift", NOW)
    assert ledger.claim("drift", NOW + timedelta(minutes=1))
    assert not ledger.claim("drift", NOW + timedelta(minutes=1))
    ledger.note("drift")
    assert not ledger.claim("drift", NOW + timedelta(days=365))
    assert ledger.is_noted("drift")


def test_a_claim_that_the_sdk_sends_twice_is_one(ledger: Ledger) -> None:
    """The first answer was lost: the second write finds the claim of the first, which is its own."""
    client: Any = aws.client("dynamodb")
    sent: list[Any] = []

    def twice(params: Any, model: Any, **_: Any) -> None:
        if not sent:
            sent.append(params)
            client.put_item(**params)

    client.meta.events.register("provide-client-params.dynamodb.PutItem", twice)
    assert ledger.claim("drift", NOW)


# What runs


def running(stub: Stubber, *containers: list[dict[str, str]], clusters: int = 1) -> None:
    names = [f"cluster/{number}" for number in range(clusters)]
    stub.add_response("list_clusters", {"clusterArns": names})
    for name in names:
        arns = [f"{name}/{number}" for number in range(len(containers))]
        stub.add_response("list_tasks", {"taskArns": arns}, {"cluster": name, "desiredStatus": "RUNNING"})
        tasks = [{"group": "service:web", "containers": some} for some in containers]
        if tasks:
            stub.add_response("describe_tasks", {"tasks": tasks}, {"cluster": name, "tasks": arns})


def test_the_tasks_of_each_image_are_counted_by_cluster_and_service(stub: Stubber) -> None:
    ours = {"name": "app", "image": image_name(IMAGE), "imageDigest": str(IMAGE.digest)}
    running(stub, [ours, ours], [ours], clusters=2)
    runs = RunsIn("cluster/0", 2, service="service:web"), RunsIn("cluster/1", 2, service="service:web")
    assert EcsTasks(REGISTRY).running() == RunningTasks({IMAGE: list(runs)})


@pytest.mark.parametrize(
    "container",
    [
        {"image": image_name(IMAGE)},  # its digest is not known yet
        {"image": "nginx:1", "imageDigest": str(IMAGE.digest)},
        {"image": "not a name", "imageDigest": str(IMAGE.digest)},
        {},
    ],
)
def test_other_images_are_left_out(stub: Stubber, container: dict[str, str]) -> None:
    running(stub, [container])
    assert EcsTasks(REGISTRY).running() == RunningTasks({})


def test_a_cluster_without_tasks_is_not_described(stub: Stubber) -> None:
    running(stub)
    assert EcsTasks(REGISTRY).running() == RunningTasks({})


def test_a_missing_permission_to_see_tasks_is_named(stub: Stubber) -> None:
    stub.add_client_error("list_clusters", "AccessDeniedException", "may not")
    with pytest.raises(AccessRefusedError, match="the clusters of Amazon ECS"):
        EcsTasks(REGISTRY).running()


@pytest.mark.parametrize(
    ("code", "unread"),
    [
        ("ClientException", ["cluster/bad"]),
        ("ServerException", ["cluster/bad"]),
        ("ThrottlingException", ["cluster/bad"]),
        ("AccessDeniedException", ["cluster/bad"]),
        ("ClusterNotFoundException", []),  # it is gone, and so are its tasks
    ],
)
def test_the_trouble_of_one_cluster_does_not_hide_the_others(
    stub: Stubber, code: str, unread: list[str]
) -> None:
    ours = {"name": "app", "image": image_name(IMAGE), "imageDigest": str(IMAGE.digest)}
    stub.add_response("list_clusters", {"clusterArns": ["cluster/bad", "cluster/good"]})
    stub.add_client_error("list_tasks", code)
    stub.add_response(
        "list_tasks", {"taskArns": ["1"]}, {"cluster": "cluster/good", "desiredStatus": "RUNNING"}
    )
    stub.add_response("describe_tasks", {"tasks": [{"group": "service:web", "containers": [ours]}]})
    tasks = EcsTasks(REGISTRY).running()
    assert tasks.runs == {IMAGE: [RunsIn("cluster/good", 1, service="service:web")]}
    assert (list(tasks.unread), all(code in why for why in tasks.unread.values())) == (unread, True)
