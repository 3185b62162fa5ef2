"""Publish Policy: at deployment, check the policy, store it by digest, and create the signing profile of each stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagegate.errors import InvalidPolicyError
from imagegate.policy.policy import Policy, Scanner

if TYPE_CHECKING:
    from imagegate.baseline.section import RegistryBaseline
    from imagegate.oci.image import Digest
    from imagegate.ports.images import Scans
    from imagegate.ports.records import Records
    from imagegate.ports.signer import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPolicy:
    records: Records
    signer: Signer
    scans: Scans
    parse: Callable[[bytes], tuple[Policy, RegistryBaseline]]

    def run(self, content: bytes) -> tuple[Policy, Digest]:
        """Return the published policy, and the digest of what its file was read as.

        Raises `InvalidPolicyError`: the deployment fails, and the old policy stays.
        """
        policy, baseline = self.parse(content)
        if policy.scanner is Scanner.ENHANCED and self.scans.scanner() is not Scanner.ENHANCED:
            raise InvalidPolicyError(
                "scanner: the policy needs enhanced scanning, and this registry has basic scanning: its rules "
                "would block every image. Switch ECR's scanning first, or say scanner: basic"
            )
        self.records.put_policy(content)
        for stage in policy.stages:
            self.signer.make_profile(stage)
        return policy, self.records.put_parsed(policy, baseline)
