"""IAM: the simulation of the run's own role, and the form of the credential report. No identity is written down."""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import Any

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.probes.stepfunctions import role

CHAPTER = "IAM and KMS"
_COLUMNS = ("user", "password_enabled", "mfa_active")


@behaviour(CHAPTER, "model, EvaluationResult", ("ok", "yes", "yes", "ok", "yes"))
def a_simulation_answers_for_each_resource(bench: Bench) -> None:
    """Each resource has a result of its own with its ARN; the result as a whole names none of them."""
    arn, own = role(bench), bench.arn("sqs", bench.run)
    show = "EvaluationResults[].[EvalDecision, ResourceSpecificResults[].EvalResourceDecision]"
    for resources in ([own, f"{own}-other"], [own]):
        asked: dict[str, Any] = {
            "PolicySourceArn": arn,
            "ActionNames": ["sqs:SendMessage"],
            "ResourceArns": resources,
        }
        # A new policy is not known everywhere at once.
        bench.until(partial(_is_allowed, bench, asked), 30)
        answer = bench.ask("iam", "SimulatePrincipalPolicy", show=show, **asked)
        [result] = answer.content["EvaluationResults"]
        named = [one["EvalResourceName"] for one in result.get("ResourceSpecificResults", ())]
        bench.observe("each resource has a result", sorted(named) == sorted(resources))
        if len(resources) > 1:
            bench.observe("the whole names none of them", result["EvalResourceName"] not in resources)


@behaviour(CHAPTER, 'IAM user guide, "Credential reports"', ("yes", "yes", "yes"))
def a_credential_report_has_the_columns_that_are_read(bench: Bench) -> None:
    """The report has a row for each user, with the columns that the audit reads. Its rows are not written down."""
    bench.until(lambda: bench.do("iam", "GenerateCredentialReport")["State"] == "COMPLETE", 60)
    content = bench.do("iam", "GetCredentialReport")["Content"]
    text = content.decode() if isinstance(content, bytes) else str(content)
    columns = csv.DictReader(io.StringIO(text)).fieldnames or ()
    for name in _COLUMNS:
        bench.observe(f"the column {name}", name in columns)


def _is_allowed(bench: Bench, asked: dict[str, Any]) -> bool:
    return "'allowed'" in str(bench.do("iam", "SimulatePrincipalPolicy", **asked))
