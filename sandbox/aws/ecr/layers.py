"""The layer operations of ECR's JSON API, on the registry's blobs; moto drops the bytes."""

from __future__ import annotations

import base64
import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from sandbox.aws.ecr.shapes import layer_failure, repository_names
from sandbox.registry import index, layers
from sandbox.registry.blobs import SHA256
from sandbox.registry.errors import EcrError
from sandbox.registry.store import store

PART_BYTES = 20_971_520  # the largest that UploadLayerPart takes


class LayerOperations(ECRResponse):
    """Layer operations, one method each, and the reading of parameters for the other operations."""

    def _get_param(self, param_name: str, if_none: Any = None) -> Any:
        """Read a parameter from the JSON body only: moto also looks for `name=value` inside manifests."""
        return json.loads(self.body or "{}").get(param_name, if_none)

    def _repository(self) -> Any:
        return index.repository(self._get_param("repositoryName"), self._get_param("registryId"))

    def initiate_layer_upload(self) -> ActionResult:
        upload = layers.begin(self._repository())
        return ActionResult({"uploadId": upload.id, "partSize": PART_BYTES})

    def upload_layer_part(self) -> ActionResult:
        repo = self._repository()
        content = base64.b64decode(self._get_param("layerPartBlob"))
        first, last = self._get_param("partFirstByte"), self._get_param("partLastByte")
        if len(content) > PART_BYTES or last - first + 1 != len(content):
            raise index.invalid("layerPartBlob", f"{len(content)} bytes for {first} to {last}")
        upload = layers.append_part(repo, self._get_param("uploadId"), first, content)
        return ActionResult(
            repository_names(repo) | {"uploadId": upload.id, "lastByteReceived": upload.size - 1}
        )

    def complete_layer_upload(self) -> ActionResult:
        repo = self._repository()
        upload = layers.upload_of(repo, self._get_param("uploadId"))
        expected = self._get_param("layerDigests")[0]
        if upload.digest in repo.layers:
            layers.cancel(repo, upload)
            message = f"Layer with digest '{upload.digest}' already exists in '{repo.name}'"
            raise EcrError("LayerAlreadyExistsException", message)
        digest = layers.finish(repo, upload, expected)
        return ActionResult(repository_names(repo) | {"uploadId": upload.id, "layerDigest": digest})

    def batch_check_layer_availability(self) -> ActionResult:
        repo = self._repository()
        found, failures = [], []
        for digest in self._get_param("layerDigests"):
            if not SHA256.fullmatch(digest):
                failures.append(layer_failure(digest, "InvalidLayerDigest", "is invalid"))
            else:
                size = repo.layers.get(digest)
                state = "UNAVAILABLE" if size is None else "AVAILABLE"
                found.append({"layerDigest": digest, "layerAvailability": state, "layerSize": size or 0})
        return ActionResult({"layers": found, "failures": failures})

    def get_download_url_for_layer(self) -> ActionResult:
        """Return a URL with a token in it, as AWS returns a presigned one."""
        repo, digest = self._repository(), self._get_param("layerDigest")
        if digest not in repo.layers:
            message = f"Layer with digest '{digest}' does not exist in '{repo.name}'"
            raise EcrError("LayersNotFoundException", message)
        token = store().issue_token(self.get_access_key())
        url = f"http://{store().settings.registry}/layers/{repo.name}/{digest}?token={token}"
        return ActionResult({"downloadUrl": url, "layerDigest": digest})
