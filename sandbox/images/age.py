"""`python -m sandbox age`: make images look older, for clean-ups: pushed, archived and released some days earlier.

Times of pushes are the registry's; of releases, the time of the end is moved in the ledger.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3

from sandbox.images.references import InvalidSandboxReferenceError, SandboxReference
from sandbox.session import NoSandboxError, Session, default_state, find_session, require_running

_PATIENCE = 60.0  # seconds


def age(reference: SandboxReference, days: int, session: Session, state: Path) -> list[str]:
    """Make the image, or each image of the repository, look so many days older. Return their digests."""
    url = f"http://{require_running(state)['IMAGEGATE_REGISTRY']}/sandbox-api/age"
    body = {"repository": reference.repository, "days": days}
    body |= {"tag": reference.tag} if reference.tag else {}
    body |= {"digest": reference.digest} if reference.digest else {}
    answer = urllib3.request("POST", url, json=body, retries=False, timeout=_PATIENCE)
    if answer.status != 200:
        raise InvalidSandboxReferenceError(f"no such image: {reference}")
    digests: list[str] = answer.json()["digests"]
    _age_releases([f"IMAGE#{reference.repository}@{digest}" for digest in digests], days, session)
    return digests


def _age_releases(keys: list[str], days: int, session: Session) -> None:
    stacks = session.client("cloudformation").describe_stacks()["Stacks"]
    [table] = [
        output["OutputValue"]
        for stack in stacks
        for output in stack.get("Outputs", ())
        if output["OutputKey"] == "LedgerTable"
    ]
    ledger = session.client("dynamodb")
    for key in keys:
        values = {":pk": {"S": key}, ":attempt": {"S": "ATTEMPT#"}}
        condition = "pk = :pk AND begins_with(sk, :attempt)"
        attempts = ledger.query(
            TableName=table, KeyConditionExpression=condition, ExpressionAttributeValues=values
        )
        for attempt in attempts["Items"]:
            if "closedAt" in attempt:
                _age_release(ledger, table, attempt, days)


def _age_release(ledger: Any, table: str, attempt: dict[str, Any], days: int) -> None:
    ended = datetime.fromisoformat(attempt["closedAt"]["S"]) - timedelta(days=days)
    ledger.update_item(
        TableName=table,
        Key={name: attempt[name] for name in ("pk", "sk")},
        UpdateExpression="SET closedAt = :ended",
        ExpressionAttributeValues={
            ":ended": {"S": ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        },
    )


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0, or 2 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox age", description=__doc__)
    parser.add_argument("reference", metavar="REPOSITORY[:TAG|@DIGEST]")
    parser.add_argument("days", type=int)
    parser.add_argument("--state", type=Path, default=default_state(), help="the sandbox's folder")
    arguments = parser.parse_args(argv)
    try:
        reference = SandboxReference.parse(arguments.reference)
        digests = age(reference, arguments.days, find_session(arguments.state), arguments.state)
    except (InvalidSandboxReferenceError, NoSandboxError) as error:
        print(f"age: {error}", file=sys.stderr)
        return 2
    print("\n".join(digests))
    return 0
