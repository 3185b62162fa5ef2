"""Nothing forged is accepted, and nothing that can be sent crashes the verifier or takes long."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import forgeries
from imagegate.errors import VerificationError
from tests.component.envelopes import Draft, compact, good_jws, protected_header
from tests.component.forgeries import KINDS
from tests.component.forging import Outcome, originals
from tests.component.verifying import verify_gate

EACH = 6


def test_the_genuine_ones_hold() -> None:
    assert {evidence.judge()[0] for evidence in originals()} == {Outcome.ACCEPTED}


@pytest.mark.parametrize("kind", KINDS)
def test_a_forgery_is_refused(kind: str) -> None:
    for number in range(EACH):
        outcome, seconds, error = KINDS[kind](random.Random(f"{kind}/{number}")).judge()
        assert outcome is Outcome.REFUSED, (number, error)
        assert seconds < 0.5


def test_the_benchmark_counts_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert forgeries.main(["--count", "30", "--seed", "7"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["tried"], result["accepted"], result["crashed"]) == (30, 0, 0)
    assert sum(result["by_kind"].values()) == 30
    assert result["genuine_ms"] < 10


def refused(envelope: bytes) -> bool:
    try:
        verify_gate(envelope)
    except VerificationError:
        return True
    return False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_are_an_envelope(content: bytes) -> None:
    assert refused(content)


@settings(deadline=None)
@given(st.sampled_from(list(good_jws())), JSON)
def test_no_other_value_is_a_part(part: str, value: Any) -> None:
    assert refused(compact(good_jws() | {part: value}))


@settings(deadline=None)
@given(st.sampled_from([*protected_header(), ""]), JSON)
def test_no_other_value_is_a_signed_header(name: str, value: Any) -> None:
    header = protected_header() | {name: value} if name else value
    envelope = Draft(protected=json.dumps(header).encode()).envelope()
    assert refused(envelope) or json.loads(json.dumps(header)) == protected_header()


@settings(deadline=None)
@given(JSON, st.booleans())
def test_no_other_value_is_a_signed_payload(value: Any, is_target: bool) -> None:
    payload = {"targetArtifact": value} if is_target else value
    assert refused(Draft(payload=json.dumps(payload).encode()).envelope())


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 3), st.data())
def test_no_other_bytes_are_a_certificate(position: int, data: st.DataObject) -> None:
    x5c = good_jws()["header"]["x5c"]
    genuine = base64.b64decode(x5c[position])
    der = bytearray(genuine)
    start = data.draw(st.integers(0, len(der) - 1))
    run = data.draw(st.binary(min_size=1, max_size=8))
    der[start : start + len(run)] = run
    if bytes(der) == genuine:
        return
    x5c[position] = base64.b64encode(der).decode()
    assert refused(compact(good_jws() | {"header": {"x5c": x5c}}))
