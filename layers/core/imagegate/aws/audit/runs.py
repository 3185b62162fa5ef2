"""The documents of scheduled audits in S3: `audit/runs/RUN/…`. Results are compressed lines of JSON."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from imagegate.audit.report import AuditPart
from imagegate.aws.clients import client, translated
from imagegate.errors import RecordNotFoundError
from imagegate.ports.audit_runs import AuditBatch, RunningNames

_MISSING = {"NoSuchKey": RecordNotFoundError}


class S3AuditRuns:
    """One bucket. A reader needs s3:ListBucket: without it, S3 refuses a key that does not exist."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def keep_batches(self, run: str, batches: Sequence[AuditBatch]) -> str:
        key = _key(run, "batches.json")
        document = [{"number": one.number, "repositories": list(one.repositories)} for one in batches]
        self._put(key, json.dumps(document).encode())
        return key

    def batches(self, run: str) -> list[AuditBatch]:
        document = json.loads(self._get(_key(run, "batches.json")).read())
        return [AuditBatch(one["number"], tuple(one["repositories"])) for one in document]

    def keep_running(self, run: str, running: RunningNames) -> None:
        document = {"named": running.named, "clusters": running.clusters, "fault": running.fault}
        self._put(_key(run, "running.json"), json.dumps(document).encode())

    def running(self, run: str) -> RunningNames:
        raw = json.loads(self._get(_key(run, "running.json")).read())
        named = tuple((str(name), str(user)) for name, user in raw["named"])
        return RunningNames(named, tuple(raw["clusters"]), raw["fault"])

    def keep_results(self, run: str, number: int, results: Iterable[tuple[str, AuditPart]]) -> None:
        packed = io.BytesIO()
        with gzip.open(packed, "wt", encoding="utf-8") as lines:
            for name, part in results:
                lines.write(json.dumps({"repository": name, "part": part.as_json()}) + "\n")
        self._put(_key(run, f"results/{number:06d}.jsonl.gz"), packed.getvalue())

    def results(self, run: str, number: int) -> Iterator[tuple[str, AuditPart]] | None:
        try:
            body = self._get(_key(run, f"results/{number:06d}.jsonl.gz"))
        except RecordNotFoundError:
            return None
        return _read(gzip.decompress(body.read()))

    def _put(self, key: str, content: bytes) -> None:
        with translated({}, subject=f"s3://{self._bucket}/{key}"):
            client("s3").put_object(Bucket=self._bucket, Key=key, Body=content)

    def _get(self, key: str) -> Any:
        with translated(_MISSING, subject=f"s3://{self._bucket}/{key}"):
            return client("s3").get_object(Bucket=self._bucket, Key=key)["Body"]


def _key(run: str, name: str) -> str:
    return f"audit/runs/{run}/{name}"


def _read(lines: bytes) -> Iterator[tuple[str, AuditPart]]:
    for line in lines.splitlines():
        raw = json.loads(line)
        yield raw["repository"], AuditPart.from_json(raw["part"])
