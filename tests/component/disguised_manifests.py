"""Disguises by what manifests and configs say of themselves: types, platforms, layers, users, embedded content."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from imagegate.oci.image import OCI_MANIFEST
from tests.component.disguise_shapes import IN_TOTO, SOCI, Disguise, Maker, platform_of
from tests.component.disguised_documents import Pairs, bytes_of

OSES = ("linux", "Linux", "LINUX", "windows", "unknown", "Unknown", "", "darwin", "linux ", None)
ARCHITECTURES = (
    *("amd64", "AMD64", "x86_64", "x86-64", "arm64", "aarch64", "arm", "armhf", "armel", "386", "i386"),
    *("unknown", "", "UNKNOWN", None, "amd64/x", "arm64\0"),
)
VARIANTS = ("v8", "8", "v7", "7", "v6", "V7", "v1", "v2", "v3", "", "x", None)
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
ARTIFACT_TYPES = (SOCI, "application/vnd.docker.attestation.manifest.v1+json", "x/y", "", None)


def platforms_of_configs(maker: Maker) -> Disguise:
    def change(config: Any, _other: Any) -> Any:
        for key, values in (("os", OSES), ("architecture", ARCHITECTURES), ("variant", VARIANTS)):
            if maker.chance.randrange(2):
                value = maker.chance.choice(values)
                config = config.without(key) if value is None else config.put(key, value)
        return config

    maker.changes["config"] = change
    return maker.whole()


def artifact_types(maker: Maker) -> Disguise:
    """Give what runs an artifact type or a subject."""
    chance = maker.chance

    def change(document: Any, _other: Any) -> Any:
        if chance.randrange(3):
            document = document.put("artifactType", chance.choice(ARTIFACT_TYPES))
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
    """Change the layers' types: none, one twice, and one that is stored elsewhere."""
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
    children = [*maker.children(), entry.put("platform", platform_of("linux/amd64"))]
    return maker.finish(maker.index(maker.chance.sample(children, len(children))), maker.index_type)


BY_CONTENT: dict[str, Callable[[Maker], Disguise]] = {
    "platforms of configs": platforms_of_configs,
    "artifact types and subjects": artifact_types,
    "types of configs": config_types,
    "layers": layer_types,
    "embedded content": embedded,
    "layers of the config": config_of_another,
    "users and labels": users,
    "an image of documents": cosign,
}
