"""The OCI distribution protocol as ECR speaks it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.contract.recorder import content
from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.repository import Reply, Repository, repository

CHAPTER = "The registry's protocol"
_BLOB = content.layer({"blob": "blob\n"})
_SPEC = "distribution specification"


@behaviour(CHAPTER, "model, GetAuthorizationToken", ("yes", "yes", "401 UNAUTHORIZED"))
def a_token_is_a_password_for_twelve_hours(bench: Bench) -> None:
    """`GetAuthorizationToken` gives `AWS:password` in base64, for 12 hours; without it nothing is answered."""
    data = bench.do("ecr", "GetAuthorizationToken")["authorizationData"][0]
    user = base64.b64decode(data["authorizationToken"]).decode().partition(":")[0]
    left = data["expiresAt"] - datetime.now(UTC)
    bench.observe("the user is AWS", user == "AWS")
    bench.observe(
        "it holds for 12 hours", timedelta(hours=11, minutes=50) < left < timedelta(hours=12, minutes=10)
    )
    repo = repository(bench)
    repo.http("GET", "/v2/", anonymous=True)


@behaviour(CHAPTER, f'{_SPEC}, "Pushing Manifests" and "Pulling manifests"', ("201", "200", "200", "201"))
def a_manifest_goes_and_comes_byte_for_byte(bench: Bench) -> None:
    """Manifests come and go under the digest of their bytes; pushing again is a success."""
    repo = repository(bench)
    manifest = repo.image()
    repo.do("BatchDeleteImage", imageIds=[{"imageDigest": content.digest_of(manifest)}])
    _put(repo, manifest, "v1")
    for reference in ("v1", content.digest_of(manifest)):
        repo.http("GET", f"manifests/{reference}", headers={"Accept": content.MANIFEST}, show="bytes")
    _put(repo, manifest, "v1")


@behaviour(CHAPTER, "unverified: 400 `TAG_INVALID` or 409", None)
def an_immutable_tag_is_refused(bench: Bench) -> None:
    """An immutable tag is not moved by a push."""
    repo = repository(bench, imageTagMutability="IMMUTABLE")
    repo.image("v1", note="first")
    _put(repo, repo.image(note="second"), "v1")


@behaviour(CHAPTER, 'Amazon ECR user guide, "Creating a private repository"', ("404 NAME_UNKNOWN",))
def a_push_makes_no_repository(bench: Bench) -> None:
    """A push to a repository that does not exist is refused."""
    missing = Repository(bench, bench.name())
    bench.throw_away.add(f"repository {missing.name}", lambda: missing.do("DeleteRepository", force=True))
    _put(missing, content.manifest([]), "v1")


@behaviour(CHAPTER, f'{_SPEC}, "Error Codes"', None)
def what_is_missing_is_named(bench: Bench) -> None:
    """A missing manifest, blob or layer has its own code."""
    repo = repository(bench)
    repo.http("GET", "manifests/gone")
    repo.http("GET", f"blobs/{content.digest_of(b'gone')}")
    repo.blob(content.config())
    _put(repo, content.manifest([_BLOB]), "v1")


@behaviour(
    CHAPTER,
    f'{_SPEC}, "Pushing blobs"; the PATCH without a length is unverified',
    ("202", "202", "201", "200"),
)
def a_blob_is_uploaded_in_one_stream(bench: Bench) -> None:
    """A blob is uploaded by POST, PATCH in a stream of unknown length, PUT."""
    repo = repository(bench)
    _upload(repo, content.digest_of(_BLOB))
    repo.http("HEAD", f"blobs/{content.digest_of(_BLOB)}")


@behaviour(CHAPTER, f'{_SPEC}, "Error Codes"', ("202", "202", "400 DIGEST_INVALID"))
def a_blob_is_checked_at_its_end(bench: Bench) -> None:
    """A blob whose digest is another one is refused."""
    repo = repository(bench)
    _upload(repo, content.digest_of(b"another"))


@behaviour(
    CHAPTER, "unverified", None, looser="the sandbox gives blobs itself, which every client takes as well"
)
def a_blob_is_read_by_a_redirect(bench: Bench) -> None:
    """Reading a blob leads to another host, which must not see the credentials."""
    repo = repository(bench)
    repo.blob(_BLOB)
    answer = repo.http("GET", f"blobs/{content.digest_of(_BLOB)}")
    bench.observe("by a redirect", 300 <= answer.status < 400)


@behaviour(CHAPTER, 'Amazon ECR user guide, "Blob mounting in Amazon ECR"', None)
def a_blob_is_mounted(bench: Bench) -> None:
    """A blob of another repository is mounted (201) when the account's setting says so, else to be uploaded (202)."""
    source, target = repository(bench), repository(bench)
    digest = source.blob(_BLOB)
    target.http("POST", f"blobs/uploads/?mount={digest}&from={source.name}")
    target.http("HEAD", f"blobs/{digest}")


@behaviour(CHAPTER, f'{_SPEC}, "Mounting a blob from another repository"', ("202",))
def what_cannot_be_mounted_is_to_be_uploaded(bench: Bench) -> None:
    """A mount of a blob that is not there begins an upload."""
    source, target = repository(bench), repository(bench)
    target.http("POST", f"blobs/uploads/?mount={content.digest_of(b'gone')}&from={source.name}")


@behaviour(
    CHAPTER,
    f'{_SPEC}, "Listing Referrers" and "Pushing Manifests with Subject"',
    ("201", "200", "200", "200"),
)
def referrers_have_an_endpoint(bench: Bench) -> None:
    """A manifest with a subject is answered with `OCI-Subject`, and listed, filtered by type when asked so."""
    repo = repository(bench)
    image = repo.image()
    repo.blob(content.EMPTY_CONTENT)
    evidence = content.artifact(image)
    _put(repo, evidence, content.digest_of(evidence))
    digest = content.digest_of(image)
    subject = {"imageDigest": digest}
    bench.until(lambda: repo.do("ListImageReferrers", subjectId=subject)["referrers"], 30)
    for query in (
        "",
        f"?artifactType={content.ARTIFACT}".replace("+", "%2B"),
        "?artifactType=application/x-other",
    ):
        repo.http("GET", f"referrers/{digest}{query}", show="manifests")


@behaviour(CHAPTER, f'{_SPEC}, "Single POST"; of ECR unverified', None)
def a_small_blob_in_one_post(bench: Bench) -> None:
    """A blob in one POST is stored (201), or an upload begins (202), or it is refused."""
    repo = repository(bench)
    digest = content.digest_of(_BLOB)
    headers = {"Content-Type": "application/octet-stream"}
    repo.http("POST", f"blobs/uploads/?digest={digest}", body=_BLOB, headers=headers)
    repo.http("HEAD", f"blobs/{digest}")


@behaviour(CHAPTER, f'{_SPEC}, "Pushing Manifests with Subject"; of ECR unverified', None)
def evidence_may_come_before_its_subject(bench: Bench) -> None:
    """Evidence about an image that is not there is taken, and listed once the image is there."""
    repo = repository(bench)
    image = repo.image()
    digest = content.digest_of(image)
    repo.do("BatchDeleteImage", imageIds=[{"imageDigest": digest}])
    repo.blob(content.EMPTY_CONTENT)
    evidence = content.artifact(image)
    _put(repo, evidence, content.digest_of(evidence))
    _put(repo, image, "v1")
    subject = {"imageDigest": digest}
    bench.until(lambda: repo.do("ListImageReferrers", subjectId=subject)["referrers"], 30)
    repo.http("GET", f"referrers/{digest}", show="manifests")


def _put(repo: Repository, manifest: bytes, reference: str) -> Reply:
    headers = {"Content-Type": content.MANIFEST}
    return repo.http("PUT", f"manifests/{reference}", body=manifest, headers=headers)


def _upload(repo: Repository, digest: str) -> None:
    begun = repo.http("POST", "blobs/uploads/")
    half = len(_BLOB) // 2

    def stream() -> Iterator[bytes]:
        yield _BLOB[:half]
        yield _BLOB[half:]

    sent = repo.http("PATCH", begun.location, label="<upload>", body=stream())
    location = sent.location or begun.location
    joined = "&" if "?" in location else "?"
    repo.http("PUT", f"{location}{joined}digest={digest}", label="<upload>")
