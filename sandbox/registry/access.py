"""Authentication and authorization: HTTP Basic credentials become an IAM identity."""

from __future__ import annotations

import secrets
from typing import Any

from moto.iam.models import iam_backends
from werkzeug.wrappers import Request

from sandbox.registry.errors import RegistryError
from sandbox.registry.store import hooks, store


def caller(request: Request) -> str:
    """Return the access key id of the caller.

    The credentials are `AWS` with a token of GetAuthorizationToken, as in AWS. An access key with its secret also
    works, so that clients can be tried without requesting a token first.
    """
    credentials = request.authorization
    if credentials and credentials.type == "basic":
        user, password = credentials.username or "", credentials.password or ""
        owner = store().token_owner(password) if user == "AWS" else None
        owner = owner or _key_owner(user, password)
        if owner:
            return owner
    raise RegistryError(
        401,
        "UNAUTHORIZED",
        "Your authorization token is missing, wrong or has expired. Ask for a new one.",
        WWW_Authenticate=f'Basic realm="http://{store().settings.registry}/",service="ecr.amazonaws.com"',
    )


def _key_owner(key_id: str, secret: str) -> str | None:
    users = iam_backends[store().settings.account]["aws"].users.values()
    keys: list[Any] = [key for user in users for key in user.access_keys]
    is_known = any(
        key.access_key_id == key_id and secrets.compare_digest(key.secret_access_key, secret) for key in keys
    )
    return key_id if is_known else None


def require(access_key_id: str, action: str, repository: Any) -> None:
    """Raise 403 DENIED unless IAM allows `ecr:<action>` on that repository."""
    if not hooks().is_allowed(access_key_id, f"ecr:{action}", repository.arn):
        who = hooks().principal_arn(access_key_id) or access_key_id
        raise RegistryError(
            403,
            "DENIED",
            f"User: {who} is not authorized to perform: ecr:{action} on resource: {repository.arn}",
        )
