"""Picks loopback ports."""

from __future__ import annotations

import random
import socket

# Below those that systems give to outgoing connections: one of these could take a port before it is listened on.
_PORTS = range(15_000, 32_000)
_TRIES = 100


def free_port() -> int:
    """At random, so that sandboxes that start at the same time hardly ever choose the same one."""
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # somebody listens there
            return port
    raise OSError(f"none of {_TRIES} ports of this machine is free")
