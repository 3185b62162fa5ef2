"""The start-up of each function: imports, the step, the policy and the clients of a usual call, in fresh processes.

`python -m benchmarks.cold_start --json FILE` writes a list: function, ms, mib; the entry `boto3 + dynamodb` is a
process that makes one client with boto3. It measures the layer and the functions as `sam build` leaves them for this
machine, on the runtime's Python, without writing bytecode: `/opt` is read-only. Runs alternate, and medians count. The
time is that of the processor, which a busy machine changes less. S3 is answered in the process; no other call is made.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from sandbox.deployment.deploy import machine_architecture

ROOT = Path(__file__).parents[1]
BUILD = ROOT / ".aws-sam/cold-start"
PEER = "boto3 + dynamodb"
# The services that a usual call of each function uses.
SERVICES = {
    "announce": ("dynamodb", "s3", "events", "sns"),
    "approval_page": ("dynamodb", "s3", "kms", "ecr"),
    "attach_sbom": ("dynamodb", "s3", "ecr", "inspector2"),
    "audit": ("dynamodb", "s3", "ecr"),
    "await_scan": ("dynamodb", "ecr", "stepfunctions"),
    "check_deployment": ("dynamodb", "s3", "ecr", "ecs"),
    "decide": ("dynamodb", "s3", "ecr", "lambda", "sns"),
    "judge_again": ("dynamodb", "s3", "ecr", "ecs"),
    "judge_image": ("dynamodb", "s3", "ecr"),
    "make_board": ("dynamodb", "s3"),
    "on_scan_completed": ("dynamodb", "ecr", "stepfunctions"),
    "promote_image": ("dynamodb", "s3", "ecr"),
    "publish_policy": ("dynamodb", "s3", "ecr", "signer"),
    "reconcile": ("dynamodb", "s3", "ecr", "stepfunctions"),
    "sign_image": ("dynamodb", "s3", "ecr", "signer"),
    "start_release": ("dynamodb", "s3", "ecr", "stepfunctions"),
}
# The adapters of functions that put their step together for each call.
_ADAPTERS = {
    "approval_page": ("approval_links", "ledger", "records", "grants", "images"),
    "check_deployment": ("ecs", "images", "ledger", "grants", "notifications"),
    "publish_policy": ("records", "signer", "scans", "notices"),
}
_POLICY = ROOT / "layers/policy/policy.yaml"
_START = """
import io, sys, time
began = time.process_time()
name, services, adapters, bodies = eval(sys.stdin.read())
if not services:
    import boto3
    boto3.client("dynamodb")
else:
    import handler
    from botocore.awsrequest import AWSResponse
    from imagegate import collector, wiring
    from imagegate.aws.clients import client

    collector.resume()  # as the first call does

    def answer(request, **_):
        content = next(content for suffix, content in bodies.items() if suffix in request.url)
        return AWSResponse(request.url, 200, {"content-length": str(len(content))}, io.BytesIO(content))

    if "s3" in services:
        client("s3").meta.events.register("before-send.s3.GetObject", answer)
    for adapter in adapters:
        getattr(wiring, adapter)()
    if hasattr(handler, "step"):
        handler.step()
    if name == "publish_policy":
        handler.parse_file(bodies[".yaml"])
    elif "s3" in services:
        from imagegate.oci.image import Digest
        wiring.records().policy(Digest.of(bodies[".yaml"]))
    for service in services:
        client(service)
"""


_REPORT = """
spent = time.process_time() - began
peak_kib = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(round(spent * 1000, 1), round(int(peak_kib) / 1024, 1))
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how long functions take to start.")
    parser.add_argument("--runs", type=int, default=9, help="of each function (default: 9)")
    parser.add_argument("--json", type=Path, help="write the result there too")
    parser.add_argument("--no-build", action="store_true", help="measure what the last run has built")
    arguments = parser.parse_args(argv)
    python = _python()
    if not arguments.no_build:
        _build(python)
    rows = measure(python, arguments.runs)
    peer = next(row["ms"] for row in rows if row["function"] == PEER)
    for row in rows:
        print(f"{row['function']:20} {row['ms']:7.1f} ms {row['ms'] / peer:6.2f} × {row['mib']:7.1f} MiB")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def _python() -> str:
    """Return the Python of the functions' runtime; exit if there is none."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python3.13"))
    found = shutil.which(
        "python3.13", path=os.pathsep.join([*map(str, (p.parent for p in pyenv)), os.environ["PATH"]])
    )
    if found is None:
        raise SystemExit(
            "the functions need python3.13: install it (pyenv install 3.13, or your system's package)"
        )
    return found


def _build(python: str) -> None:
    """Run `sam build` for this machine, and install the peer in the version of the tests."""
    subprocess.run(["make", "--silent", ".venv-sam/bin/sam"], check=True, cwd=ROOT)
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"}
    architecture = f"Architecture={machine_architecture()}"
    command = [".venv-sam/bin/sam", "build", "--build-dir", str(BUILD), "--parameter-overrides", architecture]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
    names = "boto3|botocore|jmespath|python-dateutil|s3transfer|six|urllib3"
    locked = re.findall(rf"^(?:{names})==\S+", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    target = ["--target", str(BUILD / "peer"), "--python", python, "--compile-bytecode", "--no-deps"]
    subprocess.run([".venv/bin/uv", "pip", "install", "--quiet", *target, *locked], check=True, cwd=ROOT)


def measure(python: str, runs: int) -> list[dict[str, Any]]:
    """Return the medians of each function, which start in turn, and of the peer."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in (PEER, *SERVICES)}
    for _ in range(runs):
        for name, measured in results.items():
            measured.append(_start(python, name))
    return [
        {
            "function": name,
            "ms": round(median(ms for ms, _ in all_), 1),
            "mib": median(mib for _, mib in all_),
        }
        for name, all_ in results.items()
    ]


def _start(python: str, name: str) -> tuple[float, float]:
    function = BUILD / f"{name.title().replace('_', '')}Function"
    path = [BUILD / "peer"] if name == PEER else [function, BUILD / "CoreLayer/python"]
    ms, mib = start(python, name, path, _REPORT).split()
    return float(ms), float(mib)


def start(python: str, name: str, path: list[Path], report: str) -> str:
    """Start a function in a process of its own as a usual call does, run `report` there, and return what it prints."""
    from imagegate.oci.image import Digest
    from imagegate.policy.file.load import parse_file
    from imagegate.policy.file.parsed import write_parsed

    policy = _POLICY.read_bytes()
    parsed = write_parsed(*parse_file(policy))
    digests = {
        "POLICY_DIGEST": str(Digest.of(policy)),
        "PARSED_POLICY": f"{Digest.of(policy)} {Digest.of(parsed)}",
    }
    bodies = {".msgpack": parsed, ".yaml": policy}
    done = subprocess.run(
        [python, "-B", "-c", _START + report],
        input=repr((name, SERVICES.get(name, ()), _ADAPTERS.get(name, ()), bodies)),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(map(str, path)), **digests, **_SETTINGS},
    )
    return done.stdout


_SETTINGS = {
    "ALERTS_TOPIC": "arn:aws:sns:eu-central-1:123456789012:alerts",
    "APPROVALS_TOPIC": "arn:aws:sns:eu-central-1:123456789012:approvals",
    "APPROVAL_KEY": "arn:aws:kms:eu-central-1:123456789012:key/1",
    "APPROVAL_PAGE_URL": "https://page.example/",
    "AT_RISK_SECONDS": "1800",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_LAMBDA_FUNCTION_NAME": "imagegate",
    "AWS_REGION": "eu-central-1",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "GRANTS_TABLE": "grants",
    "INSTALLED_AT": "2026-01-01T00:00:00Z",
    "CANARY_REPOSITORY": "",
    "LEDGER_TABLE": "ledger",
    "POWERTOOLS_METRICS_NAMESPACE": "imagegate",
    "ALLOWED_IMAGES": "",
    "PUSH_ROLES": "arn:aws:iam::123456789012:role/promote",
    "SIGN_ROLE": "sign",
    "QUIET_SECONDS": "600",
    "STACK_NAME": "imagegate",
    "BOARD_BUCKET": "",
    "RECORDS_BUCKET": "records",
    "REGISTRY": "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    "REPOSITORIES": "arn:aws:ecr:eu-central-1:123456789012:repository/*",
    "SCAN_TIMEOUT_SHARE": "1",
    "SECURITY_HUB_PRODUCT": "arn:aws:securityhub:eu-central-1:123456789012:product/123456789012/default",
    "SECOND_LOOK_SECONDS": "60",
    "SIGNING_PROFILE_PREFIX": "imagegate",
    "START_FUNCTION": "imagegate-start:requests",
    "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:imagegate",
    "TRUSTED_ROOTS": "0" * 64,
}

if __name__ == "__main__":
    sys.exit(main())
