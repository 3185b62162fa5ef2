"""`python -m sandbox seed`: push the small image whose digest the sample events name, and one that can be adopted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox.images.build import LayoutImage, build_image
from sandbox.images.layouts import InvalidLayoutError
from sandbox.images.push import PushRefusedError, push
from sandbox.images.references import SandboxReference
from sandbox.session import NoSandboxError, Session, default_state, find_session

SAMPLE_REPOSITORY = "shop-dev"
SAMPLE_TAG = "sample"
OLD_REPOSITORY, OLD_TAG = "archive-dev", "1.0"
SAMPLE_DIGEST = "sha256:d1aa5c27ee3649152f2a41e1444d161e10cc1b3a15d272d56fdf8a36ec130a5e"


def build(folder: Path) -> LayoutImage:
    """Build the sample as an OCI layout; its digest is the same on every machine."""
    return build_image(
        folder,
        files={"app": b"the sample of imagegate\n"},
        base_layers=[{"etc/os-release": b'NAME="Debian GNU/Linux"\nVERSION_ID="12"\n'}],
        tag=SAMPLE_TAG,
    )


def seed(session: Session, state: Path) -> None:
    """Push the sample, and an image from before the gate that can be adopted. A second push changes nothing."""
    with TemporaryDirectory(dir=state, prefix="seed-") as folder:
        sample, old = Path(folder) / "sample", Path(folder) / "old"
        build(sample)
        push(sample, SandboxReference(SAMPLE_REPOSITORY, SAMPLE_TAG), session)
        build_image(old, files={"app": b"an image from before the gate\n"}, tag=OLD_TAG)
        push(old, SandboxReference(OLD_REPOSITORY, OLD_TAG), session, arrival="before-the-gate")


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0, or 2 after one line that says what is wrong."""
    # Imported late: only the command needs the errors of boto3 and of the connection.
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    parser = argparse.ArgumentParser(prog="python -m sandbox seed", description=__doc__)
    parser.add_argument("--state", type=Path, default=default_state(), help="the sandbox's folder")
    state = parser.parse_args(argv).state
    try:
        seed(find_session(state), state)
    except (NoSandboxError, PushRefusedError, InvalidLayoutError, OSError) as error:
        print(f"seed: {error}", file=sys.stderr)
        return 2
    except (BotoCoreError, ClientError, HTTPError) as error:
        print(f"seed: the sandbox does not answer as it should: {error}", file=sys.stderr)
        return 2
    print(SAMPLE_DIGEST)
    return 0
