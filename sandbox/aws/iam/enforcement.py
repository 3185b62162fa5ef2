"""IAM: enforce permissions always and by resource; moto enforces on request only, knows few ARNs and no conditions.

Added here: resource ARNs from the request's parameters, conditions, permissions boundaries, the wording and
codes of AWS's refusals, credentials for a role without an API call. moto's own code checks signatures.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlparse

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, SignatureDoesNotMatchError
from moto.core.utils import get_service_model
from moto.iam.access_control import CreateAccessKeyFailure, IAMPolicy, IAMRequest, S3IAMRequest
from moto.iam.access_control import create_access_key as find_access_key
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3AccessDeniedError, S3InvalidAccessKeyIdError
from moto.s3.exceptions import S3SignatureDoesNotMatchError as S3WrongSignatureError
from moto.sts.models import sts_backends
from werkzeug.exceptions import HTTPException

from sandbox.aws.iam import used_statements
from sandbox.aws.iam.encryption import key_needs, kms_context, repository_key_needs
from sandbox.aws.iam.policies import Context, Statement, applying_statements, statements_of
from sandbox.aws.iam.resource_arns import (
    Need,
    ServiceCall,
    condition_keys,
    deletion_needs,
    listing_keys,
    needs,
    object_keys,
)
from sandbox.aws.iam.resource_policies import statements_on, tag_conditions
from sandbox.aws.patching import Patches
from sandbox.settings import ACCOUNT, REGION, Settings

ADMIN = "sandbox-admin"
_CONTEXT = {
    "aws:SecureTransport": "true",
    "aws:SourceIp": "127.0.0.1",
    "aws:PrincipalAccount": ACCOUNT,
    "aws:PrincipalIsAWSService": "false",
}
_PREFIXES = {"monitoring": "cloudwatch"}  # where the signing name is not IAM's prefix
_REFUSAL_CODES = {"sns": "AuthorizationError", "sqs": "AccessDenied"}
_roles: dict[tuple[str, str], dict[str, str]] = {}
_patches = Patches()
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


class RefusalError(HTTPException):
    """An error body that botocore understands in the protocol of every service."""

    def __init__(self, protocol: str, code: str, message: str) -> None:
        super().__init__()
        as_json = {"__type": code, "code": code, "message": message}
        self.code = 403 if protocol in ("query", "rest-json") else 400
        self.description = json.dumps(as_json)
        if protocol == "query":
            self.description = _as_xml(code, message)


def _as_xml(code: str, message: str) -> str:
    error = AccessDeniedError(user_arn="", action="")
    placeholder = "User:  is not authorized to perform: "
    return str(error.description).replace("AccessDenied", code, 1).replace(placeholder, message)


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


def _path(response: Any) -> str:
    query = urlparse(response.uri).query
    return f"{response.raw_path}?{query}" if query else str(response.raw_path)


def _check_signature(response: Any, request_class: type, protocol: str) -> str:
    """Return the access key id of a request whose signature is right."""
    if not response.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256"):
        message = "Missing Authentication Token"
        raise _refusal(protocol, "MissingAuthenticationToken", message)
    try:
        request = request_class(
            account_id=ACCOUNT,
            method=response.method,
            path=_path(response),
            data=response.normalized_request.form.to_dict(),  # never from the query, where moto reads it too
            body=response.raw_body,
            headers=response.headers,
            action="",
        )
        request.check_signature()
    except (SignatureDoesNotMatchError, S3WrongSignatureError) as error:
        raise _refusal(protocol, "SignatureDoesNotMatch", error.message) from error
    except (HTTPException, S3InvalidAccessKeyIdError) as error:
        raise _refusal(protocol, *_refuse_unknown_key(protocol)) from error
    return str(request._access_key._access_key_id)


def signing_key(method: str, target: str, body: bytes, headers: Any, service: str) -> str | None:
    """Return the access key id of a request that does not go to moto, or None unless its signature for the service is
    right.
    """
    if headers.get("X-Amz-Content-SHA256") not in (None, hashlib.sha256(body).hexdigest()):
        return None  # then the signature covers this header, not the body
    try:
        request = IAMRequest(ACCOUNT, method, target, {}, body, headers, action="")
        request.check_signature()
    except (HTTPException, KeyError, IndexError):  # the last two: headers are missing or incomplete
        return None
    is_for_here = (request._service, request._region) == (service, REGION)
    return str(request._access_key._access_key_id) if is_for_here else None


def _refuse_unknown_key(protocol: str) -> tuple[str, str]:
    code = "UnrecognizedClientException" if "json" in protocol else "InvalidClientTokenId"
    return code, "The security token included in the request is invalid."


def _refusal(protocol: str, code: str, message: str) -> Exception:
    if protocol == "rest-xml":
        refused = S3AccessDeniedError()
        refused.code, refused.message = code, message
        return refused
    suffix = "Exception" if code == "MissingAuthenticationToken" and "json" in protocol else ""
    return RefusalError(protocol, code + suffix, message)


def _call(response: Any, service: str, operation: str) -> ServiceCall:
    # A copy: parsing sets `params`, which changes how older responses read their parameters.
    reader = copy.copy(response)
    reader.uri_match = response.uri_match
    reader.parse_parameters(response.normalized_request)
    return ServiceCall(_PREFIXES.get(service, service), operation, reader.params, ACCOUNT, response.region)


def _s3_needs(response: Any, resource: str) -> list[Need]:
    if response.method == "POST" and "delete" in parse_qs(
        urlparse(response.uri).query, keep_blank_values=True
    ):
        return list(deletion_needs(response.bucket_name, response.raw_body))
    same = {"HeadBucket": "ListBucket", "ListAllMyBuckets": "ListAllMyBuckets"}
    operation = str(response._get_action())
    return [(f"s3:{same.get(operation, operation)}", resource)]


def _authorize(response: Any, request_class: type, resource: str = "*") -> None:
    s3 = request_class is S3IAMRequest
    model = None if s3 else get_service_model(response.boto3_service_name)
    protocol = "rest-xml" if s3 else response.determine_response_protocol(model)
    key_id = _check_signature(response, request_class, protocol)
    service = response.headers["Authorization"].split("Credential=")[1].split("/")[3]
    operation = str(response._get_action())
    if (service, operation) == ("sts", "GetCallerIdentity"):
        return  # AWS allows it even against an explicit Deny
    call = None if s3 else _call(response, service, operation)
    wanted = needs(call) if call else _s3_needs(response, resource)
    principal = find_principal(key_id)
    if principal is None:
        raise _refusal(protocol, *_refuse_unknown_key(protocol))
    query = urlparse(response.uri).query
    context = condition_keys(call) if call else {**listing_keys(query), **object_keys(response.headers)}
    needed = [(need, context) for need in wanted]
    needed += [(need, kms_context("ecr:")) for need in (repository_key_needs(call) if call else [])]
    for need, its_context in needed:
        if missing := principal.refused(*need, its_context):
            action, on = missing
            message = f"User: {principal.arn} is not authorized to perform: {action} on resource: {on}"
            default = "AccessDeniedException" if "json" in protocol else "AccessDenied"
            raise _refusal(protocol, _REFUSAL_CODES.get(service, default), message)


def install(_settings: Settings) -> None:
    _roles.clear()
    _patches.set(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", _authorize)


def stop() -> None:
    _patches.undo()
