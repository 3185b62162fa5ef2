"""Settings of throw-away repositories, and a creation template for names of this run alone."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tests.contract.recorder import content
from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.repository import Repository, repository

CHAPTER = "ECR: settings of repositories and of the registry"
# The calls whose records the reconciler reads, with the parameter that names the subject; "" is the registry.
_RECORDED = {
    **dict.fromkeys(
        (
            *(
                "CreateRepository",
                "PutImageTagMutability",
                "PutImageScanningConfiguration",
                "PutLifecyclePolicy",
            ),
            *("DeleteLifecyclePolicy", "SetRepositoryPolicy", "DeleteRepositoryPolicy"),
        ),
        "repositoryName",
    ),
    **dict.fromkeys(("TagResource", "UntagResource"), "resourceArn"),
    **dict.fromkeys(
        (
            *("PutRegistryScanningConfiguration", "PutReplicationConfiguration", "PutRegistryPolicy"),
            *(
                "DeleteRegistryPolicy",
                "PutSigningConfiguration",
                "DeleteSigningConfiguration",
                "PutAccountSetting",
            ),
            *("CreatePullThroughCacheRule", "UpdatePullThroughCacheRule", "DeletePullThroughCacheRule"),
            *("CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"),
            "DeleteRepositoryCreationTemplate",
        ),
        "",
    ),
}
_LOOKUP_PAUSE = 0.6  # seconds: two lookups a second are permitted


@behaviour(CHAPTER, "unverified: that ECR adds and orders nothing", None)
def documents_come_back_as_they_were_put(bench: Bench) -> None:
    """A lifecycle policy and a repository policy are the same JSON when they are read again."""
    repo = repository(bench)
    rule = {
        "rulePriority": 1,
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": 9,
        },
        "action": {"type": "expire"},
    }
    statement = {
        "Sid": "Pull",
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:{bench.partition}:iam::{bench.account}:root"]},
        "Action": ["ecr:BatchGetImage"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    repo.do("PutLifecyclePolicy", lifecyclePolicyText=json.dumps({"rules": [rule]}))
    repo.do("SetRepositoryPolicy", policyText=json.dumps(policy))
    lifecycle = json.loads(repo.do("GetLifecyclePolicy")["lifecyclePolicyText"])
    bench.observe("the lifecycle policy is the same", lifecycle == {"rules": [rule]})
    found = json.loads(repo.do("GetRepositoryPolicy")["policyText"])
    bench.observe("the repository policy is the same", found == policy)
    [kept] = found["Statement"]
    bench.observe("a list of one action is still a list", kept["Action"] == statement["Action"])


@behaviour(
    CHAPTER,
    "model, GetLifecyclePolicy, GetRepositoryPolicy and DescribeRepositories",
    ("LifecyclePolicyNotFoundException", "RepositoryPolicyNotFoundException", "RepositoryNotFoundException"),
)
def what_was_never_set_is_not_found(bench: Bench) -> None:
    """A repository without a document is an error of its own; a list with an absent repository is refused whole."""
    repo = repository(bench)
    repo.ask("GetLifecyclePolicy")
    repo.ask("GetRepositoryPolicy")
    bench.ask("ecr", "DescribeRepositories", repositoryNames=[repo.name, f"{repo.name}-missing"])


@behaviour(CHAPTER, 'Amazon ECR user guide, "Repository creation templates"', None)
def a_first_push_makes_a_repository_by_its_template(bench: Bench) -> None:
    """A push into a missing repository below a template's prefix makes it, with the template's settings."""
    prefix = bench.name()
    _template(bench, prefix, imageTagMutability="IMMUTABLE")
    repo = Repository(bench, f"{prefix}/first")
    bench.throw_away.add(f"repository {repo.name}", partial(repo.do, "DeleteRepository", force=True))
    manifest = content.manifest_of([content.descriptor(content.EMPTY_CONTENT, "application/octet-stream")])
    for blob in (content.EMPTY_CONTENT, content.config()):
        _push_blob(repo, blob)
    headers = {"Content-Type": content.MANIFEST}
    repo.http("PUT", "manifests/v1", body=manifest, headers=headers)
    bench.ask(
        "ecr", "DescribeRepositories", show="repositories[].imageTagMutability", repositoryNames=[repo.name]
    )


@behaviour(CHAPTER, "unverified: what an update leaves out", None)
def an_update_of_a_template_without_a_field(bench: Bench) -> None:
    """An update that names the description alone leaves the other fields, or sets their defaults."""
    prefix = bench.name()
    _template(bench, prefix, imageTagMutability="IMMUTABLE")
    bench.ask("ecr", "UpdateRepositoryCreationTemplate", prefix=prefix, description="other")
    show = "repositoryCreationTemplates[].[imageTagMutability, appliedFor]"
    bench.ask("ecr", "DescribeRepositoryCreationTemplates", show=show, prefixes=[prefix])


@behaviour(
    CHAPTER,
    'Amazon ECR user guide, "Logging Amazon ECR actions with AWS CloudTrail"; the parameters are unverified',
    None,
    looser="the sandbox has no CloudTrail",
)
def recorded_calls_name_what_they_changed(bench: Bench) -> None:
    """The newest record of each call that changes settings has the parameter by which the reconciler finds its subject.

    Calls of the last quarter of an hour may be missing: record this behaviour once more after that time.
    """
    for event, parameter in _RECORDED.items():
        fact = f"{event} names {parameter or 'the registry'}"
        try:
            request = _newest_request(bench, event)
        except ClientError:
            bench.observe(f"{fact}: no history", is_so=False)
            return
        if request is None:
            bench.observe(f"{fact}: none in 90 days", is_so=False)
        else:
            bench.observe(
                fact, bool(request.get(parameter)) if parameter else "repositoryName" not in request
            )


def _newest_request(bench: Bench, event: str) -> dict[str, Any] | None:
    """Return the parameters of the newest successful call, or None if the history has none."""
    bench.until(lambda: False, 0 if bench.is_loopback else _LOOKUP_PAUSE)
    wanted = [{"AttributeKey": "EventName", "AttributeValue": event}]
    for one in bench.do("cloudtrail", "LookupEvents", LookupAttributes=wanted, MaxResults=50)["Events"]:
        record = json.loads(one["CloudTrailEvent"])
        if record["eventSource"] == "ecr.amazonaws.com" and "errorCode" not in record:
            return record.get("requestParameters") or {}
    return None


def _template(bench: Bench, prefix: str, **settings: Any) -> None:
    delete = partial(bench.do, "ecr", "DeleteRepositoryCreationTemplate", prefix=prefix)
    wanted = {"prefix": prefix, "appliedFor": ["CREATE_ON_PUSH"], **settings}
    bench.make(f"template {prefix}", delete, "ecr", "CreateRepositoryCreationTemplate", **wanted)


def _push_blob(repo: Repository, blob: bytes) -> None:
    started = repo.http("POST", "blobs/uploads/")
    if started.status == 202:
        join = "&" if "?" in started.location else "?"
        digest = content.digest_of(blob)
        headers = {"Content-Type": "application/octet-stream"}
        path = f"{started.location}{join}digest={digest}"
        repo.http("PUT", path, label="<upload>", body=blob, headers=headers)
