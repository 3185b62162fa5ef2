"""The registry in front of the sandbox's ECR keeps to the OCI distribution specification 1.1."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from tests.contract.registry_sandbox import (
    EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Repository,
    Sandbox,
    digest_of,
)


def code_of(answer: urllib3.BaseHTTPResponse) -> str:
    return str(json.loads(answer.data)["errors"][0]["code"])


def begin(repo: Repository) -> str:
    answer = repo.call("POST", "blobs/uploads/")
    assert answer.status == 202
    assert answer.headers["Docker-Upload-UUID"]
    return answer.headers["Location"]


# Who is there


def test_without_credentials_the_answer_names_the_authentication_scheme(sandbox: Sandbox) -> None:
    answer = sandbox.http.request("GET", f"http://{sandbox.settings.registry}/v2/")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="http://127.0.0.1:')
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert code_of(answer) == "UNAUTHORIZED"


def test_the_specification_is_implemented(sandbox: Sandbox) -> None:
    """end-1"""
    login = f"{sandbox.admin['aws_access_key_id']}:{sandbox.admin['aws_secret_access_key']}"
    headers = urllib3.make_headers(basic_auth=login)
    assert (
        sandbox.http.request("GET", f"http://{sandbox.settings.registry}/v2/", headers=headers).status == 200
    )


def test_the_token_of_get_authorization_token_is_the_password_of_aws(sandbox: Sandbox) -> None:
    data = sandbox.client("ecr").get_authorization_token()["authorizationData"][0]
    login = base64.b64decode(data["authorizationToken"]).decode()
    assert login.startswith("AWS:")
    assert data["proxyEndpoint"] == f"http://{sandbox.settings.registry}"
    headers = urllib3.make_headers(basic_auth=login)
    assert sandbox.http.request("GET", data["proxyEndpoint"] + "/v2/", headers=headers).status == 200


def test_an_access_key_with_its_secret_is_accepted_and_with_another_refused(repo: Repository) -> None:
    assert repo.call("GET", "tags/list").status == 200
    repo.key = repo.sandbox.admin | {"aws_secret_access_key": "wrong"}
    assert repo.call("GET", "tags/list").status == 401


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        ("ecr:BatchGetImage", "GET", "manifests/v1"),
        ("ecr:GetDownloadUrlForLayer", "GET", f"blobs/{digest_of(b'layer')}"),
        ("ecr:BatchCheckLayerAvailability", "HEAD", f"blobs/{digest_of(b'layer')}"),
        ("ecr:InitiateLayerUpload", "POST", "blobs/uploads/"),
        ("ecr:PutImage", "PUT", "manifests/v1"),
        ("ecr:ListImages", "GET", "tags/list"),
        ("ecr:BatchDeleteImage", "DELETE", "manifests/v1"),
    ],
)
def test_each_operation_needs_its_permission_on_that_repository(
    repo: Repository, action: str, method: str, path: str
) -> None:
    repo.image("v1")
    arn = f"arn:aws:ecr:eu-central-1:123456789012:repository/{repo.name}"
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": action, "Resource": arn}
    repo.key = repo.sandbox.user(allow, deny)
    refused = repo.call(method, path)
    assert refused.status == 403
    if method != "HEAD":
        assert code_of(refused) == "DENIED"
        assert f"not authorized to perform: {action} on resource: {arn}".encode() in refused.data
    repo.key = repo.sandbox.user({"Effect": "Allow", "Action": action, "Resource": arn})
    assert repo.call(method, path).status != 403


def test_an_unknown_repository_is_not_created_by_a_push(sandbox: Sandbox) -> None:
    answer = Repository(sandbox, "not/there").call("POST", "blobs/uploads/")
    assert (answer.status, code_of(answer)) == (404, "NAME_UNKNOWN")


# Blobs


def test_a_blob_comes_back_byte_for_byte_with_its_digest(repo: Repository) -> None:
    content = bytes(range(256)) * 9000
    digest = repo.blob(content)
    answer = repo.call("GET", f"blobs/{digest}")
    assert answer.data == content
    assert answer.headers["Docker-Content-Digest"] == digest
    head = repo.call("HEAD", f"blobs/{digest}")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(content)))


def test_an_absent_blob_is_unknown(repo: Repository) -> None:
    answer = repo.call("GET", f"blobs/{digest_of(b'absent')}")
    assert (answer.status, code_of(answer)) == (404, "BLOB_UNKNOWN")


def test_a_blob_of_another_repository_is_not_visible(repo: Repository, sandbox: Sandbox) -> None:
    digest = sandbox.repository().blob(b"somewhere else")
    assert repo.call("HEAD", f"blobs/{digest}").status == 404


def test_a_range_of_a_blob_is_partial_content(repo: Repository) -> None:
    digest = repo.blob(b"0123456789")
    answer = repo.call("GET", f"blobs/{digest}", headers={"Range": "bytes=2-4"})
    assert (answer.status, answer.data) == (206, b"234")
    assert answer.headers["Content-Range"] == "bytes 2-4/10"
    assert repo.call("GET", f"blobs/{digest}", headers={"Range": "bytes=99-"}).status == 416


def test_a_blob_can_be_deleted(repo: Repository) -> None:
    digest = repo.blob(b"short-lived")
    assert repo.call("DELETE", f"blobs/{digest}").status == 202
    assert repo.call("HEAD", f"blobs/{digest}").status == 404
    again = repo.call("DELETE", f"blobs/{digest}")
    assert (again.status, code_of(again)) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize(
    ("wanted", "expected", "range_"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
def test_ranges_of_a_blob_are_open_on_either_side(
    repo: Repository, wanted: str, expected: bytes, range_: str
) -> None:
    digest = repo.blob(b"0123456789")
    answer = repo.call("GET", f"blobs/{digest}", headers={"Range": wanted})
    assert (answer.status, answer.data, answer.headers["Content-Range"]) == (206, expected, range_)


def test_monolithic_upload_single_post(repo: Repository) -> None:
    digest = digest_of(b"single")
    answer = repo.call("POST", f"blobs/uploads/?digest={digest}", body=b"single")
    assert answer.status == 201
    assert repo.call("GET", answer.headers["Location"]).data == b"single"


def test_monolithic_upload_post_then_put(repo: Repository) -> None:
    digest = digest_of(b"whole")
    answer = repo.call("PUT", f"{begin(repo)}?digest={digest}", body=b"whole")
    assert answer.status == 201
    assert answer.headers["Location"].endswith(f"/blobs/{digest}")


def test_chunked_upload_says_how_far_it_is(repo: Repository) -> None:
    url = begin(repo)
    first = repo.call("PATCH", url, body=b"01234", headers={"Content-Range": "0-4"})
    assert (first.status, first.headers["Range"]) == (202, "0-4")
    assert repo.call("GET", url).headers["Range"] == "0-4"
    assert repo.call("PATCH", url, body=b"56", headers={"Content-Range": "5-6"}).status == 202
    digest = digest_of(b"0123456789")
    last = {"Content-Range": "7-9"}
    assert repo.call("PUT", f"{url}?digest={digest}", body=b"789", headers=last).status == 201
    assert repo.call("GET", f"blobs/{digest}").data == b"0123456789"


@pytest.mark.parametrize("given", ["1-5", "bytes", "4-0x"])
def test_chunked_upload_begins_with_byte_zero(repo: Repository, given: str) -> None:
    answer = repo.call("PATCH", begin(repo), body=b"01234", headers={"Content-Range": given})
    assert (answer.status, code_of(answer)) == (416, "BLOB_UPLOAD_INVALID")


def test_chunked_upload_refuses_the_same_chunk_again_and_says_where_it_is(repo: Repository) -> None:
    url = begin(repo)
    first = {"Content-Range": "0-4"}
    url = repo.call("PATCH", url, body=b"01234", headers=first).headers["Location"]
    assert repo.call("PATCH", url, body=b"01234", headers=first).status == 416
    status = repo.call("GET", url)
    assert (status.status, status.headers["Range"], status.headers["Location"]) == (204, "0-4", url)
    url = repo.call("PATCH", url, body=b"56789", headers={"Content-Range": "5-9"}).headers["Location"]
    done = repo.call("PUT", f"{url}?digest={digest_of(b'0123456789')}")
    assert repo.call("GET", done.headers["Location"]).data == b"0123456789"


def test_an_upload_is_not_closed_without_the_digest_of_the_whole(repo: Repository) -> None:
    answer = repo.call("PUT", begin(repo), body=b"x")
    assert (answer.status, code_of(answer)) == (400, "DIGEST_INVALID")


def test_a_chunk_out_of_order_is_refused_and_the_upload_lives_on(repo: Repository) -> None:
    url = begin(repo)
    repo.call("PATCH", url, body=b"01234")
    answer = repo.call("PATCH", url, body=b"x", headers={"Content-Range": "9-9"})
    assert (answer.status, answer.headers["Range"]) == (416, "0-4")
    assert repo.call("PUT", f"{url}?digest={digest_of(b'01234')}").status == 201


def test_an_upload_without_known_length_is_taken_in_chunks(repo: Repository) -> None:
    url = begin(repo)
    assert repo.call("PATCH", url, body=iter([b"ab", b"cd"])).status == 202
    assert repo.call("PUT", f"{url}?digest={digest_of(b'abcd')}").status == 201


def test_bytes_that_do_not_have_the_promised_digest_are_refused(repo: Repository) -> None:
    answer = repo.call("PUT", f"{begin(repo)}?digest={digest_of(b'good')}", body=b"evil")
    assert (answer.status, code_of(answer)) == (400, "DIGEST_INVALID")
    assert repo.call("HEAD", f"blobs/{digest_of(b'good')}").status == 404


def test_a_cancelled_upload_is_gone(repo: Repository) -> None:
    url = begin(repo)
    assert repo.call("DELETE", url).status == 204
    answer = repo.call("PATCH", url, body=b"x")
    assert (answer.status, code_of(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_blob_is_mounted_from_another_repository(repo: Repository, sandbox: Sandbox) -> None:
    source = sandbox.repository()
    digest = source.blob(b"shared")
    answer = repo.call("POST", f"blobs/uploads/?mount={digest}&from={source.name}")
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == digest
    assert repo.call("GET", f"blobs/{digest}").data == b"shared"


def test_a_mount_from_nowhere_becomes_an_upload(repo: Repository, sandbox: Sandbox) -> None:
    """The specification lets a registry look everywhere; ECR asks for the permission on one repository."""
    digest = sandbox.repository().blob(b"somewhere")
    answer = repo.call("POST", f"blobs/uploads/?mount={digest}")
    assert answer.status == 202
    assert repo.call("PUT", f"{answer.headers['Location']}?digest={digest}", body=b"somewhere").status == 201


def test_a_mount_that_cannot_be_becomes_an_upload(repo: Repository, sandbox: Sandbox) -> None:
    source = sandbox.repository()
    digest = source.blob(b"shared")
    mount = f"blobs/uploads/?mount={digest}&from="
    assert repo.call("POST", mount + "no/such").status == 202
    sandbox.client("ecr").put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    assert repo.call("POST", mount + source.name).status == 202
    sandbox.client("ecr").put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    arn = f"arn:aws:ecr:eu-central-1:123456789012:repository/{repo.name}"
    repo.key = sandbox.user({"Effect": "Allow", "Action": "*", "Resource": arn})
    assert repo.call("POST", mount + source.name).status == 202


# Manifests and tags


def test_a_manifest_comes_back_byte_for_byte_by_tag_and_by_digest(repo: Repository) -> None:
    content = repo.image_manifest(annotations={"text": "ünïcode & imageTag=other&"})
    digest = digest_of(content)
    put = repo.manifest(content, "v1")
    assert put.headers["Docker-Content-Digest"] == digest
    assert put.headers["Location"].endswith(f"/manifests/{digest}")
    for reference in ("v1", digest):
        answer = repo.call("GET", f"manifests/{reference}")
        assert answer.data == content
        assert answer.headers["Content-Type"] == OCI_MANIFEST
        assert repo.call("HEAD", f"manifests/{reference}").headers["Docker-Content-Digest"] == digest


def test_head_of_a_manifest_says_its_length_and_type(repo: Repository) -> None:
    content = repo.image_manifest()
    repo.manifest(content, "v1")
    for reference in ("v1", digest_of(content)):
        head = repo.call("HEAD", f"manifests/{reference}")
        assert (head.status, head.data) == (200, b"")
        assert (head.headers["Content-Length"], head.headers["Content-Type"]) == (
            str(len(content)),
            OCI_MANIFEST,
        )


def test_a_manifest_without_layers_is_taken(repo: Repository) -> None:
    content = repo.image_manifest(layers=[])
    answer = repo.manifest(content, "empty")
    assert answer.status == 201
    assert repo.call("GET", answer.headers["Location"]).data == content


def test_a_manifest_of_four_mebibytes_is_taken(repo: Repository) -> None:
    bare = repo.image_manifest(annotations={"padding": ""})
    content = bare.replace(b'"padding": ""', b'"padding": "%s"' % (b"x" * (4 * 1024 * 1024 - len(bare))))
    assert len(content) == 4 * 1024 * 1024
    assert repo.manifest(content, "large").status == 201
    assert repo.call("GET", "manifests/large").data == content


def test_a_manifest_may_leave_its_type_to_the_header(repo: Repository) -> None:
    document = json.loads(repo.image_manifest())
    del document["mediaType"]
    assert repo.manifest(json.dumps(document).encode(), "v1").status == 201
    assert repo.call("GET", "manifests/v1").headers["Content-Type"] == OCI_MANIFEST


def test_an_absent_manifest_is_unknown(repo: Repository) -> None:
    answer = repo.call("GET", "manifests/absent")
    assert (answer.status, code_of(answer)) == (404, "MANIFEST_UNKNOWN")
    assert repo.call("HEAD", f"manifests/{digest_of(b'')}").status == 404


def test_a_manifest_pushed_under_another_digest_is_refused(repo: Repository) -> None:
    answer = repo.manifest(repo.image_manifest(), digest_of(b"other"))
    assert (answer.status, code_of(answer)) == (400, "DIGEST_INVALID")


def test_a_manifest_whose_blobs_are_missing_is_refused(repo: Repository, sandbox: Sandbox) -> None:
    content = sandbox.repository().image_manifest(b"only there")
    answer = repo.manifest(content, "v1")
    assert (answer.status, code_of(answer)) == (404, "MANIFEST_BLOB_UNKNOWN")


def test_an_index_needs_its_children_first(repo: Repository) -> None:
    manifest = repo.image_manifest()
    child = {"mediaType": OCI_MANIFEST, "digest": digest_of(manifest), "size": len(manifest)}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}
    content = json.dumps(index).encode()
    answer = repo.manifest(content, "v1", OCI_INDEX)
    assert (answer.status, code_of(answer)) == (404, "MANIFEST_BLOB_UNKNOWN")
    repo.manifest(manifest)
    assert repo.manifest(content, "v1", OCI_INDEX).status == 201
    assert repo.call("DELETE", f"manifests/{child['digest']}").status == 409


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"mediaType": "text/plain"}'])
def test_a_document_of_another_kind_than_a_manifest_is_refused(repo: Repository, content: bytes) -> None:
    answer = repo.manifest(content, "v1")
    assert (answer.status, code_of(answer)) == (400, "MANIFEST_INVALID")


def test_a_manifest_over_four_mebibytes_is_refused(repo: Repository) -> None:
    answer = repo.manifest(b" " * (4 * 1024 * 1024 + 1), "v1")
    assert (answer.status, code_of(answer)) == (413, "MANIFEST_INVALID")


def test_a_tag_moves_to_the_manifest_pushed_last(repo: Repository) -> None:
    first = repo.image("latest", b"one")
    second = repo.image("latest", b"two")
    assert repo.call("HEAD", "manifests/latest").headers["Docker-Content-Digest"] == second
    assert repo.call("HEAD", f"manifests/{first}").status == 200


def test_a_tag_pushed_from_all_sides_ends_on_one_image(repo: Repository) -> None:
    contents = [repo.image_manifest(bytes([number])) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda content: repo.manifest(content, "latest"), contents))
    assert {answer.status for answer in answers} == {201}
    details = repo.sandbox.client("ecr").describe_images(repositoryName=repo.name)["imageDetails"]
    assert len(details) == 8
    assert [image["imageTags"] for image in details if "imageTags" in image] == [["latest"]]


def test_an_immutable_tag_is_not_overwritten(sandbox: Sandbox) -> None:
    repo = sandbox.repository(imageTagMutability="IMMUTABLE")
    repo.image("v1", b"one")
    answer = repo.manifest(repo.image_manifest(b"two"), "v1")
    assert (answer.status, code_of(answer)) == (400, "TAG_INVALID")
    assert b"cannot be overwritten because the tag is immutable" in answer.data


def test_pushing_again_succeeds_and_says_nothing_new(repo: Repository) -> None:
    repo.image("v1")
    repo.image("v1")
    assert len(repo.events()) == 1


def test_deleting_the_last_tag_deletes_the_image_as_in_ecr(repo: Repository) -> None:
    digest = repo.image("v1")
    repo.image("v2")
    assert repo.call("DELETE", "manifests/v1").status == 202
    assert repo.call("HEAD", f"manifests/{digest}").status == 200
    assert repo.call("DELETE", "manifests/v2").status == 202
    assert repo.call("HEAD", f"manifests/{digest}").status == 404


def test_tags_are_listed_in_order_and_in_pages(repo: Repository) -> None:
    for tag in ("c", "a", "b"):
        repo.image(tag)
    assert json.loads(repo.call("GET", "tags/list").data)["tags"] == ["a", "b", "c"]
    page = repo.call("GET", "tags/list?n=2")
    assert json.loads(page.data) == {"name": repo.name, "tags": ["a", "b"]}
    assert page.headers["Link"] == f'</v2/{repo.name}/tags/list?n=2&last=b>; rel="next"'
    rest = repo.call("GET", "tags/list?n=2&last=b")
    assert json.loads(rest.data)["tags"] == ["c"]
    assert "Link" not in rest.headers


def test_tags_are_listed_whatever_their_case(repo: Repository) -> None:
    for tag in ("B", "a", "C", "b"):
        repo.image(tag)
    assert json.loads(repo.call("GET", "tags/list").data)["tags"] == ["a", "B", "b", "C"]
    assert json.loads(repo.call("GET", "tags/list?last=B").data)["tags"] == ["b", "C"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("n=0", []), ("n=9", ["a", "c"]), ("last=a", ["c"]), ("n=1&last=b", ["c"]), ("last=c", [])],
)
def test_a_page_of_tags_without_a_next_one_has_no_link(
    repo: Repository, query: str, expected: list[str]
) -> None:
    for tag in ("c", "a"):
        repo.image(tag)
    answer = repo.call("GET", f"tags/list?{query}")
    assert (json.loads(answer.data)["tags"], "Link" in answer.headers) == (expected, False)


def test_the_tags_of_an_empty_repository_are_an_empty_list(repo: Repository) -> None:
    assert json.loads(repo.call("GET", "tags/list").data) == {"name": repo.name, "tags": []}


def test_tags_of_an_unknown_repository_are_not_found(sandbox: Sandbox) -> None:
    answer = Repository(sandbox, "not/there").call("GET", "tags/list")
    assert (answer.status, code_of(answer)) == (404, "NAME_UNKNOWN")


def test_a_deleted_manifest_is_gone_with_its_tags(repo: Repository) -> None:
    digest = repo.image("v1")
    repo.image("v2")
    assert repo.call("DELETE", f"manifests/{digest}").status == 202
    for reference in (digest, "v1", "v2"):
        assert repo.call("GET", f"manifests/{reference}").status == 404
    assert json.loads(repo.call("GET", "tags/list").data)["tags"] == []
    again = repo.call("DELETE", f"manifests/{digest}")
    assert (again.status, code_of(again)) == (404, "MANIFEST_UNKNOWN")


# Referrers


def listed(answer: urllib3.BaseHTTPResponse) -> list[dict[str, Any]]:
    assert answer.headers["Content-Type"] == OCI_INDEX
    document = json.loads(answer.data)
    assert (document["schemaVersion"], document["mediaType"]) == (2, OCI_INDEX)
    return list(document["manifests"])


def test_a_manifest_with_a_subject_is_acknowledged_and_listed(repo: Repository) -> None:
    subject = repo.image("v1")
    empty = {"mediaType": EMPTY, "digest": repo.blob(b"{}"), "size": 2}
    content = repo.image_manifest(
        artifactType="application/x-test",
        config=empty,
        layers=[empty],
        subject={"mediaType": OCI_MANIFEST, "digest": subject, "size": 2},
        annotations={"key": "value"},
    )
    assert repo.manifest(content).headers["OCI-Subject"] == subject
    [referrer] = listed(repo.call("GET", f"referrers/{subject}"))
    assert referrer == {
        "mediaType": OCI_MANIFEST,
        "digest": digest_of(content),
        "size": len(content),
        "artifactType": "application/x-test",
        "annotations": {"key": "value"},
    }


def test_the_config_type_replaces_an_absent_artifact_type(repo: Repository) -> None:
    subject = repo.image("v1")
    kind = "application/vnd.cncf.notary.signature"
    config = {"mediaType": kind, "digest": repo.blob(b"{}"), "size": 2}
    descriptor = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 2}
    repo.image(config=config, subject=descriptor)
    assert listed(repo.call("GET", f"referrers/{subject}"))[0]["artifactType"] == kind


def test_referrers_of_an_absent_image_are_an_empty_index(repo: Repository) -> None:
    assert listed(repo.call("GET", f"referrers/{digest_of(b'nothing')}")) == []


def test_referrers_are_listed_by_digest_only(repo: Repository) -> None:
    answer = repo.call("GET", "referrers/v1")
    assert (answer.status, code_of(answer)) == (400, "DIGEST_INVALID")


def test_referrers_filtered_by_type_say_so(repo: Repository) -> None:
    subject = repo.image("v1")
    wanted = repo.artifact(subject, "application/x-wanted")
    repo.artifact(subject, "application/x-other")
    answer = repo.call("GET", f"referrers/{subject}?artifactType=application/x-wanted")
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert [referrer["digest"] for referrer in listed(answer)] == [wanted]


def test_more_than_fifty_referrers_come_in_linked_pages(repo: Repository) -> None:
    subject = repo.image("v1")
    pushed = {repo.artifact(subject, text=str(number)) for number in range(52)}
    first = repo.call("GET", f"referrers/{subject}")
    assert len(listed(first)) == 50
    following = first.headers["Link"].removeprefix("<").partition(">")[0]
    second = repo.call("GET", f"http://{repo.sandbox.settings.registry}{following}")
    assert {referrer["digest"] for referrer in listed(first) + listed(second)} == pushed


def test_pages_of_filtered_referrers_stay_filtered(repo: Repository) -> None:
    subject = repo.image("v1")
    wanted = {repo.artifact(subject, "application/x-wanted", str(number)) for number in range(51)}
    repo.artifact(subject, "application/x-other")
    first = repo.call("GET", f"referrers/{subject}?artifactType=application/x-wanted")
    following = first.headers["Link"].removeprefix("<").partition(">")[0]
    second = repo.call("GET", f"http://{repo.sandbox.settings.registry}{following}")
    assert second.headers["OCI-Filters-Applied"] == "artifactType"
    assert {referrer["digest"] for referrer in listed(first) + listed(second)} == wanted
    assert "Link" not in second.headers


def test_a_referrer_may_come_before_its_subject(repo: Repository) -> None:
    subject = digest_of(repo.image_manifest())
    referrer = repo.artifact(subject)
    assert repo.image("v1") == subject
    assert [found["digest"] for found in listed(repo.call("GET", f"referrers/{subject}"))] == [referrer]


def test_an_index_may_refer_to_a_subject(repo: Repository) -> None:
    subject = repo.image("v1")
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "artifactType": "application/x-bundle",
        "manifests": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 2},
    }
    answer = repo.manifest(json.dumps(index).encode(), kind=OCI_INDEX)
    assert (answer.status, answer.headers["OCI-Subject"]) == (201, subject)
    [found] = listed(repo.call("GET", f"referrers/{subject}"))
    assert (found["mediaType"], found["artifactType"]) == (OCI_INDEX, "application/x-bundle")


def test_a_deleted_referrer_is_listed_no_more(repo: Repository) -> None:
    subject = repo.image("v1")
    referrer = repo.artifact(subject)
    assert repo.call("DELETE", f"manifests/{referrer}").status == 202
    assert listed(repo.call("GET", f"referrers/{subject}")) == []


def test_a_new_referrer_may_be_listed_late(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    quirks = repo.sandbox.settings.quirks
    subject = repo.image("v1")
    monkeypatch.setattr(quirks, "referrer_listing_delay_seconds", 3600.0)
    repo.artifact(subject)
    assert listed(repo.call("GET", f"referrers/{subject}")) == []
    monkeypatch.setattr(quirks, "referrer_listing_delay_seconds", 0.0)
    assert listed(repo.call("GET", f"referrers/{subject}")) != []


# What a benchmark reads


def test_each_request_leaves_one_line(repo: Repository) -> None:
    repo.blob(b"counted")
    lines = (repo.sandbox.settings.state / "registry.jsonl").read_text().splitlines()
    mine = [line for line in map(json.loads, lines) if repo.name in line["path"]]
    assert [(line["method"], line["status"], line["received"]) for line in mine] == [("POST", 201, 7)]
