"""AWS Signer that signs: moto has profiles, but no SignPayload, no revocation, and no conflicts of names.

GetRevocationStatus also answers without the host prefix `data-` or `verification.`: the path tells the requests apart.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from moto.signer import urls
from moto.signer.models import SignerBackend, signer_backends
from moto.signer.responses import SignerResponse

from sandbox.aws.signer.notation import Chain, envelope, load_root, new_chain
from sandbox.aws.signer.requests import check_hashes, check_payload, invalid, not_found, parse_time
from sandbox.settings import Settings

PLATFORM = "Notation-OCI-SHA384-ECDSA"
_MONTHS = {"DAYS": 1 / 30, "MONTHS": 1, "YEARS": 12}


@dataclass(slots=True)
class Job:
    """One signature: enough to answer whether it is still valid."""

    arn: str
    profile_version_arn: str
    certificate_hashes: frozenset[str]
    is_revoked: bool = False
    reason: str = ""


@dataclass(slots=True)
class SignerState:
    """The state of this sandbox's Signer beside moto's profiles."""

    settings: Settings
    chain: Chain
    jobs: dict[str, Job] = field(default_factory=dict)
    # ARN of a profile version, and the start of its revocation
    revoked_versions: dict[str, datetime] = field(default_factory=dict)

    def signing_chain(self) -> Chain:
        if not self.chain.is_fresh:
            self.chain = _new_chain(self.settings)
        return self.chain


_state: SignerState


class SignerOperations(SignerResponse):
    """Operations that moto lacks or answers differently from AWS, one method each."""

    def put_signing_profile(self) -> str:
        name = self.path.split("/")[-1]
        platform = json.loads(self.body).get("platformId")
        if not re.fullmatch(r"[a-zA-Z0-9_]{2,64}", name):
            raise invalid(f"Invalid profile name: {name}")
        if platform not in {p["platformId"] for p in SignerBackend.platforms}:
            raise invalid(f"Invalid platform: {platform}")
        if name in self.signer_backend.signing_profiles:
            raise invalid(f"A signing profile with the name {name} already exists")
        return str(super().put_signing_profile())

    def get_signing_profile(self) -> str:
        return json.dumps(_describe_profile(self._profile(self.path.split("/")[-1])))

    def cancel_signing_profile(self) -> str:
        self._profile(self.path.split("/")[-1]).cancel()
        return "{}"

    def list_signing_profiles(self) -> str:
        statuses = set(self.querystring.get("statuses", []))
        is_all = self.querystring.get("includeCanceled", ["false"])[0] == "true"
        platform = self.querystring.get("platformId", [None])[0]
        profiles = [
            _describe_profile(profile)
            for profile in self.signer_backend.signing_profiles.values()
            if (profile.status in statuses if statuses else is_all or profile.status != "Canceled")
            and platform in (None, profile.platform_id)
        ]
        return json.dumps({"profiles": profiles})

    def sign_payload(self) -> str:
        request = json.loads(self.body)
        payload = base64.b64decode(request["payload"])
        profile = self._signing_profile(request["profileName"], request.get("profileOwner"))
        check_payload(payload, request["payloadFormat"])
        job_id, signature = _sign(profile, payload, self._arn_prefix())
        answer = {"jobId": job_id, "jobOwner": self.current_account, "metadata": {}}
        return json.dumps(answer | {"signature": base64.b64encode(signature).decode()})

    def revoke_signature(self) -> str:
        job = _state.jobs.get(self.path.split("/")[-2])
        if not job:
            raise not_found("Signing job not found")
        job.is_revoked, job.reason = True, json.loads(self.body)["reason"]
        return "{}"

    def describe_signing_job(self) -> str:
        job = _state.jobs.get(self.path.split("/")[-1])
        if not job:
            raise not_found("Signing job not found")
        record = {"revocationRecord": {"reason": job.reason}} if job.is_revoked else {}
        return json.dumps({"jobId": self.path.split("/")[-1], "status": "Succeeded", **record})

    def revoke_signing_profile(self) -> str:
        request = json.loads(self.body)
        profile = self._profile(self.path.split("/")[-2])
        if request["profileVersion"] != profile.profile_version:
            raise not_found(f"{profile.name} has no version {request['profileVersion']}")
        effective = parse_time(request["effectiveTime"])
        _state.revoked_versions[profile.profile_version_arn] = effective
        profile.status = "Revoked"
        return "{}"

    def get_revocation_status(self) -> str:
        query = self.querystring
        certificate_hashes = set(query.get("certificateHashes", []))
        job = next((j for j in _state.jobs.values() if j.arn == query["jobArn"][0]), None)
        check_hashes(certificate_hashes, job.certificate_hashes if job else None)
        version, signed_at = query["profileVersionArn"][0], parse_time(query["signatureTimestamp"][0])
        revoked = [job.arn] if job and job.is_revoked else []
        since = _state.revoked_versions.get(version)
        if since and signed_at >= since:
            revoked.append(version)
        return json.dumps({"revokedEntities": revoked})

    def _profile(self, name: str) -> Any:
        profile = self.signer_backend.signing_profiles.get(name)
        if not profile:
            raise not_found(f"Signing profile {name} not found")
        return profile

    def _signing_profile(self, name: str, owner: str | None) -> Any:
        if owner and owner != self.current_account:
            raise not_found(f"Signing profile {name} of {owner} not found")
        profile = self._profile(name)
        if profile.status != "Active":
            raise invalid(f"Signing profile {name} is {profile.status}")
        if profile.platform_id != PLATFORM:
            raise invalid(f"Platform {profile.platform_id} does not sign payloads")
        return profile

    def _arn_prefix(self) -> str:
        return f"arn:aws:signer:{self.region}:{self.current_account}:"


def install(settings: Settings) -> None:
    """Sign under this sandbox's root; forget earlier signatures."""
    global _state
    _state = SignerState(settings, _new_chain(settings))
    urls.url_paths.update(dict.fromkeys(urls.url_paths, SignerOperations.dispatch))
    urls.url_paths |= dict.fromkeys(
        (
            "{0}/signing-profiles$",
            "{0}/signing-profiles/(?P<profile_name>[^/]+)/revoke$",
            "{0}/signing-jobs/with-payload$",
            "{0}/signing-jobs/(?P<job_id>[^/]+)$",
            "{0}/signing-jobs/(?P<job_id>[^/]+)/revoke$",
            "{0}/revocations$",
        ),
        SignerOperations.dispatch,
    )
    if PLATFORM not in {platform["platformId"] for platform in SignerBackend.platforms}:
        display_name = "Notation for Container Registries"
        SignerBackend.platforms.append({"platformId": PLATFORM, "displayName": display_name})


def sign_for_service(profile_arn: str, payload: bytes) -> tuple[bytes, list[str]]:
    """Sign for another service of AWS; return the envelope and its certificates' thumbprints, from leaf to root."""
    *_, region, account, path = profile_arn.split(":")
    profile = signer_backends[account][region].signing_profiles.get(path.split("/")[-1])
    if profile is None or profile.status != "Active":
        raise not_found(f"Signing profile {profile_arn} not found, or not active")
    _, signature = _sign(profile, payload, f"arn:aws:signer:{region}:{account}:")
    return signature, [one.fingerprint(hashes.SHA256()).hex() for one in _state.chain.certificates]


def trust_root_pem(settings: Settings) -> Path:
    """Return the root certificate of this sandbox's signatures; make it on first use."""
    load_root(settings.state)
    return settings.state / "trust-root.pem"


def trust_root_thumbprint(settings: Settings) -> str:
    """Return the hex SHA-256 of the root certificate's DER."""
    return load_root(settings.state).certificate.fingerprint(hashes.SHA256()).hex()


def _new_chain(settings: Settings) -> Chain:
    return new_chain(load_root(settings.state), settings.region)


def _sign(profile: Any, payload: bytes, arn_prefix: str) -> tuple[str, bytes]:
    job_id, chain = str(uuid.uuid4()), _state.signing_chain()
    period = profile.signature_validity_period
    job = Job(
        arn=f"{arn_prefix}/signing-jobs/{job_id}",
        profile_version_arn=profile.profile_version_arn,
        certificate_hashes=frozenset(chain.revocation_hashes),
    )
    _state.jobs[job_id] = job
    months = max(1, round(period["value"] * _MONTHS[period["type"]]))
    return job_id, envelope(
        chain,
        payload,
        job_arn=job.arn,
        profile_version_arn=job.profile_version_arn,
        months=months,
    )


def _describe_profile(profile: Any) -> dict[str, Any]:
    return {key: value for key, value in profile.to_dict().items() if value is not None}
