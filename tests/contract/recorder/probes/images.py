"""ECR's JSON API: the refusals of PutImage, and the answers about images."""

from __future__ import annotations

from tests.contract.recorder import content
from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.repository import repository

CHAPTER = "ECR: images and manifests"
_ABSENT = "sha256:" + "0" * 64


@behaviour(CHAPTER, "unverified for the JSON API", ("ok", "ok", "yes", "ok", "yes"))
def a_manifest_is_given_byte_for_byte(bench: Bench) -> None:
    """`BatchGetImage` gives the manifest's exact bytes, by tag and by digest."""
    repo = repository(bench)
    layer = content.layer({"hello": "hello\n"})
    repo.blob(layer)
    repo.blob(content.config())
    manifest = content.manifest([layer])
    repo.put(manifest, "v1")
    for wanted in ({"imageTag": "v1"}, {"imageDigest": content.digest_of(manifest)}):
        show = "images[].[imageManifestMediaType, imageManifest]"
        (image,) = repo.ask("BatchGetImage", show=show, imageIds=[wanted]).content["images"]
        bench.observe("its very bytes", image["imageManifest"].encode() == manifest)


@behaviour(CHAPTER, "unverified: the model's list of valid values leaves indexes out", None)
def an_index_is_given_when_its_type_is_accepted(bench: Bench) -> None:
    """`BatchGetImage` gives an index, byte for byte, when its media type is among the accepted ones; else not."""
    repo = repository(bench)
    child = repo.image()
    index = content.index(child)
    repo.push(index, "v1")
    for accepted in ([content.INDEX], [content.MANIFEST]):
        repo.ask(
            "BatchGetImage",
            show="{images: images[].imageManifest, failures: failures[].failureCode}",
            imageIds=[{"imageTag": "v1"}],
            acceptedMediaTypes=accepted,
        )


@behaviour(CHAPTER, "model, BatchGetImage and ImageFailureCode", ("ok", "yes") * 4)
def what_cannot_be_had_is_a_failure_in_a_success(bench: Bench) -> None:
    """`BatchGetImage` answers 200 with `failures` that say why."""
    repo = repository(bench)
    repo.image("v1")
    for wanted, code in (
        ({"imageTag": "gone"}, "ImageNotFound"),
        ({"imageDigest": _ABSENT}, "ImageNotFound"),
        ({"imageDigest": "sha256:short"}, "InvalidImageDigest"),
        ({"imageTag": "v1", "imageDigest": _ABSENT}, "ImageTagDoesNotMatchDigest"),
    ):
        answer = repo.ask("BatchGetImage", show="failures[].failureCode", imageIds=[wanted])
        bench.observe(code, [one["failureCode"] for one in answer.content["failures"]] == [code])


@behaviour(
    CHAPTER, "model, DescribeImages", ("ok", "ok", "ImageNotFoundException", "RepositoryNotFoundException")
)
def an_image_is_described(bench: Bench) -> None:
    """`DescribeImages` returns tags, types and subject; for an absent image `ImageNotFoundException`."""
    repo = repository(bench)
    image = repo.image("v1")
    repo.blob(content.EMPTY_CONTENT)
    evidence = repo.push(content.artifact(image))
    show = "imageDetails[].[imageDigest, imageTags, imageManifestMediaType, artifactMediaType, subjectManifestDigest]"
    for wanted in ({"imageTag": "v1"}, {"imageDigest": evidence}, {"imageTag": "gone"}):
        repo.ask("DescribeImages", show=show, imageIds=[wanted])
    missing = f"{repo.name}-missing"
    bench.ask("ecr", "DescribeImages", repositoryName=missing, imageIds=[{"imageTag": "v1"}])


@behaviour(CHAPTER, "unverified", None)
def an_image_is_described_at_once(bench: Bench) -> None:
    """An image is described as soon as `PutImage` has answered."""
    repo = repository(bench)
    digest = content.digest_of(repo.image())
    answer = repo.ask("DescribeImages", show="imageDetails[].imageDigest", imageIds=[{"imageDigest": digest}])
    bench.observe("described at once", answer.outcome == "ok")


@behaviour(CHAPTER, 'unverified: the model says only "was pushed"', None)
def the_push_time_is_that_of_the_first_push(bench: Bench) -> None:
    """`imagePushedAt` stays when the same manifest is pushed again under another tag."""
    repo = repository(bench)
    image = repo.image("v1")
    wanted = [{"imageDigest": content.digest_of(image)}]
    first = repo.do("DescribeImages", imageIds=wanted)["imageDetails"][0]["imagePushedAt"]
    # Times have whole seconds.
    bench.until(lambda: False, 1.1)
    repo.put(image, "v2")
    second = repo.do("DescribeImages", imageIds=wanted)["imageDetails"][0]["imagePushedAt"]
    bench.observe("the time is that of the first push", first == second)


@behaviour(CHAPTER, "model, PutImage", ("ImageAlreadyExistsException", "ok", "ImageAlreadyExistsException"))
def an_image_exists_already_under_its_tag(bench: Bench) -> None:
    """Pushing a present image under a tag that it has, or under none, is `ImageAlreadyExistsException`."""
    repo = repository(bench)
    image = repo.image("v1")
    for tag in ("v1", "v2", None):
        repo.put(image, tag)


@behaviour(CHAPTER, "model, PutImage", ("LayersNotFoundException", "ReferencedImagesNotFoundException"))
def references_must_be_there(bench: Bench) -> None:
    """A manifest needs its blobs, an index its children, in the repository beforehand."""
    repo = repository(bench)
    missing = content.manifest([content.layer({"missing": "missing\n"})])
    repo.put(missing)
    repo.put(content.index(missing))


@behaviour(CHAPTER, "unverified", None)
def a_subject_need_not_be_there(bench: Bench) -> None:
    """A manifest whose `subject` is not in the repository is taken."""
    repo = repository(bench)
    repo.blob(content.EMPTY_CONTENT)
    repo.put(content.artifact(content.manifest([])))


@behaviour(CHAPTER, "model, PutImage", ("ImageDigestDoesNotMatchException",))
def a_wrong_digest_is_refused(bench: Bench) -> None:
    """`PutImage` with a digest that is not the manifest's is refused."""
    repo = repository(bench)
    manifest = repo.image()
    repo.put(manifest + b"\n", "v1", imageDigest=content.digest_of(manifest))


@behaviour(CHAPTER, "model, PutImage: `InvalidParameterException`", None)
def a_manifest_must_be_one(bench: Bench) -> None:
    """Bytes that are no manifest, or more than 4 MiB, are refused."""
    repo = repository(bench)
    repo.ask("PutImage", imageManifest="{}", imageManifestMediaType=content.MANIFEST)
    padded = repo.image() + b" " * (4 * 1024 * 1024)
    repo.put(padded)


@behaviour(
    CHAPTER, "model, PutImage and ImageTagMutability", ("ok", "ok", "ImageTagAlreadyExistsException", "ok")
)
def a_tag_moves_unless_it_is_immutable(bench: Bench) -> None:
    """A pushed tag moves; in an immutable repository it does not, but for those that a filter excludes."""
    mutable = repository(bench)
    filters = [{"filterType": "WILDCARD", "filter": "latest*"}]
    immutable = repository(
        bench, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters
    )
    for repo, tag in ((mutable, "v1"), (immutable, "v1"), (immutable, "latest")):
        repo.image(tag, note=f"{tag}, first")
        second = repo.image(note=f"{tag}, second")
        repo.put(second, tag)
        if repo is mutable:
            repo.ask("DescribeImages", show="imageDetails[].imageDigest", imageIds=[{"imageTag": tag}])


@behaviour(CHAPTER, "model, BatchDeleteImage and ImageFailureCode", ("ok", "ok", "no", "yes"))
def a_child_is_kept_under_its_index(bench: Bench) -> None:
    """An image that an index lists is not deleted: `ImageReferencedByManifestList`; the index goes."""
    repo = repository(bench)
    child = repo.image()
    index = repo.push(content.index(child), "v1")
    for digest in (content.digest_of(child), index):
        repo.ask(
            "BatchDeleteImage",
            show="{deleted: imageIds, failures: failures[].failureCode}",
            imageIds=[{"imageDigest": digest}],
        )
    left = [one["imageDigest"] for one in repo.do("DescribeImages")["imageDetails"]]
    bench.observe("the index is still there", index in left)
    bench.observe("its child is still there", content.digest_of(child) in left)


@behaviour(CHAPTER, "model, CompleteLayerUpload", ("LayerAlreadyExistsException", "InvalidLayerException"))
def a_blob_is_taken_once_and_checked(bench: Bench) -> None:
    """A blob that is there is `LayerAlreadyExistsException`; one with another digest `InvalidLayerException`."""
    repo = repository(bench)
    taken, other = content.layer({"once": "once\n"}), content.layer({"other": "other\n"})
    digest = repo.blob(taken)
    for blob, expected in ((taken, digest), (other, _ABSENT)):
        upload = repo.do("InitiateLayerUpload")["uploadId"]
        part = {"partFirstByte": 0, "partLastByte": len(blob) - 1, "layerPartBlob": blob}
        repo.do("UploadLayerPart", uploadId=upload, **part)
        repo.ask("CompleteLayerUpload", uploadId=upload, layerDigests=[expected])


@behaviour("The registry's protocol", "model, ListImageReferrers", ("ok", "ok", "ok"))
def referrers_are_listed_by_subject(bench: Bench) -> None:
    """`ListImageReferrers` gives digest, types and annotations of the manifests with this subject."""
    repo = repository(bench)
    image = repo.image()
    repo.blob(content.EMPTY_CONTENT)
    repo.push(content.artifact(image))
    subject = {"imageDigest": content.digest_of(image)}
    bench.until(lambda: repo.do("ListImageReferrers", subjectId=subject)["referrers"], 30)
    show = "referrers[].[digest, mediaType, artifactType, size, annotations, artifactStatus]"
    repo.ask("ListImageReferrers", show=show, subjectId=subject)
    for kind in (content.ARTIFACT, "application/x-other"):
        repo.ask(
            "ListImageReferrers",
            show="referrers[].digest",
            subjectId=subject,
            filter={"artifactTypes": [kind]},
        )
