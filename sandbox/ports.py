"""Free ports of the loopback interface."""

from __future__ import annotations

import random
import socket

# Below the ephemeral ports: an outgoing connection could take one of those before the server listens on it.
_PORTS = range(15_000, 32_000)
_TRIES = 100


def free_port() -> int:
    """Choose a free port at random, so that sandboxes that start at the same time rarely choose the same one."""
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # in use
            return port
    raise OSError(f"none of {_TRIES} ports of this machine is free")
