"""`python -m sandbox arrive`: bring an image into the registry without a push.

The image is there as after a push, but EventBridge gets the event of a replica ("ECR Replication Action") or of a
cached image ("ECR Pull Through Cache Action"), and no push event. An image that arrived before the gate was pushed 30
days ago, as its date says, and sends no event: `imagegate release --adopt` finds it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sandbox.images.push import run, take_arguments

WAYS = ("replication", "pull-through", "before-the-gate")


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0, or 2 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox arrive", description=__doc__)
    parser.add_argument("way", choices=WAYS)
    arguments = take_arguments(parser, argv)
    return run("arrive", arguments, arrival=arguments.way)
