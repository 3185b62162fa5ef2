#!/var/lang/bin/python3.13
"""A relay from a container to this machine's loopback, without a port that others could reach.

The sandbox puts a Unix socket per port beside a function's code, which sam local mounts. In the container this same
file is the runtime's wrapper (AWS_LAMBDA_EXEC_WRAPPER): it listens on the same ports of the container's own loopback,
so that every address means the same on both sides. It uses the standard library only, because it runs alone in the
container.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_CHUNK = 65536


def relay(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """Accept connections until the listener is closed; copy each to and from a connection that `connect` makes."""
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        try:
            far = connect()
        except OSError:
            near.close()
            continue
        for ends in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=ends, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def to_loopback(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port))


def to_socket(path: Path) -> socket.socket:
    """Connect to a Unix socket through a short name, because its address has room for only some 100 bytes."""
    connection = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def listen(path: Path) -> socket.socket:
    """Return a listener on a Unix socket that only its owner and root may use."""
    listener = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    path.chmod(0o600)
    listener.listen()
    return listener


def _run_in_container() -> None:
    listeners = [
        (socket.create_server(("127.0.0.1", int(path.stem))), path)
        for path in Path(__file__).parent.glob("*.sock")
    ]
    if os.fork():  # this process becomes the runtime, the child stays as its relay
        os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - what Lambda gives its wrapper to run
    threads = [
        threading.Thread(target=relay, args=(listener, lambda path=path: to_socket(path)))
        for listener, path in listeners
    ]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    _run_in_container()
