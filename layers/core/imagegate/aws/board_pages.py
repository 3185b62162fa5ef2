"""The board in Amazon S3, in a bucket of its own: one page, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imagegate.aws.clients import client, session, translated
from imagegate.text import json_text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE = "index.html"


class S3BoardPages:
    """The objects `index.html` and `board.json`. No cache may keep them, and browsers show the page."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def keep_board(self, page: str, document: Mapping[str, Any]) -> None:
        """Store both in place of the board before."""
        self._put("board.json", json_text(document), "application/json")
        self._put(PAGE, page, "text/html; charset=utf-8")

    def link(self, seconds: int) -> str:
        """Return a link that opens the page for so long, or until the caller's credentials end if that is sooner."""
        from botocore.config import Config

        # Objects under a KMS key are opened by Signature Version 4 only (Amazon S3 user guide, "Specifying SSE-KMS").
        # The name of the Region has to be in the host: the global one redirects, and a signature names its host.
        config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
        s3: Any = session().create_client("s3", config=config)
        where = {"Bucket": self._bucket, "Key": PAGE}
        link: str = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=seconds)
        return link

    def _put(self, key: str, content: str, media_type: str) -> None:
        s3: S3Client = client("s3")
        with translated({}):
            s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content.encode(),
                ContentType=media_type,
                CacheControl="no-store",
            )
