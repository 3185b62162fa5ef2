"""The baseline with other clients, under enforced IAM: first pushes, who pushes where, and what each team may do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.images.age import age
from sandbox.images.build import MANIFEST as OCI_MANIFEST
from sandbox.images.build import build_image, build_index
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from tests.contract.served_cloud import ROOT
from tests.e2e.clients import Clients, needed, needed_docker
from tests.e2e.gate import Gate, running_gate
from tests.e2e.test_waivers import imagegate, user

ACCOUNT = "123456789012"
TEMPLATE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecr-templates"
POLICY = f"""version: 1
stages:
  dev:
    repositories: "dev/{{app}}"
    promotes_to: staging
    cleanup:
      scheduled: apply
      pulled_within: "off"
      keep_releases: 2
      rules: [{{tags: "old-*", older_than: 7d}}, {{untagged: true, older_than: 7d}}]
  staging:
    repositories: "staging/{{app}}"
    cleanup:
      pulled_within: "off"
      keep_releases: 2
      rules: [{{tags: "old-*", older_than: 7d}}, {{untagged: true, older_than: 7d}}]
baseline:
  drift: restore
  registry:
    template_role: {TEMPLATE_ROLE}
    replication:
      - to: [{{region: eu-west-1}}]
        prefixes: [staging/]
  stages:
    dev:
      preset: development
      create_on_push: true
    staging:
      preset: staging
      encryption: AES256
"""
PERMITTED = ("--parameter", "RestoreBaseline=on", "--parameter", "ScheduledCleanup=apply")
THEIRS = {
    "destinations": [{"region": "us-east-1", "registryId": ACCOUNT}],
    "repositoryFilters": [{"filter": "theirs/", "filterType": "PREFIX_MATCH"}],
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Start a gate whose registry is at the baseline: the baseline is applied once."""
    folder = tmp_path_factory.mktemp("baseline")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with running_gate(
        folder, "--policy", str(policy), "--parameter", "FindingsLogDays=90", *PERMITTED
    ) as running:
        _make_the_role_of_templates(running)
        ecr = running.cloud.client("ecr")
        ecr.put_replication_configuration(replicationConfiguration={"rules": [THEIRS]})
        applied = imagegate(running, "baseline", "apply", "--yes")
        assert applied.code == 0, applied
        yield running


def _make_the_role_of_templates(gate: Gate) -> None:
    """Create the role as the how-to guide says."""
    iam, name = gate.cloud.client("iam"), TEMPLATE_ROLE.rpartition("/")[2]
    trust = {"Effect": "Allow", "Principal": {"Service": "ecr.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    may = {"Effect": "Allow", "Action": ["ecr:CreateRepository", "ecr:TagResource"], "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(may))


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass(frozen=True)
class Person:
    """A member of a team, with the policy that `imagegate baseline iam` printed, and nothing else."""

    gate: Gate
    arn: str
    keys: dict[str, str]

    def client(self, service: str) -> Any:
        return self.gate.cloud.client(service, **{name.lower(): key for name, key in self.keys.items()})

    def clients(self, home: Path) -> Clients:
        return Clients.logged_in(self.gate, home, self.client("ecr"))


def member(gate: Gate, team: str, *stages: str, options: tuple[str, ...] = ()) -> Person:
    named = [part for stage in stages for part in ("--stage", stage)]
    printed = imagegate(gate, "baseline", "iam", team, *named, *options)
    assert printed.code == 0, printed
    return Person(gate, *user(gate, *printed.json["Statement"]))


def planned(gate: Gate, *names: str) -> Any:
    return imagegate(gate, "baseline", "plan", *names, "--json").json


@pytest.mark.parametrize("client", ["skopeo", "docker"])
def test_a_first_push_ends_at_the_baseline_and_released(gate: Gate, tmp_path: Path, client: str) -> None:
    needed("skopeo")
    if client == "docker":
        needed_docker()
    name = f"dev/first-{client}"
    image = build_image(tmp_path / "image", files={"app.txt": client.encode()}, tag="1.0")
    digest = push_with(client, member(gate, "ci", "dev"), f"{tmp_path}/image:1.0", name, tmp_path)
    assert digest == image.digest or client == "docker"
    assert gate.ended(name, digest)["outcome"] == "released"
    left = planned(gate, name)
    assert left["changes"] + left["failures"] + left["remarks"] == []
    later = name.replace("dev/", "staging/")
    described = gate.cloud.client("ecr").describe_images(repositoryName=later)
    assert digest in {one["imageDigest"] for one in described["imageDetails"]}
    assert planned(gate, later)["changes"] == []  # the promotion has made it


def test_a_setting_that_somebody_changes_is_put_back_and_people_read_who_it_was(gate: Gate) -> None:
    name, ecr = f"dev/drift-{uuid.uuid4().hex[:6]}", gate.cloud.client("ecr")
    assert imagegate(gate, "baseline", "apply", name, "--yes").code == 0
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    event = json.loads((ROOT / "events/cloudtrail_put_image_tag_mutability.json").read_text())
    event["detail"]["requestParameters"]["repositoryName"] = name
    functions = gate.cloud.client("lambda").list_functions()["Functions"]
    [function] = [one["FunctionName"] for one in functions if "ReconcileFunction" in one["FunctionName"]]
    answer = gate.cloud.client("lambda").invoke(FunctionName=f"{function}:live", Payload=json.dumps(event))
    assert json.loads(answer["Payload"].read()) == {"told": True}
    assert planned(gate, name)["changes"] == []
    [message] = [one for one in gate.messages() if one["subject"] == f"PUT BACK: {name}: tag mutability"]
    assert event["detail"]["userIdentity"]["arn"] in json.dumps(message)


def test_the_scheduled_clean_up_can_read_all_that_protects_images(gate: Gate) -> None:
    digest = gate.push("dev/cleaned", "old-1")
    assert gate.ended("dev/cleaned", digest)["outcome"] == "released"
    functions = gate.cloud.client("lambda").list_functions()["Functions"]
    [function] = [one["FunctionName"] for one in functions if "AuditFunction" in one["FunctionName"]]
    answer = gate.cloud.client("lambda").invoke(
        FunctionName=f"{function}:live", Payload=json.dumps({"detail-type": "Scheduled Event"})
    )
    assert json.loads(answer["Payload"].read()) == {"refused": []}
    assert gate.manifest("dev/cleaned", digest)


def test_a_clean_up_takes_exactly_what_nothing_needs_with_its_evidence(gate: Gate, tmp_path: Path) -> None:
    """One repository with everything that images can be; what goes in dev is deleted, in the last stage archived."""
    dev, staging, ecr = "dev/swept", "staging/swept", gate.cloud.client("ecr")
    index = build_index(tmp_path / "index", platforms={name: {} for name in ("linux/amd64", "linux/arm64")})
    images = {"index": push_image(gate, tmp_path / "index", f"{dev}:old-index")}
    for name, tag in {
        "plain": "old-plain",
        "runs": "old-runs",
        "untagged": "moving",
        "tagged": "moving",  # takes the tag of the image before
        "released": "old-released",
    }.items():
        images[name] = gate.push(dev, tag, name)
        assert gate.ended(dev, images[name])["outcome"] == "released"
    run_in_ecs(gate, f"{dev}@{images['runs']}")
    for repository in (dev, staging):
        age(SandboxReference(repository), 30, gate.session, gate.cloud.state)
    images["young"] = gate.push(dev, "old-young", "young")
    assert gate.ended(dev, images["young"])["outcome"] == "released"
    evidence = {name: evidence_of(gate, dev, digest) for name, digest in images.items()}
    assert all(evidence.values())

    stale = plan_of(gate, dev)
    sbom = attach_sbom(gate, dev, images["plain"])
    refused = imagegate(gate, "cleanup", "apply", stale["run"], "--yes")
    assert (refused.code, "is new" in refused.err) == (2, True), refused
    assert gate.manifest(dev, images["plain"]), "nothing goes if something changed"
    age(SandboxReference(dev, digest=sbom), 30, gate.session, gate.cloud.state)

    gone = {images[name] for name in ("index", "plain", "untagged")} | set(
        children_of(gate, dev, index.digest)
    )
    gone |= {sbom, *evidence["index"], *evidence["plain"], *evidence["untagged"]}
    plan = plan_of(gate, dev)
    assert {step["digest"] for step in plan["plans"][0]["steps"]} == gone
    reasons = {one["digest"]: " ".join(one["reasons"]) for one in plan["plans"][0]["kept"]}
    for name, why in {
        "runs": "the task ",
        "tagged": "no rule is about the tag moving",
        "released": "among the last 2 releases",
        "young": "less than a day ago",
    }.items():
        assert why in reasons[images[name]], name
    before = stored(ecr, dev)
    assert imagegate(gate, "cleanup", "apply", plan["run"], "--yes").code == 0
    assert before - stored(ecr, dev) == gone
    for name in ("runs", "tagged", "released", "young"):
        assert evidence_of(gate, dev, images[name]) == evidence[name]
    assert plan_of(gate, dev)["run"] is None
    shown = imagegate(gate, "cleanup", "show", f"{dev}@{images['plain']}")
    assert (shown.code, plan["plans"][0]["plan"] in shown.out) == (0, True), shown

    before = stored(ecr, staging)
    assert imagegate(gate, "cleanup", "apply", plan_of(gate, staging)["run"], "--yes").code == 0
    assert stored(ecr, staging) == before, "nothing is deleted in the last stage"
    assert images["plain"] in stored(ecr, staging, "ARCHIVED")
    assert images["released"] in stored(ecr, staging, "ACTIVE")
    assert gate.manifest(staging, images["plain"]) is None
    ecr.update_image_storage_class(
        repositoryName=staging, imageId={"imageDigest": images["plain"]}, targetStorageClass="STANDARD"
    )
    assert gate.manifest(staging, images["plain"])


def push_image(gate: Gate, layout: Path, reference: str) -> str:
    pushed = push(layout, SandboxReference.parse(reference), gate.session)
    assert gate.ended(pushed.repository, pushed.digest)["outcome"] == "released"
    return pushed.digest


def attach_sbom(gate: Gate, repository: str, digest: str) -> str:
    """Push an artifact about the image, made of its blobs; return the artifact's digest."""
    content = gate.manifest(repository, digest)
    assert content
    artifact = json.loads(content) | {
        "artifactType": "application/spdx+json",
        "subject": {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(content)},
    }
    put = gate.cloud.client("ecr").put_image(
        repositoryName=repository, imageManifest=json.dumps(artifact), imageManifestMediaType=OCI_MANIFEST
    )
    return str(put["image"]["imageId"]["imageDigest"])


def run_in_ecs(gate: Gate, image: str) -> None:
    ecs = gate.cloud.client("ecs")
    ecs.create_cluster(clusterName="swept")
    container = {
        "name": "app",
        "image": f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{image}",
        "memory": 64,
    }
    definition = ecs.register_task_definition(family="swept", containerDefinitions=[container])[
        "taskDefinition"
    ]
    ecs.run_task(cluster="swept", taskDefinition=definition["taskDefinitionArn"], launchType="FARGATE")


def evidence_of(gate: Gate, repository: str, digest: str) -> set[str]:
    return {str(one["digest"]) for one in gate.referrers(repository, digest)}


def children_of(gate: Gate, repository: str, digest: str) -> list[str]:
    return [one["digest"] for one in json.loads(gate.manifest(repository, digest) or b"{}")["manifests"]]


def stored(ecr: Any, repository: str, status: str = "ANY") -> set[str]:
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName=repository, filter={"imageStatus": status}
    )
    return {image["imageDigest"] for page in pages for image in page["imageDetails"]}


def plan_of(gate: Gate, repository: str) -> Any:
    planned = imagegate(gate, "cleanup", "plan", "--repository", repository, "--json")
    assert planned.code in (0, 1), planned.err
    return planned.json


def test_the_findings_log_has_each_scan_and_a_retention(gate: Gate) -> None:
    digest = gate.push("dev/logged", "1.0")
    logs, group = gate.cloud.client("logs"), "/aws/events/imagegate-findings"
    [described] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert described["retentionInDays"] == 90

    def look() -> bool:
        events = logs.filter_log_events(logGroupName=group)["events"]
        scans = [json.loads(one["message"])["detail"] for one in events]
        return ("dev/logged", digest) in {(one["repository-name"], one["image-digest"]) for one in scans}

    gate.eventually(look, "the scan is in the log")


def push_with(client: str, person: Person, layout: str, name: str, home: Path) -> str:
    """Push the image of a layout with this program, as that person; return its digest in the registry."""
    programs = person.clients(home)
    if client == "skopeo":
        programs.skopeo(f"oci:{layout}", f"docker://registry/{name}:1.0")
    else:
        programs.skopeo(f"oci:{layout}", f"docker-archive:{home}/image.tar:local:1.0")
        programs.docker("load", "--input", f"{home}/image.tar")
        programs.docker("tag", "local:1.0", f"registry/{name}:1.0")
        try:
            programs.docker("push", f"registry/{name}:1.0")
        finally:
            programs.forget_images()
    listed = person.gate.cloud.client("ecr").describe_images(
        repositoryName=name, imageIds=[{"imageTag": "1.0"}]
    )
    return str(listed["imageDetails"][0]["imageDigest"])


def test_only_the_gate_pushes_into_a_later_stage_and_the_plan_says_who_else_is_let_in(gate: Gate) -> None:
    name = f"staging/only-{uuid.uuid4().hex[:6]}"
    assert imagegate(gate, "baseline", "apply", name, "--yes").code == 0
    admin = gate.cloud.client("ecr")
    everything = {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}
    for statements in ([], [everything]):
        pusher = Person(gate, *user(gate, {**everything, "Action": "ecr:GetAuthorizationToken"}, *statements))
        let_in = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": pusher.arn}, "Action": "ecr:*"}
        own = json.loads(admin.get_repository_policy(repositoryName=name)["policyText"])["Statement"]
        ours = [one for one in own if one["Sid"] != "Theirs"]
        admin.set_repository_policy(repositoryName=name, policyText=document(*ours, let_in))
        pusher.client("ecr").describe_images(repositoryName=name)
        with pytest.raises(ClientError, match="AccessDenied"):
            pusher.client("ecr").initiate_layer_upload(repositoryName=name)
    left = planned(gate, name)
    assert left["changes"] == []
    [remark] = left["remarks"]
    assert "statement Theirs lets" in remark["text"]
    assert "SetRepositoryPolicy" in remark["text"]


def test_a_promotion_still_gets_in(gate: Gate) -> None:
    application = f"in-{uuid.uuid4().hex[:6]}"
    assert imagegate(gate, "baseline", "apply", f"staging/{application}", "--yes").code == 0
    digest = gate.push(f"dev/{application}", "1.0")
    assert gate.ended(f"dev/{application}", digest)["outcome"] == "released"
    assert gate.manifest(f"staging/{application}", "1.0")
    assert gate.signatures(f"staging/{application}", digest)


def test_a_second_apply_changes_nothing_and_a_foreign_rule_is_there(gate: Gate) -> None:
    ecr = gate.cloud.client("ecr")
    before = ecr.describe_registry()["replicationConfiguration"]["rules"]
    assert THEIRS in before
    again = imagegate(gate, "baseline", "apply", "--yes")
    assert again.code == 0, again
    assert ecr.describe_registry()["replicationConfiguration"]["rules"] == before
    assert planned(gate, "(registry)")["changes"] == []


# Each team: calls that it may make, and calls that it may not, on a repository of dev and one of staging.
Call = tuple[str, dict[str, Any]]
DESCRIBE: Call = ("describe_images", {})
PULL = ("batch_get_image", {"imageIds": [{"imageTag": "1.0"}]})
PUSH: Call = ("initiate_layer_upload", {})
SET = ("set_repository_policy", {"policyText": document()})
DELETE = ("batch_delete_image", {"imageIds": [{"imageTag": "none"}]})
SETTINGS: Call = ("get_lifecycle_policy", {})
TEAMS: dict[str, tuple[list[Call], list[Call]]] = {
    "developer": ([DESCRIBE, PULL, PUSH], [SET, DELETE, SETTINGS]),
    "ci": ([DESCRIBE, PULL, PUSH], [SET, DELETE, SETTINGS]),
    "approver": ([DESCRIBE], [PULL, PUSH, SET, DELETE]),
    "auditor": ([DESCRIBE, SETTINGS], [PULL, PUSH, SET, DELETE]),
    "break-glass": ([DESCRIBE, PULL], [PUSH, SET, DELETE]),
}


@pytest.fixture(scope="module")
def released(gate: Gate) -> str:
    """Release an image; return the application."""
    assert gate.ended("dev/teams", gate.push("dev/teams", "1.0"))["outcome"] == "released"
    return "teams"


@pytest.mark.parametrize("team", TEAMS)
def test_a_team_may_do_its_work_and_nothing_else(gate: Gate, released: str, team: str) -> None:
    person = member(gate, team, "dev")
    may, may_not = TEAMS[team]
    for call in may:
        assert refusal(person, f"dev/{released}", call) != "AccessDeniedException", call
        assert refusal(person, f"staging/{released}", call) == "AccessDeniedException", call
    for call in may_not:
        assert refusal(person, f"dev/{released}", call) == "AccessDeniedException", call
    both = member(gate, team, "dev", "staging")
    assert refusal(both, f"staging/{released}", DESCRIBE) is None
    assert refusal(both, f"staging/{released}", PUSH) == "AccessDeniedException"


def refusal(person: Person, name: str, call: Call) -> str | None:
    operation, parameters = call
    try:
        getattr(person.client("ecr"), operation)(repositoryName=name, **parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


@pytest.mark.parametrize(
    ("options", "may"),
    [
        (("--environment", "development"), True),
        (("--environment", "production"), False),
        (("--from", "127.0.0.0/8"), True),
        (("--from", "10.0.0.0/8"), False),
        (("--from", "10.0.0.0/8", "--vpc", "vpc-0a1b2c3d"), False),
        (("--vpc-endpoint", "vpce-0a1b2c3d"), False),
    ],
)
def test_a_team_is_bound_to_tags_and_networks(
    gate: Gate, released: str, options: tuple[str, ...], *, may: bool
) -> None:
    _at_the_baseline(gate, released)
    person = member(gate, "developer", "dev", options=options)
    assert (refusal(person, f"dev/{released}", DESCRIBE) is None) is may


def _at_the_baseline(gate: Gate, application: str) -> None:
    """Give the repository its tags: the sandbox's own push has created it without."""
    assert imagegate(gate, "baseline", "apply", f"dev/{application}", "--yes").code == 0


def test_whoever_is_within_the_boundary_stays_within_it(gate: Gate, released: str) -> None:
    iam = gate.cloud.client("iam")
    boundary = imagegate(gate, "baseline", "iam", "boundary").json
    own = iam.create_policy(PolicyName="imagegate-boundary", PolicyDocument=json.dumps(boundary))["Policy"]
    role = iam.create_role(
        RoleName="built-by-a-team", AssumeRolePolicyDocument=document(), PermissionsBoundary=own["Arn"]
    )["Role"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=document(everything))
    session = gate.cloud.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
    keys = {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }
    person = Person(gate, role["Arn"], keys)
    assert refusal(person, f"dev/{released}", PUSH) is None
    for call in (PUSH, SET, DELETE):
        assert refusal(person, f"staging/{released}", call) == "AccessDeniedException", call
    assert refusal(person, f"dev/{released}", SET) == "AccessDeniedException"
    theirs = {"RoleName": role["RoleName"]}
    payload = {"payload": b"{}", "payloadFormat": "application/vnd.cncf.notary.payload.v1+json"}
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("iam", "delete_role_permissions_boundary", theirs),
        ("iam", "create_policy_version", {"PolicyArn": own["Arn"], "PolicyDocument": document(everything)}),
        ("iam", "create_role", {"RoleName": "free", "AssumeRolePolicyDocument": document(everything)}),
        ("signer", "sign_payload", {"profileName": "imagegate__dev", **payload}),
    ]
    for service, operation, parameters in attempts:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(person.client(service), operation)(**parameters)
