"""The additions of `imagegate verify` to signatures, beside a stack: the gate's present verdict, and who broke the
glass.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, StartReason
from imagegate.release.revocation import Revocation
from imagegate_cli.verification.after_signing import AfterSigning, events_after_signing
from tests.component.cli_gate import CALLER, CliGate, gate
from tests.component.deployments import attempt, blocked
from tests.fakes import LATER, NOW

__all__ = ["gate"]


def known(gate: CliGate, *attempts: Any) -> ImageRef:
    for one in attempts:
        gate.world.ledger.releases[one.image, one.attempt] = one
    return ImageRef(attempts[0].image.repository, attempts[0].image.digest)


def test_a_gate_that_still_says_yes_adds_nothing(gate: CliGate) -> None:
    found = events_after_signing(gate.stack, known(gate, attempt()))
    assert found == AfterSigning()
    assert (found.problem(["dev"]), found.notes(["dev"], NOW)) == ("", ())


def test_a_gate_that_has_blocked_it_since_is_a_problem_of_its_signature(gate: CliGate) -> None:
    found = events_after_signing(gate.stack, known(gate, attempt(), blocked(2)))
    assert found.problem(["dev"]).startswith("the dev gate refuses it now: blocked in attempt 2")
    assert found.notes(["dev"], NOW) == ()


def test_a_gate_that_never_signed_is_a_note_beside_the_signature_of_another(gate: CliGate) -> None:
    found = events_after_signing(gate.stack, known(gate, blocked()))
    assert found.problem(["base"]) == ""
    [note] = found.notes(["base"], NOW)
    assert note.startswith("it did not pass the dev gate: blocked in attempt 1")


def test_an_attempt_that_says_nothing_changes_nothing(gate: CliGate) -> None:
    failed = attempt(2, Outcome.FAILED, verdict=None, signature=None, reason=StartReason.OPERATOR)
    assert events_after_signing(gate.stack, known(gate, attempt(), failed)) == AfterSigning()


def test_a_revocation_names_the_person_and_the_reason(gate: CliGate) -> None:
    revoked = attempt(revoked=Revocation(NOW, CALLER, "stolen"))
    assert f"by {CALLER}: stolen" in events_after_signing(gate.stack, known(gate, revoked)).problem(["dev"])


def test_a_revoked_image_passed_before(gate: CliGate) -> None:
    revoked = attempt(revoked=Revocation(NOW, CALLER, "stolen"))
    [note] = events_after_signing(gate.stack, known(gate, revoked)).notes([], NOW)
    assert note == f"it passed the dev gate, then it was revoked on 2026-11-21 08:00 UTC by {CALLER}: stolen"


def test_a_broken_glass_is_shown_while_it_counts_and_for_ever_after(gate: CliGate) -> None:
    image = known(gate, blocked())
    glass = BreakGlass("shop-*", image.digest, "down", NOW + timedelta(hours=4), NOW, CALLER)
    gate.world.grants.break_glass(glass)
    gate.world.grants.break_glass(replace(glass, repositories="till-*"))
    found = events_after_signing(gate.stack, image)
    assert [one["id"] for one in found.as_json()["breakGlass"]] == [glass.id]
    _, now = found.notes([], LATER)
    _, later = found.notes([], NOW + timedelta(days=400))
    assert now.startswith("may run by break-glass until")
    assert later.startswith("was let through by break-glass until")


def test_an_image_of_no_stage_and_one_that_nobody_judged_say_nothing(gate: CliGate) -> None:
    image = known(gate, attempt())
    assert events_after_signing(gate.stack, ImageRef("unmanaged", image.digest)) == AfterSigning()
    assert events_after_signing(gate.stack, ImageRef("till-dev", image.digest)) == AfterSigning()


@pytest.mark.parametrize(
    ("code", "is_said"), [("AccessDeniedException", True), ("ValidationException", False)]
)
def test_verify_works_without_the_ledger_and_says_so(
    gate: CliGate, monkeypatch: pytest.MonkeyPatch, code: str, is_said: bool
) -> None:
    def refuse(_image: ImageRef) -> Any:
        raise ClientError({"Error": {"Code": code}}, "Query")

    image = known(gate, attempt())
    monkeypatch.setattr(gate.world.ledger, "history", refuse)
    if not is_said:
        with pytest.raises(ClientError):
            events_after_signing(gate.stack, image)
        return
    assert events_after_signing(gate.stack, image).notes(["dev"], NOW) == (
        "later events are not known: you may not read the ledger",
    )
