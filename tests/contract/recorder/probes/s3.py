"""S3: conditional writes and missing keys in one throw-away bucket."""

from __future__ import annotations

import json
from functools import partial

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench

CHAPTER = "S3"


@behaviour(CHAPTER, "model, PutObject", ("ok", "PreconditionFailed", "ok", "yes"))
def a_record_is_written_once(bench: Bench) -> None:
    """`IfNoneMatch: *` writes only what is not there; what was written first stays, and is read at once."""
    bucket = _bucket(bench)
    for body in (b"first", b"second"):
        bench.ask("s3", "PutObject", Bucket=bucket, Key="record", Body=body, IfNoneMatch="*")
    answer = bench.ask("s3", "GetObject", show="Body", Bucket=bucket, Key="record")
    bench.observe("what was written first", answer.content.get("Body") == b"first")


@behaviour(CHAPTER, "model, GetObject", ("NoSuchKey", "404"))
def a_missing_key_is_not_found(bench: Bench) -> None:
    """To a caller who may list the bucket a missing key is 404."""
    bucket = _bucket(bench)
    for operation in ("GetObject", "HeadObject"):
        bench.ask("s3", operation, Bucket=bucket, Key="missing")


@behaviour(
    CHAPTER, "model, GetObject", ("AccessDenied",), looser="in the sandbox a missing key is 404 to everyone"
)
def a_missing_key_is_forbidden_to_who_may_not_list(bench: Bench) -> None:
    """To a caller who may not list the bucket a missing key is 403."""
    bucket = _bucket(bench)
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


def _is_forbidden(bench: Bench, bucket: str) -> bool:
    s3 = bench.client("s3")
    try:
        s3.get_object(Bucket=bucket, Key="missing")
    except s3.exceptions.ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDenied")
    return False


def _bucket(bench: Bench) -> str:
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
