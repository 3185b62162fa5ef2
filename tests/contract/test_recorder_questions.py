"""The questions to AWS that matter most are ten, and name behaviours that the recorder has; it touches nothing else."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from tests.contract.recorder.behaviours import behaviours
from tests.contract.recorder.bench import Bench, ForeignError
from tests.contract.recorder.questions import QUESTIONS, Question, first_answers


def test_there_are_ten_questions() -> None:
    assert len({question.text for question in QUESTIONS}) == 10


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text[:40])
def test_a_question_says_how_to_find_out_and_what_goes_wrong(question: Question) -> None:
    known = {one.id for one in behaviours()}
    named = [name for name in first_answers() if name in question.by]
    assert question.text.endswith("?")
    assert question.otherwise
    assert [name for name in named if name not in known] == []
    assert named or " " in question.by


def test_what_answers_a_question_is_tried_first() -> None:
    assert {"every-definition-is-taken", "a-blob-is-mounted"} <= set(first_answers())
    ids = [one.id for one in behaviours()]
    assert tuple(ids[: len(first_answers())]) == first_answers()


@pytest.mark.parametrize(
    ("operation", "parameters", "is_refused"),
    [
        ("DeleteRepository", {"repositoryName": "shop"}, True),
        ("PutAccountSetting", {"name": "BLOB_MOUNTING", "value": "ENABLED"}, True),
        ("BatchDeleteImage", {"repositoryName": "shop", "imageIds": []}, True),
        ("PutImage", {"repositoryName": "shop"}, True),
        ("DeleteRepository", {"repositoryName": "imagegate-contract-1-x"}, False),
        ("PutSigningProfile", {"profileName": "imagegate_contract_1_x"}, False),
        ("DescribeRepositories", {}, False),
    ],
)
def test_nothing_is_changed_that_is_not_of_the_run(
    operation: str, parameters: dict[str, Any], is_refused: bool
) -> None:
    bench = Bench(
        session=boto3.Session("a", "b", region_name="eu-central-1"),
        account="",
        partition="aws",
        run="imagegate-contract-1",
        sanitiser=None,  # type: ignore[arg-type]
        source="AWS",
        is_loopback=False,
    )
    if is_refused:
        with pytest.raises(ForeignError):
            bench.do("ecr", operation, **parameters)
    else:
        bench.refuse_foreign(operation, parameters)
    with pytest.raises(ForeignError):
        bench.configure("PutAccountSetting", name="BLOB_MOUNTING", value="ENABLED")
