"""The step that attaches SBOMs, over a registry in memory; and what Inspector wrote, in S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagegate.aws.records import S3SbomExports
from imagegate.errors import RecordNotFoundError, RegistryUnavailableError, SbomRefusedError
from imagegate.evidence import sbom_document
from imagegate.evidence.sbom import NOT_ATTACHED_YET, Export
from imagegate.oci.image import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Mode
from imagegate.policy.rules import EvidenceRules, SbomFormat
from imagegate.ports.records import SbomExports
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate.workflow.attach_sbom import AttachSbom, SbomResult, SbomRoute
from imagegate.workflow.judge import JudgeRoute
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY, STAGING, critical

ARNS = "arn:aws:ecr:eu-central-1:123456789012:repository/"
DOCUMENT = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.4", "components": []}).encode()
REPORT = "75fe89e2-aad1-4a7e-8240-44d70e687eeb"
DONE = Export(REPORT, "SUCCEEDED")
CYCLONEDX, IN_TOTO = "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"
NAMES = ("linux/amd64", "linux/arm64")


@dataclass
class FakeExports:
    files: dict[str, bytes] = field(default_factory=dict)

    def keys(self, prefix: str) -> Iterator[str]:
        return iter([key for key in self.files if key.startswith(prefix)])

    def document(self, key: str) -> bytes:
        return self.files[key]


@dataclass
class Attaching(World):
    exports: FakeExports = field(default_factory=FakeExports)

    def call(self, image: ImageRef, export: Export | None = None) -> SbomResult:
        _port: SbomExports = self.exports
        step = AttachSbom(
            images=self.registry,
            ledger=self.ledger,
            records=self.records,
            registry=self.registry,
            scans=self.scans,
            exports=self.exports,
            repositories=ARNS,
        )
        return step.run(ReleaseId(image, 1), export)

    def begun(self, image: ImageRef) -> ImageRef:
        assert isinstance(self.start(image), Release)
        return image

    def write(self, image: ImageRef, *digests: Digest, report: str = REPORT, text: bytes = DOCUMENT) -> None:
        """Write the export as Inspector does."""
        folder = f"sboms/{self.release(image).key}/CYCLONEDX_1_4_outputs_{report}/account=123456789012"
        for digest in digests:
            key = (
                f"{folder}/resource=AWS_ECR_CONTAINER_IMAGE/arn_repository_{DEV}_{digest}_CYCLONEDX_1_4.json"
            )
            self.exports.files[key] = text

    def release(self, image: ImageRef) -> Release:
        return self.ledger.get(ReleaseId(image, 1))

    def noted(self, image: ImageRef) -> str:
        sbom = self.release(image).sbom
        return sbom.note if sbom else ""

    def sboms(self, digest: Digest) -> list[Digest]:
        listed = self.registry.referrers(ImageRef(DEV, digest))
        return [one.digest for one in listed if one.artifact_type == CYCLONEDX]

    def indexed(
        self, *names: str, evidence: dict[str, Manifest] | None = None
    ) -> tuple[ImageRef, list[Digest]]:
        """Push platforms by name, each with the attestation that is given for it."""
        children = []
        for name in names:
            os, _, architecture = name.partition("/")
            child = self.registry.push_image(DEV, "", seed=name, architecture=architecture)
            platform = {"os": os, "architecture": architecture}
            children.append(described(self.registry.manifest(child)) | {"platform": platform})
        digests = [Digest.parse(child["digest"]) for child in children]
        for name, manifest in (evidence or {}).items():
            self.put(manifest)
            about = {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": str(digests[names.index(name)]),
            }
            unknown = {"os": "unknown", "architecture": "unknown"}
            children.append(described(manifest) | {"annotations": about, "platform": unknown})
        raw = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
        manifest = Manifest.parse(json.dumps(raw).encode())
        self.registry.pushed_at[ImageRef(DEV, manifest.digest)] = NOW
        self.registry.push_manifest(DEV, manifest, "1.0")
        return ImageRef(DEV, manifest.digest), digests

    def put(self, manifest: Manifest) -> Digest:
        for blob in manifest.blobs:
            self.registry.blobs.setdefault((DEV, blob.digest), b"{}")
        self.registry.push_manifest(DEV, manifest)
        return manifest.digest

    def attach(self, subject: Digest, **form: Any) -> Digest:
        return self.put(artifact(subject, **form))


def described(manifest: Manifest) -> dict[str, Any]:
    return manifest.descriptor.as_json()


def artifact(
    subject: Digest | None,
    artifact_type: str = CYCLONEDX,
    layer_type: str = CYCLONEDX,
    content: bytes = b"{}",
    annotations: dict[str, str] | None = None,
) -> Manifest:
    layer = Descriptor(layer_type, Digest.of(content), len(content)).as_json()
    raw = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": {"mediaType": OCI_EMPTY, "digest": str(Digest.of(b"{}")), "size": 2},
        "layers": [layer | {"annotations": annotations or {}}],
        **({"subject": Descriptor(OCI_MANIFEST, subject, 9).as_json()} if subject else {}),
    }
    return Manifest.parse(json.dumps(raw).encode())


@pytest.fixture
def world() -> Attaching:
    made = Attaching()
    asks(made, SbomFormat.CYCLONEDX)
    return made


def asks(world: Attaching, sbom: SbomFormat | None, **changes: Any) -> None:
    dev = replace(POLICY.stages["dev"], evidence=EvidenceRules(sbom=sbom), **changes)
    world.policy = world.records.policies[POLICY.digest] = replace(
        POLICY, stages={**POLICY.stages, "dev": dev}
    )


@pytest.fixture
def image(world: Attaching) -> ImageRef:
    return world.begun(world.registry.push_image(DEV, "1.0"))


# When an export is requested


def test_the_judge_asks_for_one_only_where_the_stage_does_and_the_image_passes(world: Attaching) -> None:
    good, bad = (world.begun(world.registry.push_image(DEV, tag, seed=tag)) for tag in ("1.0", "2.0"))
    world.scans.finish(good)
    world.scans.finish(bad, critical())
    passed, refused = world.judge(good), world.judge(bad)
    assert (passed.route, passed.sbom, passed.as_json()["sbom"]) == (JudgeRoute.SIGN, True, True)
    assert (refused.sbom, world.release(bad).sbom) == (False, None)
    assert world.release(good).sbom == NOT_ATTACHED_YET  # what is said if nothing more is heard
    asks(world, SbomFormat.CYCLONEDX, mode=Mode.OBSERVE)
    assert not world.judge(bad).sbom


def test_a_stage_that_asks_for_none_gets_none(world: Attaching, image: ImageRef) -> None:
    asks(world, None)
    world.scans.finish(image)
    assert not world.judge(image).sbom
    assert world.call(image) == SbomResult(SbomRoute.DONE)
    assert world.release(image).sbom is None


def test_judging_again_does_not_forget_what_was_attached(world: Attaching, image: ImageRef) -> None:
    world.scans.finish(image)
    world.judge(image)
    world.write(image, image.digest)
    world.call(image, DONE)
    world.judge(image)
    assert world.noted(image) == "attached, by Amazon Inspector"


# The request


def test_of_an_image_without_an_sbom_one_is_exported(world: Attaching, image: ImageRef) -> None:
    attached = world.call(image)
    assert attached.as_json() == {
        "route": "EXPORT",
        "wanted": {
            "format": "CYCLONEDX_1_4",
            "prefix": f"sboms/{world.release(image).key}",
            "resources": [{"Comparison": "EQUALS", "Value": f"{ARNS}{DEV}/{image.digest}"}],
            "batch": 0,
        },
    }
    asks(world, SbomFormat.SPDX)
    assert world.call(image).as_json()["wanted"]["format"] == "SPDX_2_3"


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"artifact_type": "application/spdx+json"},
        {"artifact_type": IN_TOTO, "annotations": {"in-toto.io/predicate-type": "https://spdx.dev/Document"}},
        {
            "artifact_type": IN_TOTO,
            "layer_type": IN_TOTO,
            "content": b'{"predicateType":"https://cyclonedx.org/bom"}',
        },
    ],
)
def test_an_sbom_of_the_build_is_kept_in_any_form(
    world: Attaching, image: ImageRef, form: dict[str, Any]
) -> None:
    content = form.get("content", b"{}")
    world.registry.blobs[DEV, Digest.of(content)] = content
    world.attach(image.digest, **form)
    before = len(world.registry.manifests)
    assert world.call(image).route is SbomRoute.DONE
    assert world.noted(image) == "was there before, and is kept"
    assert len(world.registry.manifests) == before


@pytest.mark.parametrize(
    "form",
    [
        {"artifact_type": "application/vnd.cncf.notary.signature", "layer_type": "application/jose+json"},
        {
            "artifact_type": IN_TOTO,
            "layer_type": IN_TOTO,
            "content": b'{"predicateType":"https://slsa.dev/provenance/v1"}',
        },
        {"artifact_type": IN_TOTO, "layer_type": IN_TOTO, "content": b"no json"},
    ],
)
def test_other_evidence_is_no_sbom(world: Attaching, image: ImageRef, form: dict[str, Any]) -> None:
    content = form.get("content", b"{}")
    world.registry.blobs[DEV, Digest.of(content)] = content
    world.attach(image.digest, **form)
    assert world.call(image).route is SbomRoute.EXPORT


def test_of_an_index_the_platforms_without_one_are_exported(world: Attaching) -> None:
    said = {"in-toto.io/predicate-type": "https://spdx.dev/Document"}
    buildx = artifact(None, IN_TOTO, IN_TOTO, annotations=said)
    image, (_, arm, riscv) = world.indexed(*NAMES, "linux/riscv64", evidence={"linux/amd64": buildx})
    world.begun(image)
    world.attach(arm)
    wanted = world.call(image).wanted
    assert wanted
    assert wanted.resources == (f"{ARNS}{DEV}/{riscv}",)


def test_buildx_provenance_alone_is_no_sbom(world: Attaching) -> None:
    said = {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
    image, _ = world.indexed(
        *NAMES, evidence={"linux/amd64": artifact(None, IN_TOTO, IN_TOTO, annotations=said)}
    )
    wanted = world.call(world.begun(image)).wanted
    assert wanted
    assert len(wanted.resources) == 2


def test_an_sbom_of_the_whole_index_is_one_of_each_platform(world: Attaching) -> None:
    image, _ = world.indexed(*NAMES)
    world.attach(image.digest)
    assert world.call(world.begun(image)).route is SbomRoute.DONE
    assert world.noted(image) == "was there before, and is kept"


def test_more_platforms_than_an_export_takes_are_exported_ten_by_ten(world: Attaching) -> None:
    image, digests = world.indexed(*(f"linux/a{number}" for number in range(12)))
    world.begun(image)
    world.write(image, *digests)
    first = world.call(image).wanted
    assert first
    assert len(first.resources) == 10
    second = world.call(image, replace(DONE, batch=first.batch)).wanted
    assert second
    assert (len(second.resources), second.batch) == (2, 1)
    # Killed after it had attached all ten, and called again: the same.
    assert world.call(image, replace(DONE, batch=first.batch)).wanted == second
    assert world.call(image, replace(DONE, batch=second.batch)).route is SbomRoute.DONE
    assert world.noted(image) == "attached, by Amazon Inspector, to each of 12 platforms"


# What is attached


def test_the_export_of_inspector_is_attached_byte_for_byte(world: Attaching, image: ImageRef) -> None:
    world.write(image, image.digest, Digest.of(b"another"))
    assert world.call(image, DONE).route is SbomRoute.DONE
    [sbom] = world.sboms(image.digest)
    manifest = world.registry.manifest(DEV, sbom)
    assert world.registry.blob(DEV, manifest.layers[0]) == DOCUMENT
    assert world.noted(image) == "attached, by Amazon Inspector"
    assert world.release(image).sbom is not None


def test_calling_again_attaches_no_second_one(world: Attaching, image: ImageRef) -> None:
    world.write(image, image.digest)
    for export in (DONE, DONE, None, DONE):
        world.call(image, export)
    assert len(world.sboms(image.digest)) == 1
    assert world.noted(image) == "attached, by Amazon Inspector"


def test_killed_anywhere_it_ends_the_same(world: Attaching, image: ImageRef) -> None:
    """Before each of its writes once; then it is called again with the same export."""
    world.write(image, image.digest)
    for write in ("push_blob", "push_manifest", "record"):
        target: Any = world.ledger if write == "record" else world.registry
        real = getattr(target, write)

        def die(*_: Any, **__: Any) -> None:
            raise RegistryUnavailableError("killed")

        setattr(target, write, die)
        with pytest.raises(RegistryUnavailableError):
            world.call(image, DONE)
        setattr(target, write, real)
    world.call(image, DONE)
    assert len(world.sboms(image.digest)) == 1
    assert world.noted(image) == "attached, by Amazon Inspector"


def test_a_late_listing_of_referrers_doubles_nothing(world: Attaching, image: ImageRef) -> None:
    world.write(image, image.digest)
    world.call(image, DONE)
    world.registry.referrers = lambda image: []  # type: ignore[method-assign]
    assert world.call(image).route is SbomRoute.DONE
    assert world.noted(image) == "attached, by Amazon Inspector"


def test_it_is_promoted_also_where_it_is_not_listed_yet(world: Attaching) -> None:
    image, digests = world.indexed(*NAMES)
    for digest in digests:
        world.scans.finish(ImageRef(DEV, digest))
    world.sign(world.judge(world.begun(image)).decision)
    world.write(image, *digests)
    world.call(image, DONE)
    attached = [world.sboms(digest)[0] for digest in digests]
    world.registry.referrers = lambda image: []  # type: ignore[method-assign]
    world.promote(image)
    assert all(ImageRef(STAGING, sbom) in world.registry.manifests for sbom in attached)


@pytest.mark.parametrize("is_ours", [True, False])
def test_promoted_evidence_is_kept_before_it_is_listed(world: Attaching, is_ours: bool) -> None:
    """In the repository of the next stage, by what the ledger knows of the stage before."""
    image = world.begun(world.registry.push_image(DEV, "1.0"))
    if is_ours:
        world.write(image, image.digest)
        world.call(image, DONE)
    else:
        world.attach(image.digest)
        world.call(image)
    [sbom] = world.sboms(image.digest)
    evidence = EvidenceRules(sbom=SbomFormat.SPDX)
    stages = {**world.policy.stages, "staging": replace(POLICY.stages["staging"], evidence=evidence)}
    world.policy = world.records.policies[POLICY.digest] = replace(world.policy, stages=stages)
    for digest in (image.digest, sbom):
        manifest = world.registry.manifest(DEV, digest)
        for blob in manifest.blobs:
            world.registry.blobs[STAGING, blob.digest] = world.registry.blobs[DEV, blob.digest]
        world.registry.push_manifest(STAGING, manifest, "1.0" if digest == image.digest else None)
    there = world.begun(ImageRef(STAGING, image.digest))
    world.registry.referrers = lambda image: []  # type: ignore[method-assign]
    assert world.call(there).route is SbomRoute.DONE
    assert world.noted(there) == "was there before, and is kept"
    assert (world.release(there).sbom or NOT_ATTACHED_YET).manifests == (sbom,)


def test_evidence_of_a_deleted_and_repushed_image_is_attached_again(
    world: Attaching, image: ImageRef
) -> None:
    world.write(image, image.digest)
    world.call(image, DONE)
    [sbom] = world.sboms(image.digest)
    world.registry.delete(ImageRef(DEV, sbom))
    assert world.call(image).route is SbomRoute.EXPORT


def test_files_of_another_export_are_not_attached(world: Attaching, image: ImageRef) -> None:
    world.write(image, image.digest, report="00000000-0000-0000-0000-000000000000")
    world.call(image, DONE)
    assert world.sboms(image.digest) == []


# What is said where there is none


def test_an_export_that_wrote_nothing_is_noticed_and_said(world: Attaching, image: ImageRef) -> None:
    world.scans.watches = False
    assert world.call(image, DONE).route is SbomRoute.DONE
    assert world.noted(image) == (
        "none: Amazon Inspector writes none for shop-dev, which it does not scan continuously: set CONTINUOUS_SCAN for "
        "it in the registry's scanning configuration"
    )


def test_a_missing_export_despite_continuous_scanning_has_another_message(
    world: Attaching, image: ImageRef
) -> None:
    world.call(image, DONE)
    assert world.noted(image).startswith("none: the export of Amazon Inspector succeeded, but has nothing")


def test_the_platforms_that_have_none_are_named(world: Attaching) -> None:
    image, (amd, _) = world.indexed(*NAMES)
    world.begun(image)
    world.write(image, amd)
    world.call(image, DONE)
    assert world.noted(image).startswith("none for linux/arm64: ")
    assert len(world.sboms(amd)) == 1


@pytest.mark.parametrize(
    ("export", "said"),
    [
        (Export(REPORT, "FAILED", "INVALID_PERMISSIONS: no"), "did not export it: INVALID_PERMISSIONS: no"),
        (Export("", "REFUSED", "Inspector2.AccessDeniedException: no"), "did not export it: Inspector2.Acc"),
        (Export(REPORT, "IN_PROGRESS"), "takes too long"),
    ],
)
def test_an_export_that_failed_or_takes_too_long_leads_on(
    world: Attaching, image: ImageRef, export: Export, said: str
) -> None:
    world.write(image, image.digest)
    assert world.call(image, export).route is SbomRoute.DONE
    assert f"none: Amazon Inspector {said}" in world.noted(image)
    assert world.sboms(image.digest) == []


def test_anything_but_an_sbom_is_not_attached_and_is_named(world: Attaching, image: ImageRef) -> None:
    world.write(image, image.digest, text=b'{"bomFormat": "SPDX"}')
    assert world.call(image, DONE).route is SbomRoute.DONE
    assert world.sboms(image.digest) == []
    assert world.noted(image).endswith("is JSON, but no CycloneDX document")


def test_an_image_that_is_gone_meanwhile_leads_on(world: Attaching, image: ImageRef) -> None:
    world.registry.delete(image)
    assert world.call(image).route is SbomRoute.DONE
    assert world.noted(image).startswith("none: ")
    assert "not found" in world.noted(image)


def test_a_release_that_is_over_is_left_alone(world: Attaching, image: ImageRef) -> None:
    world.ledger.close(ReleaseId(image, 1), Outcome.FAILED, None, NOW, "")
    assert world.call(image, DONE) == SbomResult(SbomRoute.DONE)
    assert world.release(image).sbom is None


# The bucket

BUCKET = "records"


@pytest.fixture
def bucket(aws_account: None) -> Iterator[Any]:
    with mock_aws():
        s3: Any = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        yield s3


def test_keys_are_listed_below_a_prefix_on_all_pages(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    for number in range(5):
        bucket.put_object(Bucket=BUCKET, Key=f"sboms/a/{number}", Body=b"")
    bucket.put_object(Bucket=BUCKET, Key="sboms/b/1", Body=b"")
    exports = S3SbomExports(BUCKET)
    assert len(list(exports.keys("sboms/a"))) == 5
    assert list(exports.keys("sboms/c")) == []


def test_a_document_is_read_unless_it_is_too_large(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put_object(Bucket=BUCKET, Key="sboms/a/1", Body=DOCUMENT)
    exports = S3SbomExports(BUCKET)
    assert exports.document("sboms/a/1") == DOCUMENT
    monkeypatch.setattr(sbom_document, "MAX_SBOM", len(DOCUMENT) - 1)
    with pytest.raises(SbomRefusedError, match="at most"):
        exports.document("sboms/a/1")
    with pytest.raises(RecordNotFoundError):
        exports.document("sboms/a/2")
