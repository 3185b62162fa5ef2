"""Security Hub has one finding for each image at risk whose stage asks for it: created, updated, and archived."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.stub import Stubber
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.security_hub import AwsSecurityHub
from imagegate.canonical_json import timestamp
from imagegate.errors import AccessRefusedError, ThrottledError
from imagegate.findings.finding import Severity
from imagegate.notices.risk.security_finding import SecurityFindingFormat
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.revocation import RunsIn
from imagegate.risk.risk import NewerRelease, Risk, RiskFinding, RiskState
from tests.component.test_judge_again import FIXABLE, PRODUCT, SOON, Watch
from tests.fakes import NOW, POLICY, critical

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FORMAT = SecurityFindingFormat(PRODUCT)
CLUSTER = "arn:aws:ecs:eu-central-1:123456789012:cluster/web"


@pytest.fixture
def watch() -> Watch:
    watch = Watch()
    stages = {name: replace(stage, security_hub=True) for name, stage in POLICY.stages.items()}
    watch.policy = replace(POLICY, stages=stages)
    return watch


def test_a_risk_is_a_finding_with_all_that_helps(watch: Watch) -> None:
    image = watch.released()
    watch.tasks.runs[image] = [RunsIn(CLUSTER, 3, service="service:shop")]
    watch.found(image, FIXABLE)
    watch.run(SOON)
    [finding] = watch.hub.findings.values()
    home = "arn:aws:ecr:eu-central-1:123456789012:repository/shop-dev"
    assert finding["Id"] == f"{home}/{image.digest}/at-risk"
    assert (finding["ProductArn"], finding["AwsAccountId"]) == (PRODUCT, "123456789012")
    assert finding["Title"] == "shop-dev:1.0 is released in dev and at risk: CVE-2026-0001 CRITICAL"
    assert "3 running" in finding["Description"]
    assert "upgrade openssl to 3.0.9" in finding["Remediation"]["Recommendation"]["Text"]
    assert finding["FindingProviderFields"]["Severity"]["Label"] == "CRITICAL"
    assert [(one["Type"], one["Id"]) for one in finding["Resources"]] == [
        ("AwsEcrContainerImage", f"{home}/{image.digest}"),
        ("AwsEcsCluster", CLUSTER),
    ]
    packages = [{"Name": "openssl", "FixedInVersion": "3.0.9"}]
    assert finding["Vulnerabilities"] == [
        {"Id": "CVE-2026-0001", "VulnerablePackages": packages, "FixAvailable": "YES"}
    ]
    assert (finding["CreatedAt"], finding["RecordState"]) == (timestamp(SOON), "ACTIVE")


def test_it_is_sent_for_news_and_once_a_day(watch: Watch) -> None:
    image = watch.released()
    watch.found(image, *critical(1))
    for minutes in range(0, 24 * 60, 30):
        watch.run(SOON + timedelta(minutes=minutes))
    assert watch.hub.calls == 1
    watch.run(SOON + DAY)
    assert watch.hub.calls == 2
    watch.found(image, *critical(2))
    watch.run(SOON + DAY + HOUR)
    watch.tasks.runs[image] = [RunsIn(CLUSTER, 1)]
    watch.run(SOON + DAY + 2 * HOUR)
    assert watch.hub.calls == 4
    [finding] = watch.hub.findings.values()
    assert len(finding["Vulnerabilities"]) == 2
    assert finding["CreatedAt"] < finding["UpdatedAt"]


@pytest.mark.parametrize("how", ["a rebuild", "a deletion", "a policy without it"])
def test_it_is_archived_when_the_risk_is_over(watch: Watch, how: str) -> None:
    image = watch.released()
    watch.found(image, *critical())
    watch.run(SOON)
    assert watch.hub.states() == ["ACTIVE"]
    if how == "a rebuild":
        watch.released("2.0", ago=0)
    elif how == "a deletion":
        watch.world.registry.delete(image)
    else:
        watch.policy = POLICY
    for hours in (1, 2):
        watch.run(SOON + timedelta(hours=hours))
    assert (watch.hub.states(), watch.hub.calls) == (["ARCHIVED"], 2)


def test_without_the_setting_nothing_is_sent(watch: Watch) -> None:
    watch.policy = POLICY
    watch.found(watch.released(), *critical())
    assert watch.run(SOON).at_risk == 1
    assert watch.hub.calls == 0


def test_an_image_that_nobody_watches_is_no_finding(watch: Watch) -> None:
    image = watch.released()
    watch.step().note(image, NOW)
    results = watch.world.scans.results
    results[image.digest] = replace(results[image.digest], status="IN_PROGRESS", coverage=())
    for hours in (1, 60):
        result = watch.run(NOW + timedelta(hours=hours))
    assert (result.not_watched, watch.hub.calls) == (1, 0)


@pytest.mark.parametrize(
    "fault", [AccessRefusedError("not enabled"), ThrottledError("slow"), OSError("gone")]
)
def test_a_fault_of_security_hub_stops_nothing_and_the_finding_is_sent_later(
    watch: Watch, fault: Exception
) -> None:
    watch.hub.fault = fault
    watch.found(watch.released(), *critical())
    result = watch.run(SOON)
    assert (result.at_risk, len(watch.subjects("alert"))) == (1, 1)
    assert any(str(fault) in line for line in result.faults)
    watch.hub.fault = None
    assert watch.run(SOON + HOUR).faults == ()
    assert watch.hub.states() == ["ACTIVE"]
    assert len(watch.subjects()) == 1


@pytest.mark.parametrize("code", ["InternalException", "InvalidInput"])
@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_finding_that_cannot_be_archived_yet_is_archived_later(
    watch: Watch, code: str, *, is_deleted: bool
) -> None:
    image = watch.released()
    watch.found(image, *critical())
    watch.run(SOON)
    [name] = watch.hub.findings
    watch.hub.refused = {name: code}
    if is_deleted:
        watch.world.registry.delete(image)
    else:
        watch.world.scans.finish(image)
        watch.world.ledger.record(
            watch.world.ledger.history(image).attempts[0].id, clean_since={image.digest: NOW}
        )
    assert code in str(watch.run(SOON + HOUR).faults)
    watch.hub.refused = {}
    for hours in (2, 3):
        watch.run(SOON + timedelta(hours=hours))
    can_help = code == "InternalException"
    assert watch.hub.states() == (["ARCHIVED"] if can_help else ["ACTIVE"])
    assert list(watch.world.ledger.risks()) == []
    assert [subject[:9] for subject in watch.subjects()] == ["AT RISK: ", "RISK OVER"]


# The format and its limits

ANY_TEXT = st.text(max_size=700) | st.just("x" * 5000)
RISKS = st.builds(
    Risk,
    image=st.builds(ImageRef, st.just("a" * 256), st.just(Digest.of(b"x"))),
    stage=st.just("production"),
    tags=st.lists(ANY_TEXT.filter(str.strip), max_size=12).map(tuple),
    state=st.just(RiskState.AT_RISK),
    since=st.just(NOW),
    looked_at=st.just(NOW),
    policy=st.just(Digest.of(b"policy")),
    findings=st.integers(0, 3).flatmap(
        lambda count: st.lists(
            st.builds(
                RiskFinding,
                ANY_TEXT.filter(str.strip),
                ANY_TEXT,
                st.sampled_from(Severity),
                st.none() | ANY_TEXT,
            ),
            min_size=1,
            max_size=3,
        ).map(lambda some: tuple(some * (101 if count else 1)))
    ),
    why=st.lists(ANY_TEXT, max_size=9).map(tuple),
    remedies=st.lists(ANY_TEXT, max_size=9).map(tuple),
    runs=st.lists(st.builds(RunsIn, st.sampled_from([CLUSTER, "c" * 600]), st.just(2)), max_size=25).map(
        tuple
    ),
    newer=st.just((NewerRelease(ImageRef("shop-dev", Digest.of(b"new")), ("2.0",)),)),
)
# AWS Security Hub user guide, "AWS Security Finding Format (ASFF)".
LENGTHS = {"Title": 256, "Description": 1024, "Id": 512, "GeneratorId": 512}


@cache
def input_shape() -> Any:
    model = botocore.session.get_session().get_service_model("securityhub")
    return model.operation_model("BatchImportFindings").input_shape


@given(RISKS, st.booleans())
def test_every_finding_is_within_the_model_and_the_limits(risk: Risk, is_over: bool) -> None:
    finding = FORMAT.compose(risk, NOW, is_over=is_over)
    validate_parameters({"Findings": [finding]}, input_shape())
    assert all(len(finding[name]) <= most for name, most in LENGTHS.items())
    assert len(finding.get("Remediation", {"Recommendation": {"Text": ""}})["Recommendation"]["Text"]) <= 512
    assert len(finding["Resources"]) <= 32
    assert all(text.strip() for text in texts(finding))
    assert len(json.dumps(finding)) < 60_000  # 100 of them are one call


def texts(value: Any) -> list[str]:
    """Return all strings of a document; the model asks each to have a character that is not a space."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in texts(one)]


@pytest.mark.usefixtures("aws_account")
def test_no_call_is_over_the_limits() -> None:
    big = [{"Id": str(number), "Description": "x" * 200_000} for number in range(40)]
    small = [{"Id": f"small {number}"} for number in range(250)]
    with Stubber(aws.client("securityhub")) as stubber:
        calls: list[Any] = []
        aws.client("securityhub").meta.events.register(
            "provide-client-params.securityhub.BatchImportFindings", lambda params, **_: calls.append(params)
        )
        for _ in range(10):
            stubber.add_response(
                "batch_import_findings",
                {"FailedCount": 1, "SuccessCount": 0, "FailedFindings": [failed("small 1")]},
            )
        sent = [complete(one) for one in [*big, *small, {"Id": "huge", "Description": "x" * 250_000}]]
        refused = AwsSecurityHub().send(sent)
    assert set(refused) == {"huge", "small 1"}
    assert refused["small 1"] == "InvalidInput: no"
    sizes = [len(json.dumps(call["Findings"])) for call in calls]
    assert [max(sizes) < 6_100_000, max(len(call["Findings"]) for call in calls)] == [True, 100]
    assert sorted(one["Id"] for call in calls for one in call["Findings"]) == sorted(
        one["Id"] for one in [*big, *small]
    )


def failed(name: str) -> dict[str, str]:
    return {"Id": name, "ErrorCode": "InvalidInput", "ErrorMessage": "no"}


def complete(finding: dict[str, str]) -> dict[str, Any]:
    """Return a finding that the model takes."""
    risk = Risk(
        image=ImageRef("shop-dev", Digest.of(b"x")),
        stage="dev",
        tags=("1.0",),
        state=RiskState.AT_RISK,
        since=NOW,
        looked_at=NOW,
        policy=Digest.of(b"policy"),
    )
    return {**FORMAT.compose(risk, NOW, is_over=False), **finding}


@pytest.mark.usefixtures("aws_account")
def test_a_finding_is_created_replaced_and_archived() -> None:
    with mock_aws():
        api = boto3.client("securityhub")
        api.enable_security_hub()
        finding = complete({"Id": "one"})
        for state in ("ACTIVE", "ARCHIVED"):
            assert AwsSecurityHub().send([{**finding, "RecordState": state}]) == {}
            [stored] = api.get_findings()["Findings"]
            assert (stored["Id"], stored["RecordState"]) == ("one", state)
        assert AwsSecurityHub().send([]) == {}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", AccessRefusedError),
        ("InvalidAccessException", AccessRefusedError),
        ("ThrottlingException", ThrottledError),
    ],
)
@pytest.mark.usefixtures("aws_account")
def test_a_refusal_of_the_call_says_what_kind_it_is(code: str, error: type[Exception]) -> None:
    with Stubber(aws.client("securityhub")) as stubber:
        stubber.add_client_error("batch_import_findings", code)
        with pytest.raises(error, match="Security Hub"):
            AwsSecurityHub().send([complete({"Id": "one"})])
