"""Clean-up of images in throw-away repositories: previews, the archive, and deletions."""

from __future__ import annotations

from tests.contract.recorder import content
from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.repository import repository

CHAPTER = "ECR: images and manifests"
_NO_PREVIEW = "the sandbox has no previews"
_ABSENT = "sha256:" + "0" * 64
_RULES = (
    '{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "tagged", "tagPatternList": ["old*"],'
    ' "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}]}'
)


@behaviour(CHAPTER, "model, StartLifecyclePolicyPreview", ("ok", "ok"), looser=_NO_PREVIEW)
def a_preview_says_what_a_policy_would_do(bench: Bench) -> None:
    """A preview ends as COMPLETE, and names each image with its action and rule; nothing is deleted by it."""
    repo = repository(bench)
    for tag in ("old-1", "old-2", "new-1"):
        repo.image(tag, note=tag)
    if repo.ask("StartLifecyclePolicyPreview", show="status", lifecyclePolicyText=_RULES).outcome != "ok":
        return
    bench.until(lambda: repo.do("GetLifecyclePolicyPreview")["status"] != "IN_PROGRESS", 180)
    show = "[status, previewResults[].[imageTags, action.type, appliedRulePriority], summary.expiringImageTotalCount]"
    repo.ask("GetLifecyclePolicyPreview", show=show)


@behaviour(
    CHAPTER,
    "model, StartLifecyclePolicyPreview; what the answer is about is unverified",
    None,
    looser=_NO_PREVIEW,
)
def a_preview_is_that_of_the_last_start(bench: Bench) -> None:
    """A second preview with other rules, asked for at once, is about these, or is refused while the first one runs."""
    repo = repository(bench)
    repo.image("old-1")
    for rules in (_RULES, _RULES.replace("old", "new")):
        repo.ask("StartLifecyclePolicyPreview", show="status", lifecyclePolicyText=rules)
    repo.ask("GetLifecyclePolicyPreview", show="contains(lifecyclePolicyText, 'new')")


@behaviour(CHAPTER, "model, UpdateImageStorageClass and DescribeImagesFilter.imageStatus", None)
def an_archived_image_is_described_with_a_filter(bench: Bench) -> None:
    """An archived image is described only with a filter, also by its digest; then it is deleted."""
    repo = repository(bench)
    wanted = {"imageDigest": content.digest_of(repo.image("v1"))}
    repo.ask("UpdateImageStorageClass", show="imageStatus", imageId=wanted, targetStorageClass="ARCHIVE")
    show = "imageDetails[].[imageDigest, imageStatus]"
    repo.ask("DescribeImages", show=show, imageIds=[wanted])
    repo.ask("DescribeImages", show=show, imageIds=[wanted], filter={"imageStatus": "ANY"})
    repo.ask("DescribeImages", show=show)
    repo.ask("DescribeImages", show=show, filter={"imageStatus": "ANY"})
    deleted = "{deleted: imageIds[].imageDigest, failures: failures[].failureCode}"
    repo.ask("BatchDeleteImage", show=deleted, imageIds=[wanted])


@behaviour(CHAPTER, "model, UpdateImageStorageClass", None)
def what_is_not_archived(bench: Bench) -> None:
    """Evidence, the child of an index, and an absent image are archived or refused by name."""
    repo = repository(bench)
    image = repo.image("v1")
    repo.blob(content.EMPTY_CONTENT)
    evidence = repo.push(content.artifact(image))
    repo.push(content.index(image), "v2")
    for digest in (evidence, content.digest_of(image), _ABSENT):
        repo.ask(
            "UpdateImageStorageClass",
            show="imageStatus",
            imageId={"imageDigest": digest},
            targetStorageClass="ARCHIVE",
        )


@behaviour(CHAPTER, "unverified: a list with an image that is gone", None)
def a_list_with_an_absent_image(bench: Bench) -> None:
    """A list of digests with one that is gone is refused, or answered without it."""
    repo = repository(bench)
    there = content.digest_of(repo.image())
    wanted = [{"imageDigest": there}, {"imageDigest": _ABSENT}]
    repo.ask("DescribeImages", show="imageDetails[].imageDigest", imageIds=wanted)


@behaviour(CHAPTER, "model, BatchDeleteImage and ImageFailureCode", ("ok", "yes", "yes"))
def a_digest_takes_all_its_tags_with_it(bench: Bench) -> None:
    """A deletion by digest takes the image with all its tags; a digest that is gone is a failure in a success."""
    repo = repository(bench)
    manifest = repo.image("v1")
    repo.push(manifest, "v2")
    wanted = [{"imageDigest": content.digest_of(manifest)}, {"imageDigest": _ABSENT}]
    show = "{deleted: imageIds[].imageTag | sort(@), failures: failures[].failureCode}"
    answer = repo.ask("BatchDeleteImage", show=show, imageIds=wanted)
    codes = [one["failureCode"] for one in answer.content["failures"]]
    bench.observe("the absent one is ImageNotFound", codes == ["ImageNotFound"])
    bench.observe("nothing is left", repo.do("DescribeImages")["imageDetails"] == [])
