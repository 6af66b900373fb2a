"""The site on loopback in a thread of this process, so that it shares the demo's clock."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections

from dunning_site.wsgi import application


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Two hundred lines a second would drown the progress bar."""


class _Server(ThreadedWSGIServer):
    def get_request(self) -> tuple[socket.socket, object]:
        # Head and body of an answer go out in two writes; with Nagle's algorithm the second waits 40 ms.
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def close_request(self, request: object) -> None:
        # Each connection has a thread and with it a database connection of its own.
        connections.close_all()
        super().close_request(request)  # type: ignore[arg-type]


@contextlib.contextmanager
def site() -> Iterator[None]:
    """Serves the whole site on BASE_URL for as long as the block lasts."""
    address = urlsplit(settings.BASE_URL)
    server = _Server((address.hostname, address.port), _QuietHandler, allow_reuse_address=True)
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
