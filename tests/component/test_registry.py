"""The registry client against registries that misbehave."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from imagegate.errors import (
    AccessRefusedError,
    CorruptContentError,
    ImageGateError,
    ImageNotFoundError,
    MissingLayerError,
    RegistryUnavailableError,
    RejectedInputError,
    TagConflictError,
    ThrottledError,
)
from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.login import Login
from imagegate.oci.manifest import Manifest
from imagegate.oci.referrers import with_referrer
from imagegate.ports.registry import Registry
from tests.component.scripted_registry import Answer, Reply, Request, Scripted, scripted
from tests.fakes import NOW

CREDENTIALS = base64.b64encode(b"AWS:token").decode()
CONFIG = b'{"architecture":"arm64"}'
CONTENT = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": str(Digest.of(CONFIG)), "size": len(CONFIG)},
        "layers": [],
    },
    indent=3,
).encode()
MANIFEST = Manifest.parse(CONTENT)
IMAGE = ImageRef("team/app-dev", MANIFEST.digest)
LAYER = b"layer" * 1000
BLOB = Descriptor("application/octet-stream", Digest.of(LAYER), len(LAYER))
MANIFEST_REPLY = Reply(body=CONTENT, headers={"Content-Type": OCI_MANIFEST})


class Logins:
    """Hands out credentials and counts them."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.given = endpoint, 0

    def __call__(self) -> Login:
        self.given += 1
        return Login(self.endpoint, CREDENTIALS, NOW + timedelta(hours=12))


def client_of(logins: Logins, source: HttpRegistry | None = None) -> HttpRegistry:
    return HttpRegistry(logins, source=source, clock=lambda: NOW)


@contextmanager
def registry(answer: Answer) -> Iterator[tuple[HttpRegistry, Scripted]]:
    with scripted(answer) as script:
        yield client_of(Logins(script.endpoint)), script


def always(reply: Reply) -> Answer:
    return lambda _: reply


def one_by_one(*replies: Reply) -> Answer:
    following = iter(replies)
    return lambda _: next(following)


def error(code: str, message: str = "because") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that the code would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def test_it_is_a_registry() -> None:
    port: Registry = HttpRegistry(lambda: Login("https://registry.example"))
    assert port


# Credentials.


def test_refused_credentials_are_renewed_once() -> None:
    with scripted(one_by_one(Reply(401), MANIFEST_REPLY)) as script:
        logins = Logins(script.endpoint)
        assert client_of(logins).manifest(IMAGE.repository, IMAGE.digest) == MANIFEST
        assert (logins.given, len(script.requests)) == (2, 2)


def test_credentials_refused_twice_are_an_error() -> None:
    with (
        registry(always(Reply(401, error("UNAUTHORIZED")))) as (client, script),
        pytest.raises(AccessRefusedError, match=str(IMAGE)),
    ):
        client.manifest(IMAGE.repository, IMAGE.digest)
    assert len(script.requests) == 2


@pytest.mark.parametrize(("minutes", "renewed"), [(0, False), (704, False), (705, True), (780, True)])
def test_credentials_are_kept_until_they_are_about_to_expire(minutes: int, renewed: bool) -> None:
    now = NOW
    with scripted(always(Reply(200))) as script:
        logins = Logins(script.endpoint)
        client = HttpRegistry(logins, clock=lambda: now)
        client.has_blob(IMAGE.repository, BLOB)
        assert logins.given == 1
        now += timedelta(minutes=minutes)
        client.has_blob(IMAGE.repository, BLOB)
        assert (logins.given > 1) is renewed


def test_credentials_stay_out_of_logs() -> None:
    assert CREDENTIALS not in repr(Logins("https://registry.test")())


def test_a_registry_without_log_in_gets_no_credentials() -> None:
    with scripted(always(MANIFEST_REPLY)) as script:
        HttpRegistry(lambda: Login(script.endpoint)).manifest(IMAGE.repository, IMAGE.digest)
    assert "authorization" not in script.requests[0].headers


def test_a_registry_behind_a_token_server_is_refused_by_name() -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://tokens.test/",service="registry"'}
    with (
        registry(always(Reply(401, error("UNAUTHORIZED"), challenge))) as (client, _),
        pytest.raises(AccessRefusedError, match="token server"),
    ):
        client.manifest(IMAGE.repository, IMAGE.digest)


def test_a_redirect_to_another_host_gets_no_credentials() -> None:
    with scripted(always(Reply(body=LAYER))) as storage:
        location = f"http://localhost:{storage.port}/bucket/key?X-Amz-Signature=1"
        with registry(always(Reply(307, headers={"Location": location}))) as (client, script):
            assert client.blob(IMAGE.repository, BLOB) == LAYER
    assert script.requests[0].headers["authorization"] == f"Basic {CREDENTIALS}"
    assert storage.asked == ["GET /bucket/key?X-Amz-Signature=1"]
    assert "authorization" not in storage.requests[0].headers


def test_credentials_do_not_come_back_by_way_of_another_host() -> None:
    with registry(always(MANIFEST_REPLY)) as (client, script):
        back = Reply(307, headers={"Location": f"{script.endpoint}/v2/elsewhere"})
        with scripted(always(back)) as other:
            script.answer = one_by_one(Reply(307, headers={"Location": other.endpoint}), MANIFEST_REPLY)
            client.manifest(IMAGE.repository, IMAGE.digest)
    assert ["authorization" in request.headers for request in script.requests] == [True, False]


def test_a_redirect_within_the_registry_keeps_credentials() -> None:
    with registry(one_by_one(Reply(302, headers={"Location": "/v2/moved"}), MANIFEST_REPLY)) as (
        client,
        script,
    ):
        client.manifest(IMAGE.repository, IMAGE.digest)
    assert all("authorization" in request.headers for request in script.requests)


def test_redirects_end() -> None:
    with (
        registry(always(Reply(307, headers={"Location": "/again"}))) as (client, script),
        pytest.raises(RegistryUnavailableError, match="redirected"),
    ):
        client.manifest(IMAGE.repository, IMAGE.digest)
    assert len(script.requests) == 4


@pytest.mark.parametrize("host", ["http://registry.test", "http://10.0.0.1", "ftp://127.0.0.1"])
def test_nothing_goes_over_a_network_without_tls(host: str) -> None:
    with pytest.raises(AccessRefusedError, match="without TLS"):
        client_of(Logins(host)).has_blob(IMAGE.repository, BLOB)
    with (
        registry(always(Reply(307, headers={"Location": f"{host}/key"}))) as (client, _),
        pytest.raises(AccessRefusedError, match="without TLS"),
    ):
        client.blob(IMAGE.repository, BLOB)


# Faults of the registry.


def test_the_wait_lasts_as_long_as_requested(pauses: list[float]) -> None:
    throttled = Reply(429, error("TOOMANYREQUESTS"), {"Retry-After": "3"})
    with registry(one_by_one(throttled, Reply(503), MANIFEST_REPLY)) as (client, _):
        assert client.manifest(IMAGE.repository, IMAGE.digest) == MANIFEST
    assert pauses[0] == pytest.approx(3, abs=0.1)


def test_it_does_not_sleep_for_hours(pauses: list[float]) -> None:
    throttled = Reply(429, headers={"Retry-After": "7200"})
    with registry(one_by_one(throttled, MANIFEST_REPLY)) as (client, _):
        client.manifest(IMAGE.repository, IMAGE.digest)
    assert pauses == [pytest.approx(10, abs=0.1)]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(429), ThrottledError),
        (Reply(400, error("TOOMANYREQUESTS")), ThrottledError),
        (Reply(500), RegistryUnavailableError),
        (Reply(503), RegistryUnavailableError),
        (Reply(403, error("DENIED")), AccessRefusedError),
        (Reply(404, error("MANIFEST_UNKNOWN")), ImageNotFoundError),
        (Reply(404, b"<html>"), ImageNotFoundError),
        (Reply(405, error("UNSUPPORTED")), RejectedInputError),
        (Reply(400, b'{"errors": []}'), RejectedInputError),
        (Reply(body=CONTENT[:50], cut=len(CONTENT) - 50), RegistryUnavailableError),
        (Reply(body=CONTENT + b" "), CorruptContentError),
        (Reply(body=b"\0" * 1024, times=4097), RejectedInputError),
    ],
)
@pytest.mark.usefixtures("pauses")
def test_a_refusal_has_its_own_error_and_names_the_image(
    reply: Reply, expected: type[ImageGateError]
) -> None:
    with registry(always(reply)) as (client, _), pytest.raises(expected, match=str(IMAGE)) as raised:
        client.manifest(IMAGE.repository, IMAGE.digest)
    assert raised.type is expected


def test_no_registry_there_is_worth_another_try(pauses: list[float]) -> None:
    with scripted(always(Reply())) as script:
        endpoint = script.endpoint
    with pytest.raises(RegistryUnavailableError, match=str(BLOB.digest)):
        client_of(Logins(endpoint)).has_blob(IMAGE.repository, BLOB)


# Manifests.


def test_a_manifest_by_tag_has_the_digest_that_the_registry_says() -> None:
    headers = {"Content-Type": f"{OCI_MANIFEST}; charset=utf-8", "Docker-Content-Digest": str(IMAGE.digest)}
    with registry(one_by_one(Reply(200, CONTENT, headers), Reply(200, CONTENT + b" ", headers))) as (
        client,
        script,
    ):
        assert client.manifest(IMAGE.repository, "v1") == MANIFEST
        assert OCI_INDEX in script.requests[0].headers["accept"]
        with pytest.raises(CorruptContentError, match="team/app-dev:v1"):
            client.manifest(IMAGE.repository, "v1")


def test_a_manifest_is_pushed_byte_by_byte() -> None:
    with registry(always(Reply(201))) as (client, script):
        client.push_manifest(IMAGE.repository, MANIFEST)
        client.push_manifest(IMAGE.repository, MANIFEST, "v1")
    assert [str(request).rsplit("/")[-1] for request in script.requests] == [str(IMAGE.digest), "v1"]
    for request in script.requests:
        assert (request.digest, request.headers["content-type"]) == (str(IMAGE.digest), OCI_MANIFEST)


IMMUTABLE = Reply(400, error("TAG_INVALID", "the tag is immutable"))


@pytest.mark.parametrize("refusal", [IMMUTABLE, Reply(409)])
def test_an_immutable_tag_of_another_image_is_a_conflict(refusal: Reply) -> None:
    other = CONTENT + b"\n"
    taken = Reply(body=other, headers={"Content-Type": OCI_MANIFEST})
    with registry(one_by_one(refusal, taken)) as (client, _), pytest.raises(TagConflictError) as raised:
        client.push_manifest(IMAGE.repository, MANIFEST, "v1")
    assert all(part in str(raised.value) for part in (str(IMAGE), "v1", str(Digest.of(other))))


def test_an_immutable_tag_of_the_same_image_is_no_conflict() -> None:
    with registry(one_by_one(IMMUTABLE, MANIFEST_REPLY)) as (client, _):
        client.push_manifest(IMAGE.repository, MANIFEST, "v1")


def test_a_tag_that_is_refused_though_free_is_refused_input() -> None:
    with (
        registry(one_by_one(IMMUTABLE, Reply(404))) as (client, _),
        pytest.raises(RejectedInputError, match="TAG_INVALID") as raised,
    ):
        client.push_manifest(IMAGE.repository, MANIFEST, "v1")
    assert raised.type is RejectedInputError


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NAME_UNKNOWN", ImageNotFoundError),
        (404, "MANIFEST_BLOB_UNKNOWN", RegistryUnavailableError),
        (400, "MANIFEST_BLOB_UNKNOWN", RegistryUnavailableError),
    ],
)
def test_a_push_without_its_blobs_is_tried_again_but_not_without_a_repository(
    status: int, code: str, expected: type[ImageGateError]
) -> None:
    with registry(always(Reply(status, error(code)))) as (client, _), pytest.raises(expected):
        client.push_manifest(IMAGE.repository, MANIFEST, "v1")


# Blobs.


_BEGUN = Reply(202, headers={"Location": "/v2/team/app-dev/blobs/uploads/7?state=x"})
_WHOLE = f"POST /v2/team/app-dev/blobs/uploads/?digest=sha256%3A{BLOB.digest.hex}"
_BEGIN = "POST /v2/team/app-dev/blobs/uploads/"
_FINISH = f"PUT /v2/team/app-dev/blobs/uploads/7?state=x&digest=sha256%3A{BLOB.digest.hex}"


def test_a_small_blob_is_pushed_in_one_request() -> None:
    with registry(one_by_one(Reply(201))) as (client, script):
        assert client.push_blob(IMAGE.repository, LAYER) == BLOB
    assert script.asked == [_WHOLE]
    assert script.requests[0].digest == str(BLOB.digest)


@pytest.mark.parametrize(
    ("first", "requests"),
    [
        ([_BEGUN, Reply(201)], [_WHOLE, _FINISH]),
        *(
            ([Reply(status), _BEGUN, Reply(201)], [_WHOLE, _BEGIN, _FINISH])
            for status in (400, 404, 405, 411, 415)
        ),
    ],
)
def test_a_registry_that_takes_no_blob_in_one_request_gets_two_from_then_on(
    first: list[Reply], requests: list[str]
) -> None:
    with registry(one_by_one(*first, _BEGUN, Reply(201))) as (client, script):
        for _ in range(2):
            assert client.push_blob(IMAGE.repository, LAYER) == BLOB
    assert script.asked == [*requests, _BEGIN, _FINISH]
    assert script.requests[-1].digest == str(BLOB.digest)


def test_a_large_blob_is_not_sent_before_its_upload_has_begun() -> None:
    content = bytes(65 * 1024)
    with registry(one_by_one(_BEGUN, Reply(201))) as (client, script):
        client.push_blob(IMAGE.repository, content)
    assert script.asked[0] == _BEGIN


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(body=LAYER[:-1]), CorruptContentError),
        (Reply(body=LAYER[:-1] + b"!"), CorruptContentError),
        (Reply(body=LAYER[:-1], cut=1), RegistryUnavailableError),
    ],
)
@pytest.mark.usefixtures("pauses")
def test_a_blob_has_exactly_the_requested_digest(reply: Reply, expected: type[ImageGateError]) -> None:
    with registry(always(reply)) as (client, _), pytest.raises(expected, match=str(BLOB.digest)):
        client.blob(IMAGE.repository, BLOB)


def test_a_large_blob_is_not_read_into_memory() -> None:
    huge = Descriptor(BLOB.media_type, BLOB.digest, 40 * 1024 * 1024 + 1)
    with registry(always(Reply())) as (client, script), pytest.raises(RejectedInputError):
        client.blob(IMAGE.repository, huge)
    assert script.asked == []


@pytest.mark.parametrize(("status", "expected"), [(200, True), (404, False)])
def test_a_blob_is_checked_without_fetching_it(status: int, expected: bool) -> None:
    with registry(always(Reply(status))) as (client, script):
        assert client.has_blob(IMAGE.repository, BLOB) is expected
    assert script.asked == [f"HEAD /v2/team/app-dev/blobs/{BLOB.digest}"]


def upload(
    blob: Reply, *, present: bool = False, finished: Reply | None = None
) -> Callable[[Request], Reply]:
    """Return a registry that does not mount."""

    def answer(request: Request) -> Reply:
        if request.method == "HEAD":
            return Reply(200 if present else 404)
        if request.method == "GET":
            return blob
        if request.method == "PUT":
            return finished or Reply(201)
        step = "2" if request.method == "PATCH" else "1"
        return Reply(202, headers={"Location": f"/v2/team/app-staging/blobs/uploads/{step}"})

    return answer


def copy(client: HttpRegistry, blob: Descriptor = BLOB) -> None:
    client.copy_blobs([blob], "team/app-dev", "team/app-staging", lambda: True)


def test_a_mount_is_one_request() -> None:
    with registry(always(Reply(201))) as (client, script):
        copy(client)
    assert script.asked == [
        f"POST /v2/team/app-staging/blobs/uploads/?mount=sha256%3A{BLOB.digest.hex}&from=team%2Fapp-dev"
    ]


def test_a_blob_that_is_there_is_not_sent_again() -> None:
    with registry(upload(Reply(body=LAYER), present=True)) as (client, script):
        copy(client)
    assert [request.method for request in script.requests] == ["POST", "HEAD"]


def test_a_blob_that_cannot_be_mounted_is_streamed_in_one_pass() -> None:
    with registry(upload(Reply(body=LAYER))) as (client, script):
        copy(client)
    assert [request.method for request in script.requests] == ["POST", "HEAD", "GET", "PUT"]
    put = script.requests[-1]
    assert (put.digest, put.headers["content-length"]) == (str(BLOB.digest), str(BLOB.size))
    assert put.path == f"/v2/team/app-staging/blobs/uploads/1?digest=sha256%3A{BLOB.digest.hex}"


def test_an_empty_blob_can_be_streamed() -> None:
    with registry(upload(Reply())) as (client, script):
        copy(client, Descriptor(BLOB.media_type, Digest.of(b""), 0))
    assert script.requests[-1].method == "PUT"


def test_a_blob_of_another_registry_is_never_mounted_from_there() -> None:
    with (
        registry(always(Reply(body=LAYER))) as (source, fetched),
        scripted(upload(Reply(500))) as target,
    ):
        copy(client_of(Logins(target.endpoint), source=source))
    assert fetched.asked == [f"GET /v2/team/app-dev/blobs/{BLOB.digest}"]
    # One request checks whether the target has it and begins the upload.
    assert "from=team%2Fapp-staging" in target.asked[0]
    assert [request.method for request in target.requests] == ["POST", "PUT"]
    assert target.requests[-1].digest == str(BLOB.digest)


def test_streaming_needs_little_memory() -> None:
    piece, times = b"\0" * 1024 * 1024, 48
    blob = Descriptor(BLOB.media_type, Digest.of(piece * times), len(piece) * times)
    with registry(upload(Reply(body=piece, times=times))) as (client, script):
        tracemalloc.start()
        try:
            copy(client, blob)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert script.requests[-1].digest == str(blob.digest)
    assert peak < 10 * len(piece)


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (Reply(body=LAYER[:-1] + b"!"), CorruptContentError),
        (Reply(body=LAYER[:-1]), CorruptContentError),
        (Reply(body=LAYER + b"!"), CorruptContentError),
        (Reply(body=LAYER[:100], cut=len(LAYER) - 100), RegistryUnavailableError),
        (Reply(404, error("BLOB_UNKNOWN")), MissingLayerError),
    ],
)
@pytest.mark.usefixtures("pauses")
def test_a_broken_blob_is_never_completed(blob: Reply, expected: type[ImageGateError]) -> None:
    with (
        registry(upload(blob)) as (client, script),
        pytest.raises(expected, match=f"team/app-dev@{BLOB.digest}|team/app-staging@{BLOB.digest}"),
    ):
        copy(client)
    assert str(BLOB.digest) not in [request.digest for request in script.requests]
    assert "PUT" not in [request.method for request in script.requests]


def test_a_digest_that_the_registry_refuses_is_corrupt_content() -> None:
    refusal = Reply(400, error("DIGEST_INVALID"))
    with (
        registry(upload(Reply(body=LAYER), finished=refusal)) as (client, _),
        pytest.raises(CorruptContentError),
    ):
        copy(client)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_lost_upload_is_a_fault_unless_the_blob_is_there(is_there: bool) -> None:
    gone = Reply(404, error("BLOB_UPLOAD_UNKNOWN"))
    answers = one_by_one(
        Reply(202, headers={"Location": "/u"}), gone, Reply(200 if is_there else 404), Reply(201)
    )
    with registry(answers) as (client, _):
        if is_there:
            assert client.push_blob(IMAGE.repository, LAYER) == BLOB
        else:
            with pytest.raises(RegistryUnavailableError, match="lost the upload"):
                client.push_blob(IMAGE.repository, LAYER)


def test_an_upload_without_a_place_is_a_fault() -> None:
    with registry(always(Reply(202))) as (client, _), pytest.raises(RegistryUnavailableError):
        client.push_blob(IMAGE.repository, LAYER)


# Referrers.


def index(*texts: bytes) -> bytes:
    entries = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": str(Digest.of(text)),
            "size": len(text),
            "artifactType": "application/vnd.cncf.notary.signature",
            "annotations": {"a": "b"},
        }
        for text in texts
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def test_all_pages_of_referrers_are_read_once() -> None:
    path = f"/v2/team/app-dev/referrers/{IMAGE.digest}"
    answers = one_by_one(
        Reply(body=index(b"1", b"2"), headers={"Link": f'<{path}?nextToken=2>; rel="next"'}),
        Reply(body=index(b"2", b"3"), headers={"Link": "<?nextToken=3>;rel=next"}),
        Reply(body=index()),
    )
    with registry(answers) as (client, script):
        found = client.referrers(IMAGE)
    assert [blob.digest for blob in found] == [Digest.of(text) for text in (b"1", b"2", b"3")]
    assert found[0].artifact_type == "application/vnd.cncf.notary.signature"
    assert script.asked == [f"GET {path}", f"GET {path}?nextToken=2", f"GET {path}?nextToken=3"]


def test_pages_without_end_are_a_fault() -> None:
    with (
        registry(always(Reply(body=index(), headers={"Link": '<?again>; rel="next"'}))) as (client, _),
        pytest.raises(RegistryUnavailableError, match="pages"),
    ):
        client.referrers(IMAGE)


def test_without_a_referrers_api_the_tag_scheme_is_read() -> None:
    with registry(one_by_one(Reply(404, b"404 page not found"), Reply(body=index(b"1")))) as (client, script):
        assert [blob.digest for blob in client.referrers(IMAGE)] == [Digest.of(b"1")]
    assert script.asked[1] == f"GET /v2/team/app-dev/manifests/sha256-{IMAGE.digest.hex}"


def test_no_referrers_are_none() -> None:
    with registry(always(Reply(404))) as (client, _):
        assert client.referrers(IMAGE) == []


SIGNATURE = Manifest.parse(
    json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/x-signature", "digest": str(Digest.of(b"{}")), "size": 2},
            "layers": [],
            "subject": MANIFEST.descriptor.as_json(),
            "annotations": {"by": "us"},
        }
    ).encode()
)
TAG_PATH = f"/v2/team/app-dev/manifests/sha256-{IMAGE.digest.hex}"


def without_referrers_api(listed: Reply, *, is_there: bool = False) -> Answer:
    """Return an old registry; `listed` is the content of the fallback tag."""

    def answer(request: Request) -> Reply:
        if "/referrers/" in request.path:
            return Reply(404, b"404 page not found")
        if request.method == "GET":
            return listed
        return Reply(201 if request.method == "PUT" or is_there else 404)

    return answer


def test_a_registry_that_acknowledges_the_subject_keeps_the_list_itself() -> None:
    acknowledged = Reply(201, headers={"OCI-Subject": str(IMAGE.digest)})
    with registry(always(acknowledged)) as (client, script):
        client.push_manifest(IMAGE.repository, SIGNATURE)
    assert len(script.requests) == 1


@pytest.mark.parametrize("listing", [Reply(body=index()), Reply(403, error("DENIED"))])
def test_a_registry_that_answers_for_referrers_keeps_the_list_itself(listing: Reply) -> None:
    with registry(one_by_one(Reply(201), listing, Reply(201))) as (client, script):
        client.push_manifest(IMAGE.repository, SIGNATURE)
        client.push_manifest(IMAGE.repository, SIGNATURE)
    assert [request.method for request in script.requests] == ["PUT", "GET", "PUT"]


@pytest.mark.parametrize("is_there", [True, False])
def test_without_a_referrers_api_the_list_is_kept_under_its_tag(is_there: bool) -> None:
    """The list is written even if the manifest is there already: its client may have been killed before."""
    with registry(without_referrers_api(Reply(404), is_there=is_there)) as (client, script):
        client.push_manifest(IMAGE.repository, SIGNATURE)
    assert str(script.requests[-1]) == f"PUT {TAG_PATH}"
    assert script.requests[-1].headers["content-type"] == OCI_INDEX


def test_a_listed_referrer_is_not_listed_twice() -> None:
    listed = Reply(body=index(b"1", SIGNATURE.content), headers={"Content-Type": OCI_INDEX})
    with registry(without_referrers_api(listed, is_there=True)) as (client, script):
        client.push_manifest(IMAGE.repository, SIGNATURE)
    assert str(script.requests[-1]) == f"GET {TAG_PATH}"


def test_something_else_under_the_tag_for_referrers_is_left_alone() -> None:
    with (
        registry(without_referrers_api(MANIFEST_REPLY)) as (client, script),
        pytest.raises(RejectedInputError, match="not on an index"),
    ):
        client.push_manifest(IMAGE.repository, SIGNATURE)
    assert TAG_PATH not in [request.path for request in script.requests if request.method == "PUT"]


def test_a_longer_list_keeps_all_that_others_wrote() -> None:
    """Distribution specification, "Pushing Manifests with Subject": entries carry artifactType and annotations."""
    others = json.loads(index(b"1"))
    others["annotations"] = {"kept": "yes"}
    others["manifests"][0]["urls"] = ["https://mirror.test/1"]
    longer = with_referrer(Manifest.parse(json.dumps(others).encode()), SIGNATURE)
    assert longer
    document = json.loads(longer.content)
    added = document["manifests"].pop()
    assert document == others
    assert added == SIGNATURE.descriptor.as_json() | {
        "artifactType": "application/x-signature",
        "annotations": {"by": "us"},
    }
