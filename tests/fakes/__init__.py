"""In-memory ports: small, honest, and checked by mypy against the protocols.

They keep what the real services keep and refuse what those refuse; they know nothing of the steps.
"""

from tests.fakes.grants import FakeApprovalLinks, FakeGrants, FakeLinkDecider
from tests.fakes.ledger import FakeLedger
from tests.fakes.pool import InTurn
from tests.fakes.records import FakeRecords, FakeSigner
from tests.fakes.registry import FakeIntelligence, FakeRegistry, FakeScans, FakeUsage
from tests.fakes.risks import FakeSecurityHub, FakeTasks
from tests.fakes.services import (
    FakeNotifications,
    FakePeople,
    FakeServices,
    FakeStarter,
    FakeWorkflow,
)
from tests.fakes.world import DEV, LATER, NOW, POLICY, REGISTRY, STAGING, critical, image_config

__all__ = [
    "DEV",
    "LATER",
    "NOW",
    "POLICY",
    "REGISTRY",
    "STAGING",
    "FakeApprovalLinks",
    "FakeGrants",
    "FakeIntelligence",
    "FakeLedger",
    "FakeLinkDecider",
    "FakeNotifications",
    "FakePeople",
    "FakeRecords",
    "FakeRegistry",
    "FakeScans",
    "FakeSecurityHub",
    "FakeServices",
    "FakeSigner",
    "FakeStarter",
    "FakeTasks",
    "FakeUsage",
    "FakeWorkflow",
    "InTurn",
    "critical",
    "image_config",
]
