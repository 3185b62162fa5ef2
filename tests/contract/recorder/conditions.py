"""The settings of an account that decide what ECR answers: read from AWS, never changed there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

from tests.contract.recorder.bench import Bench
from tests.contract.recorder.repository import repository


@dataclass(frozen=True, slots=True)
class Conditions:
    """`scan_frequency` is that of the run's own repositories."""

    scan_type: str
    scan_frequency: str
    blob_mounting: str

    @classmethod
    def read(cls, bench: Bench) -> Self:
        bench.begin("settings")
        repo = repository(bench)
        scanning = bench.do("ecr", "GetRegistryScanningConfiguration")["scanningConfiguration"]
        wanted = {"repositoryNames": [repo.name]}
        own = bench.do("ecr", "BatchGetRepositoryScanningConfiguration", **wanted)["scanningConfigurations"][
            0
        ]
        mounting = bench.do("ecr", "GetAccountSetting", name="BLOB_MOUNTING")["value"]
        return cls(scanning["scanType"], own["scanFrequency"], mounting)

    def apply(self, bench: Bench) -> None:
        """Configure a sandbox like the account."""
        everything = [{"filter": "*", "filterType": "WILDCARD"}]
        rule = {"scanFrequency": self.scan_frequency, "repositoryFilters": everything}
        rules = [] if self.scan_frequency == "MANUAL" else [rule]
        bench.configure("PutRegistryScanningConfiguration", scanType=self.scan_type, rules=rules)
        bench.configure("PutAccountSetting", name="BLOB_MOUNTING", value=self.blob_mounting)

    @staticmethod
    @contextmanager
    def restored(bench: Bench) -> Iterator[None]:
        """Restore the sandbox afterwards: somebody may be using it."""
        scanning = bench.do("ecr", "GetRegistryScanningConfiguration")["scanningConfiguration"]
        mounting = bench.do("ecr", "GetAccountSetting", name="BLOB_MOUNTING")["value"]
        try:
            yield
        finally:
            bench.configure("PutRegistryScanningConfiguration", **scanning)
            bench.configure("PutAccountSetting", name="BLOB_MOUNTING", value=mounting)

    def document(self) -> dict[str, Any]:
        return asdict(self)
