"""Publish Policy: at deploy time, check the policy, store it by digest, and see to each stage's signing profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imagegate.domain.policy import Policy
from imagegate.ports import Records, Signer


@dataclass(frozen=True, slots=True)
class PublishPolicy:
    records: Records
    signer: Signer
    parse: Callable[[bytes], Policy]

    def run(self, content: bytes) -> Policy:
        """Raise `InvalidPolicyError`: the deploy fails and the old policy stays."""
        policy = self.parse(content)
        self.records.put_policy(content)
        for stage in policy.stages:
            self.signer.make_profile(stage)
        return policy
