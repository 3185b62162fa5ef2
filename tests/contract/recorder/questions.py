"""The questions to AWS whose answers matter most: the product rests on them, and no document settles them."""

from __future__ import annotations

import re
from typing import NamedTuple

_ID = re.compile(r"\b[a-z]+(?:-[a-z]+){3,}\b")


class Question(NamedTuple):
    """A question, the behaviours (by id) or the steps that answer it, and what goes wrong if the answer is no."""

    text: str
    by: str
    otherwise: str


QUESTIONS = (
    Question(
        "Does Step Functions take both definitions?",
        "every-definition-is-taken",
        "the whole deployment fails",
    ),
    Question(
        "Does SignPayload return an envelope that the verifier accepts under the pinned root of AWS?",
        "a-payload-becomes-an-envelope; then release one image: sign_image verifies the envelope before it pushes",
        "nothing is released: every signature is refused; set TrustedRoots",
    ),
    Question(
        "Does an alias of a function with a function URL name itself in the context's ARN?",
        "imagegate decide by each power, see docs/how-to/grant-powers.md",
        "nobody can decide: every call is refused",
    ),
    Question(
        "Does an enhanced scan that says ACTIVE have a date, counts and a coverage of SUCCESSFUL from then on?",
        "the-way-of-a-scan-to-its-result, in an account with enhanced scanning",
        "images wait until scan.timeout and are blocked; none passes unscanned",
    ),
    Question(
        "Do counts and findings of one answer of DescribeImageScanFindings belong to the same scan?",
        "the-way-of-a-scan-to-its-result",
        "a list that does not match its counts is read again, and blocked in the end",
    ),
    Question(
        "Does a push under a tag send exactly one event, with image-tag in it?",
        "push an image, and look at the log of start_release",
        "without the tag the image itself is asked for its tags; twice costs one call more",
    ),
    Question(
        "Is a blob mounted by default, or else taken in one stream without a known length?",
        "a-blob-is-mounted, and a-blob-is-uploaded-in-one-stream",
        "promotion streams every layer through the function; without the stream, long layers are not promoted",
    ),
    Question(
        "Does KMS let EventBridge and CloudWatch use the key of the queue and the topic?",
        "deploy, send a malformed event, set an alarm to ALARM with set-alarm-state",
        "dead letters and alarms are lost without a trace",
    ),
    Question(
        "Does a simulation of IAM have a result for each resource?",
        "a-simulation-answers-for-each-resource",
        "the audit misses identities that may push, delete or sign, and passes",
    ),
    Question(
        "Is an archived image described by its digest with a filter?",
        "an-archived-image-is-described-with-a-filter",
        "a clean-up that deletes from the archive stops with an error",
    ),
)


def first_answers() -> tuple[str, ...]:
    """Return the ids of the behaviours that answer a question, in its order."""
    named = [name for question in QUESTIONS for name in _ID.findall(question.by)]
    return tuple(dict.fromkeys(named))
