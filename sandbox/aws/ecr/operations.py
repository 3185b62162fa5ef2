"""ECR's JSON API over the sandbox's registry.

moto computes wrong digests, drops the bytes of layers, sends no events, and lacks ListImageReferrers,
GetDownloadUrlForLayer, account settings, managed signing, paging, references and digest checks of PutImage, and
scanning that takes time, basic or enhanced. The repositories, their policies, tags and lifecycle rules stay moto's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr import urls
from moto.ecr.models import ECRBackend, Image

from sandbox.aws.ecr import shapes
from sandbox.aws.ecr.signing import SigningOperations
from sandbox.registry import index, scanning
from sandbox.registry.blobs import SHA256
from sandbox.registry.errors import EcrError
from sandbox.registry.paging import page
from sandbox.registry.store import TOKEN_SECONDS, open_store, store
from sandbox.scanner import report, scans
from sandbox.settings import Settings

ACCOUNT_SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE", {"AWS_NATIVE", "CLAIR"}),
    "REGISTRY_POLICY_SCOPE": ("V2", {"V1", "V2"}),
    "BLOB_MOUNTING": ("ENABLED", {"ENABLED", "DISABLED"}),
}


class EcrOperations(SigningOperations):
    """Operations that moto lacks or answers differently from AWS; method = operation."""

    def call_action(self) -> Any:
        every = store().settings.quirks.throttle_every
        store().calls += 1
        if every and store().calls % every == 0:
            # Not in ECR's model: every service of AWS may answer so.
            refusal = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            return 400, self.response_headers, json.dumps(refusal)
        return super().call_action()

    def describe_image_replication_status(self) -> ActionResult:
        """By the rules of the registry's replication; nothing is copied here, a quirk says how it went."""
        name, asked = self._get_param("repositoryName"), self._get_param("imageId")
        held = store().backend.repositories.get(name)
        if held is None:
            raise EcrError("RepositoryNotFoundException", f"The repository '{name}' does not exist")
        status = store().settings.quirks.replica_status
        more = {"failureCode": "INTERNAL_ERROR"} if status == "FAILED" else {}
        rules = store().backend.replication_config.get("rules", [])
        statuses = [
            {**destination, "status": status, **more}
            for rule in rules
            if _matches(name, rule.get("repositoryFilters"))
            for destination in rule["destinations"]
        ]
        return ActionResult({"repositoryName": name, "imageId": asked, "replicationStatuses": statuses})

    def get_authorization_token(self) -> ActionResult:
        """The password stands for the caller: the registry checks that identity's permissions."""
        password = store().issue_token(self.get_access_key())
        data = {
            "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
            "expiresAt": datetime.fromtimestamp(time.time() + TOKEN_SECONDS, UTC),
            "proxyEndpoint": f"http://{store().settings.registry}",
        }
        return ActionResult({"authorizationData": [data]})

    def put_image(self) -> ActionResult:
        repo = self._repository()
        tag = self._get_param("imageTag")
        image = index.put_image(
            repo,
            self._get_param("imageManifest"),
            media_type=self._get_param("imageManifestMediaType"),
            tag=tag,
            digest=self._get_param("imageDigest"),
            caller=self.get_access_key(),
        )
        return ActionResult({"image": shapes.image(repo, image, tag)})

    def batch_get_image(self) -> ActionResult:
        repo = self._repository()
        accepted = self._get_param("acceptedMediaTypes")
        images, failures = [], []
        for wanted in self._get_param("imageIds"):
            image, failure = _resolve(repo, wanted)
            if image and accepted and image.image_manifest_media_type not in accepted:
                failure = ("ImageNotFound", "Requested image not found")
            if failure:
                failures.append(shapes.failure(wanted, *failure))
            else:
                images.append(shapes.image(repo, image, wanted.get("imageTag")))
        return ActionResult({"images": images, "failures": failures})

    def batch_delete_image(self) -> ActionResult:
        repo = self._repository()
        deleted: list[dict[str, str]] = []
        failures = []
        for wanted in self._get_param("imageIds"):
            image, failure = _resolve(repo, wanted)
            parents = index.referencing(repo, image.image_digest) if image else []
            if image and parents and not wanted.get("imageTag"):
                reason = f"Requested image referenced by manifest list: [{', '.join(parents)}]"
                failure = ("ImageReferencedByManifestList", reason)
            if failure:
                failures.append(shapes.failure(wanted, *failure))
            else:
                deleted += index.delete_image(repo, image, wanted.get("imageTag"))
        return ActionResult({"imageIds": deleted, "failures": failures})

    def list_images(self) -> ActionResult:
        images = _filtered(list(self._repository().images), self._get_param("filter", {}))
        ids = [index.image_id(i.image_digest, t) for i in images for t in i.image_tags or [None]]
        return self._page("imageIds", ids)

    def describe_images(self) -> ActionResult:
        repo = self._repository()
        if wanted := self._get_param("imageIds"):
            images = [_required(repo, image_id) for image_id in wanted]
            return ActionResult({"imageDetails": [shapes.details(repo, i) for i in images]})
        images = _filtered(list(repo.images), self._get_param("filter", {}))
        return self._page("imageDetails", [shapes.details(repo, image) for image in images])

    def list_image_referrers(self) -> ActionResult:
        repo = self._repository()
        wanted = self._get_param("filter", {})
        digest = self._get_param("subjectId")["imageDigest"]
        found = index.referrers(repo, digest, wanted.get("artifactTypes") or ())
        if wanted.get("artifactStatus") in ("ARCHIVED", "ACTIVATING"):
            found = []
        return self._page("referrers", [shapes.referrer(manifest) for manifest in found], most=50)

    def _page(self, key: str, items: Sequence[Any], *, default: int = 100, most: int = 1000) -> Any:
        limit = int(self._get_param("maxResults") or min(default, most))
        if not 1 <= limit <= most:
            raise index.invalid("maxResults", f"Member must be between 1 and {most}")
        listed, token = page(items, self._get_param("nextToken"), limit)
        return ActionResult({key: listed} | ({"nextToken": token} if token else {}))

    def get_account_setting(self) -> ActionResult:
        name = self._get_param("name")
        default, _ = _setting(name)
        value = store().account_settings.get(name, default)
        return ActionResult({"name": name, "value": value})

    def put_account_setting(self) -> ActionResult:
        name, value = self._get_param("name"), self._get_param("value")
        if value not in _setting(name)[1]:
            raise index.invalid("value", f"{value} is not a value of {name}")
        store().account_settings[name] = value
        return ActionResult({"name": name, "value": value})

    def batch_get_repository_scanning_configuration(self) -> ActionResult:
        names = self._get_param("repositoryNames")
        held = store().backend.repositories
        missing = [name for name in names if name not in held]
        reason = "REPOSITORY_NOT_FOUND"
        return ActionResult(
            {
                "scanningConfigurations": [
                    scanning.configuration(held[name]) for name in names if name in held
                ],
                "failures": [
                    {"repositoryName": name, "failureCode": reason, "failureReason": reason}
                    for name in missing
                ],
            }
        )

    def start_image_scan(self) -> ActionResult:
        repo, wanted = self._repository(), self._get_param("imageId")
        image = _required(repo, wanted)
        status = scans.start(repo, image, index.manifest_of(image))
        return ActionResult(shapes.scanned(repo, image, wanted) | {"imageScanStatus": status})

    def describe_image_scan_findings(self) -> Any:
        repo, wanted = self._repository(), self._get_param("imageId")
        image = _required(repo, wanted)
        token, limit = self._get_param("nextToken"), self._get_param("maxResults")
        try:
            page = report.report(repo, image, index.manifest_of(image), token, limit)
        except report.ServerFault as fault:
            refusal = {"__type": "ServerException", "message": str(fault)}
            return json.dumps(refusal), {"status": 500}
        return ActionResult(shapes.scanned(repo, image, wanted) | page)

    def put_registry_scanning_configuration(self) -> ActionResult:
        answer = super().put_registry_scanning_configuration()
        scans.reconfigured()
        return answer


def install(settings: Settings) -> None:
    """Answer ECR's JSON API from the sandbox's store; repositories get its address."""
    open_store(settings)
    urls.url_paths["{0}/$"] = EcrOperations.dispatch
    Image._create_digest = _create_digest
    ECRBackend.create_repository = _create_repository


def _create_digest(self: Any) -> None:
    content = self.image_manifest.encode()
    self._image_digest = "sha256:" + hashlib.sha256(content).hexdigest()


_moto_create_repository = ECRBackend.create_repository


def _create_repository(self: Any, *args: Any, **kwargs: Any) -> Any:
    repo = _moto_create_repository(self, *args, **kwargs)
    repo.uri = f"{store().settings.registry}/{repo.name}"
    return repo


def _setting(name: str) -> tuple[str, set[str]]:
    if name not in ACCOUNT_SETTINGS:
        raise EcrError("ValidationException", f"unknown account setting {name}")
    return ACCOUNT_SETTINGS[name]


def _resolve(repo: Any, wanted: dict[str, str]) -> tuple[Any, tuple[str, str] | None]:
    digest, tag = wanted.get("imageDigest"), wanted.get("imageTag")
    if not digest and not tag:
        return None, ("MissingDigestAndTag", "Invalid request parameters: both tag and digest null")
    if digest and not SHA256.fullmatch(digest):
        return None, ("InvalidImageDigest", f"Invalid request parameters: digest '{digest}'")
    if image := index.find(repo, digest=digest, tag=tag):
        return image, None
    if digest and tag and index.find(repo, tag=tag):
        return None, ("ImageTagDoesNotMatchDigest", f"Tag '{tag}' is not on '{digest}'")
    return None, ("ImageNotFound", "Requested image not found")


def _required(repo: Any, wanted: dict[str, str]) -> Any:
    image, failure = _resolve(repo, wanted)
    if failure:
        digest, tag = wanted.get("imageDigest", "null"), wanted.get("imageTag", "null")
        raise EcrError(
            "ImageNotFoundException",
            f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist "
            f"within the repository with name '{repo.name}' in the registry with id "
            f"'{repo.registry_id}'",
        )
    return image


def _filtered(images: list[Any], wanted: dict[str, str]) -> list[Any]:
    if wanted.get("imageStatus") in ("ARCHIVED", "ACTIVATING"):
        return []
    match wanted.get("tagStatus", "ANY"):
        case "TAGGED":
            return [image for image in images if image.image_tags]
        case "UNTAGGED":
            return [image for image in images if not image.image_tags]
    return images


def _matches(repository: str, filters: list[dict[str, str]] | None) -> bool:
    """Amazon ECR knows prefixes; no filter is every repository."""
    return not filters or any(repository.startswith(one["filter"]) for one in filters)
