"""The audit of settings against ECR: each request and answer is checked against the service's own model.

Every call is refused once: what it would have told is not assessed, whatever else is known, and never passes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from imagegate.audit.finding import AuditFinding
from imagegate.audit.report import AuditPart
from imagegate.aws.audit.settings import EcrAuditSettings
from imagegate.aws.cleanup import images as images_module
from imagegate.aws.cleanup.images import EcrStoredImages
from imagegate.aws.ecr import images as ecr_module
from imagegate.aws.ecr import settings as settings_module
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.baseline.section import RegistryBaseline
from imagegate.baseline.terms import RegistryTerms, SigningRule
from imagegate.errors import ThrottledError
from imagegate.oci.image import Digest
from imagegate.workflow.audit.settings import AuditSettings
from tests.component.modelled_aws import ModelledAws, modelled, refused
from tests.fakes.world import POLICY, REGISTRY

__all__ = ["modelled"]
ACCOUNT, REGION = "123456789012", "eu-central-1"
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop-dev"
AT = datetime(2026, 11, 1, tzinfo=UTC)
PER_PAGE = 1000
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "x" * 60,
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["v*"],
                "countType": "imageCountMoreThan",
                "countNumber": 3,
            },
            "action": {"type": "expire"},
        }
    ]
}
# Each call of a repository's settings, with the checks that need its answer.
NEEDED = {
    "GetLifecyclePolicy": {
        "repository-lifecycle-missing",
        "repository-lifecycle-idle",
        "repository-lifecycle-different",
    },
    "GetRepositoryPolicy": {
        "repository-public",
        "repository-policy-wildcard",
        "repository-foreign-account",
        "repository-writers",
        "repository-push-open",
    },
    "ListTagsForResource": {"repository-tags-missing"},
    "BatchGetRepositoryScanningConfiguration": {"repository-scan-off", "repository-scan-frequency"},
    "DescribeImages": {"repository-lifecycle-idle"},
}
NEEDED_OF_REGISTRY = {
    "GetRegistryScanningConfiguration": {"registry-scan-type", "registry-settings"},
    "DescribeRegistry": {"registry-residency", "registry-replication-account", "registry-settings"},
    "GetRegistryPolicy": {"registry-policy", "registry-settings"},
}


def image(number: int, tags: list[str]) -> dict[str, Any]:
    more = {"imageTags": tags} if tags else {}
    return {"imageDigest": str(Digest.of(f"{number}".encode())), "imagePushedAt": AT, **more}


def a_page(request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of images: only the very last image has a tag that the lifecycle rule names."""
    if request.get("nextToken"):
        return {"imageDetails": [image(0, ["v1"])]}
    return {"imageDetails": [image(number, []) for number in range(1, PER_PAGE + 1)], "nextToken": "more"}


@pytest.fixture
def aws(modelled: ModelledAws, monkeypatch: pytest.MonkeyPatch) -> ModelledAws:
    for module in (images_module, ecr_module, settings_module):
        monkeypatch.setattr(module, "client", modelled.client)
    repository = {
        "repositoryName": "shop-dev",
        "repositoryArn": ARN,
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    scanning = {"repositoryName": "shop-dev", "scanOnPush": True, "scanFrequency": "MANUAL"}
    answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "DescribeRepositories": lambda _: {"repositories": [repository]},
        "GetLifecyclePolicy": lambda _: {"lifecyclePolicyText": json.dumps(LIFECYCLE)},
        "GetRepositoryPolicy": refuse(modelled, "GetRepositoryPolicy", "RepositoryPolicyNotFoundException"),
        "ListTagsForResource": lambda _: {"tags": []},
        "BatchGetRepositoryScanningConfiguration": lambda _: {"scanningConfigurations": [scanning]},
        "DescribeImages": a_page,
        "GetRegistryScanningConfiguration": lambda _: {"scanningConfiguration": {"scanType": "BASIC"}},
        "DescribeRegistry": lambda _: {"replicationConfiguration": {"rules": []}},
        "GetRegistryPolicy": refuse(modelled, "GetRegistryPolicy", "RegistryPolicyNotFoundException"),
    }
    modelled.answers = {f"ecr:{name}": answer for name, answer in answers.items()}
    return modelled


def refuse(aws: ModelledAws, operation: str, code: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        raise refused(aws.client("ecr"), operation, code)

    return answer


def auditor(terms: RegistryTerms | None = None) -> AuditSettings:
    return AuditSettings(
        settings=EcrAuditSettings(),
        images=EcrStoredImages(REGISTRY),
        policy=POLICY,
        baseline=RegistryBaseline(registry=terms or RegistryTerms()),
        registry=GateRegistry(ACCOUNT, REGION, gate_roles=("arn:aws:iam::1:role/gate",)),
    )


def failed(part: AuditPart) -> set[str]:
    return {one.check.id for one in part.findings}


def unread(part: AuditPart) -> set[str]:
    return {one.check.id for one in part.not_assessed}


def test_a_repository_as_it_should_be_has_no_finding(aws: ModelledAws) -> None:
    part = auditor().audit("shop-dev")
    assert (failed(part), unread(part)) == (set(), set())
    assert part.counts["repository-lifecycle-idle"].passed == 1


def test_every_page_of_images_is_read(aws: ModelledAws) -> None:
    auditor().audit("shop-dev")
    assert aws.numbers("ecr:DescribeImages") == 2


@pytest.mark.parametrize("operation", NEEDED)
def test_a_call_that_is_refused_is_not_assessed_and_never_passes(aws: ModelledAws, operation: str) -> None:
    aws.answers[f"ecr:{operation}"] = refuse(aws, operation, "AccessDeniedException")
    part = auditor().audit("shop-dev")
    assert unread(part) == NEEDED[operation]
    assert all(part.counts[name].passed == 0 for name in NEEDED[operation])
    assert all("AccessDenied" in one.reason for one in part.not_assessed)
    assert failed(part) == set()


def test_every_call_is_refused_once(aws: ModelledAws) -> None:
    auditor().audit("shop-dev")
    made = {name.removeprefix("ecr:") for name, _ in aws.requests}
    assert made == {*NEEDED, "DescribeRepositories", "GetRegistryScanningConfiguration"}


@pytest.mark.parametrize("document", ["{", "[1", ""])
def test_a_document_that_is_no_json_is_not_assessed(aws: ModelledAws, document: str) -> None:
    aws.answers["ecr:GetRepositoryPolicy"] = lambda _: {"policyText": document}
    assert unread(auditor().audit("shop-dev")) == NEEDED["GetRepositoryPolicy"]


def test_a_repository_that_ecr_does_not_describe_raises(aws: ModelledAws) -> None:
    aws.answers["ecr:DescribeRepositories"] = refuse(aws, "DescribeRepositories", "AccessDeniedException")
    with pytest.raises(Exception, match="AccessDenied"):
        auditor().audit("shop-dev")


def test_a_repository_that_is_gone_has_no_outcome_and_its_findings_are_resolved(aws: ModelledAws) -> None:
    gone = refuse(aws, "DescribeRepositories", "RepositoryNotFoundException")
    aws.answers["ecr:DescribeRepositories"] = gone
    part = auditor().audit("shop-dev")
    assert {(one.passed, one.failed) for one in part.counts.values()} == {(0, 0)}
    assert set(part.counts) == {check.id for check in auditor().checks}


def test_too_many_requests_are_the_callers_to_repeat(aws: ModelledAws) -> None:
    def throttled(_: dict[str, Any]) -> dict[str, Any]:
        raise ThrottledError("slow down")

    for operation in NEEDED:
        before, aws.answers[f"ecr:{operation}"] = aws.answers[f"ecr:{operation}"], throttled
        with pytest.raises(ThrottledError):
            auditor().audit("shop-dev")
        aws.answers[f"ecr:{operation}"] = before


@pytest.mark.parametrize(
    ("scan_type", "frequency", "on_push", "is_off"),
    [
        ("BASIC", "MANUAL", True, False),
        ("BASIC", "MANUAL", False, True),
        ("BASIC", "SCAN_ON_PUSH", False, False),
        ("ENHANCED", "MANUAL", True, True),  # its own setting does not count there
        ("ENHANCED", "CONTINUOUS_SCAN", False, False),
    ],
)
def test_the_scanning_in_effect_counts(
    aws: ModelledAws, scan_type: str, frequency: str, on_push: bool, is_off: bool
) -> None:
    scanning = {"repositoryName": "shop-dev", "scanOnPush": on_push, "scanFrequency": frequency}
    aws.answers |= {
        "ecr:BatchGetRepositoryScanningConfiguration": lambda _: {"scanningConfigurations": [scanning]},
        "ecr:GetRegistryScanningConfiguration": lambda _: {"scanningConfiguration": {"scanType": scan_type}},
    }
    assert ("repository-scan-off" in failed(auditor().audit("shop-dev"))) is is_off


def test_a_scanning_configuration_that_fails_is_not_assessed(aws: ModelledAws) -> None:
    failure = {"repositoryName": "shop-dev", "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "x"}
    aws.answers["ecr:BatchGetRepositoryScanningConfiguration"] = lambda _: {"failures": [failure]}
    assert unread(auditor().audit("shop-dev")) == NEEDED["BatchGetRepositoryScanningConfiguration"]


@pytest.mark.parametrize("operation", ["GetSigningConfiguration", "GetAccountSetting"])
def test_a_setting_that_the_baseline_names_is_read_and_a_refusal_is_not_assessed(
    aws: ModelledAws, operation: str
) -> None:
    aws.answers["ecr:GetSigningConfiguration"] = lambda _: {"signingConfiguration": {"rules": []}}
    aws.answers["ecr:GetAccountSetting"] = lambda asked: {"name": asked["name"], "value": "V1"}
    aws.answers[f"ecr:{operation}"] = refuse(aws, operation, "AccessDeniedException")
    terms = RegistryTerms(
        signing=(SigningRule("arn:aws:signer:eu-central-1:123456789012:/signing-profiles/p", ()),),
        account={"REGISTRY_POLICY_SCOPE": "V2"},
    )
    part = auditor(terms).audit_registry()
    assert unread(part) == {"registry-settings"}


@pytest.mark.parametrize("operation", NEEDED_OF_REGISTRY)
def test_a_refused_call_of_the_registry_is_not_assessed(aws: ModelledAws, operation: str) -> None:
    aws.answers[f"ecr:{operation}"] = refuse(aws, operation, "AccessDeniedException")
    part = auditor(RegistryTerms(allowed_regions=())).audit_registry()
    assert unread(part) == NEEDED_OF_REGISTRY[operation]
    assert all(part.counts[name].passed == 0 for name in NEEDED_OF_REGISTRY[operation])


def test_a_finding_has_the_owner_of_the_policy(aws: ModelledAws) -> None:
    owned = replace(auditor(), policy=replace(POLICY, owners={"shop-*": "team-shop"}))
    aws.answers["ecr:GetLifecyclePolicy"] = refuse(
        aws, "GetLifecyclePolicy", "LifecyclePolicyNotFoundException"
    )
    findings: tuple[AuditFinding, ...] = owned.audit("shop-dev").findings
    assert [(one.check.id, one.owner, one.resource.arn, one.resource.stage) for one in findings] == [
        ("repository-lifecycle-missing", "team-shop", ARN, "dev")
    ]
