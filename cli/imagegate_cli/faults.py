"""Errors in one line that says what to do. A traceback is never shown."""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO

import click

from imagegate.errors import ImageGateError, ServiceUnavailableError
from imagegate.text import one_line
from imagegate_cli.output.terminal import say

CANNOT_TELL = 2
_LONGEST = 4_000  # characters of a message


class CannotTellError(click.ClickException):
    """There is no answer; the message says why."""

    exit_code = CANNOT_TELL


class NotFoundError(CannotTellError):
    """A resource does not exist; the message says what to try."""


def report(error: BaseException) -> int:
    """Print one line to stderr and return the exit code. With IMAGEGATE_DEBUG set, raise the error again.

    The code is the same where nobody can read the line: stderr is closed, or its disk is full.
    """
    if isinstance(error, BrokenPipeError):
        # The reader of our output has closed the pipe: our answer did not arrive.
        _discard(sys.stdout)
        _discard(sys.stderr)
        return CANNOT_TELL
    is_interrupted = isinstance(error, (click.Abort, KeyboardInterrupt))
    if os.environ.get("IMAGEGATE_DEBUG") and not is_interrupted:
        raise error
    try:
        _show(error)
    except OSError:
        _discard(sys.stderr)
    if is_interrupted:
        return 130
    return error.exit_code if isinstance(error, click.ClickException) else CANNOT_TELL


def _show(error: BaseException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    elif isinstance(error, (click.Abort, KeyboardInterrupt)):
        say("imagegate: interrupted; a release that was started goes on", err=True)
    else:
        say(f"imagegate: {one_line(explain(error), _LONGEST)}", err=True)


def _discard(stream: TextIO | None) -> None:
    """Let all that is left in the stream go nowhere: Python would fail with it at the end, with a code of its own."""
    if stream is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def explain(error: BaseException) -> str:
    """Return the error as a message for people."""
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "imagegate"
        return f"{error.format_message()} (see {path} --help)"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, ServiceUnavailableError) and error.__cause__ is not None:
        return _explain_aws(error.__cause__) or str(error)
    if isinstance(error, ImageGateError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return _explain_aws(error) or f"{type(error).__name__}: {error} (IMAGEGATE_DEBUG=1 shows where)"


def _explain_aws(error: BaseException) -> str | None:
    # Imported late: only failures need it.
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        return _explain_refusal(error)
    if isinstance(error, aws.NoRegionError):
        return "no AWS Region is chosen: set AWS_DEFAULT_REGION, or a profile that has one"
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError, aws.ProfileNotFound)):
        return f"{error}: sign in, or set AWS_PROFILE (in the sandbox: source .sandbox/env)"
    if isinstance(error, (aws.SSOError, aws.TokenRetrievalError, aws.CredentialRetrievalError)):
        return f"{error}: sign in again (aws sso login)"
    if isinstance(error, (aws.ConnectionError, aws.HTTPClientError)):
        return f"{error}: {_unreachable(str(error))}"
    if isinstance(error, ValueError) and str(error).startswith("Invalid endpoint"):
        return f"{error}: check AWS_DEFAULT_REGION and AWS_ENDPOINT_URL"
    return str(error) if isinstance(error, aws.BotoCoreError) else None


def _unreachable(message: str) -> str:
    """Return what to do about an endpoint that does not answer. The sandbox is on loopback."""
    if _LOOPBACK.search(message):
        return "is `make sandbox` running? After a restart: source .sandbox/env"
    return "check the network and AWS_ENDPOINT_URL"


_LOOPBACK = re.compile(r"//(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])[:/]")
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationErrorException"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
# The key is known, but the signature was made with another secret.
_WRONG_SECRET = {"InvalidSignatureException", "SignatureDoesNotMatch"}
_UNKNOWN = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "UnrecognizedClientException",
}


def _explain_refusal(error: BaseException) -> str:
    response = getattr(error, "response", {})
    code, message = (response.get("Error", {}).get(key, "") for key in ("Code", "Message"))
    if code in _DENIED:
        return f"access denied: {message}; use a role that may"
    if code in _EXPIRED:
        return "the AWS credentials have expired: sign in again"
    if code in _WRONG_SECRET:
        remedy = "check AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and this machine's clock"
        return f"AWS does not accept the signature ({code}): {remedy}"
    if code in _UNKNOWN:
        return f"AWS does not accept these credentials ({code}): check AWS_PROFILE or AWS_ACCESS_KEY_ID"
    return f"{getattr(error, 'operation_name', 'AWS')} failed with {code}: {message}"
