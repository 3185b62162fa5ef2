"""S3: conditional writes and missing keys in one throw-away bucket."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import urllib3
from botocore.config import Config

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench

CHAPTER = "S3"


@behaviour(CHAPTER, "model, PutObject", ("ok", "PreconditionFailed", "ok", "yes"))
def a_record_is_written_once(bench: Bench) -> None:
    """`IfNoneMatch: *` writes only what is not there; what was written first stays, and is read at once."""
    bucket = own_bucket(bench)
    for body in (b"first", b"second"):
        bench.ask("s3", "PutObject", Bucket=bucket, Key="record", Body=body, IfNoneMatch="*")
    answer = bench.ask("s3", "GetObject", show="Body", Bucket=bucket, Key="record")
    bench.observe("what was written first", answer.content.get("Body") == b"first")


@behaviour(CHAPTER, "model, GetObject", ("NoSuchKey", "404"))
def a_missing_key_is_not_found(bench: Bench) -> None:
    """To a caller who may list the bucket a missing key is 404."""
    bucket = own_bucket(bench)
    for operation in ("GetObject", "HeadObject"):
        bench.ask("s3", operation, Bucket=bucket, Key="missing")


@behaviour(
    CHAPTER, "model, GetObject", ("AccessDenied",), looser="in the sandbox a missing key is 404 to everyone"
)
def a_missing_key_is_forbidden_to_who_may_not_list(bench: Bench) -> None:
    """To a caller who may not list the bucket a missing key is 403."""
    bucket = own_bucket(bench)
    deny = {
        "Sid": "NobodyLists",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:ListBucket",
        "Resource": bench.arn("s3", bucket),
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    delete = partial(bench.do, "s3", "DeleteBucketPolicy", Bucket=bucket)
    bench.make(f"policy of {bucket}", delete, "s3", "PutBucketPolicy", Bucket=bucket, Policy=policy)
    bench.until(lambda: _is_forbidden(bench, bucket), 0 if bench.is_loopback else 30)
    bench.ask("s3", "GetObject", Bucket=bucket, Key="missing", may_be_denied=True)
    bench.do("s3", "DeleteBucketPolicy", Bucket=bucket)


@behaviour(
    CHAPTER,
    'Amazon S3 user guide, "Specifying server-side encryption with AWS KMS"',
    ("ok", "yes", "yes"),
    looser="the sandbox has no log-in by an address",
)
def a_link_opens_an_encrypted_object(bench: Bench) -> None:
    """A pre-signed link of Signature Version 4 opens an object that the account's own key of S3 encrypts."""
    name = own_bucket(bench)
    wanted: dict[str, Any] = {
        "Bucket": name,
        "Key": "page",
        "Body": b"page",
        "ServerSideEncryption": "aws:kms",
    }
    bench.throw_away.add(f"page in {name}", lambda: bench.do("s3", "DeleteObject", Bucket=name, Key="page"))
    bench.ask("s3", "PutObject", show="ServerSideEncryption", **wanted)
    signing = bench.session.client("s3", config=Config(signature_version="s3v4"))
    where = {"Bucket": name, "Key": "page"}
    link = signing.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
    opened = urllib3.request("GET", link, retries=False, timeout=20)
    bench.observe("the link opens", (opened.status, opened.data) == (200, b"page"))
    plain = urllib3.request("GET", link.partition("?")[0], retries=False, timeout=20)
    bench.observe("without the signature it does not", plain.status == 403)


def _is_forbidden(bench: Bench, bucket: str) -> bool:
    s3 = bench.client("s3")
    try:
        s3.get_object(Bucket=bucket, Key="missing")
    except s3.exceptions.ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDenied")
    return False


def own_bucket(bench: Bench) -> str:
    made: str = bench.shared("bucket", lambda: _make(bench))
    return made


def _make(bench: Bench) -> str:
    name = bench.run
    place = {"CreateBucketConfiguration": {"LocationConstraint": bench.region}}
    where = {} if bench.region == "us-east-1" else place
    delete = partial(bench.do, "s3", "DeleteBucket", Bucket=name)
    bench.make(f"bucket {name}", delete, "s3", "CreateBucket", Bucket=name, **where)
    bench.throw_away.add(
        f"object of {name}", lambda: bench.do("s3", "DeleteObject", Bucket=name, Key="record")
    )
    return name
