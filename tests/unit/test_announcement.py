"""Messages: a person sees at a glance what happened to which image, why, and what to do; machines get JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.evidence.sbom import Sbom
from imagegate.notices.announcement import announce, explain_fault
from imagegate.notices.console import ConsoleLinks
from imagegate.notices.message import as_sns_message
from imagegate.oci.image import ImageRef
from imagegate.policy.rules import Action
from imagegate.release.promotion import Promotion
from imagegate.release.release import Outcome, Release
from tests.unit.samples import REGISTRY, digest, reason, release

any_text = st.text(max_size=150)
reasons = st.lists(
    st.builds(
        reason,
        st.sampled_from(["findings.critical", "scan.failed", "scan.timeout"]),
        any_text.filter(bool),
        st.sampled_from(Action),
    ),
    max_size=25,
)
releases = st.builds(
    release,
    image=st.builds(lambda name: ImageRef(name, digest()), any_text),
    tags=st.frozensets(any_text, max_size=3),
    reasons=reasons,
    stage=any_text,
    verdict=st.sampled_from(["PASS", "BLOCK", "ERROR", None]),
    detail=any_text,
    promotion=st.none()
    | st.builds(Promotion, any_text, st.just(digest()), st.lists(any_text, max_size=2).map(tuple)),
)
outcomes = st.sampled_from(Outcome)
SNS_LIMIT = 256 * 1024
MAILS = Path(__file__).parent / "mails"


@given(releases, outcomes)
def test_the_subject_is_one_line_of_ascii_that_sns_takes(ending: Release, outcome: Outcome) -> None:
    subject = announce(ending, outcome).subject
    assert 1 <= len(subject) <= 100
    assert all(" " <= character <= "~" for character in subject)
    assert subject.startswith(outcome.upper())


@given(releases, outcomes)
def test_the_message_is_json_that_sns_takes(ending: Release, outcome: Outcome) -> None:
    """Amazon SNS API reference, Publish, MessageStructure: strings per protocol, and a default."""
    message = as_sns_message(announce(ending, outcome))
    forms = json.loads(message)
    assert len(message.encode()) <= SNS_LIMIT
    assert all(isinstance(form, str) for form in forms.values())
    assert forms["default"] == forms["email"]
    machines = [forms[name] for name in ("sqs", "lambda", "http", "https", "firehose", "email-json")]
    assert [json.loads(form) for form in machines] == [announce(ending, outcome).detail] * 6


@given(releases, outcomes)
def test_attributes_to_filter_on_are_never_empty(ending: Release, outcome: Outcome) -> None:
    attributes = announce(ending, outcome).attributes
    assert set(attributes) == {"outcome", "stage", "repository", "verdict", "alert"}
    assert attributes["outcome"] == outcome
    assert attributes["verdict"] == (ending.verdict or "NONE")
    assert attributes["alert"] in ("log", "alert", "block")


@pytest.mark.parametrize(
    ("outcome", "attention", "alert"),
    [
        (Outcome.RELEASED, "log", "log"),
        (Outcome.RELEASED, "alert", "alert"),
        (Outcome.RELEASED, None, "alert"),
        (Outcome.BLOCKED, "log", "block"),
        (Outcome.BLOCKED, None, "block"),
        (Outcome.SUPERSEDED, "alert", "log"),
        (Outcome.WITHDRAWN, "alert", "log"),
        (Outcome.HELD, "log", "alert"),
        (Outcome.CONFLICT, "log", "alert"),
        (Outcome.FAILED, "log", "alert"),
    ],
)
def test_a_refusal_alerts_and_routine_endings_are_only_logged(
    outcome: Outcome, attention: str | None, alert: str
) -> None:
    assert announce(release(attention=attention), outcome).attributes["alert"] == alert


LONGEST_CAUSE = "x" * 32_768  # Step Functions API reference, SendTaskFailure.cause
# Amazon ECR quotas: 1,000 tags per image; distribution specification: 128 characters each.
MANY_TAGS = frozenset(f"{n:04}-".ljust(128, "t") for n in range(1000))


@pytest.mark.parametrize(
    "changes",
    [{"detail": LONGEST_CAUSE}, {"tags": MANY_TAGS}, {"reasons": [reason(message="ü" * 3000)] * 20}],
    ids=["a long cause", "many tags", "long reasons"],
)
def test_a_message_fits_sns_whatever_its_parts(changes: dict[str, Any]) -> None:
    message = as_sns_message(announce(release(**changes), Outcome.FAILED))
    assert len(message.encode()) <= SNS_LIMIT


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words_of_its_own(outcome: Outcome) -> None:
    announced = announce(release(), outcome)
    others = {announce(release(), other).detail_type for other in Outcome if other is not outcome}
    assert announced.detail_type.startswith("Image ")
    assert announced.detail_type not in others
    assert announced.detail["outcome"] == outcome


CONSOLE = ConsoleLinks(REGISTRY, "imagegate-records-1")
CRITICAL = reason(
    message="3 CRITICAL (at most 0): CVE-2026-1 (openssl 3.0.1 -> 3.0.14), CVE-2026-2 (curl 8.1.0)"
)
ENDINGS: dict[Outcome, Release] = {
    Outcome.RELEASED: release(
        promotion=Promotion("shop/api-staging", digest(), ("1.0",)), decision=digest("record")
    ),
    Outcome.BLOCKED: release(
        reasons=[CRITICAL],
        verdict="BLOCK",
        remedies=("Upgrade openssl to 3.0.14",),
        decision=digest("record"),
    ),
    Outcome.HELD: release(decision=digest("record")),
    Outcome.CONFLICT: release(detail="shop/api-staging:1.0 is immutable, and another image has it"),
    Outcome.SUPERSEDED: release(),
    Outcome.WITHDRAWN: release(),
    Outcome.FAILED: release(
        detail="AccessDeniedException: not authorized to perform: signer:SignPayload", verdict=None
    ),
}


@pytest.mark.parametrize("outcome", Outcome)
def test_a_mail_reads_as_it_is_kept(outcome: Outcome) -> None:
    """Changed words show in the whole mail. To write the files anew, delete them and run this twice."""
    message = announce(ENDINGS[outcome], outcome, console=CONSOLE)
    file = MAILS / f"{outcome}.txt"
    mail = f"Subject: {message.subject}\n\n{message.text}"
    if not file.exists():
        file.write_text(mail)
        pytest.fail(f"{file} was written: read it")
    assert mail == file.read_text()


@pytest.mark.parametrize("outcome", Outcome)
def test_a_mail_says_first_what_happened_and_names_commands_and_links(outcome: Outcome) -> None:
    ending = ENDINGS[outcome]
    lines = announce(ending, outcome, console=CONSOLE).lines
    assert lines[0].startswith("shop/api-dev:1.0 ")
    links = [line for line in lines if "https://eu-central-1.console.aws.amazon.com/" in line]
    assert len(links) == (2 if ending.decision else 1)
    if outcome in (Outcome.BLOCKED, Outcome.HELD, Outcome.CONFLICT, Outcome.FAILED):
        [command, *_] = [line for line in lines if ":  imagegate " in line]
        assert "shop/api-dev" in command
    assert lines.index("") == 1


def test_the_console_of_china_has_a_name_of_its_own() -> None:
    china = ConsoleLinks("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "b")
    assert china.image(ImageRef("a/b", digest())).startswith("https://cn-north-1.console.amazonaws.cn/ecr/")


@pytest.mark.parametrize("character", ["x", "\u00fc", "\U0001f600", '"', "\\", "\u202e"], ids=ascii)
def test_the_worst_message_fits_sns(character: str) -> None:
    """Everything at its limit at once: 10,000 reasons, 1,000 tags, long texts that grow as JSON."""
    worst = release(
        detail=character * 32_768,
        tags=MANY_TAGS,
        reasons=[reason(message=character * 3000)] * 10_000,
        remedies=(character * 3000,) * 10_000,
        break_glass=character * 4_000,
        promotion=Promotion("r" * 256, digest(), tuple(sorted(MANY_TAGS))),
        decision=digest(),
    )
    for outcome in Outcome:
        message = announce(worst, outcome, console=CONSOLE)
        content = as_sns_message(message)
        attributes = sum(len(name) + len(value.encode()) for name, value in message.attributes.items())
        assert len(content.encode()) + attributes <= SNS_LIMIT
        assert json.loads(json.loads(content)["sqs"])["digest"] == str(digest())


def test_a_refusal_names_the_image_the_rule_and_the_remedy() -> None:
    announced = announce(release(reasons=[reason()], verdict="BLOCK"), Outcome.BLOCKED)
    assert announced.subject == "BLOCKED: shop/api-dev:1.0 at the dev gate: 3 CRITICAL (at most 0)"
    for part in (
        "shop/api-dev:1.0",
        str(digest()),
        "findings.critical",
        "3 CRITICAL (at most 0): CVE-2026-1 (openssl 3.0.1)",
        "Fix what is named above and push again",
        f"imagegate status shop/api-dev@{digest()}",
    ):
        assert part in announced.text


def test_the_subject_counts_what_it_does_not_name() -> None:
    three = [
        reason(),
        reason("findings.high", "9 HIGH (at most 5): CVE-2026-2"),
        reason("findings.medium", "m"),
    ]
    warning = reason("findings.low", "1 LOW (at most 0): CVE-2026-3", Action.WARN)
    subject = announce(release(reasons=[warning, *three]), Outcome.BLOCKED).subject
    assert subject.endswith("3 CRITICAL (at most 0) (+2 more)")


@pytest.mark.parametrize(
    ("message", "headline"),
    [
        ("linux/arm64: 3 CRITICAL (at most 0): CVE-2026-1", "3 CRITICAL (at most 0)"),
        ("linux/arm64: FAILED: the scan failed", "the scan failed"),
        ("UNSUPPORTED_IMAGE: the scanner cannot read this operating system", "cannot read"),
    ],
)
def test_the_subject_says_why_and_not_only_where(message: str, headline: str) -> None:
    subject = announce(release(reasons=[reason(message=message)]), Outcome.BLOCKED).subject
    assert headline in subject


def test_a_warning_is_marked_as_one() -> None:
    text = announce(release(reasons=[reason(action=Action.WARN)]), Outcome.RELEASED).text
    assert "  - (warning) 3 CRITICAL" in text


def test_many_reasons_are_cut_and_counted() -> None:
    announced = announce(release(reasons=[reason()] * 23), Outcome.BLOCKED)
    assert "and 3 more in the decision record" in announced.text
    assert len(announced.detail["reasons"]) == 20


def test_a_released_image_says_where_it_is_now() -> None:
    promotion = Promotion("shop/api-staging", digest(), ("1.0", "latest"))
    announced = announce(release(promotion=promotion), Outcome.RELEASED)
    assert announced.subject == "RELEASED: shop/api-dev:1.0 passed the dev gate, now in shop/api-staging"
    assert "shop/api-staging: 1.0, latest" in announced.text
    assert announced.detail["promotedTo"] == promotion.as_json()


def test_a_release_that_was_only_observed_does_not_say_passed() -> None:
    announced = announce(release(verdict="BLOCK", reasons=[reason()]), Outcome.RELEASED)
    assert "passed" not in announced.subject + announced.text
    assert "would have blocked it" in announced.subject


@pytest.mark.parametrize("verdict", ["BLOCK", "ERROR"])
def test_a_held_image_that_did_not_pass_is_not_said_to_be_signed(verdict: str) -> None:
    """An approver would approve what the gate refused."""
    announced = announce(release(verdict=verdict, reasons=[reason()]), Outcome.HELD)
    assert "passed" not in announced.subject + announced.text
    assert "is signed" not in announced.text


def test_an_image_without_tags_is_named_by_its_digest() -> None:
    announced = announce(release(tags=frozenset()), Outcome.WITHDRAWN)
    assert f"shop/api-dev@{digest().short}" in announced.subject
    assert "Tags         none" in announced.text


def test_a_refusal_names_the_changes_that_make_the_image_pass() -> None:
    blocked = release(verdict="BLOCK", reasons=[reason()], remedies=("upgrade openssl to 3.0.2: removes 3",))
    announced = announce(blocked, Outcome.BLOCKED)
    assert "What would make it pass:\n  - upgrade openssl to 3.0.2: removes 3\n" in announced.text
    assert announced.detail["remedies"] == ["upgrade openssl to 3.0.2: removes 3"]


def test_the_detail_for_machines_is_complete_and_has_a_stable_id() -> None:
    made = release(reasons=[reason()], decision=digest("decision"), signature=digest("signature"))
    detail = announce(made, Outcome.BLOCKED).detail
    assert detail == {
        "schema": 1,
        "id": made.key,
        "outcome": "blocked",
        "repository": "shop/api-dev",
        "digest": str(digest()),
        "tags": ["1.0"],
        "stage": "dev",
        "attempt": 1,
        "verdict": "PASS",
        "reasons": [reason()],
        "remedies": [],
        "decision": str(digest("decision")),
        "policy": str(digest("policy")),
        "signature": str(digest("signature")),
        "sbom": None,
        "promotedTo": None,
        "breakGlass": None,
        "cause": "",
    }


def test_the_result_of_the_sbom_is_a_note_and_no_alert() -> None:
    missed = release(sbom=Sbom("none: not scanned continuously"), attention="log")
    told = announce(missed, Outcome.RELEASED)
    assert "SBOM         none: not scanned continuously\n" in told.text
    assert told.detail["sbom"] == "none: not scanned continuously"
    assert told.attributes["alert"] == "log"
    assert "SBOM" not in announce(release(), Outcome.RELEASED).text


@given(releases, outcomes)
def test_the_same_release_is_announced_in_the_same_words(ending: Release, outcome: Outcome) -> None:
    assert announce(ending, outcome) == announce(ending, outcome)


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ('{"errorMessage": "no bucket", "errorType": "X", "stackTrace": ["a"]}', "X: no bucket"),
        ("plain text", "X: plain text"),
        ("", "X"),
        ("[1]", "X: [1]"),
        ('{"other": 1}', 'X: {"other": 1}'),
        ("null", "X: null"),
    ],
)
def test_a_fault_is_explained_without_its_stack_trace(cause: str, text: str) -> None:
    assert explain_fault("X", cause) == text


@given(st.text(max_size=60))
def test_any_cause_can_be_explained(cause: Any) -> None:
    assert explain_fault("States.TaskFailed", cause).startswith("States.TaskFailed")
