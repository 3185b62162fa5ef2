"""Security Hub: one finding of this run, which is archived at the end. Security Hub deletes it 90 days later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Answer, Bench

CHAPTER = "Events of ECR and EventBridge"
_TAKEN = "{taken: SuccessCount, codes: FailedFindings[].ErrorCode}"


@behaviour(CHAPTER, "model, BatchImportFindings", None)
def a_finding_is_replaced_by_its_id_and_archived(bench: Bench) -> None:
    """A finding is taken, replaced by a later one of the same id, and archived; an earlier one changes nothing."""
    now = datetime.now(UTC)
    if _send(bench, now).outcome != "ok":
        return  # Security Hub is not enabled: the code says so
    bench.throw_away.add("finding in Security Hub", partial(_archive, bench, now + timedelta(seconds=9)))
    _send(bench, now + timedelta(seconds=1), Title="another title")
    _send(bench, now, Title="too early")
    _send(bench, now + timedelta(seconds=2), RecordState="ARCHIVED")


@behaviour(CHAPTER, "from issue threads: `InvalidInput`", None, looser="the sandbox takes any finding")
def a_finding_of_another_form_is_refused_by_a_code(bench: Bench) -> None:
    """A finding that is not as the format demands is a failure in a success."""
    _send(bench, datetime.now(UTC), Severity={"Label": "TERRIBLE"})


def _send(bench: Bench, updated: datetime, **fields: Any) -> Answer:
    return bench.ask(
        "securityhub", "BatchImportFindings", show=_TAKEN, Findings=[_finding(bench, updated, **fields)]
    )


def _archive(bench: Bench, at: datetime) -> None:
    bench.do("securityhub", "BatchImportFindings", Findings=[_finding(bench, at, RecordState="ARCHIVED")])


def _finding(bench: Bench, updated: datetime, **fields: Any) -> dict[str, Any]:
    finding: dict[str, Any] = {
        "SchemaVersion": "2018-10-08",
        "Id": f"{bench.run}/finding",
        "ProductArn": bench.arn("securityhub", f"product/{bench.account}/default"),
        "GeneratorId": bench.run,
        "AwsAccountId": bench.account,
        "CreatedAt": _time(updated - timedelta(minutes=1)),
        "UpdatedAt": _time(updated),
        "Title": "A finding of imagegate's contract recorder",
        "Description": "It says nothing, and is archived at once.",
        "Severity": {"Label": "INFORMATIONAL"},
        "Types": ["Software and Configuration Checks"],
        "Resources": [{"Type": "Other", "Id": bench.run}],
    }
    return finding | fields


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
