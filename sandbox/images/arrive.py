"""`python -m sandbox arrive`: an image comes into the registry without a push.

It is there as after a push, but EventBridge gets what ECR sends for a replica ("ECR Replication Action") or for a
cached image ("ECR Pull Through Cache Action"), and no push event.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sandbox.images.push import run, take_arguments

WAYS = ("replication", "pull-through")


def main(argv: Sequence[str]) -> int:
    """Exit code 0, or 2 with one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox arrive", description=__doc__)
    parser.add_argument("way", choices=WAYS)
    arguments = take_arguments(parser, argv)
    return run("arrive", arguments, arrival=arguments.way)
