"""JSON Web Signatures as Notation uses them: flattened JSON, one encoding only, the certificate chain in x5c.

Sources: notaryproject "signature-envelope-jws", RFC 7515, RFC 7518. This module checks integrity, not who signed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from imagegate.errors import IntegrityError
from imagegate.notation.certificates import MAX_CHAIN, Chain, load_chain
from imagegate.strict_json import SIGNED_DEPTH, read_object, require_keys, shown

# Four certificates and their signature have 5 KB.
MAX_ENVELOPE = 64 * 1024

_PARTS = frozenset({"payload", "protected", "header", "signature"})
_CHAIN = "x5c"
_TIMESTAMP = "io.cncf.notary.timestampSignature"
_AGENT = "io.cncf.notary.signingAgent"

# Signature specification, "Algorithm Selection": the key decides.
_ALGORITHMS: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("ES256", hashes.SHA256()),
    "secp384r1": ("ES384", hashes.SHA384()),
    "secp521r1": ("ES512", hashes.SHA512()),
    "RSA 2048": ("PS256", hashes.SHA256()),
    "RSA 3072": ("PS384", hashes.SHA384()),
    "RSA 4096": ("PS512", hashes.SHA512()),
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """The decoded parts of an envelope; nothing is verified yet. `timestamp`: an RFC 3161 token, or b"" if none."""

    signing_input: bytes
    payload: bytes
    protected: dict[str, Any]
    chain: Chain
    signature: bytes
    timestamp: bytes = b""


def parse_envelope(envelope: bytes) -> Envelope:
    """Decode an envelope. Raises `IntegrityError` for anything but the one form that an envelope has."""
    if len(envelope) > MAX_ENVELOPE:
        raise IntegrityError(f"the envelope has {len(envelope)} bytes; at most {MAX_ENVELOPE} are read")
    jws = read_object(envelope, "the envelope", IntegrityError, depth=SIGNED_DEPTH)
    require_keys(jws, _PARTS, "the envelope", IntegrityError)
    header = require_keys(
        jws["header"],
        frozenset({_CHAIN}),
        "the unsigned header",
        IntegrityError,
        frozenset({_TIMESTAMP, _AGENT}),
    )
    if not isinstance(header.get(_AGENT, ""), str):  # "MUST NOT validate formatting": any text is allowed
        raise IntegrityError(f"{_AGENT} is not a text")
    payload, protected = _base64url(jws, "payload"), _base64url(jws, "protected")
    return Envelope(
        signing_input=f"{jws['protected']}.{jws['payload']}".encode(),
        payload=payload,
        protected=read_object(protected, "the protected header", IntegrityError, depth=SIGNED_DEPTH),
        chain=_chain(header[_CHAIN]),
        signature=_base64url(jws, "signature"),
        timestamp=_base64(header.get(_TIMESTAMP, ""), _TIMESTAMP),
    )


def _chain(encoded: Any) -> Chain:
    if not isinstance(encoded, list) or not 1 <= len(encoded) <= MAX_CHAIN:
        raise IntegrityError(f"x5c is not a list of 1 to {MAX_CHAIN} certificates")
    return load_chain([_base64(text, _CHAIN) for text in encoded])


def _base64url(jws: dict[str, Any], name: str) -> bytes:
    """Decode base64url without padding or line breaks. Raises for any but the one encoding of the bytes."""
    text = jws[name]
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        is_exact = base64.urlsafe_b64encode(content).decode().rstrip("=") == text
    except (ValueError, TypeError):
        is_exact = False
    if not is_exact:
        raise IntegrityError(f"{name} is not base64url without padding")
    return content


def _base64(text: Any, name: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
        is_exact = base64.b64encode(content).decode() == text
    except (ValueError, TypeError):
        is_exact = False
    if not is_exact:
        raise IntegrityError(f"{name} has a value that is not base64")
    return content


def check_signature(envelope: Envelope) -> None:
    """Raise `IntegrityError` unless the leaf's key made the signature, with the algorithm for that key."""
    key = envelope.chain[0].public_key()
    algorithm = envelope.protected["alg"]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            digest = _digest(key.curve.name, algorithm)
            key.verify(_der(envelope.signature, key.key_size), envelope.signing_input, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey):
            digest = _digest(f"RSA {key.key_size}", algorithm)
            pss = padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
            key.verify(envelope.signature, envelope.signing_input, pss, digest)
        else:
            raise IntegrityError("the leaf's key is of a kind that does not sign images")
    except (InvalidSignature, ValueError) as error:
        raise IntegrityError("the signature is not of this content by this certificate") from error


def _digest(key: str, algorithm: str) -> hashes.HashAlgorithm:
    expected, digest = _ALGORITHMS.get(key, ("none", None))
    if digest is None or algorithm != expected:
        raise IntegrityError(f"the algorithm {shown(algorithm)} does not go with a key {key}")
    return digest


def _der(signature: bytes, key_size: int) -> bytes:
    """Convert a signature to DER. JWS has r and s side by side, each as long as the key (RFC 7518, section 3.4)."""
    length = (key_size + 7) // 8
    if len(signature) != 2 * length:
        raise IntegrityError(f"the signature has {len(signature)} bytes, not {2 * length}")
    r, s = signature[:length], signature[length:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
