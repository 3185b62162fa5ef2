"""Forgeries by whoever has a genuine envelope and no key: what some readers take for the same, and others do not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random

from tests.component.envelopes import compact
from tests.component.forging import Evidence, load_envelope

Text = Callable[[str, Random], str]


def other_spelling(random: Random) -> Evidence:
    """Write base64 that some decoders take for the same bytes."""
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    part = random.choice(["payload", "protected", "signature"])
    spelled: list[Text] = [
        lambda text, _: text + "=" * (-len(text) % 4 or 4),
        lambda text, r: _inserted(text, r.choice("\n\r\t =.%"), r),
        lambda text, r: _inserted(text, "\u200b", r),
        lambda text, _: text + "A",
        lambda text, _: base64.b64encode(base64.urlsafe_b64decode(text + "==")).decode() + "=",
    ]
    return genuine.evidence(compact(jws | {part: random.choice(spelled)(jws[part], random)}))


def other_spelling_of_a_certificate(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    x5c = jws["header"]["x5c"]
    position = random.randrange(len(x5c))
    spelled: list[Text] = [
        lambda text, r: _inserted(text, r.choice("\n\r\t ="), r),
        lambda text, _: f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----",
        lambda text, _: base64.urlsafe_b64encode(base64.b64decode(text)).decode() + "=",
        lambda text, _: base64.b64encode(base64.b64decode(text) + b"\0").decode(),
    ]
    x5c[position] = random.choice(spelled)(x5c[position], random)
    return genuine.evidence(compact(jws))


def _inserted(text: str, what: str, random: Random) -> str:
    position = random.randrange(len(text) + 1)
    return text[:position] + what + text[position:]


def duplicate_keys(random: Random) -> Evidence:
    """Write two parts under one name: one reader takes the first, another the last."""
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    part = random.choice(list(jws))
    other = compact({part: random.choice([jws[part], "e30", "", None])})[1:-1]
    text = envelope[1:-1]
    return genuine.evidence(
        b"{" + (text + b"," + other if random.random() < 0.5 else other + b"," + text) + b"}"
    )


def duplicate_chain(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    return genuine.evidence(envelope.replace(b'"x5c":', b'"x5c":[],"x5c":', 1))


def other_case(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    name = random.choice([b'"payload"', b'"protected"', b'"header"', b'"signature"', b'"x5c"'])
    return genuine.evidence(envelope.replace(name, random.choice([name.upper(), name.title()]), 1))


def other_form(random: Random) -> Evidence:
    """Write the general and the compact serialisation of JWS, and lists of the accepted one."""
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    signature = {key: jws[key] for key in ("protected", "header", "signature")}
    forms = [
        compact({"payload": jws["payload"], "signatures": [signature]}),
        compact(jws | {"signatures": [signature]}),
        ".".join(jws[key] for key in ("protected", "payload", "signature")).encode(),
        compact([jws]),
        compact(json.dumps(jws)),
        envelope.decode().encode("utf-16"),
    ]
    return genuine.evidence(random.choice(forms))


FORGED_SPELLINGS = {
    "other base64": other_spelling,
    "other base64 of a certificate": other_spelling_of_a_certificate,
    "duplicate keys": duplicate_keys,
    "duplicate chain": duplicate_chain,
    "other case": other_case,
    "other form": other_form,
}
