"""`imagegate audit`: what it finds over a registry in moto, what it remembers, and how it exits."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from imagegate.audit.account import AccountFacts
from imagegate.audit.checks import CATALOGUE, AuditSubject
from imagegate.aws.audit.account import AwsAccount
from imagegate.aws.audit.reports import S3AuditReports
from imagegate.aws.audit.settings import EcrAuditSettings
from imagegate.aws.cleanup.images import EcrStoredImages
from imagegate.aws.cleanup.users import AwsImageUsers
from imagegate.errors import AccessRefusedError
from tests.component.baselines import GATE_ROLE, STAGES, Shop, gate, shop
from tests.component.cli_gate import Result

__all__ = ["gate", "shop"]
BUCKET = "imagegate-records-1"
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "x" * 60,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
            "action": {"type": "expire"},
        }
    ]
}
SETTINGS = {
    name
    for name, check in CATALOGUE.items()
    if check.subject in (AuditSubject.REPOSITORY, AuditSubject.REGISTRY)
}


@pytest.fixture
def audited(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Make a registry that is as its policy says: one repository, with everything that a check asks for."""
    s3 = boto3.client("s3", region_name="eu-central-1")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    shop.gate.outputs |= {"RecordsBucket": BUCKET, "LedgerTable": "ledger", "PushRoles": GATE_ROLE}
    shop.gate.outputs |= {"SignImageRole": GATE_ROLE, "SigningProfilePrefix": "imagegate"}
    monkeypatch.setattr(AwsImageUsers, "running", lambda *_: ([], []))
    good_account = AccountFacts(root_has_mfa=True, trails=["trail"], endpoints=["endpoint"])
    monkeypatch.setattr(AwsAccount, "facts", lambda *_: good_account)
    monkeypatch.setattr(EcrStoredImages, "reads_are_pulls", lambda _: True)
    monkeypatch.setattr(EcrAuditSettings, "_frequency", by_its_own_setting)
    shop.says(stages={"dev": {"tag_mutability": "immutable", "scan_on_push": True}})
    good(shop, "shop-dev")
    return shop


def by_its_own_setting(settings: EcrAuditSettings, name: str) -> str:
    """Answer for moto, which knows no rules of the registry."""
    described = settings.read("describe_repositories", repositoryNames=[name])["repositories"][0]
    return "SCAN_ON_PUSH" if described["imageScanningConfiguration"]["scanOnPush"] else "MANUAL"


def good(shop: Shop, name: str) -> None:
    shop.makes(name, imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True})
    shop.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(LIFECYCLE))


def audit(shop: Shop, *options: str) -> tuple[Result, dict[str, Any]]:
    result = shop.gate.call("audit", "--format", "json", *options)
    return result, result.json


def states(document: dict[str, Any]) -> dict[str, str]:
    return {f"{one['check']} {one['resource']['repository']}": one["state"] for one in document["findings"]}


def a_day_later(shop: Shop) -> None:
    shop.gate.now += timedelta(days=1)


def test_a_registry_as_its_policy_says_has_no_finding(audited: Shop) -> None:
    result, document = audit(audited)
    assert states(document) == {}
    assert document["notAssessed"] == []
    assert result.code == 0
    assert document["counts"].keys() >= SETTINGS
    assert document["counts"]["repository-scan-off"] == {"passed": 1, "failed": 0}


def test_a_registry_without_repositories_is_audited(audited: Shop) -> None:
    audited.ecr.delete_repository(repositoryName="shop-dev", force=True)
    result, document = audit(audited)
    assert (result.code, document["repositories"], document["findings"]) == (0, 0, [])


def test_a_scope_without_a_repository_is_refused(audited: Shop) -> None:
    refused = audited.gate.call("audit", "--repository", "nosuch-*")
    assert refused.code == 2
    assert "no repository of the registry is named nosuch-*" in refused.err


def test_every_repository_of_every_page_is_audited(audited: Shop) -> None:
    for number in range(101):
        audited.makes(f"app{number}-dev")
    _, document = audit(audited)
    assert document["repositories"] == 102
    assert document["counts"]["repository-scan-off"] == {"passed": 1, "failed": 101}


def test_a_finding_is_new_open_and_resolved_from_one_audit_to_the_next(audited: Shop) -> None:
    audited.makes("cart-dev", imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True})
    first, one = audit(audited)
    a_day_later(audited)
    second, two = audit(audited)
    audited.ecr.put_lifecycle_policy(repositoryName="cart-dev", lifecyclePolicyText=json.dumps(LIFECYCLE))
    third, three = audit(audited)
    name = "repository-lifecycle-missing cart-dev"
    assert [states(each) for each in (one, two, three)] == [{name: "new"}, {name: "open"}, {name: "resolved"}]
    assert two["findings"][0]["firstSeen"] == one["takenAt"]
    assert [first.code, second.code, third.code] == [0, 0, 0]  # medium
    versions = boto3.client("s3", region_name="eu-central-1").list_object_versions(Bucket=BUCKET)
    assert len(versions["Versions"]) == 3


def test_a_look_at_some_repositories_changes_nothing_about_the_others(audited: Shop) -> None:
    audited.makes("cart-dev", "cart-staging")
    _, whole = audit(audited)
    a_day_later(audited)
    result, some = audit(audited, "--repository", "cart-d*")
    assert some["repositories"] == 1
    assert set(states(some)) == set(states(whole))
    assert "stored" not in result.err
    _, again = audit(audited)
    assert set(states(again).values()) == {"open"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--fail-on", "critical"], 0),
        (["--fail-on", "high"], 1),
        (["--fail-on", "low"], 1),
        (["--fail-on", "none"], 0),
    ],
)
def test_the_exit_code_says_whether_a_finding_is_as_grave(
    audited: Shop, options: list[str], code: int
) -> None:
    audited.makes("cart-dev")  # not scanned: high
    assert audit(audited, *options)[0].code == code


def refuse(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, method)

    def refused(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(EcrAuditSettings, method, refused)


@pytest.mark.parametrize("method", ["names", "read_repository", "read_registry", "_frequency"])
def test_an_error_is_not_assessed_exits_with_2_and_resolves_nothing(
    audited: Shop, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    audited.makes("cart-dev")
    _, before = audit(audited)
    audited.ecr.put_image_scanning_configuration(
        repositoryName="cart-dev", imageScanningConfiguration={"scanOnPush": True}
    )
    refuse(monkeypatch, method)
    result, after = audit(audited)
    assert after["notAssessed"]
    assert all("AccessDenied" in one["reason"] or "no" in one["reason"] for one in after["notAssessed"])
    is_hidden = method in ("names", "read_repository", "_frequency")
    scan = "repository-scan-off cart-dev"
    assert states(before)[scan] == "new"
    assert states(after)[scan] == ("open" if is_hidden else "resolved")
    assert result.code == (1 if is_hidden else 2)
    unread = {one["check"] for one in after["notAssessed"]}
    assert all(after["counts"][name]["passed"] == 0 for name in unread & SETTINGS)


def test_a_waiver_of_the_policy_counts_and_its_end_opens_the_finding_again(audited: Shop) -> None:
    audited.makes("cart-dev")
    policy = yaml.safe_load(audited.gate.policy_content)
    expires = audited.gate.now.date() + timedelta(days=1)
    policy["waivers"] = [
        {
            "rule": f"audit.{check}",
            "repositories": "cart-*",
            "owner": "ann@example.com",
            "reason": "goes away soon",
            "expires": expires,
        }
        for check in ("repository-scan-off", "repository-tags-mutable", "repository-lifecycle-missing")
    ]
    audited.gate.policy_content = yaml.safe_dump(policy).encode()
    result, document = audit(audited)
    assert set(states(document).values()) == {"waived"}
    assert {one["waiverReason"] for one in document["findings"]} == {"goes away soon"}
    assert result.code == 0
    a_day_later(audited)
    a_day_later(audited)
    result, document = audit(audited)
    assert set(states(document).values()) == {"open"}
    assert result.code == 1


def test_without_a_stack_a_policy_file_is_enough_and_the_ledger_is_missed(
    audited: Shop, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagegate_cli.audit import opening

    monkeypatch.setattr(opening, "_stack", lambda *_: None)
    file = tmp_path / "policy.yaml"
    file.write_bytes(yaml.safe_dump({"version": 1, "stages": STAGES}).encode())
    audited.makes("cart-dev")
    result, document = audit(audited, "--policy", str(file))
    assert "repository-scan-off cart-dev" in states(document)
    reasons = {one["reason"] for one in document["notAssessed"] if one["check"] == "image-unsigned"}
    assert reasons == {"there is no stack here, and with it no ledger"}
    assert document["counts"]["access-root-mfa"] == {"passed": 1, "failed": 0}
    assert document["counts"]["access-push"] == {"passed": 0, "failed": 0}
    assert result.code == 1


def test_images_from_outside_that_run_are_found_here_too_unless_the_stack_allows_them(
    audited: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [("docker.io/library/nginx:1", "the service web"), ("quay.io/x/y:2", "the function f")]
    monkeypatch.setattr(AwsImageUsers, "running", lambda *_: (running, []))
    allowed = {"DeploymentCheckAllowedImages": "docker.io/library/nginx"}
    audited.gate.parameters |= allowed
    _, document = audit(audited)
    found = [one["resource"]["arn"] for one in document["findings"] if one["check"] == "image-runs-foreign"]
    assert found == ["quay.io/x/y:2"]


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "asff", "oscal"])
def test_every_format_is_written_to_a_file(audited: Shop, tmp_path: Any, form: str) -> None:
    audited.makes("cart-dev")
    file = tmp_path / "report"
    result = audited.gate.call("audit", "--format", form, "--output", str(file))
    assert (result.code, result.out) == (1, "")
    assert "cart-dev" in file.read_text()


def test_controls_say_what_supports_them(audited: Shop) -> None:
    result = audited.gate.call("audit", "--controls")
    assert "1 of 1 results pass (100 %); supported by repository-scan-off" in result.out
    assert "proves no compliance" in result.out
    listed = audited.gate.call("audit", "--controls", "--format", "json").json
    assert {one["framework"] for one in listed} >= {"soc-2", "gdpr"}


def test_the_page_has_the_trend_of_the_reports_before(audited: Shop, tmp_path: Path) -> None:
    file = tmp_path / "audit.html"
    page = ("audit", "--format", "html", "--output", str(file))
    audited.gate.call(*page)
    assert "the next one has a trend" in file.read_text()
    audited.makes("cart-dev")
    for _ in range(13):
        a_day_later(audited)
        audited.gate.call("audit")
    a_day_later(audited)
    audited.gate.call(*page)
    text = file.read_text()
    days = re.findall(r'<th scope="row"><time datetime="([0-9-]+)T', text)
    assert len(days) == 8  # seven of the fourteen before, evenly spaced, and this one
    assert days == sorted(set(days))
    assert "Findings over time: " in text


def test_a_page_without_reports_before_says_why(audited: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AccessRefusedError("no")

    monkeypatch.setattr(S3AuditReports, "earlier", refuse)
    result = audited.gate.call("audit", "--format", "html")
    assert "the page has no trend: no" in result.err
    assert result.out.startswith("<!doctype html>")
