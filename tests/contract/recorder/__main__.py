"""`python -m tests.contract.recorder record|compare`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import boto3
from rich.console import Console

from tests.contract.recorder.compare import compare
from tests.contract.recorder.record import record
from tests.contract.recorder.recordings import FOLDER
from tests.contract.recorder.target import sandbox


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.contract.recorder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser(
        "record", help="ask an AWS account; see docs/reference/contract-recorder.md"
    )
    recording.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    recording.add_argument("--to", type=Path, default=FOLDER, metavar="DIR", help=f"default: {FOLDER}")
    recording.add_argument("--profile", help="of the AWS configuration")
    recording.add_argument("--region")
    comparing = commands.add_parser("compare", help="ask a sandbox the same, and print both")
    comparing.add_argument("--with", dest="folder", type=Path, default=FOLDER, metavar="DIR")
    comparing.add_argument("--json", action="store_true")
    for command in (recording, comparing):
        command.add_argument(
            "--only", action="append", default=[], metavar="ID", help="a pattern; may be repeated"
        )
    return parser


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    console = Console()
    if options.command == "compare":
        with sandbox() as session:
            return compare(options.folder, session, options.only, as_json=options.json, console=console)
    # Any other end of the process has the same clean-up as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def session_of() -> object:
        return boto3.Session(profile_name=options.profile, region_name=options.region)

    return record(session_of, options.to, options.only, yes=options.yes, console=console)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
