"""Carries out what a person requests of `decide`: one step per action, and the JSON of its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imagegate.errors import InvalidEventError
from imagegate.grants.break_glass import BreakGlass
from imagegate.release.revocation import Revocation
from imagegate.workflow.decide.approve import DecideApproval
from imagegate.workflow.decide.break_glass import GrantBreakGlass
from imagegate.workflow.decide.order import OrderRelease
from imagegate.workflow.decide.requests import (
    ApprovalDecisionRequest,
    BreakGlassRequest,
    DecisionRequest,
    LinkDecisionRequest,
    ReleaseByHandRequest,
    RevokeRequest,
    RollbackRequest,
    WaiveRequest,
    WithdrawBreakGlassRequest,
    WithdrawWaiverRequest,
)
from imagegate.workflow.decide.revoke import RevokeSignatures
from imagegate.workflow.decide.rollback import PlanRollback, RollBack
from imagegate.workflow.decide.waive import GrantWaiver

if TYPE_CHECKING:
    from imagegate.findings.finding import Versions
    from imagegate.grants.results import ApprovalResult, BreakGlassResult, RevocationResult, WaiverResult
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.executions import Starter
    from imagegate.ports.grants import ApprovalLinks, WritableGrants
    from imagegate.ports.images import Images, Usage
    from imagegate.ports.ledger import Ledger
    from imagegate.ports.records import Records
    from imagegate.ports.registry import Registry
    from imagegate.ports.services import Notifications, People
    from imagegate.ports.signer import Signer
    from imagegate.release.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryOutDecision:
    """Ports that not every action needs are made when an action needs them."""

    grants: WritableGrants
    ledger: Ledger
    records: Records
    images: Images
    starter: Starter
    notifications: Notifications
    policy: Callable[[], Policy]
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]
    usage: Callable[[], Usage]
    people: Callable[[], People]
    links: Callable[[], ApprovalLinks]
    versions: Callable[[], Versions]

    def run(self, request: DecisionRequest, caller: str, now: datetime) -> dict[str, Any]:
        """Carry out the request of `caller` (an ARN), and return its result as JSON. Raises as the action's step does.

        `caller` is not used for a decision by link: the link says who decides.
        """
        match request:
            case WaiveRequest():
                return _granted_json(self._waivers().waive(request.waiver, caller, now))
            case WithdrawWaiverRequest():
                return {"waiver": _waiver_json(self._waivers().withdraw(request.waiver_id, caller, now))}
            case BreakGlassRequest():
                return _broken_json(self._break_glass().run(_break_glass(request, caller, now), now))
            case WithdrawBreakGlassRequest():
                glass = self._break_glass().withdraw(request.break_glass_id, caller, now)
                return {"breakGlass": _break_glass_json(glass)}
            case RevokeRequest():
                revocation = Revocation(now.replace(microsecond=0), caller, request.reason)
                return _revoked_json(
                    self._revocations().run(request.image, revocation, onward=request.onward)
                )
            case ApprovalDecisionRequest():
                step = self._approvals()
                return decided_json(step.run(request.release, caller, request.choice, request.reason, now))
            case LinkDecisionRequest():
                return self._decide_by_link(request, now)
            case RollbackRequest(repository=repository, to=to, came_from=came_from):
                rollback = self._rollbacks().run(repository, to, came_from, caller, request.reason, now)
                return rollback.as_json()
            case ReleaseByHandRequest():
                order = self._orders().run(request.image, request.tags, request.reason, caller, now)
                return {"order": order.as_json()}

    def _decide_by_link(self, request: LinkDecisionRequest, now: datetime) -> dict[str, Any]:
        link = self.links().read(request.token, now)
        if link.purpose.choice is None:
            raise InvalidEventError("this link shows, and decides nothing")
        step = self._approvals()
        result = step.run(link.release, link.approver, link.purpose.choice, request.reason, now)
        return {**decided_json(result), "by": link.approver}

    def _waivers(self) -> GrantWaiver:
        return GrantWaiver(
            grants=self.grants,
            ledger=self.ledger,
            records=self.records,
            starter=self.starter,
            policy=self.policy(),
            versions=self.versions(),
        )

    def _break_glass(self) -> GrantBreakGlass:
        return GrantBreakGlass(
            grants=self.grants,
            ledger=self.ledger,
            starter=self.starter,
            notifications=self.notifications,
        )

    def _revocations(self) -> RevokeSignatures:
        return RevokeSignatures(
            ledger=self.ledger,
            registry=self.registry,
            signer=self.signer,
            usage=self.usage(),
            notifications=self.notifications,
            policy=self.policy(),
        )

    def _approvals(self) -> DecideApproval:
        return DecideApproval(
            grants=self.grants,
            ledger=self.ledger,
            records=self.records,
            images=self.images,
            starter=self.starter,
            people=self.people(),
            notifications=self.notifications,
        )

    def _rollbacks(self) -> RollBack:
        plan = PlanRollback(
            images=self.images,
            ledger=self.ledger,
            registry=self.registry,
            signer=self.signer,
            policy=self.policy(),
        )
        return RollBack(plan=plan, ledger=self.ledger, notifications=self.notifications)

    def _orders(self) -> OrderRelease:
        return OrderRelease(
            grants=self.grants,
            ledger=self.ledger,
            images=self.images,
            starter=self.starter,
            policy=self.policy(),
        )


def _break_glass(request: BreakGlassRequest, caller: str, now: datetime) -> BreakGlass:
    """Return the break-glass of a request, in whole seconds of UTC."""
    expires = request.expires.astimezone(UTC).replace(microsecond=0)
    granted_at = now.replace(microsecond=0)
    return BreakGlass(request.repositories, request.digest, request.reason, expires, granted_at, caller)


def _granted_json(granted: WaiverResult) -> dict[str, Any]:
    return {
        "waiver": _waiver_json(granted.waiver),
        "isNew": granted.is_new,
        "released": _releases_json(granted.freed),
        "stillBlocked": [{**_release_json(release), "why": why} for release, why in granted.still_blocked],
        "isAll": granted.is_all,
    }


def _broken_json(broken: BreakGlassResult) -> dict[str, Any]:
    return {
        "breakGlass": _break_glass_json(broken.glass),
        "isNew": broken.is_new,
        "released": _releases_json(broken.resumed),
        "revoked": [f"{release.image}: {release.revoked}" for release in broken.revoked],
    }


def _waiver_json(waiver: Waiver) -> dict[str, Any]:
    return {"id": waiver.id, **waiver.as_json()}


def _break_glass_json(glass: BreakGlass) -> dict[str, Any]:
    return {"id": glass.id, **glass.as_json()}


def _revoked_json(revoked: RevocationResult) -> dict[str, Any]:
    clusters = revoked.runs_in
    return {
        "repository": revoked.image.repository,
        "digest": str(revoked.image.digest),
        "revocation": revoked.revocation.as_json(),
        "stages": list(revoked.stages),
        "repositories": [place.repository for place in revoked.places],
        "signatures": revoked.signatures,
        "runsIn": None
        if clusters is None
        else [{"cluster": one.cluster, "running": one.units} for one in clusters],
        "earlier": [str(one) for one in revoked.earlier],
    }


def decided_json(result: ApprovalResult) -> dict[str, Any]:
    """Return the status of the approval, and who has decided so far."""
    return {
        "standing": str(result.status),
        "approving": len(result.request.approving(result.decided)),
        "request": result.request.as_json(),
        "decided": [one.as_json() for one in result.decided],
    }


def _releases_json(releases: Iterable[Release]) -> list[dict[str, Any]]:
    return [_release_json(release) for release in releases]


def _release_json(release: Release) -> dict[str, Any]:
    return {
        "repository": release.image.repository,
        "digest": str(release.image.digest),
        "tags": sorted(release.tags),
    }
