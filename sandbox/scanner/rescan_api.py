"""`POST /sandbox-api/rescan`: scan present images again, after new findings were configured."""

from __future__ import annotations

import json

from werkzeug.wrappers import Request, Response

from sandbox.registry import index
from sandbox.registry.errors import RegistryError
from sandbox.registry.front import page
from sandbox.scanner import scans


@page("/sandbox-api/rescan")
def rescan(request: Request) -> Response:
    """Scan again. The body has repository, and tag or digest or neither (all images); the answer has the digests."""
    request_body = json.loads(request.get_data())
    repo = index.repository(request_body["repository"])
    digest, tag = request_body.get("digest"), request_body.get("tag")
    image = index.find(repo, digest=digest, tag=tag)
    if not image:
        raise RegistryError(404, "MANIFEST_UNKNOWN", f"no such image in {repo.name}")
    images = [image] if digest or tag else list(repo.images)
    scanned = [i for i in images if scans.rescan(repo, i, index.manifest_of(i))]
    document = {"digests": [i.image_digest for i in scanned]}
    return Response(json.dumps(document), content_type="application/json")
