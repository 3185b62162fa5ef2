"""Lambda's behaviour that moto lacks without our patches: one test per gap."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.served_cloud import ROOT, ServedCloud
from tests.patience import eventually


@pytest.fixture(scope="module")
def seen(cloud: ServedCloud) -> dict[str, Any]:
    """Return everything that one function sees of its surroundings."""
    answer: dict[str, Any] = cloud.invoke("Where", {"hello": "world"})
    return answer


def test_the_event_arrives(seen: dict[str, Any]) -> None:
    assert seen["event"] == {"hello": "world"}


def test_the_package_comes_from_the_deployed_layer(seen: dict[str, Any], cloud: ServedCloud) -> None:
    assert Path(seen["imagegate"]).is_relative_to(cloud.state / "functions")


def test_the_checkout_cannot_be_imported(seen: dict[str, Any]) -> None:
    assert seen["checkout"] == []
    assert not Path(seen["working_directory"]).is_relative_to(ROOT)


def test_a_path_below_opt_leads_to_the_layers(seen: dict[str, Any]) -> None:
    assert seen["data"] == "from the data layer\n"


def test_the_environment_is_lambdas_and_nothing_else(seen: dict[str, Any], cloud: ServedCloud) -> None:
    environment = seen["environment"]
    assert environment["COMMON"] == "everywhere"
    assert environment["NUMBER"] == "3"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_LAMBDA_FUNCTION_VERSION"] == seen["version"] == "1"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == cloud.outputs["WhereFunction"]
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == cloud.outputs["Logs"]
    assert environment["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    assert environment["AWS_ENDPOINT_URL"] == cloud.env["AWS_ENDPOINT_URL"]
    assert environment["TZ"] == ":UTC"
    assert "HOME" not in environment
    assert environment["AWS_ACCESS_KEY_ID"] != cloud.env["AWS_ACCESS_KEY_ID"]


def test_the_alias_is_in_the_invoked_arn(seen: dict[str, Any], cloud: ServedCloud) -> None:
    assert seen["arn"] == cloud.outputs["Where"]


def test_a_qualifier_selects_the_version(cloud: ServedCloud) -> None:
    client, name = cloud.client("lambda"), cloud.outputs["WhereFunction"]

    def version(**qualifier: str) -> str:
        answer = client.invoke(FunctionName=name, Payload=b'{"qualifier": "not this"}', **qualifier)
        return str(json.loads(answer["Payload"].read())["version"])

    assert version(Qualifier="live") == "1"
    assert version(Qualifier="1") == "1"
    assert version() == "$LATEST"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        version(Qualifier="9")


def test_the_function_runs_under_its_own_role(cloud: ServedCloud) -> None:
    who = cloud.invoke("Call", {"service": "sts", "operation": "get_caller_identity"})
    role = cloud.outputs["CallRole"].rpartition("/")[2]
    assert who["Arn"].startswith(f"arn:aws:sts::123456789012:assumed-role/{role}/")


def test_a_warm_process_is_used_again(cloud: ServedCloud) -> None:
    first, second = cloud.invoke("Where", {}), cloud.invoke("Where", {})
    assert (first["pid"], first["calls"] + 1) == (second["pid"], second["calls"])
    assert first["request_id"] != second["request_id"]


def test_invocations_run_at_once(cloud: ServedCloud) -> None:
    """One after the other, they would use one process."""
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda nap: cloud.invoke("Where", nap), [{"seconds": 1}] * 4))
    assert len({answer["pid"] for answer in answers}) == 4


def failure(cloud: ServedCloud, function: str, event: Any) -> tuple[str, dict[str, Any]]:
    answer = cloud.client("lambda").invoke(FunctionName=cloud.outputs[function], Payload=json.dumps(event))
    assert answer["StatusCode"] == 200
    return answer["FunctionError"], json.loads(answer["Payload"].read())


def test_an_exception_is_a_function_error_with_its_trace(cloud: ServedCloud) -> None:
    kind, error = failure(cloud, "Misbehave", {"do": "raise"})
    assert (kind, error["errorType"], error["errorMessage"]) == (
        "Unhandled",
        "ValueError",
        "on purpose",
    )
    assert "on purpose" in error["stackTrace"][0]


def test_a_function_that_takes_too_long_is_killed(cloud: ServedCloud) -> None:
    started = time.monotonic()
    kind, error = failure(cloud, "Misbehave", {"do": "sleep", "seconds": 60})
    assert (kind, error["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert error["errorMessage"].endswith("Error: Task timed out after 4.00 seconds")
    assert time.monotonic() - started < 50
    assert cloud.invoke("Misbehave", {}) == "well behaved"


def test_a_process_that_ends_is_an_error_of_that_invocation_only(cloud: ServedCloud) -> None:
    _, error = failure(cloud, "Misbehave", {"do": "exit"})
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("Runtime exited with error: exit status 3")
    assert cloud.invoke("Misbehave", {}) == "well behaved"


def test_an_image_that_cannot_be_imported_is_named(cloud: ServedCloud) -> None:
    _, error = failure(cloud, "Broken", {})
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "no_such_module" in error["errorMessage"]


def dead_letter(cloud: ServedCloud) -> dict[str, Any]:
    queue, url = cloud.client("sqs"), cloud.outputs["DeadLetters"]
    message = eventually(lambda: queue.receive_message(QueueUrl=url).get("Messages"))[0]
    queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    body: dict[str, Any] = json.loads(message["Body"])
    return body


def test_an_asynchronous_failure_is_retried_twice_and_then_kept(cloud: ServedCloud) -> None:
    answer = cloud.client("lambda").invoke(
        FunctionName=cloud.outputs["Misbehave"],
        InvocationType="Event",
        Payload=json.dumps({"do": "raise", "mark": 1}),
    )
    assert answer["StatusCode"] == 202
    record = dead_letter(cloud)
    assert record["requestContext"] | {"requestId": ""} == {
        "requestId": "",
        "functionArn": cloud.outputs["Misbehave"],
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert record["requestPayload"] == {"do": "raise", "mark": 1}
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorType"] == "ValueError"


def test_each_invocation_is_journaled(cloud: ServedCloud) -> None:
    cloud.invoke("Where", {})
    lines = (cloud.state / "invocations.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert set(last) == {"function", "request_id", "start", "seconds", "cold", "error"}
    assert (last["function"], last["error"]) == (cloud.outputs["WhereFunction"], None)


def test_the_output_of_a_function_is_in_its_log(cloud: ServedCloud) -> None:
    cloud.invoke("Misbehave", {"mark": "printed"})
    name = cloud.outputs["Misbehave"].split(":")[6]
    assert "misbehaving {'mark': 'printed'}" in (cloud.state / "logs" / f"{name}.log").read_text()
