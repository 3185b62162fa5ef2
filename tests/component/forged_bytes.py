"""Forgeries by whoever has a genuine envelope and no key: its bytes are altered, cut, mixed and blown up."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random
from typing import Any

from imagegate.notation.jws import MAX_ENVELOPE
from imagegate.oci.image import Descriptor, Digest
from tests.component.envelopes import SUBJECT, base64url, compact
from tests.component.forging import Evidence, everyone, load_envelope, payload

Text = Callable[[str, Random], str]


def _flipped(content: bytes, random: Random) -> bytes:
    altered = bytearray(content)
    altered[random.randrange(len(altered))] ^= 1 << random.randrange(8)
    return bytes(altered)


def bit_anywhere(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    return genuine.evidence(_flipped(envelope, random))


def _bit_in(part: str) -> Callable[[Random], Evidence]:
    """Flip a bit of the decoded content and encode it again: the form is right, the content is not."""

    def forge(random: Random) -> Evidence:
        genuine, envelope = load_envelope(random)
        jws = json.loads(envelope)
        content = base64.urlsafe_b64decode(jws[part] + "=" * (-len(jws[part]) % 4))
        return genuine.evidence(compact(jws | {part: base64url(_flipped(content, random))}))

    return forge


def bit_in_a_certificate(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    x5c = jws["header"]["x5c"]
    position = random.randrange(len(x5c))
    x5c[position] = base64.b64encode(_flipped(base64.b64decode(x5c[position]), random)).decode()
    return genuine.evidence(compact(jws))


def bytes_in_a_certificate(random: Random) -> Evidence:
    """Replace a run of bytes, as a fuzzer does."""
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    x5c = jws["header"]["x5c"]
    position = random.randrange(len(x5c))
    der = bytearray(base64.b64decode(x5c[position]))
    start, before = random.randrange(len(der)), bytes(der)
    der[start : start + random.randrange(12)] = random.randbytes(random.randrange(12))
    if bytes(der) == before:
        der[start] ^= 1
    x5c[position] = base64.b64encode(der).decode()
    return genuine.evidence(compact(jws))


def unused_bits(random: Random) -> Evidence:
    """Let a certificate's signature claim to end in the middle of a byte, which no signature covers."""
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    x5c = jws["header"]["x5c"]
    position = random.randrange(max(1, len(x5c) - 1))
    der = bytearray(base64.b64decode(x5c[position]))
    place = len(der) - len(genuine.chain[position].signature) - 1
    # As many as are zero: then a reader may take what is left for the same.
    der[place] = (der[-1] & -der[-1]).bit_length() - 1 if der[-1] else 7
    der[place] = der[place] or 1
    x5c[position] = base64.b64encode(der).decode()
    return genuine.evidence(compact(jws))


def truncated(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    return genuine.evidence(envelope[: random.randrange(len(envelope))])


def truncated_part(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    part = random.choice(["payload", "protected", "signature"])
    return genuine.evidence(compact(jws | {part: jws[part][: random.randrange(len(jws[part]))]}))


def bytes_behind(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    return genuine.evidence(envelope + random.choice([b"\0", b"{}", b"x", envelope, b"]", b"\xff"]))


def bytes_before(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    return genuine.evidence(random.choice([b"\xef\xbb\xbf", b"\0", b"[", b"x", b"{}"]) + envelope)


def mixed_parts(random: Random) -> Evidence:
    """Mix parts of two genuine envelopes: neither of them says what the mixture says."""
    genuine, envelope = load_envelope(random)
    _, other = load_envelope(random)
    while other == envelope:
        _, other = load_envelope(random)
    jws, theirs = json.loads(envelope), json.loads(other)
    part = random.choice([name for name in jws if jws[name] != theirs[name]])
    return genuine.evidence(compact(jws | {part: theirs[part]}))


def other_payload(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    other = payload(stage=random.choice(["staging", "production"]), number=str(random.getrandbits(32)))
    return genuine.evidence(compact(json.loads(envelope) | {"payload": base64url(compact(other))}))


def other_subject(random: Random) -> Evidence:
    """Show a genuine signature beside another image."""
    genuine, envelope = load_envelope(random)
    subject = random.choice(
        [
            Descriptor(SUBJECT.media_type, Digest.of(random.randbytes(8)), SUBJECT.size),
            Descriptor(SUBJECT.media_type, SUBJECT.digest, SUBJECT.size + 1 + random.randrange(9)),
            Descriptor("application/vnd.oci.image.index.v1+json", SUBJECT.digest, SUBJECT.size),
        ]
    )
    return genuine.evidence(envelope, subject=subject)


def unsigned_headers(random: Random) -> Evidence:
    """Add to the unsigned header, which may have only the chain, the agent and the countersignature."""
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    header: dict[str, Any] = random.choice(
        [
            {"alg": "ES384"},
            {"kid": "x"},
            {"io.cncf.notary.timestamp": "AAAA"},
            {"io.cncf.notary.signingAgent": 1},
            {"io.cncf.notary.expiry": "2099-01-01T00:00:00Z"},
            {"x5c": []},
            {"x5c": jws["header"]["x5c"][0]},
            {"x5c": [*jws["header"]["x5c"][:-1], 5]},
            {"x5c": {"0": jws["header"]["x5c"][0]}},
        ]
    )
    return genuine.evidence(compact(jws | {"header": jws["header"] | header}))


def no_part(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    part = random.choice(list(jws))
    instead: Any = random.choice([None, "", 0, [], {}, True, 1.5])
    left = {key: value for key, value in jws.items() if key != part}
    return genuine.evidence(compact(left if random.random() < 0.5 else jws | {part: instead}))


def huge(random: Random) -> Evidence:
    """Make it too large, too deep, or with a number of too many digits."""
    genuine, envelope = load_envelope(random)
    jws = json.loads(envelope)
    deep = random.choice([17, 500, 990, 30_000])
    contents = [
        envelope + b" " * MAX_ENVELOPE,
        b"[" * deep,
        b'{"a":' * deep + b"1" + b"}" * deep,
        envelope[:-1] + b',"a":' + b"[" * deep + b"]" * deep + b"}",
        b'{"payload":' + b"9" * 50_000 + b"}",
        compact(jws | {"payload": "A" * 60_000}),
        compact(jws | {"header": {"x5c": jws["header"]["x5c"] * 11}}),
        compact(jws | {"header": {"x5c": ["AAAA"] * 8_000}}),
        compact({str(number): 1 for number in range(6_000)}),
        b'{"payload":1e' + b"9" * 1_000 + b"}",
    ]
    return genuine.evidence(random.choice(contents))


def random_bytes(random: Random) -> Evidence:
    genuine = everyone()[0]
    return genuine.evidence(random.randbytes(random.randrange(200)))


FORGED_BYTES = {
    "bit in the payload": _bit_in("payload"),
    "bit in the protected header": _bit_in("protected"),
    "bit in the signature": _bit_in("signature"),
    "bit in a certificate": bit_in_a_certificate,
    "bytes in a certificate": bytes_in_a_certificate,
    "bit anywhere": bit_anywhere,
    "unused bits": unused_bits,
    "truncated": truncated,
    "truncated part": truncated_part,
    "bytes behind": bytes_behind,
    "bytes before": bytes_before,
    "parts of two signatures": mixed_parts,
    "other payload": other_payload,
    "other subject": other_subject,
    "unsigned headers": unsigned_headers,
    "no part": no_part,
    "huge": huge,
    "random bytes": random_bytes,
}
