"""`POST /sandbox-api/age`: make present images look as if they had been pushed some days earlier."""

from __future__ import annotations

import json
from datetime import timedelta

from werkzeug.wrappers import Request, Response

from sandbox.registry import index
from sandbox.registry.errors import RegistryError
from sandbox.registry.front import page


@page("/sandbox-api/age")
def age(request: Request) -> Response:
    """Move times back. The body has days, repository, and tag or digest or neither (all images)."""
    request_body = json.loads(request.get_data())
    repo, days = index.repository(request_body["repository"]), timedelta(days=request_body["days"])
    digest, tag = request_body.get("digest"), request_body.get("tag")
    images = [
        image
        for image in list(repo.images)
        if digest in (None, image.image_digest) and (not tag or tag in image.image_tags)
    ]
    if not images:
        raise RegistryError(404, "MANIFEST_UNKNOWN", f"no such image in {repo.name}")
    for image in images:
        image.image_pushed_at -= days
        if getattr(image, "archived_at", None):
            image.archived_at -= days
    document = {"digests": [image.image_digest for image in images]}
    return Response(json.dumps(document), content_type="application/json")
