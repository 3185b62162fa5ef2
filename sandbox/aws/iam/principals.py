"""Callers: the users and roles of access keys, their permissions, and the credentials of roles and of the admin."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

from moto.iam.access_control import CreateAccessKeyFailure, IAMPolicy
from moto.iam.access_control import create_access_key as find_access_key
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from sandbox.aws.iam import used_statements
from sandbox.aws.iam.encryption import key_needs, kms_context
from sandbox.aws.iam.policies import Context, Statement, applying_statements, statements_of
from sandbox.aws.iam.resource_arns import Need
from sandbox.aws.iam.resource_policies import statements_on, tag_conditions
from sandbox.settings import ACCOUNT, REGION

ADMIN = "sandbox-admin"
_CONTEXT = {
    "aws:SecureTransport": "true",
    "aws:SourceIp": "127.0.0.1",
    "aws:PrincipalAccount": ACCOUNT,
    "aws:PrincipalIsAWSService": "false",
}
_roles: dict[tuple[str, str], dict[str, str]] = {}
_roles_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: `arn` is the caller, `identity` the user or role that policies name, `id` as in GetCallerIdentity.

    Permissions of the identity count only within its `boundary`, if it has one.
    """

    arn: str
    identity: str
    id: str
    statements: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None = None

    def refused(self, action: str, resource: str, context: Context | None = None) -> Need | None:
        """Return the missing permission, or None: the action itself, or a use of KMS for the caller."""
        if not self._may(action, resource, context or {}):
            return action, resource
        uses = key_needs(action, resource)
        return next((use for use in uses if not self._may(*use, kms_context(action))), None)

    def _may(self, action: str, resource: str, added: Context) -> bool:
        """Return whether the request is allowed. Within one account either side may allow; a Deny on either side
        refuses.
        """
        own = {"aws:PrincipalArn": self.identity, "aws:RequestedRegion": REGION}
        attached = [one for one in statements_on(resource) if self._is_named_by(one)]
        context = {**_CONTEXT, **own, **tag_conditions(resource), **added}
        by_identity = applying_statements(self.statements, action, resource, context)
        by_resource = applying_statements(attached, action, resource, context)
        bounds = (
            None if self.boundary is None else applying_statements(self.boundary, action, resource, context)
        )
        everything = (*by_identity, *by_resource, *(bounds or ()))
        effect = "Deny" if "Deny" in {one["Effect"] for one in everything} else "Allow"
        for owner, found in ((self.identity, by_identity), (resource, by_resource)):
            used_statements.record_use(owner, (one for one in found if one["Effect"] == effect))
        return effect == "Allow" and bool((by_identity and bounds != []) or by_resource)

    def _is_named_by(self, statement: Statement) -> bool:
        principals = statement.get("Principal")
        named = principals.get("AWS", []) if isinstance(principals, dict) else principals
        everyone = {"*", self.identity, self.arn}
        if statement["Effect"] == "Deny":  # an Allow for the account leaves it to the identity's own policies
            everyone |= {ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"}
        return bool(everyone & set([named] if isinstance(named, str) else named or []))


def find_principal(access_key_id: str) -> Principal | None:
    role = sts_backends[ACCOUNT]["aws"].get_assumed_role_from_access_key(access_key_id)
    headers = {"X-Amz-Security-Token": role.session_token} if role else {}
    try:
        key = find_access_key(ACCOUNT, "aws", access_key_id, headers)
    except CreateAccessKeyFailure:
        return None
    documents = [IAMPolicy(policy)._policy_json for policy in key.collect_policies()]
    statements = tuple(one for document in documents for one in statements_of(document))
    if role:
        return Principal(key.arn, role.role_arn, role.user_id, statements, boundary_of(role.role_arn))
    user = iam_backends[ACCOUNT]["aws"].get_user(key._owner_user_name)
    return Principal(key.arn, key.arn, user.id, statements)


def boundary_of(role_arn: str) -> tuple[Statement, ...] | None:
    """Return the statements of a role's permissions boundary, or None without one; moto knows none of users."""
    backend = iam_backends[ACCOUNT]["aws"]
    role = next((one for one in backend.get_roles() if one.arn == role_arn), None)
    if role is None or not role.permissions_boundary_arn:
        return None
    policy = backend.get_policy(role.permissions_boundary_arn)
    version = backend.get_policy_version(policy.arn, policy.default_version_id)
    return tuple(statements_of(json.loads(version.document)))


def is_allowed(access_key_id: str, action: str, resource: str) -> bool:
    principal = find_principal(access_key_id)
    return principal is not None and principal.refused(action, resource) is None


def may_role(role_arn: str, action: str, resource: str) -> bool:
    """Return whether a role that a service takes may do this; False if there is no such role."""
    if role_arn not in {role.arn for role in iam_backends[ACCOUNT]["aws"].get_roles()}:
        return False
    return is_allowed(role_credentials(role_arn, "service")["aws_access_key_id"], action, resource)


def principal_arn(access_key_id: str) -> str | None:
    principal = find_principal(access_key_id)
    return principal.arn if principal else None


def role_credentials(role_arn: str, session_name: str) -> dict[str, str]:
    """Return credentials of a role, as a service gets them."""
    with _roles_lock:
        if (role_arn, session_name) not in _roles:
            role = sts_backends[ACCOUNT]["aws"].assume_role(
                REGION, session_name, role_arn, policy="", duration=43200, external_id=""
            )
            _roles[role_arn, session_name] = {
                "aws_access_key_id": role.access_key_id,
                "aws_secret_access_key": role.secret_access_key,
                "aws_session_token": role.session_token,
            }
        return dict(_roles[role_arn, session_name])


def create_admin() -> dict[str, str]:
    """Create a user with all permissions and new random keys; return the keys."""
    backend = iam_backends[ACCOUNT]["aws"]
    backend.create_user(REGION, ADMIN)
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    backend.put_user_policy(ADMIN, "everything", json.dumps(policy))
    key = backend.create_access_key(ADMIN)
    return {
        "aws_access_key_id": key.access_key_id,
        "aws_secret_access_key": key.secret_access_key,
    }


def forget_roles() -> None:
    """Forget the credentials of roles: the next sandbox of this process has others."""
    _roles.clear()
