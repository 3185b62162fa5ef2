"""The template as CloudFormation gets it: SAM's transform done, without an account.

`python -m tools.translated` prints it as JSON, for linters that know CloudFormation and not SAM.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.deployment.template import read, translate

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
REGION = "eu-central-1"
_FILES = ("CodeUri", "ContentUri", "DefinitionUri")


def packaged(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template as `sam package` leaves it, with made-up objects in S3."""
    result = copy.deepcopy(dict(template))
    for name, resource in result["Resources"].items():
        for key in _FILES:
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = f"s3://bucket/{name}-1"
    return result


def translated(template: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what SAM makes of a packaged template; without one, of the product's."""
    return translate(copy.deepcopy(dict(template or packaged(read(TEMPLATE)))), REGION)


if __name__ == "__main__":
    json.dump(translated(), sys.stdout, indent=2)
