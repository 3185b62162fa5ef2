"""The trust of `imagegate verify`: the roots and profiles of the stack, or those that options name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from imagegate.oci.image import ImageRef
from imagegate_cli.faults import CannotTellError
from imagegate_cli.stack import Stack
from imagegate_cli.verification.checks import Trust

# "AWS Signer Code Signing Root CA G1"; docs/adr/0004.
AWS_ROOT = "90a87d0543c3f094dbff9589b6649affe2f3d6e0f308799be2258461c686473f"
_ARN = r"arn:[a-z0-9-]+:signer:[a-z0-9-]+:[0-9]{12}:/signing-profiles/[A-Za-z0-9_]+"
_STAGE = re.compile(rf"{_ARN}?__([A-Za-z0-9_]+)")


def of_stack(stack: Stack, roots: frozenset[str] | None, image: ImageRef) -> Trust:
    """Return the trust in the stack's gates; ECR's own signing profiles are named, not trusted."""
    from imagegate.aws.clients import client

    stages = {profile: stage for stage, profile in stack.signing_profiles.items()}
    managed = cache(lambda: managed_profiles(client("ecr"), image))
    return Trust(roots or stack.trusted_roots, stages.get, managed)


def of_profiles(gates: str | None, roots: frozenset[str] | None) -> Trust:
    """Return the trust in all profiles whose ARN is `gates`, two underscores and a stage; with None, in any such ARN.

    Raises `CannotTellError` unless `gates` is such an ARN: a shorter one would trust the profiles of others, too.
    """
    if gates is not None and not re.fullmatch(_ARN, gates):
        raise CannotTellError(
            f"{gates!r} is no ARN of signing profiles; write arn:aws:signer:REGION:ACCOUNT:/signing-profiles/NAME,"
            " without the two underscores and the stage"
        )
    pattern = _STAGE if gates is None else re.compile(rf"{re.escape(gates)}__([A-Za-z0-9_]+)")

    def stage_of(profile: str) -> str | None:
        match = pattern.fullmatch(profile)
        return match[1] if match else None

    return Trust(roots or frozenset({AWS_ROOT}), stage_of)


def roots_in(path: Path) -> frozenset[str]:
    """Return the SHA-256 of each certificate of a PEM file. Raises `CannotTellError` if it has none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CannotTellError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CannotTellError(f"{path}: no certificates in PEM: {error}") from error
    return frozenset(certificate.fingerprint(SHA256()).hex() for certificate in certificates)


def managed_profiles(ecr: Any, image: ImageRef) -> frozenset[str]:
    """Return the profiles with which ECR signs by itself: ARNs without version, of the registry and of this image.

    Such a signature says who pushed, not that a gate passed. `ecr` is boto3's client. The result is empty if the caller
    may not read them.
    """
    names = {"repositoryName": image.repository, "imageId": {"imageDigest": str(image.digest)}}
    configured = _allowed(lambda: _configured(ecr.get_signing_configuration()))
    return frozenset(
        [*configured, *_allowed(lambda: _signed_with(ecr.describe_image_signing_status(**names)))]
    )


def _configured(response: dict[str, Any]) -> Iterator[str]:
    for rule in response["signingConfiguration"]["rules"]:
        yield rule["signingProfileArn"]


def _signed_with(response: dict[str, Any]) -> Iterator[str]:
    for status in response.get("signingStatuses", []):
        yield status["signingProfileArn"]


def _allowed(ask: Callable[[], Iterator[str]]) -> list[str]:
    """Return the ARNs, or nothing if AWS refuses: they only help to name a signature, verifying needs none."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return list(ask())
    except (BotoCoreError, ClientError):
        return []
