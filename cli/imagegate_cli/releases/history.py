"""The states that an execution went through, for as long as we may read them."""

from __future__ import annotations

from typing import Any

from imagegate.release.release import Release
from imagegate_cli.stack import Stack


class ExecutionHistory:
    """Asks Step Functions; who may not ask, or too late, sees what the ledger tells and nothing finer."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._is_refused = False

    def entered(self, release: Release) -> list[str]:
        """Names of the states, in order; empty when they cannot be read."""
        from botocore.exceptions import ClientError

        if self._is_refused:
            return []
        try:
            return [_name(event) for event in self._events(release) if _name(event)]
        except ClientError as error:
            # The execution starts a moment after the ledger knows of it.
            self._is_refused = error.response["Error"]["Code"] != "ExecutionDoesNotExist"
            return []

    def _events(self, release: Release) -> list[dict[str, Any]]:
        from imagegate.aws.clients import client

        pages = client("stepfunctions").get_paginator("get_execution_history")
        arn = self._stack.execution_arn(release)
        found: list[dict[str, Any]] = []
        for page in pages.paginate(executionArn=arn, includeExecutionData=False):
            found += page["events"]
        return found


def _name(event: dict[str, Any]) -> str:
    return str(event.get("stateEnteredEventDetails", {}).get("name", ""))
