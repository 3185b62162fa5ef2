"""ECR's JSON API in the sandbox answers as AWS's service model and guide say, on the registry's images."""

from __future__ import annotations

import json
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from tests.contract.registry_sandbox import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Repository,
    Sandbox,
    digest_of,
)
from tests.patience import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def ecr(sandbox: Sandbox) -> Any:
    return sandbox.client("ecr")


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def put(repo: Repository, ecr: Any, content: bytes, **more: Any) -> Any:
    return ecr.put_image(repositoryName=repo.name, imageManifest=content.decode(), **more)["image"]


# PutImage


def test_the_digest_is_that_of_the_manifest_bytes(repo: Repository, ecr: Any) -> None:
    content = repo.image_manifest(annotations={"text": "a&imageTag=evil&b"})
    image = put(repo, ecr, content, imageTag="v1", imageManifestMediaType=OCI_MANIFEST)
    assert image["imageId"] == {"imageDigest": digest_of(content), "imageTag": "v1"}
    assert repo.call("GET", "manifests/v1").data == content


def test_a_put_with_another_digest_is_refused(repo: Repository, ecr: Any) -> None:
    text = repo.image_manifest().decode()
    other = {"repositoryName": repo.name, "imageManifest": text, "imageDigest": digest_of(b"x")}
    assert refusal(ecr.put_image, **other) == "ImageDigestDoesNotMatchException"


def test_missing_layers_and_children_are_named(repo: Repository, ecr: Any, sandbox: Sandbox) -> None:
    foreign = sandbox.repository().image_manifest(b"not here").decode()
    name = {"repositoryName": repo.name}
    assert refusal(ecr.put_image, imageManifest=foreign, **name) == "LayersNotFoundException"
    child = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"x"), "size": 1}
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]})
    code = refusal(ecr.put_image, imageManifest=index, **name)
    assert code == "ReferencedImagesNotFoundException"


def test_the_same_image_under_the_same_tag_exists_already(repo: Repository, ecr: Any) -> None:
    text = repo.image_manifest().decode()
    again = {"repositoryName": repo.name, "imageManifest": text, "imageTag": "v1"}
    ecr.put_image(**again)
    assert refusal(ecr.put_image, **again) == "ImageAlreadyExistsException"
    untagged = {key: value for key, value in again.items() if key != "imageTag"}
    assert refusal(ecr.put_image, **untagged) == "ImageAlreadyExistsException"
    ecr.put_image(**again | {"imageTag": "v2"})
    [details] = ecr.describe_images(repositoryName=repo.name)["imageDetails"]
    assert details["imageTags"] == ["v1", "v2"]


@pytest.mark.parametrize(
    ("mutability", "tag", "is_free"),
    [
        ("IMMUTABLE", "v1", False),
        ("MUTABLE", "v1", True),
        ("IMMUTABLE_WITH_EXCLUSION", "v1", False),
        ("IMMUTABLE_WITH_EXCLUSION", "dev-1", True),
        ("MUTABLE_WITH_EXCLUSION", "v1", True),
        ("MUTABLE_WITH_EXCLUSION", "dev-1", False),
    ],
)
def test_a_taken_tag_moves_only_where_it_is_mutable(
    sandbox: Sandbox, ecr: Any, mutability: str, tag: str, is_free: bool
) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    options: dict[str, Any] = {"imageTagMutability": mutability}
    if "EXCLUSION" in mutability:
        options["imageTagMutabilityExclusionFilters"] = filters
    repo = sandbox.repository(**options)
    repo.image(tag, b"one")
    other = repo.image_manifest(b"two")
    if is_free:
        assert put(repo, ecr, other, imageTag=tag)["imageId"]["imageDigest"] == digest_of(other)
    else:
        arguments = {"repositoryName": repo.name, "imageManifest": other.decode(), "imageTag": tag}
        assert refusal(ecr.put_image, **arguments) == "ImageTagAlreadyExistsException"


# Reading


def test_a_manifest_is_given_byte_for_byte(repo: Repository, ecr: Any) -> None:
    content = repo.image_manifest()
    repo.manifest(content, "v1")
    answer = ecr.batch_get_image(
        repositoryName=repo.name,
        imageIds=[{"imageTag": "v1"}, {"imageTag": "absent"}],
        acceptedMediaTypes=[OCI_MANIFEST],
    )
    assert answer["images"][0]["imageManifest"].encode() == content
    assert answer["images"][0]["imageManifestMediaType"] == OCI_MANIFEST
    assert answer["failures"][0]["failureCode"] == "ImageNotFound"
    assert answer["failures"][0]["imageId"] == {"imageTag": "absent"}


def test_an_index_is_given_byte_for_byte_when_its_type_is_accepted(repo: Repository, ecr: Any) -> None:
    child = repo.image_manifest()
    repo.manifest(child)
    listed = {"mediaType": OCI_MANIFEST, "digest": digest_of(child), "size": len(child)}
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed]}, indent=3).encode()
    repo.manifest(index, "v1", OCI_INDEX)
    wanted = {"imageIds": [{"imageTag": "v1"}], "acceptedMediaTypes": [OCI_MANIFEST, OCI_INDEX]}
    [found] = ecr.batch_get_image(repositoryName=repo.name, **wanted)["images"]
    assert found["imageManifest"].encode() == index
    assert found["imageManifestMediaType"] == OCI_INDEX


def test_an_image_of_a_type_that_is_not_accepted_is_not_found(repo: Repository, ecr: Any) -> None:
    repo.image("v1")
    wanted = {"imageIds": [{"imageTag": "v1"}], "acceptedMediaTypes": [OCI_INDEX]}
    assert ecr.batch_get_image(repositoryName=repo.name, **wanted)["images"] == []


def test_a_tag_that_is_on_another_digest_is_said(repo: Repository, ecr: Any) -> None:
    repo.image("v1", b"one")
    other = repo.image("v2", b"two")
    wanted = [{"imageTag": "v1", "imageDigest": other}]
    answer = ecr.batch_get_image(repositoryName=repo.name, imageIds=wanted)
    assert answer["failures"][0]["failureCode"] == "ImageTagDoesNotMatchDigest"


def test_describe_images_tells_types_sizes_and_subjects(repo: Repository, ecr: Any) -> None:
    subject = repo.image("v1", b"0123456789")
    repo.artifact(subject, "application/x-test")
    image, artifact = ecr.describe_images(repositoryName=repo.name)["imageDetails"]
    assert image["imageManifestMediaType"] == OCI_MANIFEST
    assert image["artifactMediaType"] == OCI_CONFIG
    assert image["imageSizeInBytes"] == 10 + len(b'{"architecture": "amd64", "os": "linux"}')
    assert image["imageStatus"] == "ACTIVE"
    assert "subjectManifestDigest" not in image
    assert artifact["artifactMediaType"] == "application/x-test"
    assert artifact["subjectManifestDigest"] == subject
    assert "imageTags" not in artifact


def test_the_push_time_is_that_of_the_first_push(repo: Repository, ecr: Any) -> None:
    digest = repo.image("v1")
    [before] = ecr.describe_images(repositoryName=repo.name)["imageDetails"]
    repo.image("v2")
    wanted = [{"imageDigest": digest}]
    [after] = ecr.describe_images(repositoryName=repo.name, imageIds=wanted)["imageDetails"]
    assert after["imagePushedAt"] == before["imagePushedAt"]


def test_describe_images_pages_and_filters(repo: Repository, ecr: Any) -> None:
    tagged = [repo.image(f"v{number}", bytes([number])) for number in range(3)]
    repo.image(None, b"untagged")
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName=repo.name,
        filter={"tagStatus": "TAGGED"},
        PaginationConfig={"PageSize": 2},
    )
    found = [[image["imageDigest"] for image in page["imageDetails"]] for page in pages]
    assert found == [tagged[:2], tagged[2:]]
    name = {"repositoryName": repo.name}
    untagged = ecr.list_images(filter={"tagStatus": "UNTAGGED"}, **name)["imageIds"]
    assert [set(image) for image in untagged] == [{"imageDigest"}]
    archived = ecr.describe_images(filter={"imageStatus": "ARCHIVED"}, **name)
    assert archived["imageDetails"] == []
    assert refusal(ecr.describe_images, nextToken="x", **name) == "InvalidParameterException"


def test_an_absent_image_or_repository_is_not_found(repo: Repository, ecr: Any) -> None:
    absent = {"repositoryName": repo.name, "imageIds": [{"imageTag": "absent"}]}
    assert refusal(ecr.describe_images, **absent) == "ImageNotFoundException"
    nowhere = refusal(ecr.describe_images, repositoryName="not/there")
    assert nowhere == "RepositoryNotFoundException"
    taken = refusal(ecr.create_repository, repositoryName=repo.name)
    assert taken == "RepositoryAlreadyExistsException"


def test_the_repository_uri_is_where_clients_can_push(repo: Repository, ecr: Any) -> None:
    [described] = ecr.describe_repositories(repositoryNames=[repo.name])["repositories"]
    assert described["repositoryUri"] == f"{repo.sandbox.settings.registry}/{repo.name}"


# Referrers


def test_referrers_are_listed_with_their_descriptor(repo: Repository, ecr: Any) -> None:
    subject = repo.image("v1")
    digest = repo.artifact(subject, "application/x-test", "note")
    name = {"repositoryName": repo.name, "subjectId": {"imageDigest": subject}}
    [referrer] = ecr.list_image_referrers(**name)["referrers"]
    assert referrer["digest"] == digest
    assert referrer["artifactType"] == "application/x-test"
    assert referrer["annotations"] == {"text": "note"}
    assert referrer["artifactStatus"] == "ACTIVE"
    assert referrer["size"] == len(repo.call("GET", f"manifests/{digest}").data)
    nothing = ecr.list_image_referrers(filter={"artifactTypes": ["application/x-other"]}, **name)
    assert nothing["referrers"] == []


def test_referrers_come_in_pages_of_fifty_at_most(repo: Repository, ecr: Any) -> None:
    subject = repo.image("v1")
    pushed = {repo.artifact(subject, text=str(number)) for number in range(51)}
    name = {"repositoryName": repo.name, "subjectId": {"imageDigest": subject}}
    first = ecr.list_image_referrers(**name)
    second = ecr.list_image_referrers(nextToken=first["nextToken"], **name)
    assert (len(first["referrers"]), len(second["referrers"])) == (50, 1)
    assert "nextToken" not in second
    assert {r["digest"] for r in first["referrers"] + second["referrers"]} == pushed


# Layers


def test_layers_go_in_by_parts_and_come_out_by_address(repo: Repository, ecr: Any) -> None:
    name = {"repositoryName": repo.name}
    upload = ecr.initiate_layer_upload(**name)
    assert upload["partSize"] <= 20_971_520
    part = {"uploadId": upload["uploadId"], **name}
    first = {"partFirstByte": 0, "partLastByte": 4, "layerPartBlob": b"01234"}
    assert ecr.upload_layer_part(**first, **part)["lastByteReceived"] == 4
    assert refusal(ecr.upload_layer_part, **first, **part) == "InvalidLayerPartException"
    ecr.upload_layer_part(partFirstByte=5, partLastByte=6, layerPartBlob=b"56", **part)
    digest = digest_of(b"0123456")
    assert ecr.complete_layer_upload(layerDigests=[digest], **part)["layerDigest"] == digest
    url = ecr.get_download_url_for_layer(layerDigest=digest, **name)["downloadUrl"]
    assert urllib3.request("GET", url, timeout=PATIENCE_SECONDS).data == b"0123456"
    assert urllib3.request("GET", url.partition("?")[0], timeout=PATIENCE_SECONDS).status == 403
    assert repo.call("GET", f"blobs/{digest}").data == b"0123456"


def test_a_layer_with_another_digest_than_declared_is_refused(repo: Repository, ecr: Any) -> None:
    name = {"repositoryName": repo.name}
    part = {"uploadId": ecr.initiate_layer_upload(**name)["uploadId"], **name}
    ecr.upload_layer_part(partFirstByte=0, partLastByte=3, layerPartBlob=b"evil", **part)
    promised = {"layerDigests": [digest_of(b"good")], **part}
    assert refusal(ecr.complete_layer_upload, **promised) == "InvalidLayerException"


def test_a_layer_that_is_there_already_is_said_to_be(repo: Repository, ecr: Any) -> None:
    digest = repo.blob(b"known")
    name = {"repositoryName": repo.name}
    part = {"uploadId": ecr.initiate_layer_upload(**name)["uploadId"], **name}
    ecr.upload_layer_part(partFirstByte=0, partLastByte=4, layerPartBlob=b"known", **part)
    again = refusal(ecr.complete_layer_upload, layerDigests=[digest], **part)
    assert again == "LayerAlreadyExistsException"


def test_layer_availability_lists_pushed_layers(repo: Repository, ecr: Any) -> None:
    held, absent = repo.blob(b"held"), digest_of(b"absent")
    answer = ecr.batch_check_layer_availability(
        repositoryName=repo.name, layerDigests=[held, absent, "sha256:nonsense"]
    )
    states = {x["layerDigest"]: x["layerAvailability"] for x in answer["layers"]}
    assert states == {held: "AVAILABLE", absent: "UNAVAILABLE"}
    assert answer["failures"][0]["failureCode"] == "InvalidLayerDigest"
    missing = {"repositoryName": repo.name, "layerDigest": absent}
    assert refusal(ecr.get_download_url_for_layer, **missing) == "LayersNotFoundException"


# Deleting


def test_a_tag_is_removed_and_the_image_with_the_last_one(repo: Repository, ecr: Any) -> None:
    digest = repo.image("v1")
    repo.image("v2")
    name = {"repositoryName": repo.name}
    assert ecr.batch_delete_image(imageIds=[{"imageTag": "v1"}], **name)["imageIds"] == [
        {"imageDigest": digest, "imageTag": "v1"}
    ]
    [left] = ecr.describe_images(**name)["imageDetails"]
    assert left["imageTags"] == ["v2"]
    ecr.batch_delete_image(imageIds=[{"imageDigest": digest}], **name)
    assert ecr.describe_images(**name)["imageDetails"] == []


def test_an_image_in_an_index_is_not_deleted_under_it(repo: Repository, ecr: Any) -> None:
    content = repo.image_manifest()
    repo.manifest(content)
    child = {"mediaType": OCI_MANIFEST, "digest": digest_of(content), "size": len(content)}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}
    repo.manifest(json.dumps(index).encode(), "v1", OCI_INDEX)
    wanted = [{"imageDigest": child["digest"]}]
    answer = ecr.batch_delete_image(repositoryName=repo.name, imageIds=wanted)
    assert answer["failures"][0]["failureCode"] == "ImageReferencedByManifestList"


# Events


def test_a_tagged_push_sends_the_event_of_the_guide(repo: Repository) -> None:
    digest = repo.image("v1")
    assert repo.events() == [
        {
            "result": "SUCCESS",
            "repository-name": repo.name,
            "image-digest": digest,
            "action-type": "PUSH",
            "image-tag": "v1",
            "manifest-media-type": OCI_MANIFEST,
            "artifact-media-type": OCI_CONFIG,
        }
    ]


def test_an_untagged_push_sends_an_event_without_tag(repo: Repository) -> None:
    repo.artifact(repo.image("v1"), "application/x-test")
    event = repo.events()[-1]
    assert "image-tag" not in event
    assert event["artifact-media-type"] == "application/x-test"


def test_a_deletion_sends_one_event_per_tag(repo: Repository, ecr: Any) -> None:
    digest = repo.image("v1")
    repo.image("v2")
    ecr.batch_delete_image(repositoryName=repo.name, imageIds=[{"imageDigest": digest}])
    deleted = [e["image-tag"] for e in repo.events() if e["action-type"] == "DELETE"]
    assert sorted(deleted) == ["v1", "v2"]


# Settings


def test_account_settings_are_kept(sandbox: Sandbox, ecr: Any) -> None:
    assert ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"
    ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    assert ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert refusal(ecr.get_account_setting, name="NO_SUCH") == "ValidationException"


def test_every_nth_call_is_throttled_by_the_quirk(sandbox: Sandbox, ecr: Any) -> None:
    quirks = sandbox.settings.quirks
    quirks.throttle_every = 1
    try:
        assert refusal(ecr.describe_repositories) == "ThrottlingException"
    finally:
        quirks.throttle_every = 0


def test_an_upload_without_bytes_is_refused(repo: Repository, ecr: Any) -> None:
    upload = ecr.initiate_layer_upload(repositoryName=repo.name)["uploadId"]
    arguments = {"repositoryName": repo.name, "uploadId": upload, "layerDigests": [digest_of(b"")]}
    assert refusal(ecr.complete_layer_upload, **arguments) == "EmptyUploadException"
    answer = repo.call("POST", f"blobs/uploads/?digest={digest_of(b'')}", body=b"")
    assert answer.status == 400
    assert answer.json()["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"


def test_annotations_on_the_config_are_refused_by_a_quirk_only(repo: Repository) -> None:
    document = json.loads(repo.image_manifest())
    document["config"]["annotations"] = {"org.opencontainers.image.title": "config"}
    content = json.dumps(document).encode()
    quirks = repo.sandbox.settings.quirks
    quirks.refuse_config_annotations = True
    try:
        refused = repo.manifest(content, "v1")
    finally:
        quirks.refuse_config_annotations = False
    assert (refused.status, refused.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")
    assert repo.manifest(content, "v1").status == 201


def test_a_registry_without_rules_and_templates_says_so(ecr: Any, repo: Repository) -> None:
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []
    absent = refusal(ecr.describe_pull_through_cache_rules, ecrRepositoryPrefixes=["docker-hub"])
    assert absent == "PullThroughCacheRuleNotFoundException"
    assert ecr.describe_repository_creation_templates()["repositoryCreationTemplates"] == []
    preview = refusal(ecr.get_lifecycle_policy_preview, repositoryName=repo.name)
    assert preview == "LifecyclePolicyPreviewNotFoundException"


def test_an_operation_that_the_sandbox_lacks_is_refused_and_not_tried_again(
    ecr: Any, repo: Repository
) -> None:
    code = refusal(ecr.start_lifecycle_policy_preview, repositoryName=repo.name)
    assert code == "UnknownOperationException"


# The archive, and ages


def test_an_archived_image_is_listed_only_on_request_and_cannot_be_pulled(repo: Repository, ecr: Any) -> None:
    name, content = {"repositoryName": repo.name}, repo.image_manifest()
    image_id = {"imageDigest": put(repo, ecr, content, imageTag="v1")["imageId"]["imageDigest"]}
    move = {**name, "imageId": image_id}
    assert ecr.update_image_storage_class(**move, targetStorageClass="ARCHIVE")["imageStatus"] == "ARCHIVED"
    assert ecr.describe_images(**name)["imageDetails"] == []
    [archived] = ecr.describe_images(**name, filter={"imageStatus": "ANY"})["imageDetails"]
    assert (archived["imageStatus"], archived["imageDigest"]) == ("ARCHIVED", image_id["imageDigest"])
    assert archived["lastArchivedAt"]
    assert refusal(ecr.describe_images, **name, imageIds=[image_id]) == "ImageNotFoundException"
    assert ecr.batch_get_image(**name, imageIds=[image_id])["images"] == []
    assert repo.call("GET", "manifests/v1").status == 404
    again = refusal(ecr.update_image_storage_class, **move, targetStorageClass="ARCHIVE")
    assert again == "ImageStorageClassUpdateNotSupportedException"
    ecr.update_image_storage_class(**move, targetStorageClass="STANDARD")
    [active] = ecr.describe_images(**name)["imageDetails"]
    assert active["lastActivatedAt"]
    assert repo.call("GET", "manifests/v1").data == content


def test_images_look_as_old_as_somebody_wants(repo: Repository, ecr: Any) -> None:
    old, young = (
        put(repo, ecr, repo.image_manifest(annotations={"a": tag}), imageTag=tag)["imageId"]["imageDigest"]
        for tag in ("old", "young")
    )
    url = f"http://{repo.sandbox.settings.registry}/sandbox-api/age"
    for body, digests in (({"tag": "old"}, [old]), ({"digest": old}, [old]), ({}, [old, young])):
        answer = urllib3.request(
            "POST", url, json={"repository": repo.name, "days": 10, **body}, timeout=PATIENCE_SECONDS
        )
        assert answer.json() == {"digests": digests}
    details = ecr.describe_images(repositoryName=repo.name)["imageDetails"]
    pushed = {one["imageDigest"]: one["imagePushedAt"] for one in details}
    assert round((pushed[young] - pushed[old]).total_seconds() / 86_400) == 20
    missing = {"repository": repo.name, "days": 10, "tag": "none"}
    assert urllib3.request("POST", url, json=missing, timeout=PATIENCE_SECONDS).status == 404
