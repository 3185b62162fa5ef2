"""The time and memory of judging enhanced findings, from ECR's JSON to the decision record.

`python -m benchmarks.judge --findings 10000 --json FILE` writes one object: findings, seconds, findings_per_s and
peak_mib above the bare interpreter. The findings are made beforehand and read page by page, as ECR returns them; the
timed part begins with the bytes of ECR's answers: the client's parsing, normalising, weighing, packing, deciding,
remedies and the record's bytes. Times are those of the processor.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.output import write_result

_A_PAGE = 1_000
_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_LAYERS = 12
_PACKAGES = 400
_SEVERITIES = (
    "LOW",
    "MEDIUM",
    "MEDIUM",
    "HIGH",
    "LOW",
    "CRITICAL",
    "MEDIUM",
    "INFORMATIONAL",
    "UNTRIAGED",
    "HIGH",
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how fast enhanced findings are judged.")
    parser.add_argument("--findings", type=int, default=10_000, help="how many (default: 10,000)")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.findings < 1:
        parser.error("--findings must be 1 or more")
    if arguments.child:
        print(json.dumps(_measure(arguments.child)))
        return 0
    write_result(_run(arguments.findings), arguments.json)
    return 0


def _run(number: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "pages.jsonl"
        with pages.open("w") as file:
            file.writelines(json.dumps(page) + "\n" for page in _pages(number))
        bare = float(_python("-c", _PEAK))
        told = json.loads(_python("-m", "benchmarks.judge", "--child", str(pages)))
    seconds = told["seconds"]
    return {
        "findings": number,
        "seconds": round(seconds, 3),
        "findings_per_s": round(number / seconds),
        "peak_mib": round(told["peak_mib"] - bare, 1),
        "counting": told["counting"],
        "verdict": told["verdict"],
        "packed_bytes": told["packed_bytes"],
        "peer": "json.loads of the same pages, and nothing else",
        "peer_s": round(told["peer_s"], 3),
        "ratio": round(seconds / told["peer_s"], 2),
    }


def _python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# The most that a process had in memory at once; unlike getrusage, counted from its own start.
_PEAK = "print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024)"


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _pages(number: int) -> Iterator[dict[str, Any]]:
    for start in range(0, number, _A_PAGE):
        found = [_finding(position) for position in range(start, min(start + _A_PAGE, number))]
        more = {"nextToken": str(start)} if start + _A_PAGE < number else {}
        yield {"imageScanFindings": {"enhancedFindings": found}, **more}


def _finding(number: int) -> dict[str, Any]:
    """Return a finding in ECR's form: some 2 KB, most of which the gate does not use."""
    package = number % _PACKAGES
    has_fix = number % 3 != 0
    return {
        "awsAccountId": "123456789012",
        "description": "A flaw was found that lets somebody do what nobody should be able to do. " * 8,
        "findingArn": f"arn:aws:inspector2:eu-central-1:123456789012:finding/{number:032x}",
        "firstObservedAt": "2026-11-20T10:00:00Z",
        "lastObservedAt": "2026-11-21T10:00:00Z",
        "updatedAt": "2026-11-21T10:00:00Z",
        "packageVulnerabilityDetails": {
            "cvss": [{"baseScore": 7.5, "scoringVector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
            "referenceUrls": [f"https://example.com/advisories/{number}/{part}" for part in range(6)],
            "relatedVulnerabilities": [],
            "source": "DEBIAN_CVE",
            "sourceUrl": f"https://security-tracker.debian.org/tracker/CVE-2026-{number}",
            "vendorCreatedAt": "2026-11-01T00:00:00Z",
            "vendorSeverity": "medium",
            "vulnerabilityId": f"CVE-2026-{number}",
            "vulnerablePackages": [
                {
                    "arch": "X86_64",
                    "epoch": 0,
                    "name": f"lib{package}",
                    "packageManager": "OS",
                    "release": "0ubuntu3",
                    "sourceLayerHash": f"sha256:{number % _LAYERS:064x}",
                    "version": f"1.{package}",
                    "fixedInVersion": f"0:1.{package}-0ubuntu{4 + number % 5}" if has_fix else "NotAvailable",
                }
            ],
        },
        "remediation": {"recommendation": {"text": "None Provided"}},
        "resources": [{"id": "arn:aws:ecr:eu-central-1:123456789012:repository/shop-dev", "type": "IMAGE"}],
        "score": 7.5,
        "severity": _SEVERITIES[number % len(_SEVERITIES)],
        "status": "ACTIVE",
        "title": f"CVE-2026-{number} - lib{package}",
        "type": "PACKAGE_VULNERABILITY",
        "fixAvailable": "YES" if has_fix else "NO",
        "exploitAvailable": "NO",
    }


def _measure(pages: Path) -> dict[str, Any]:
    """Measure in a new process, whose memory is only for this."""
    from botocore.awsrequest import AWSResponse
    from urllib3 import HTTPResponse

    from imagegate.aws.clients import client
    from imagegate.aws.ecr.images import EcrImages
    from imagegate.aws.ecr.scans import EcrScans
    from imagegate.findings.finding import count_severities
    from imagegate.findings.scan import Basis, ScanStatus
    from imagegate.findings.versions import VERSIONS
    from imagegate.gate.evaluation import Baseline, ImageEvaluation
    from imagegate.gate.facts import ImageFacts, PlatformFacts
    from imagegate.oci.image import Digest, ImageRef

    os.environ |= {
        f"AWS_{name}": "eu-central-1" for name in ("DEFAULT_REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    }
    file = pages.open("rb")

    def answer(request: Any, **_: Any) -> Any:
        body = HTTPResponse(io.BytesIO(file.readline()), preload_content=False)
        headers: Any = {}
        return AWSResponse(request.url, 200, headers, body)

    client("ecr").meta.events.register("before-send.ecr.DescribeImageScanFindings", answer)
    digest = Digest.of(b"image")
    base = frozenset(f"sha256:{layer:064x}" for layer in range(_LAYERS // 2))
    facts = ImageFacts(ImageRef("shop-dev", digest), platforms=(PlatformFacts(digest, base_layers=base),))
    baseline = Baseline("shop-staging", frozenset((f"CVE-2026-{n}", f"lib{n}") for n in range(50)))
    began = time.process_time()
    announced = _announced(pages)
    peer_s = time.process_time() - began
    counts = count_severities(announced)
    policy = _policy()
    started = time.process_time()
    evaluation = ImageEvaluation(
        policy, policy.stages["dev"], facts, _NOW, baseline=baseline, versions=VERSIONS
    )
    status = ScanStatus(digest, "ACTIVE", counts=counts, lists_findings=True, basis=Basis.LIST)
    scans = EcrScans(EcrImages("123456789012.dkr.ecr.eu-central-1.amazonaws.com"))
    findings = scans._findings(facts.image, Basis.ENHANCED, scans._findings_page(facts.image))
    evaluation.read_scan(status, findings)
    result = evaluation.decide()
    seconds = time.process_time() - started
    return {
        "seconds": seconds,
        "peer_s": peer_s,
        "peak_mib": _peak_mib(),
        "verdict": str(result.verdict.outcome),
        "counting": sum(result.scans[0].tally.counting.counts.values()),
        "packed_bytes": sum(len(packed or b"") for packed in result.packed_findings),
    }


def _announced(pages: Path) -> dict[str, int]:
    numbers: dict[str, int] = {}
    with pages.open() as file:
        for text in file:
            for finding in json.loads(text)["imageScanFindings"]["enhancedFindings"]:
                numbers[finding["severity"]] = numbers.get(finding["severity"], 0) + 1
    return numbers


def _policy() -> Any:
    """Return a policy with everything that makes a finding costly to evaluate."""
    from imagegate.findings.finding import Severity
    from imagegate.oci.image import Digest
    from imagegate.policy.policy import Policy, RepositoryPattern, Scanner, Stage
    from imagegate.policy.rules import FindingRules, NoGrace, ProhibitedPackage, Rule
    from imagegate.policy.waiver import Waiver

    rules = FindingRules(
        only_fixable=frozenset({Severity.LOW, Severity.MEDIUM}),
        grace={Severity.HIGH: timedelta(days=14)},
        no_grace=NoGrace(exploit_available=True),
        no_worse_than_next=True,
        deny=Rule(frozenset({"CVE-2021-44228"})),
        prohibited=Rule((ProhibitedPackage("lib399", "<0.5"),)),
    )
    waivers = tuple(
        Waiver(
            "ann",
            "not reachable",
            date(2027, 1, 1),
            vulnerability=f"CVE-2026-{n}",
            package=f"lib{n}",
            repositories="shop-*",
        )
        for n in range(200)
    )
    stages = {
        "dev": Stage("dev", RepositoryPattern("{app}-dev"), promotes_to="staging", findings=rules),
        "staging": Stage("staging", RepositoryPattern("{app}-staging")),
    }
    return Policy(Digest.of(b"policy"), stages, waivers, scanner=Scanner.ENHANCED)


if __name__ == "__main__":
    sys.exit(main())
