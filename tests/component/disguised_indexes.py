"""Disguises by what an index says of its children: platforms, evidence, types, nesting, order."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from imagegate.oci.image import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.component.disguise_shapes import PLATFORMS, Disguise, Maker, platform_of
from tests.component.disguised_documents import Pairs
from tests.component.disguised_manifests import ARCHITECTURES, ARTIFACT_TYPES, OSES, VARIANTS

Make = Callable[[Maker], Disguise]

_DOCUMENT_TYPES = (
    *(
        OCI_MANIFEST,
        OCI_INDEX,
        DOCKER_MANIFEST,
        DOCKER_LIST,
        OCI_INDEX.upper(),
        f"{OCI_MANIFEST}; charset=utf-8",
    ),
    *("application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json", "", "text/plain"),
    *("application/vnd.oci.artifact.manifest.v1+json", f" {OCI_INDEX}", f"{DOCKER_LIST}\n"),
)


def _platform(maker: Maker) -> Any:
    chance = maker.chance
    if not chance.randrange(5):
        return chance.choice((Pairs(), None, [], "linux/amd64"))
    fields: list[tuple[str, Any]] = [
        ("architecture", chance.choice(ARCHITECTURES)),
        ("os", chance.choice(OSES)),
    ]
    fields += [("variant", chance.choice(VARIANTS))] if chance.randrange(2) else []
    extra = (
        ("os.version", "10.0.17763.1"),
        ("os.features", ["win32k"]),
        ("features", ["sse4"]),
        ("os.version", 7),
    )
    fields += [chance.choice(extra)] if not chance.randrange(4) else []
    return Pairs(chance.sample(fields, len(fields)) if chance.randrange(4) else fields[1:])


def _disguised(maker: Maker, entry: Pairs, about: Pairs) -> Pairs:
    """Let an entry call itself evidence of another one, in some of the ways there are."""
    chance = maker.chance
    if chance.randrange(3):
        named = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about.get("digest"),
        }
        soci = {"com.amazon.soci.image-manifest-digest": about.get("digest")}
        entry = entry.put("annotations", Pairs(chance.choice((named, soci, {**named, **soci})).items()))
    if chance.randrange(2):
        entry = entry.put("artifactType", chance.choice(ARTIFACT_TYPES))
    way = chance.randrange(4)
    if way == 0:
        return entry.without("platform")
    if way == 1:
        return entry.put("platform", platform_of("unknown/unknown"))
    return entry.put("platform", _platform(maker)) if way == 2 else entry


def _mixed(maker: Maker, children: list[Pairs]) -> list[Pairs]:
    return maker.chance.sample(children, len(children)) if maker.chance.randrange(2) else children


def _done(maker: Maker, children: list[Pairs], **more: Any) -> Disguise:
    return maker.finish(maker.index(children, **more), maker.index_type)


def platforms(maker: Maker) -> Disguise:
    """Give the entries other platforms than their configs have, or none."""
    children = maker.children()
    for _ in range(maker.chance.randint(1, 2)):
        place = maker.chance.randrange(len(children))
        platform = _platform(maker)
        children[place] = (
            children[place].without("platform")
            if platform is None
            else children[place].put("platform", platform)
        )
    return _done(maker, _mixed(maker, children))


def one_platform_twice(maker: Maker) -> Disguise:
    children = maker.children()
    twin = maker.child(maker.chance.choice(PLATFORMS)).put("platform", children[0].get("platform"))
    if maker.chance.randrange(2):
        twin = maker.child("/".join(str(had) for _, had in _ordered(children[0].get("platform"))))
    if maker.chance.randrange(2):
        compressed = Pairs([("io.github.containers.compression.zstd", "true")])
        twin = twin.put("annotations", compressed)
    return _done(maker, _mixed(maker, [*children, twin]))


def _ordered(platform: Pairs) -> list[tuple[str, Any]]:
    order = ("os", "architecture", "variant")
    return sorted(platform, key=lambda member: order.index(member[0]))


def runs_as_evidence(maker: Maker) -> Disguise:
    """Put an image among the entries that calls itself evidence of another one."""
    children = maker.children()
    evil = _disguised(maker, maker.child(maker.chance.choice(PLATFORMS), evil=True), children[0])
    return _done(maker, _mixed(maker, [*children, evil]))


def evidence_anywhere(maker: Maker) -> Disguise:
    """Put real evidence where runtimes could choose it."""
    children = maker.children()
    about = maker.chance.choice(children)
    made = (maker.attestation(about), maker.attestation(about, new=False), maker.soci(about))
    evidence = maker.chance.choice(made)
    if maker.chance.randrange(2):
        evidence = _disguised(maker, evidence, maker.chance.choice(children))
    return _done(maker, _mixed(maker, [*children, evidence]))


def evidence_alone(maker: Maker) -> Disguise:
    children = maker.children()
    made = [
        maker.attestation(children[0]),
        maker.attestation(children[0], new=False),
        maker.soci(children[0]),
    ]
    chosen = maker.chance.sample(made, maker.chance.randint(0, 2))
    return _done(
        maker, [_disguised(maker, one, children[0]) if maker.chance.randrange(2) else one for one in chosen]
    )


def nested(maker: Maker) -> Disguise:
    """Put an index into the index, that may call itself evidence, or be named for a platform."""
    children = maker.children()
    for _ in range(maker.chance.randint(1, 3)):
        more = {"artifactType": "x/y"} if not maker.chance.randrange(3) else {}
        inner = maker.index(maker.children(evil=bool(maker.chance.randrange(2))), **more)
        if not maker.chance.randrange(3):
            inner = inner.put("subject", Pairs(children[0][:3]))
        entry = Pairs([*maker.shelf.push(inner, maker.index_type)])
        way = maker.chance.randrange(3)
        if way:
            platform = platform_of(maker.chance.choice(PLATFORMS)) if way == 1 else _platform(maker)
            entry = entry.put("platform", platform)
        children = _mixed(maker, [*children, _disguised(maker, entry, children[0]) if way == 2 else entry])
    return _done(maker, children)


def types(maker: Maker) -> Disguise:
    """Let the document, its entry and the registry each say another type."""
    chance = maker.chance
    if chance.randrange(2):
        maker.told = chance.choice(_DOCUMENT_TYPES).strip()
    level = chance.choice(("index", "image"))

    def change(document: Any, _other: Any) -> Any:
        own = chance.choice((*_DOCUMENT_TYPES, None, None))
        return document.without("mediaType") if own is None else document.put("mediaType", own)

    if chance.randrange(3):
        maker.changes[level] = change
    elif level == "index":
        children = maker.children()
        children[0] = children[0].put("mediaType", chance.choice(_DOCUMENT_TYPES))
        return _done(maker, children)
    return maker.whole()


def both_kinds(maker: Maker) -> Disguise:
    """Make one document an image and an index."""
    chance = maker.chance
    image, index = maker.image("linux/amd64"), maker.index(maker.children(evil=True))
    document, other = (image, index) if chance.randrange(2) else (index, image)
    members = [had for had in other if had[0] in ("config", "layers", "manifests")]
    extra: list[tuple[str, Any]] = [
        (key, chance.choice(([], None, Pairs())))
        for key in ("fsLayers", "history", "signatures", "manifests")
    ]
    added = chance.sample([*members, *extra], chance.randint(1, 2))
    kept = [had for had in document if all(had[0] != key for key, _ in added)]
    if chance.randrange(2):
        kept = [had for had in kept if had[0] != "mediaType"]
    media_type = chance.choice((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
    return maker.finish(Pairs(chance.sample([*kept, *added], len(kept) + len(added))), media_type)


def sizes_and_digests(maker: Maker) -> Disguise:
    children = maker.children()
    place = maker.chance.randrange(len(children))
    had, evil = children[place], maker.child("linux/amd64", evil=True)
    ways = (
        had.put("size", had.get("size") + maker.chance.choice((-1, 1))),
        had.put("digest", evil.get("digest")),
        had.put("digest", had.get("digest").upper()),
        had.put("digest", f"sha512:{'0' * 128}"),
        had.put("digest", f"sha256:{'0' * 64}"),
        had.put("digest", had.get("digest").replace("sha256:", "SHA256:")),
        had.put("data", base64.b64encode(maker.shelf.manifests[evil.get("digest")][0]).decode()),
        had.put("urls", ["http://127.0.0.1:9/manifest"]),
    )
    children[place] = maker.chance.choice(ways)
    return _done(maker, children)


BY_STRUCTURE: dict[str, Make] = {
    "platforms": platforms,
    "one platform twice": one_platform_twice,
    "an image that calls itself evidence": runs_as_evidence,
    "evidence where runtimes choose": evidence_anywhere,
    "an index of evidence, or of nothing": evidence_alone,
    "an index in an index": nested,
    "types that differ": types,
    "an image and an index in one": both_kinds,
    "sizes and digests": sizes_and_digests,
}
