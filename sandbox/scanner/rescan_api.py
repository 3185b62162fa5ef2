"""`POST /sandbox-api/rescan`: new findings were configured, so scan again what is already here."""

from __future__ import annotations

import json

from werkzeug.wrappers import Request, Response

from sandbox.registry import index
from sandbox.registry.errors import RegistryError
from sandbox.registry.front import page
from sandbox.scanner import scans


@page("/sandbox-api/rescan")
def rescan(request: Request) -> Response:
    """Body: repository, and tag or digest or neither (all images). Answer: the digests."""
    wanted = json.loads(request.get_data())
    repo = index.repository(wanted["repository"])
    digest, tag = wanted.get("digest"), wanted.get("tag")
    image = index.find(repo, digest=digest, tag=tag)
    if not image:
        raise RegistryError(404, "MANIFEST_UNKNOWN", f"no such image in {repo.name}")
    images = [image] if digest or tag else list(repo.images)
    scanned = [i for i in images if scans.rescan(repo, i, index.manifest_of(i))]
    document = {"digests": [i.image_digest for i in scanned]}
    return Response(json.dumps(document), content_type="application/json")
