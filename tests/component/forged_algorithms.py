"""Forgeries by whoever has the leaf's key, or another one, and signs by an algorithm that does not go with it."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.component.envelopes import Key, signature_of
from tests.component.forging import Evidence, Genuine, anyone, some_payload

Signing = Callable[[Key, bytes], bytes]


def _hmac(digest: str, encoding: Encoding, form: PublicFormat) -> Signing:
    """Sign with the public key as the secret, which fools a verifier that believes `alg`."""

    def sign(key: Key, content: bytes) -> bytes:
        return hmac.digest(key.public_key().public_bytes(encoding, form), content, digest)

    return sign


def _ecdsa(digest: hashes.HashAlgorithm, *, as_der: bool = False) -> Signing:
    def sign(key: Key, content: bytes) -> bytes:
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return b""
        der = key.sign(content, ec.ECDSA(digest))
        if as_der:
            return der
        length = (key.key_size + 7) // 8
        return b"".join(number.to_bytes(length, "big") for number in decode_dss_signature(der))

    return sign


def _rsa(make: Callable[[], padding.AsymmetricPadding], digest: hashes.HashAlgorithm) -> Signing:
    def sign(key: Key, content: bytes) -> bytes:
        return key.sign(content, make(), digest) if isinstance(key, rsa.RSAPrivateKey) else b""

    return sign


def _pss(digest: hashes.HashAlgorithm, salt: int) -> Callable[[], padding.AsymmetricPadding]:
    return lambda: padding.PSS(padding.MGF1(digest), salt)


SHA256, SHA384, SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()
DER, PEM, INFO = Encoding.DER, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
# By the algorithm that belongs to the key: what else may not pass for it.
CONFUSED: dict[str, list[tuple[Any, Signing]]] = {
    "*": [
        ("none", lambda *_: b""),
        ("None", lambda *_: b""),
        ("", lambda *_: b""),
        ("HS256", _hmac("sha256", DER, INFO)),
        ("HS256", _hmac("sha256", PEM, INFO)),
        ("HS384", _hmac("sha384", DER, INFO)),
        ("HS512", _hmac("sha512", PEM, INFO)),
    ],
    "ES384": [
        ("ES256", _ecdsa(SHA256)),
        ("ES512", _ecdsa(SHA512)),
        ("ES384", _ecdsa(SHA256)),
        ("ES384", _ecdsa(SHA384, as_der=True)),
        ("es384", _ecdsa(SHA384)),
        (["ES384"], _ecdsa(SHA384)),
        ("ES384 ", _ecdsa(SHA384)),
        ("EdDSA", _ecdsa(SHA384)),
        ("ES384", lambda *_: b"\0" * 96),
        ("ES384", lambda *_: b"\0" * 47 + b"\1" + b"\0" * 47 + b"\1"),
        ("ES384", lambda *_: b"\xff" * 96),
    ],
    "ES256": [("ES384", _ecdsa(SHA384)), ("ES256K", _ecdsa(SHA256)), ("ES256", _ecdsa(SHA384))],
    "ES512": [("ES256", _ecdsa(SHA256)), ("ES512", _ecdsa(SHA256))],
    "PS256": [
        ("RS256", _rsa(padding.PKCS1v15, SHA256)),
        ("PS256", _rsa(padding.PKCS1v15, SHA256)),
        ("PS384", _rsa(_pss(SHA384, 48), SHA384)),
        ("PS256", _rsa(_pss(SHA256, 0), SHA256)),
        ("PS256", _rsa(_pss(SHA256, 20), SHA256)),
        ("ES256", _rsa(_pss(SHA256, 32), SHA256)),
        ("PS256", lambda *_: b"\0" * 256),
        ("PS256", lambda *_: b"\0" * 255 + b"\1"),
    ],
    "PS384": [("PS256", _rsa(_pss(SHA256, 32), SHA256)), ("RS384", _rsa(padding.PKCS1v15, SHA384))],
}


def algorithm_confusion(random: Random) -> Evidence:
    genuine = anyone(random)
    own = CONFUSED[genuine.header["alg"]]
    algorithm, sign = random.choice(own if random.random() < 0.6 else CONFUSED["*"])
    return genuine.signed(
        protected=dict(genuine.header) | {"alg": algorithm}, payload=some_payload(random), sign=sign
    )


def other_key(random: Random) -> Evidence:
    """Sign under a genuine chain with somebody else's key of the same kind."""
    genuine = anyone(random)
    return genuine.signed(payload=some_payload(random), sign=lambda _, content: _strange(genuine, content))


@cache
def _strange_key(kind: str) -> Key:
    return (
        rsa.generate_private_key(65537, int(kind))
        if kind.isdigit()
        else ec.generate_private_key(_curve(kind))
    )


def _curve(name: str) -> ec.EllipticCurve:
    return {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}[name]


def _strange(genuine: Genuine, content: bytes) -> bytes:
    key = genuine.key
    kind = str(key.key_size) if isinstance(key, rsa.RSAPrivateKey) else key.curve.name
    return signature_of(_strange_key(kind), content)


FORGED_ALGORITHMS = {"algorithm confusion": algorithm_confusion, "other key": other_key}
