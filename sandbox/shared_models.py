"""All sessions of botocore in one process share what they have read of its models.

moto makes a session for each service, and tests begin with new ones, so that none has another one's credentials.
Reading the models again for each took a third of their time.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import boto3
import botocore.session
from botocore.loaders import Loader, create_loader

_RESOURCES = str(Path(boto3.__file__).parent / "data")


@cache
def _loader(data_path: str | None) -> tuple[Loader, list[str]]:
    loader = create_loader(data_path)
    return loader, [*loader.search_paths, _RESOURCES]


def _shared_loader(search_path_string: str | None = None) -> Loader:
    loader, paths = _loader(search_path_string)
    loader.search_paths[:] = paths  # each session of boto3 adds the last one again
    return loader


def share_models() -> None:
    """Let all sessions that are made from now on share one loader. A second call does nothing."""
    botocore.session.create_loader = _shared_loader
