"""Disguises by what an index and its manifests say of each other: platforms, evidence, types, nesting, order."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from imagegate.domain.image import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.component.disguise_shapes import IN_TOTO, PLATFORMS, SOCI, Disguise, Maker, platform_of
from tests.component.disguised_documents import Pairs, bytes_of

Make = Callable[[Maker], Disguise]

_OSES = ("linux", "Linux", "LINUX", "windows", "unknown", "Unknown", "", "darwin", "linux ", None)
_ARCHITECTURES = (
    *("amd64", "AMD64", "x86_64", "x86-64", "arm64", "aarch64", "arm", "armhf", "armel", "386", "i386"),
    *("unknown", "", "UNKNOWN", None, "amd64/x", "arm64\0"),
)
_VARIANTS = ("v8", "8", "v7", "7", "v6", "V7", "v1", "v2", "v3", "", "x", None)
_CONFIG_TYPES = (
    *("application/json", "application/octet-stream", "text/html", "", "application/vnd.oci.empty.v1+json"),
    *("application/vnd.oci.image.config.v1+JSON", "application/vnd.oci.image.config.v1+json; x=y"),
    *("application/vnd.docker.container.image.v1+json", "application/vnd.docker.plugin.v1+json"),
    *("application/vnd.cncf.notary.signature", "application/vnd.cncf.helm.config.v1+json", SOCI, "x/y"),
)
_LAYER_TYPES = (
    *("application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+zstd", IN_TOTO),
    *("application/vnd.oci.image.layer.v1.tar+encrypted", "application/octet-stream", "", "x/y"),
    *("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.dsse.envelope.v1+json"),
    *(
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "text/spdx",
        "application/vnd.oci.image.x",
    ),
)
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
_ARTIFACT_TYPES = (SOCI, "application/vnd.docker.attestation.manifest.v1+json", "x/y", "", None)


def _platform(maker: Maker) -> Any:
    chance = maker.chance
    if not chance.randrange(5):
        return chance.choice((Pairs(), None, [], "linux/amd64"))
    fields: list[tuple[str, Any]] = [
        ("architecture", chance.choice(_ARCHITECTURES)),
        ("os", chance.choice(_OSES)),
    ]
    fields += [("variant", chance.choice(_VARIANTS))] if chance.randrange(2) else []
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
        entry = entry.put("artifactType", chance.choice(_ARTIFACT_TYPES))
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


def platforms_of_configs(maker: Maker) -> Disguise:
    def change(config: Any, _other: Any) -> Any:
        for key, values in (("os", _OSES), ("architecture", _ARCHITECTURES), ("variant", _VARIANTS)):
            if maker.chance.randrange(2):
                value = maker.chance.choice(values)
                config = config.without(key) if value is None else config.put(key, value)
        return config

    maker.changes["config"] = change
    return maker.whole()


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


def artifact_types(maker: Maker) -> Disguise:
    """Give what runs an artifact type or a subject."""
    chance = maker.chance

    def change(document: Any, _other: Any) -> Any:
        if chance.randrange(3):
            document = document.put("artifactType", chance.choice(_ARTIFACT_TYPES))
        if chance.randrange(2):
            subject = Pairs(maker.image("linux/amd64").get("config")).put("mediaType", OCI_MANIFEST)
            document = document.put("subject", chance.choice((subject, None, Pairs())))
        return document

    maker.changes[chance.choice(("image", "index"))] = change
    return maker.whole()


def config_types(maker: Maker) -> Disguise:
    def change(image: Any, _other: Any) -> Any:
        config = image.get("config").put("mediaType", maker.chance.choice(_CONFIG_TYPES))
        if not maker.chance.randrange(3):
            config = maker.shelf.blob(b"{}", maker.chance.choice(_CONFIG_TYPES))
        return image.put("config", config)

    maker.changes["image"] = change
    return maker.whole()


def layer_types(maker: Maker) -> Disguise:
    """Also none, one twice, and one that is kept elsewhere."""
    chance = maker.chance

    def change(image: Any, other: Any) -> Any:
        layers = list(image.get("layers"))
        place = chance.randrange(len(layers))
        ways: tuple[Callable[[], Any], ...] = (
            lambda: [
                *layers[:place],
                layers[place].put("mediaType", chance.choice(_LAYER_TYPES)),
                *layers[place + 1 :],
            ],
            list,
            lambda: [*layers, layers[0]],
            lambda: [*layers, *other.get("layers")],
            lambda: [layers[0].put("urls", ["http://127.0.0.1:9/layer"]), *layers[1:]],
        )
        return image.put("layers", chance.choice(ways)())

    maker.changes["image"] = change
    return maker.whole()


def embedded(maker: Maker) -> Disguise:
    """Bring content along in a descriptor: the right one, or another."""
    chance = maker.chance

    def change(image: Any, other: Any) -> Any:
        content = maker.shelf.blobs[chance.choice((image, other)).get("config").get("digest")]
        text = base64.b64encode(content).decode()
        return image.put(
            "config", image.get("config").put("data", chance.choice((text, text[:-1], f"{text}\n", "")))
        )

    maker.changes["image"] = change
    return maker.whole()


def config_of_another(maker: Maker) -> Disguise:
    """Let the config name other layers, or none."""
    chance = maker.chance

    def change(config: Any, _other: Any) -> Any:
        diff_ids = list(config.get("rootfs").get("diff_ids"))
        others: tuple[Any, ...] = (
            [],
            [*diff_ids, diff_ids[0]],
            diff_ids[1:],
            [diff_ids[0].upper()],
            [None],
            None,
        )
        rootfs = chance.choice(
            (Pairs.of(type=chance.choice(("layers", "Layers", "")), diff_ids=chance.choice(others)), None)
        )
        return config.without("rootfs") if rootfs is None else config.put("rootfs", rootfs)

    maker.changes["config"] = change
    return maker.whole()


def users(maker: Maker) -> Disguise:
    """Keep users, labels and commands of many spellings."""
    chance = maker.chance

    def change(config: Any, _other: Any) -> Any:
        container = config.get("config")
        user = chance.choice(("0", "", "root", "app", "10001:0", " 1", "1\0", "4294967296", 7, None, ["1"]))
        labels = Pairs(
            [("team", "shop"), ("Team", "x"), ("TEAM", chance.choice(("y", None, 1))), ("\u017f", "s")]
        )
        container = container.put("User", user).put(
            "Labels", chance.choice((labels, None, Pairs(), labels[:2]))
        )
        return config.put("config", chance.choice((container, container, None, Pairs())))

    maker.changes["config"] = change
    return maker.whole()


def cosign(maker: Maker) -> Disguise:
    """Make an image whose layers call themselves documents."""
    chance = maker.chance
    image = maker.image("linux/amd64", evil=bool(chance.randrange(2)))
    documents = [
        maker.shelf.blob(b'{"critical": {}}', "application/vnd.dev.cosign.simplesigning.v1+json"),
        maker.shelf.blob(b'{"payload": "", "payloadType": ""}', "application/vnd.dsse.envelope.v1+json"),
        image.get("layers")[0].put("mediaType", IN_TOTO),
        image.get("layers")[0],
    ]
    image = image.put("layers", chance.sample(documents, chance.randint(1, 2)))
    if chance.randrange(2):
        config = Pairs.of(architecture="", os="", config=Pairs(), rootfs=Pairs.of(type="layers", diff_ids=[]))
        image = image.put("config", maker.shelf.blob(bytes_of(config), image.get("config").get("mediaType")))
    if chance.randrange(2):
        return maker.finish(image)
    entry = maker.shelf.push(image, OCI_MANIFEST)
    return _done(maker, _mixed(maker, [*maker.children(), entry.put("platform", platform_of("linux/amd64"))]))


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
    "platforms of configs": platforms_of_configs,
    "one platform twice": one_platform_twice,
    "an image that calls itself evidence": runs_as_evidence,
    "evidence where runtimes choose": evidence_anywhere,
    "an index of evidence, or of nothing": evidence_alone,
    "an index in an index": nested,
    "types that differ": types,
    "an image and an index in one": both_kinds,
    "artifact types and subjects": artifact_types,
    "types of configs": config_types,
    "layers": layer_types,
    "embedded content": embedded,
    "layers of the config": config_of_another,
    "users and labels": users,
    "an image of documents": cosign,
    "sizes and digests": sizes_and_digests,
}
