"""IAM: enforce permissions always and by resource; moto enforces on request only, knows few ARNs and no conditions.

Added here: resource ARNs from the request's parameters, conditions, and the wording and codes of AWS's refusals. moto's
own code checks signatures.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlparse

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, SignatureDoesNotMatchError
from moto.core.utils import get_service_model
from moto.iam.access_control import IAMRequest, S3IAMRequest
from moto.s3.exceptions import S3AccessDeniedError, S3InvalidAccessKeyIdError
from moto.s3.exceptions import S3SignatureDoesNotMatchError as S3WrongSignatureError
from werkzeug.exceptions import HTTPException

from sandbox.aws.iam.encryption import kms_context, repository_key_needs
from sandbox.aws.iam.principals import find_principal, forget_roles
from sandbox.aws.iam.resource_arns import (
    Need,
    ServiceCall,
    condition_keys,
    deletion_needs,
    listing_keys,
    needs,
    object_keys,
)
from sandbox.aws.patching import Patches
from sandbox.settings import ACCOUNT, REGION, Settings

_PREFIXES = {"monitoring": "cloudwatch"}  # where the signing name is not IAM's prefix
_REFUSAL_CODES = {"sns": "AuthorizationError", "sqs": "AccessDenied"}
_patches = Patches()


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
    forget_roles()
    _patches.set(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", _authorize)


def stop() -> None:
    _patches.undo()
