"""The questions to AWS whose answers matter most: the product rests on them, and no document settles them."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A question, the behaviours (by id) or the steps that answer it, and what goes wrong if the answer is no."""

    text: str
    by: str
    otherwise: str


QUESTIONS = (
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
        "Does the registry take evidence whose subject is not there yet?",
        "evidence-may-come-before-its-subject",
        "each promotion pushes the image twice, by digest and by tag",
    ),
    Question(
        "Does a blob go up in one POST?",
        "a-small-blob-in-one-post",
        "each piece of evidence costs one request more",
    ),
    Question(
        "Is a blob mounted from another repository of the registry by default?",
        "a-blob-is-mounted",
        "promotion streams every layer through the function, which takes time and memory",
    ),
    Question(
        "Does a push under a tag send exactly one event, with image-tag in it?",
        "push an image, and look at the log of start_release",
        "without the tag the image itself is asked for its tags; twice costs one call more",
    ),
    Question(
        "Is a push that exceeds 10 PutImage a second refused with 429 in the registry's protocol?",
        "push 50 small images at once, and look at the log of promote_image",
        "the release is tried again by the state machine, later than it could be",
    ),
    Question(
        "Does SignPayload return an envelope that the verifier accepts under the pinned root of AWS?",
        "release one image: sign_image verifies the envelope before it pushes",
        "nothing is released: every signature is refused; set TrustedRoots",
    ),
    Question(
        "Does an alias of a function with a function URL name itself in the context's ARN?",
        "imagegate decide by each power, see docs/how-to/grant-powers.md",
        "nobody can decide: every call is refused",
    ),
    Question(
        "Does KMS let EventBridge and CloudWatch use the key of the queue and the topic?",
        "deploy, send a malformed event, set an alarm to ALARM with set-alarm-state",
        "dead letters and alarms are lost without a trace",
    ),
)
