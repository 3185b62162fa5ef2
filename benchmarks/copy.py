"""The time and memory of promoting an image between registries or repositories, beside `skopeo copy`.

`python -m benchmarks.copy --json FILE` writes a list with an object per case: case, ours_s, peer, peer_s, ratio,
ours_requests, ours_bytes (fetched), ours_peak_mib above the bare interpreter, peer_peak_mib, and ours_net_s and
peer_net_s, which are without the start of the process: ours starts its clock after the imports, and the time of `skopeo
--version` is subtracted from the peer's. The registries are Debian's `docker-registry` on loopback, fresh for each copy
between two; skopeo has no cache, as on a machine that was started for this. Both copy each image several times, in
turns; numbers are medians. Ours runs in a new process each time, as in a cold function.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.output import write_result
from benchmarks.source_registry import MIB, Case, SourceRegistry

_OURS = "ours"
_SKOPEO = "skopeo copy"
# One line of the registry's access log: method, path, status, bytes of the answer.
_LINE = re.compile(r'"(?P<method>[A-Z]+) (?P<path>/v2/\S+) HTTP[^"]*" (?P<status>\d+) (?P<size>\d+)')
_PEAK = "print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024)"


_BIG = (128 * MIB,) * 8
CASES = (
    Case("1 GiB, 8 layers, between registries", _BIG, times=3),
    Case("1 GiB, 8 layers, inside one registry", _BIG, within_one=True, times=3),
    Case("200 small layers, between registries", (20_000,) * 200),
    Case("one changed layer of 20, between registries", (200_000,) * 20, before=19),
    Case("an unchanged image, between registries", (200_000,) * 20, again=True),
)


@dataclass
class Run:
    seconds: float
    net: float
    peak_mib: float
    requests: int = 0
    bytes: int = 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure copies of images, beside skopeo.")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    parser.add_argument("--case", help="only cases whose name contains this")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.child is not None:
        print(json.dumps(_copy(*arguments.child.split())))
        return 0
    results = [_measure(case) for case in CASES if (arguments.case or "") in case.name]
    write_result(results, arguments.json)
    return 0


def _copy(source: str, target: str, repository: str, to: str, digest: str, tag: str) -> dict[str, float]:
    """Promote the image in this process; return seconds and peak memory."""
    from imagegate.oci.client import HttpRegistry
    from imagegate.oci.image import ImageRef
    from imagegate.oci.login import Login
    from imagegate.workflow.copying import Copy

    started = time.perf_counter()
    origin = HttpRegistry(lambda: Login(f"http://{source}"))
    registry = HttpRegistry(lambda: Login(f"http://{target}"), source=origin) if source != target else origin
    copy = Copy(
        origin=origin,
        registry=registry,
        image=ImageRef.of(repository, digest),
        target=to,
        has_time=lambda: True,
    )
    manifest = copy.run(copy.find(tag), is_tagged_next=True)
    if not copy.tagged:
        registry.push_manifest(to, manifest, tag)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    return {"seconds": seconds, "peak_mib": int(status.split("VmHWM:")[1].split()[0]) / 1024}


def _measure(case: Case) -> dict[str, Any]:
    runs: dict[str, list[Run]] = {_OURS: [], _SKOPEO: []}
    with tempfile.TemporaryDirectory() as folder, SourceRegistry(Path(folder), case) as source:
        start = _skopeo_start()
        for number in range(case.times):
            for who in sorted(runs, reverse=bool(number % 2)):
                runs[who].append(_run(case, source, who, f"{number}-{who.partition(' ')[0]}", start))
    ours, peer = runs[_OURS], runs[_SKOPEO]
    ours_s, peer_s = _median(run.seconds for run in ours), _median(run.seconds for run in peer)
    return {
        "case": case.name,
        "ours_s": round(ours_s, 3),
        "peer": _SKOPEO,
        "peer_s": round(peer_s, 3),
        "ratio": round(ours_s / peer_s, 2),
        "ours_requests": ours[-1].requests,
        "peer_requests": peer[-1].requests,
        "ours_bytes": ours[-1].bytes,
        "ours_peak_mib": round(max(run.peak_mib for run in ours), 1),
        "peer_peak_mib": round(max(run.peak_mib for run in peer), 1),
        "ours_net_s": round(_median(run.net for run in ours), 3),
        "peer_net_s": round(_median(run.net for run in peer), 3),
    }


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def _run(case: Case, source: SourceRegistry, who: str, name: str, start: float) -> Run:
    with _target(case, source, name) as (target, to, logs):
        if case.again:
            _ours(source.address, target, to, source.digests[0], "1.0")
        elif case.before:
            _ours(source.address, target, to, source.digests[1], "0.9")
        ends = {log: log.stat().st_size for log in logs}
        copy = _ours if who == _OURS else _skopeo
        run = copy(source.address, target, to, source.digests[0], "1.0")
        if who == _SKOPEO:
            run.net -= start
        for log, end in ends.items():
            _count(run, log, end)
    return run


@contextmanager
def _target(case: Case, source: SourceRegistry, name: str) -> Iterator[tuple[str, str, set[Path]]]:
    from tests.integration.docker_registry import docker_registry

    if case.within_one:
        yield source.address, f"app-{name}", {source.log}
        return
    with tempfile.TemporaryDirectory() as folder, docker_registry(Path(folder) / "target") as address:
        yield address, "app", {source.log, Path(folder) / "target/log"}


def _count(run: Run, log: Path, end: int) -> None:
    time.sleep(0.1)  # the log is written after the answers
    with log.open() as file:
        file.seek(end)
        for found in _LINE.finditer(file.read()):
            run.requests += 1
            run.bytes += int(found["size"]) if found["method"] == "GET" else 0


def _ours(source: str, target: str, to: str, digest: str, tag: str) -> Run:
    task = f"{source} {target} app {to} {digest} {tag}"
    began = time.perf_counter()
    told = _child(task)
    seconds = time.perf_counter() - began
    return Run(seconds, told["seconds"], told["peak_mib"] - _bare_mib())


def _child(task: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.copy", "--child", task]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return told


def _bare_mib() -> float:
    return float(subprocess.run([sys.executable, "-c", _PEAK], check=True, stdout=subprocess.PIPE).stdout)


def _skopeo(source: str, target: str, to: str, digest: str, tag: str) -> Run:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    command += ["--src-tls-verify=false", "--dest-tls-verify=false"]
    command += [f"docker://{source}/app@{digest}", f"docker://{target}/{to}:{tag}"]
    with tempfile.TemporaryDirectory() as folder:
        # Its cache of blobs is there, also for root.
        fresh = {"XDG_DATA_HOME": folder, "_CONTAINERS_ROOTLESS_UID": "1000", "HOME": folder}
        began = time.perf_counter()
        with subprocess.Popen(command, env=os.environ | fresh, stdout=subprocess.DEVNULL) as process:
            peak = _peak_memory(process)
        seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"skopeo ended with {process.returncode}")
    return Run(seconds, seconds, peak)


def _peak_memory(process: subprocess.Popen[bytes]) -> float:
    """Return the peak memory of the process in MiB, as the kernel counts it from the start."""
    peak = 0.0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) / 1024)
        except (OSError, IndexError):
            pass  # the process is starting or ending
        time.sleep(0.005)
    return peak


def _skopeo_start() -> float:
    """Return the seconds that starting skopeo takes."""

    def once() -> float:
        began = time.perf_counter()
        subprocess.run(["skopeo", "--version"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    return _median(once() for _ in range(5))


if __name__ == "__main__":
    sys.exit(main())
