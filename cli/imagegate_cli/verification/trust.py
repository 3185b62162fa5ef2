"""Whom `imagegate verify` believes: the stack's roots and profiles, or those that are named."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from imagegate.oci.image import ImageRef
from imagegate_cli.faults import CannotTellError
from imagegate_cli.stack import Stack
from imagegate_cli.verification.checks import Trust
from imagegate_cli.verification.managed import managed_profiles

# "AWS Signer Code Signing Root CA G1"; docs/adr/0004.
AWS_ROOT = "90a87d0543c3f094dbff9589b6649affe2f3d6e0f308799be2258461c686473f"
_STAGE = re.compile(r".*:/signing-profiles/[A-Za-z0-9_]+?__([A-Za-z0-9_]+)")


def of_stack(stack: Stack, roots: frozenset[str] | None, image: ImageRef) -> Trust:
    """The profiles of the deployed policy's stages, and those with which ECR signs by itself."""
    from imagegate.aws.clients import client

    stages = {profile: stage for stage, profile in stack.signing_profiles.items()}
    managed = cache(lambda: managed_profiles(client("ecr"), image))
    return Trust(roots or stack.trusted_roots, stages.get, managed)


def of_profiles(prefix: str, roots: frozenset[str] | None) -> Trust:
    """`prefix`: of the gates' profile ARNs, up to the two underscores before the stage."""

    def stage_of(profile: str) -> str | None:
        match = _STAGE.fullmatch(profile)
        return match[1] if match and profile.startswith(prefix) else None

    return Trust(roots or frozenset({AWS_ROOT}), stage_of)


def roots_in(path: Path) -> frozenset[str]:
    """SHA-256 of each certificate of a PEM file. Raises `CannotTellError`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CannotTellError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CannotTellError(f"{path}: no certificates in PEM: {error}") from error
    return frozenset(certificate.fingerprint(SHA256()).hex() for certificate in found)
