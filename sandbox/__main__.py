"""`python -m sandbox`: serve until Ctrl-C; other commands push images and configure the scanner."""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import os
import signal
import sys
import threading
from pathlib import Path

from sandbox.cloud import Cloud, StateInUseError
from sandbox.images.seed import seed
from sandbox.ports import free_port
from sandbox.session import find_session
from sandbox.settings import Settings

_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.5

# Commands with their own parsers, imported when they are used.
_COMMANDS = {
    "push": "sandbox.images.push",
    "arrive": "sandbox.images.arrive",
    "age": "sandbox.images.age",
    "findings": "sandbox.scanner.findings",
    "intelligence": "sandbox.scanner.intelligence",
    "seed": "sandbox.images.seed",
    "demo": "sandbox.demo.command",
    "redeploy": "sandbox.deployment.redeploy",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="AWS on this machine, with imagegate deployed into it.",
        epilog="Other commands: push LAYOUT_OR_ARCHIVE REPOSITORY:TAG, "
        "arrive replication|pull-through|before-the-gate LAYOUT_OR_ARCHIVE REPOSITORY:TAG, "
        "age REPOSITORY[:TAG|@DIGEST] DAYS, findings REPOSITORY[:TAG|@DIGEST] FILE, intelligence FILE, "
        "redeploy --policy FILE, seed, demo. Each has --help.",
    )
    parser.add_argument("serve", nargs="?", choices=["serve"], help="the default")
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help="of the AWS endpoint; the registry gets the next one (default: free ones)",
    )
    parser.add_argument("--registry-port", type=int, default=0, help="of the registry")
    parser.add_argument("--state", type=Path, default=Path(".sandbox"), metavar="DIR")
    parser.add_argument("--stack", default="imagegate", help="name of the stack")
    parser.add_argument("--template", type=Path, help="default: template.yaml of the checkout")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="deploy it instead of layers/policy/policy.yaml"
    )
    parser.add_argument("--scanning", choices=["basic", "enhanced"], default="basic", help="of the registry")
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the template; may be given more than once",
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        default=0.02,
        metavar="FACTOR",
        help="on waits, retry intervals and schedules (default 0.02; 1 is AWS's pace)",
    )
    parser.add_argument(
        "--no-seed", action="store_true", help="start without the image that the sample events name"
    )
    return parser


def _cloud(options: argparse.Namespace) -> Cloud:
    settings = Settings(
        state=options.state.resolve(),
        aws_port=options.port or free_port(),
        registry_port=options.registry_port or (options.port + 1 if options.port else free_port()),
        stack=options.stack,
        time_scale=options.time_scale,
        policy=options.policy and options.policy.resolve(),
        is_enhanced=options.scanning == "enhanced",
    )
    parameters = dict(pair.split("=", 1) for pair in options.parameter)
    return Cloud(settings, template=options.template, parameters=parameters, progress=_say)


def _say(text: str) -> None:
    print(text, flush=True)


def _describe(cloud: Cloud, state: Path) -> str:
    settings, deployment = cloud.settings, cloud.deployment
    outputs = deployment.outputs if deployment else {}
    lines = [
        f"AWS        {settings.endpoint}  ({settings.region}, account {settings.account})",
        f"registry   {settings.registry}",
        f"stack      {settings.stack}",
        *(f"           {name}: {value}" for name, value in outputs.items()),
        "",
        "In another terminal:",
        f"  source {state / 'env'}",
        "  .venv/bin/python -m sandbox push LAYOUT_OR_ARCHIVE REPOSITORY:TAG",
        "  .venv/bin/imagegate status REPOSITORY:TAG --watch",
        "With docker or skopeo, log in with the keys of that file:",
        f'  skopeo login --tls-verify=false -u "$AWS_ACCESS_KEY_ID" '
        f'-p "$AWS_SECRET_ACCESS_KEY" {settings.registry}',
        "",
        *(f"As the {file.suffix[1:]}, another user: source {file}" for file in sorted(state.glob("env.*"))),
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


def serve(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    cloud = _cloud(options)
    try:
        cloud.start()
        if not options.no_seed:
            seed(find_session(cloud.settings.state), cloud.settings.state)
        if not stopped.is_set():
            _say(_describe(cloud, options.state))
        # The kernel may give the signal to another thread; Python's handler runs when this one wakes up.
        while not stopped.wait(_LOOK_SECONDS):
            pass
    except Exception as error:  # noqa: BLE001 - a person reads it; the log has the rest
        print(f"the sandbox could not start: {error}", file=sys.stderr)
        hint = "" if isinstance(error, StateInUseError) else f"see {options.state / 'logs'}"
        print(hint, file=sys.stderr)
        return 1
    finally:
        # If something hangs, print where, and exit; the child processes end with this one.
        faulthandler.dump_traceback_later(_STOP_SECONDS, exit=True)
        cloud.stop()
        faulthandler.cancel_dump_traceback_later()
    return 0


def main(argv: list[str]) -> int:
    if argv and argv[0] in _COMMANDS:
        return int(importlib.import_module(_COMMANDS[argv[0]]).main(argv[1:]))
    return serve(argv)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is stopped. Threads of waiting executions may still run, up to a task's time-out.
    os._exit(status)
