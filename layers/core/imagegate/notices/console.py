"""Links into the AWS console for messages. AWS does not document their form; a wrong one misses only the shortcut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from imagegate.oci.image import Digest, ImageRef

_CHINA = ".amazonaws.com.cn"


@dataclass(frozen=True, slots=True)
class ConsoleLinks:
    """The console of one account and Region. `registry`: ACCOUNT.dkr.ecr.REGION.amazonaws.com."""

    registry: str
    bucket: str

    def image(self, image: ImageRef) -> str:
        """Return the link to an image in Amazon ECR."""
        account, path = self.registry.partition(".")[0], quote(image.repository)
        page = f"ecr/repositories/private/{account}/{path}/_/image/{image.digest}/details"
        return f"{self._host}/{page}?region={self._region}"

    def record(self, decision: Digest) -> str:
        """Return the link to a decision record in Amazon S3."""
        return self.object(f"decisions/sha256/{decision.hex}.json")

    def object(self, key: str) -> str:
        """Return the link to an object of the bucket."""
        return f"{self._host}/s3/object/{self.bucket}?region={self._region}&prefix={key}"

    @property
    def _region(self) -> str:
        return self.registry.partition(".ecr.")[2].partition(".")[0]

    @property
    def _host(self) -> str:
        domain = "console.amazonaws.cn" if self.registry.endswith(_CHINA) else "console.aws.amazon.com"
        return f"https://{self._region}.{domain}"
