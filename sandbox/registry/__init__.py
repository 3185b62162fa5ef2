"""The OCI registry in front of moto's ECR: its own port, the same images."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.settings import Settings

if TYPE_CHECKING:
    from sandbox.registry.store import Hooks


class _RegistryHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # chunked uploads

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        # The request log has it; standard error belongs to people.
        logging.getLogger(__name__).debug(message, *args)


def start(settings: Settings, hooks: Hooks) -> Callable[[], None]:
    """Serve on loopback in a thread; return the function that stops it."""
    # Imported late: moto reads the environment when it is first imported, and the cloud sets that up.
    from sandbox.registry import blob_api, manifest_api  # noqa: F401 - registers the operations
    from sandbox.registry.front import Front, RequestLog
    from sandbox.registry.store import open_store

    open_store(settings).hooks = hooks
    application = Front(RequestLog(settings.state / "registry.jsonl"))
    server = make_server(
        "127.0.0.1",
        settings.registry_port,
        application,
        threaded=True,
        request_handler=_RegistryHandler,
    )
    thread = threading.Thread(target=server.serve_forever, name="registry", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return stop
