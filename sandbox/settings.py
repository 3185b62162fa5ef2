"""The settings of one running sandbox: its folders, ports, account and quirks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sandbox.disturbance import Calm, Disturbance
from sandbox.quirks import Quirks

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one sandbox. Its ports are already chosen."""

    state: Path  # folder of this sandbox: env file, blobs, unzipped code, logs
    aws_port: int
    registry_port: int
    root: Path = ROOT  # the checkout whose template.yaml is deployed
    account: str = ACCOUNT
    region: str = REGION
    stack: str = "imagegate"
    time_scale: float = 0.02  # factor on Waits, retry intervals, task-token time-outs, schedules
    quirks: Quirks = field(default_factory=Quirks)
    disturbance: Disturbance = field(default_factory=Calm)
    policy: Path | None = None  # deployed instead of the checkout's own
    is_enhanced: bool = False  # the registry scans everything with Inspector from the start

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def registry(self) -> str:
        """host:port, the first part of an image's name."""
        return f"127.0.0.1:{self.registry_port}"
