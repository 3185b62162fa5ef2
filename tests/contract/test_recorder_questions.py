"""The questions to AWS that matter most are ten, and name behaviours that the recorder has."""

from __future__ import annotations

import re

import pytest

from tests.contract.recorder.behaviours import behaviours
from tests.contract.recorder.questions import QUESTIONS, Question


def test_there_are_ten_questions() -> None:
    assert len({question.text for question in QUESTIONS}) == 10


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text[:40])
def test_a_question_says_how_to_find_out_and_what_goes_wrong(question: Question) -> None:
    known = {one.id for one in behaviours()}
    named = re.findall(r"\b[a-z]+(?:-[a-z]+){3,}\b", question.by)
    assert question.text.endswith("?")
    assert question.otherwise
    assert [name for name in named if name not in known] == []
    assert named or " " in question.by
