"""`python -m tools.built_template ARCHITECTURE`: the template that `sam build` has left takes this architecture only.

The layer's wheels are of one architecture. With functions of the other one, nothing could be imported; so
CloudFormation refuses the deployment before anything changes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from sandbox.deployment.template import Template, read

BUILT = Path(".aws-sam/build/template.yaml")


def restrict_architecture(template: Template, architecture: str) -> None:
    """Let the parameter take no other value; it says why."""
    template["Parameters"]["Architecture"] |= {
        "Default": architecture,
        "AllowedValues": [architecture],
        "ConstraintDescription": (
            f"{architecture}: this build is for it. For the other architecture, run make deploy ARCHITECTURE=…"
        ),
    }


def main(architecture: str, path: Path = BUILT) -> None:
    template = read(path)
    restrict_architecture(template, architecture)
    path.write_text(yaml.safe_dump(template, sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    main(sys.argv[1])
