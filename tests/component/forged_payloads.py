"""Forgeries by whoever has the leaf's key: the payload is about something else, or can be read in two ways."""

from __future__ import annotations

from random import Random
from typing import Any

from imagegate.oci.image import Digest
from tests.component.envelopes import SUBJECT, compact
from tests.component.forging import Evidence, anyone, payload


def _targets() -> list[Any]:
    target = SUBJECT.as_json()
    return [
        target | {"digest": str(Digest.of(b"another image"))},
        target | {"digest": target["digest"].upper()},
        target | {"digest": target["digest"].replace("sha256", "sha512")},
        target | {"digest": [target["digest"]]},
        *(target | {"size": size} for size in (9, "8", 8.0, -8, None, True, 8 + 2**64, [8])),
        target | {"mediaType": "application/vnd.oci.image.index.v1+json"},
        target | {"mediaType": target["mediaType"].upper()},
        *({key: value for key, value in target.items() if key != name} for name in target),
        target | {"urls": []},
        target | {"data": ""},
        target | {"artifactType": 1},
        target | {"annotations": []},
        target | {"annotations": {"x": 1}},
        target | {"annotations": {"x": None}},
        target | {"annotations": {"io.cncf.notary.x": "y"}},
        target | {"annotations": {"x": "\ud800"}},
        [target],
        "x",
        None,
    ]


def other_target(random: Random) -> Evidence:
    genuine = anyone(random)
    return genuine.signed(payload={"targetArtifact": random.choice(_targets())})


def other_payload_form(random: Random) -> Evidence:
    genuine = anyone(random)
    whole = payload(build=str(random.getrandbits(32)))
    text = compact(whole)
    forms: list[Any] = [
        whole | {"more": 1},
        {"TargetArtifact": whole["targetArtifact"]},
        {"targetArtifacts": [whole["targetArtifact"]]},
        [whole],
        {},
        b"",
        text[:-1] + b',"targetArtifact":{}}',
        b'{"targetArtifact":{},' + text[1:],
        text.replace(b'"size":', b'"size":9,"size":'),
        text.replace(b'"annotations":{', b'"annotations":{"build":"0",'),
        text + b"\0",
        text[:-1] + b',"a":' + b"[" * 40 + b"]" * 40 + b"}",
        text.decode().encode("utf-16"),
    ]
    return genuine.signed(payload=random.choice(forms))


FORGED_PAYLOADS = {"other target": other_target, "other payload form": other_payload_form}
