"""The demo's three images: their content, their findings, and how each must end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagegate.release.release import Outcome
from sandbox.images.build import Files, build_image

_BASE: Files = {"etc/os-release": b'NAME="Debian GNU/Linux"\nVERSION_ID="12"\n'}
Finding = tuple[str, str, str, str]  # name, severity, package, version


@dataclass(frozen=True, slots=True)
class Act:
    """One image that the demo pushes."""

    title: str
    repository: str
    tag: str
    files: Files
    ends: Outcome
    findings: Sequence[Finding] = ()

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.tag}"

    def build(self, folder: Path) -> Path:
        """Build the image as an OCI layout in a folder of its own; return the folder."""
        layout = folder / self.reference.replace(":", "-")
        labels = {"org.opencontainers.image.version": self.tag}
        build_image(layout, files=self.files, base_layers=[_BASE], labels=labels, tag=self.tag)
        return layout

    def write_findings(self, folder: Path) -> Path:
        """Write the findings in the form of a DescribeImageScanFindings response; return the file."""
        file = folder / f"{self.reference.replace(':', '-')}-findings.json"
        report = {"imageScanFindings": {"findings": [_finding(*finding) for finding in self.findings]}}
        file.write_text(json.dumps(report, indent=2))
        return file


def _finding(name: str, severity: str, package: str, version: str) -> Mapping[str, object]:
    attributes = {"package_name": package, "package_version": version}
    return {
        "name": name,
        "severity": severity,
        "uri": f"https://nvd.nist.gov/vuln/detail/{name}",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }


STORY = (
    Act("a clean image", "shop-dev", "1.0", {"app": b"shop 1.0\n"}, Outcome.RELEASED),
    Act(
        "one with CRITICAL findings",
        "payments-dev",
        "2.0",
        {"app": b"payments 2.0\n", "lib/log4j-core.jar": b"2.14.1\n", "lib/spring-beans.jar": b"5.3.17\n"},
        Outcome.BLOCKED,
        (
            ("CVE-2021-44228", "CRITICAL", "log4j-core", "2.14.1"),
            ("CVE-2022-22965", "CRITICAL", "spring-beans", "5.3.17"),
            ("CVE-2021-45105", "MEDIUM", "log4j-core", "2.14.1"),
        ),
    ),
    Act(
        "its fixed rebuild",
        "payments-dev",
        "2.1",
        {"app": b"payments 2.1\n", "lib/log4j-core.jar": b"2.17.1\n", "lib/spring-beans.jar": b"5.3.18\n"},
        Outcome.RELEASED,
    ),
)
