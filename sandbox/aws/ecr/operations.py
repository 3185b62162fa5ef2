"""ECR's JSON API over the sandbox's registry.

moto computes wrong digests, drops the bytes of layers, sends no events, and lacks ListImageReferrers,
GetDownloadUrlForLayer, account settings, managed signing, paging, references and digest checks of PutImage, and scans
that take time, basic or enhanced. Repositories, their policies, tags and lifecycle rules stay moto's.
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
from moto.ecr import policy_validation, urls
from moto.ecr.models import ECRBackend, Image

from sandbox.aws.ecr import shapes
from sandbox.aws.ecr.signing import SigningOperations
from sandbox.aws.ecr.storage_classes import StorageClassOperations, with_status
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


class EcrOperations(SigningOperations, StorageClassOperations):
    """Operations that moto lacks or answers differently from AWS, one method each."""

    def call_action(self) -> Any:
        every = store().settings.quirks.throttle_every
        store().calls += 1
        if every and store().calls % every == 0:
            # Not in ECR's model: every service of AWS may answer this.
            refusal = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            return 400, self.response_headers, json.dumps(refusal)
        try:
            return super().call_action()
        except NotImplementedError:
            # moto would answer 500, which clients try again.
            message = f"the sandbox has no {self._get_action()}"
            refusal = {"__type": "UnknownOperationException", "message": message}
            return 400, self.response_headers, json.dumps(refusal)

    def describe_image_replication_status(self) -> ActionResult:
        """Return the status by the replication rules; nothing is copied here, a quirk sets the result."""
        name, image_id = self._get_param("repositoryName"), self._get_param("imageId")
        repository = store().backend.repositories.get(name)
        if repository is None:
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
        return ActionResult({"repositoryName": name, "imageId": image_id, "replicationStatuses": statuses})

    def get_authorization_token(self) -> ActionResult:
        """Return a password for the caller; the registry checks that caller's permissions."""
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
        for image_id in self._get_param("imageIds"):
            image, failure = _resolve(repo, image_id)
            if image and index.status_of(image) != "ACTIVE":
                failure = ("ImageNotFound", "Requested image is in the archive")
            if image and accepted and image.image_manifest_media_type not in accepted:
                failure = ("ImageNotFound", "Requested image not found")
            if failure:
                failures.append(shapes.failure(image_id, *failure))
            else:
                images.append(shapes.image(repo, image, image_id.get("imageTag")))
        return ActionResult({"images": images, "failures": failures})

    def batch_delete_image(self) -> ActionResult:
        repo = self._repository()
        deleted: list[dict[str, str]] = []
        failures = []
        for image_id in self._get_param("imageIds"):
            image, failure = _resolve(repo, image_id)
            parents = index.referencing(repo, image.image_digest) if image else []
            if image and parents and not image_id.get("imageTag"):
                reason = f"Requested image referenced by manifest list: [{', '.join(parents)}]"
                failure = ("ImageReferencedByManifestList", reason)
            if failure:
                failures.append(shapes.failure(image_id, *failure))
            else:
                deleted += index.delete_image(repo, image, image_id.get("imageTag"))
        return ActionResult({"imageIds": deleted, "failures": failures})

    def list_images(self) -> ActionResult:
        images = _filter_images(list(self._repository().images), self._get_param("filter", {}))
        ids = [index.image_id(i.image_digest, t) for i in images for t in i.image_tags or [None]]
        return self._page("imageIds", ids)

    def describe_images(self) -> ActionResult:
        repo = self._repository()
        if image_ids := self._get_param("imageIds"):
            images = [_find_image(repo, image_id) for image_id in image_ids]
            if len(with_status(images, self._get_param("filter", {}))) < len(images):
                raise EcrError("ImageNotFoundException", "one of the images is in the archive")
            return ActionResult({"imageDetails": [shapes.details(repo, i) for i in images]})
        images = _filter_images(list(repo.images), self._get_param("filter", {}))
        return self._page("imageDetails", [shapes.details(repo, image) for image in images])

    def list_image_referrers(self) -> ActionResult:
        repo = self._repository()
        criteria = self._get_param("filter", {})
        digest = self._get_param("subjectId")["imageDigest"]
        manifests = index.referrers(repo, digest, criteria.get("artifactTypes") or ())
        if criteria.get("artifactStatus") in ("ARCHIVED", "ACTIVATING"):
            manifests = []
        return self._page("referrers", [shapes.referrer(manifest) for manifest in manifests], most=50)

    def _page(self, key: str, items: Sequence[Any], *, default: int = 100, most: int = 1000) -> Any:
        limit = int(self._get_param("maxResults") or min(default, most))
        if not 1 <= limit <= most:
            raise index.invalid("maxResults", f"Member must be between 1 and {most}")
        page_items, token = page(items, self._get_param("nextToken"), limit)
        return ActionResult({key: page_items} | ({"nextToken": token} if token else {}))

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
        repositories = store().backend.repositories
        missing = [name for name in names if name not in repositories]
        reason = "REPOSITORY_NOT_FOUND"
        return ActionResult(
            {
                "scanningConfigurations": [
                    scanning.configuration(repositories[name]) for name in names if name in repositories
                ],
                "failures": [
                    {"repositoryName": name, "failureCode": reason, "failureReason": reason}
                    for name in missing
                ],
            }
        )

    def start_image_scan(self) -> ActionResult:
        repo, image_id = self._repository(), self._get_param("imageId")
        image = _find_image(repo, image_id)
        status = scans.start_scan(repo, image, index.manifest_of(image))
        return ActionResult(shapes.scan_names(repo, image, image_id) | {"imageScanStatus": status})

    def describe_image_scan_findings(self) -> Any:
        repo, image_id = self._repository(), self._get_param("imageId")
        image = _find_image(repo, image_id)
        token, limit = self._get_param("nextToken"), self._get_param("maxResults")
        try:
            page = report.report(repo, image, index.manifest_of(image), token, limit)
        except report.ServerFault as fault:
            refusal = {"__type": "ServerException", "message": str(fault)}
            return json.dumps(refusal), {"status": 500}
        return ActionResult(shapes.scan_names(repo, image, image_id) | page)

    def put_registry_scanning_configuration(self) -> ActionResult:
        answer = super().put_registry_scanning_configuration()
        scans.apply_scanning_rules()
        return answer


def install(settings: Settings) -> None:
    """Answer ECR's JSON API from the sandbox's store, and give repositories its address."""
    open_store(settings)
    urls.url_paths["{0}/$"] = EcrOperations.dispatch
    Image._create_digest = _create_digest
    ECRBackend.create_repository = _create_repository
    _accept_archive_rules()


def _accept_archive_rules() -> None:
    """Let moto take the rules of lifecycle policies for the archive (user guide, "Lifecycle policy parameters")."""
    policy_validation.VALID_ACTION_TYPE_VALUES.add("transition")
    # moto has one set for the keys that are valid and those that are required.
    policy_validation.VALID_ACTION_PROPERTIES = {"type", "targetStorageClass"}
    policy_validation.VALID_SELECTION_PROPERTIES.add("storageClass")
    policy_validation.VALID_SELECTION_COUNT_TYPE_VALUES.update(("sinceImagePulled", "sinceImageTransitioned"))


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


def _resolve(repo: Any, image_id: dict[str, str]) -> tuple[Any, tuple[str, str] | None]:
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    if not digest and not tag:
        return None, ("MissingDigestAndTag", "Invalid request parameters: both tag and digest null")
    if digest and not SHA256.fullmatch(digest):
        return None, ("InvalidImageDigest", f"Invalid request parameters: digest '{digest}'")
    if image := index.find(repo, digest=digest, tag=tag):
        return image, None
    if digest and tag and index.find(repo, tag=tag):
        return None, ("ImageTagDoesNotMatchDigest", f"Tag '{tag}' is not on '{digest}'")
    return None, ("ImageNotFound", "Requested image not found")


def _find_image(repo: Any, image_id: dict[str, str]) -> Any:
    image, failure = _resolve(repo, image_id)
    if failure:
        digest, tag = image_id.get("imageDigest", "null"), image_id.get("imageTag", "null")
        raise EcrError(
            "ImageNotFoundException",
            f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist "
            f"within the repository with name '{repo.name}' in the registry with id "
            f"'{repo.registry_id}'",
        )
    return image


def _filter_images(images: list[Any], criteria: dict[str, str]) -> list[Any]:
    images = with_status(images, criteria)
    match criteria.get("tagStatus", "ANY"):
        case "TAGGED":
            return [image for image in images if image.image_tags]
        case "UNTAGGED":
            return [image for image in images if not image.image_tags]
    return images


def _matches(repository: str, filters: list[dict[str, str]] | None) -> bool:
    """Match by prefix, as Amazon ECR does; no filter matches every repository."""
    return not filters or any(repository.startswith(one["filter"]) for one in filters)
