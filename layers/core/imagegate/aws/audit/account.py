"""The account around the registry, as far as its services tell: IAM, AWS CloudTrail, and Amazon VPC.

Each part is read by itself: one that is refused does not hide the others.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from imagegate.audit.account import AccountFacts, GuardedPlace, WhoMay
from imagegate.aws.audit.identities import SIMULATIONS_A_SECOND, read_identities, simulate_actions
from imagegate.aws.clients import client
from imagegate.errors import ImageGateError
from imagegate.text import MESSAGE_LIMIT, one_line

_REPORT_TRIES, _REPORT_WAIT = 10, 3.0  # seconds: the report of a large account takes some
_ACTIONS: Mapping[str, tuple[str, str]] = {
    "access-push": ("push", "ecr:PutImage"),
    "access-delete": ("delete", "ecr:BatchDeleteImage"),
    "access-pull": ("pull", "ecr:BatchGetImage"),
    "access-sign": ("sign", "signer:SignPayload"),
}


@dataclass(frozen=True, slots=True)
class AwsAccount:
    """Reads the account. `sleep`: for the pace of IAM."""

    sleep: Callable[[float], None]

    def facts(self, places: Sequence[GuardedPlace]) -> AccountFacts:
        """Return the facts. Never raises: what cannot be read is named."""
        unread: dict[str, str] = {}
        powers = self._tried(unread, [*_ACTIONS], lambda: list(self._powers(places)))
        return AccountFacts(
            root_has_mfa=bool(self._tried(unread, ["access-root-mfa"], _root_has_mfa)),
            users_without_mfa=self._tried(unread, ["access-user-mfa"], self._users_without_mfa) or (),
            trails=self._tried(unread, ["access-trail"], lambda: list(_trails())) or (),
            endpoints=self._tried(unread, ["access-endpoint"], lambda: list(_endpoints())) or (),
            powers=powers or (),
            unread=unread,
        )

    def _tried(self, unread: dict[str, str], checks: Sequence[str], call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ClientError, BotoCoreError, ImageGateError) as error:
            unread |= dict.fromkeys(checks, one_line(f"{type(error).__name__}: {error}", MESSAGE_LIMIT))
            return None

    def _users_without_mfa(self) -> list[str]:
        """Return the users with a password and no second factor (IAM user guide, "Credential reports")."""
        iam = client("iam")
        for _ in range(_REPORT_TRIES):
            if iam.generate_credential_report()["State"] == "COMPLETE":
                break
            self.sleep(_REPORT_WAIT)
        content = iam.get_credential_report()["Content"]
        text = content.decode() if isinstance(content, bytes) else content
        rows = csv.DictReader(io.StringIO(text))
        return [
            row["user"]
            for row in rows
            if row["user"] != "<root_account>"
            and row["password_enabled"].lower() == "true"
            and row["mfa_active"].lower() != "true"
        ]

    def _powers(self, places: Sequence[GuardedPlace]) -> Iterator[WhoMay]:
        """Yield who else may do what, by the simulation of every user and role."""
        if not places:
            return
        others: dict[tuple[str, str], list[str]] = {
            (place.stage, check): [] for place in places for check in place.checks
        }
        for arn in read_identities(client("iam")):
            for actions, resources in _asked(places):
                self.sleep(1 / SIMULATIONS_A_SECOND)
                decisions = simulate_actions(client("iam"), arn, actions, resources)
                allowed = {(one.action, one.resource) for one in decisions if one.is_allowed}
                for place, check in _powers_of(places, actions):
                    is_allowed = (_ACTIONS[check][1], _resource(place, check)) in allowed
                    if is_allowed and arn not in place.own.get(check, ()):
                        others[place.stage, check].append(arn)
        for place in places:
            for check in place.checks:
                principals = tuple(others[place.stage, check])
                yield WhoMay(check, _ACTIONS[check][0], place.repository, place.stage, principals)


def _asked(places: Sequence[GuardedPlace]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the actions of each service with the resources of all places that they are about: one request each."""
    by_service: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for place in places:
        for check in place.checks:
            action = _ACTIONS[check][1]
            actions, resources = by_service.setdefault(action.partition(":")[0], ({}, {}))
            actions[action] = resources[_resource(place, check)] = None
    yield from ((list(actions), list(resources)) for actions, resources in by_service.values())


def _powers_of(places: Sequence[GuardedPlace], actions: Sequence[str]) -> Iterator[tuple[GuardedPlace, str]]:
    for place in places:
        yield from ((place, check) for check in place.checks if _ACTIONS[check][1] in actions)


def _resource(place: GuardedPlace, check: str) -> str:
    return place.profile_arn if check == "access-sign" else place.repository_arn


def _root_has_mfa() -> bool:
    return bool(client("iam").get_account_summary()["SummaryMap"].get("AccountMFAEnabled"))


def _trails() -> Iterator[str]:
    """Yield the trails that record now: in this Region, or in all."""
    trail = client("cloudtrail")
    for one in trail.describe_trails(includeShadowTrails=True)["trailList"]:
        if trail.get_trail_status(Name=one["TrailARN"]).get("IsLogging"):
            yield one["TrailARN"]


def _endpoints() -> Iterator[str]:
    """Yield the interface endpoints of ECR that are ready.

    EC2 answers `available`; its API reference has the state in capitals.
    """
    ec2 = client("ec2")
    services = [f"com.amazonaws.{ec2.meta.region_name}.{name}" for name in ("ecr.api", "ecr.dkr")]
    wanted = [{"Name": "service-name", "Values": services}]
    for page in ec2.get_paginator("describe_vpc_endpoints").paginate(Filters=wanted):
        yield from (
            one["VpcEndpointId"] for one in page["VpcEndpoints"] if one["State"].lower() == "available"
        )
