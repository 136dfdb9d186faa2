"""The backend's own web server: it gives objects to whoever has a temporary address of them.

It is a part of the testbed and runs in a thread of its own: none of it is a task of the driver.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import SHUT_RDWR, socket
from socketserver import BaseServer, TCPServer
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from holdfast.concurrency.runtime import runtime

_HERE: Final = "127.0.0.1"
_PATIENCE_S: Final = 5.0
_PIECE_BYTES: Final = 64 * 1024


class Served(Protocol):
    """What the server asks of a backend."""

    down: bool
    origin: str

    def admits(self, method: str, path: str, expires: str, signature: str) -> bool:
        """Whether a request is one that its address was made for."""
        ...

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        """What it gives."""
        ...


class _Server(TCPServer):
    """One connection after another, until its socket is shut down."""

    allow_reuse_address = True

    def __init__(self, backend: Served) -> None:
        super().__init__((_HERE, 0), partial(_Handler, backend))

    def run(self) -> None:
        """Serve in the calling thread."""
        while True:
            try:
                request, address = self.get_request()
            except OSError:
                return  # The testbed has ended.
            try:
                self.finish_request(request, address)
            except OSError:
                continue  # The client went away.
            finally:
                self.shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request and closes the connection."""

    timeout = _PATIENCE_S

    def __init__(
        self, backend: Served, request: socket, address: tuple[str, int], server: BaseServer
    ) -> None:
        self._backend = backend
        super().__init__(request, address, server)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: an address is a secret."""

    def _answer(self) -> None:
        rest_bytes = int(self.headers.get("Content-Length") or 0)
        while rest_bytes > 0 and (piece := self.rfile.read(min(rest_bytes, _PIECE_BYTES))):
            rest_bytes -= len(
                piece
            )  # Unread, it would reset the connection before the answer arrives.
        status, data = self._found()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_DELETE = _answer  # noqa: N815 - the base class looks for these names

    def _found(self) -> tuple[HTTPStatus, bytes]:
        backend = self._backend
        if backend.down:
            return HTTPStatus.SERVICE_UNAVAILABLE, b""
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        expires, signature = query.get("expires", [""])[0], query.get("signature", [""])[0]
        method = self.command
        if not backend.admits(method, parts.path, expires, signature):
            return HTTPStatus.FORBIDDEN, b""
        _, namespace, key = parts.path.split("/", 2)
        data = backend.served(method, unquote(namespace), unquote(key))
        return (HTTPStatus.NOT_FOUND, b"") if data is None else (HTTPStatus.OK, data)


@asynccontextmanager
async def serve_addresses(backend: Served) -> AsyncIterator[None]:
    """Serve a backend's addresses on a port of this machine inside the context."""
    server = _Server(backend)
    backend.origin = f"http://{_HERE}:{server.server_address[1]}"
    lane = runtime().open_lane()
    serving = asyncio.ensure_future(lane.run(server.run))
    try:
        yield
    finally:
        backend.origin = ""
        server.socket.shutdown(SHUT_RDWR)
        await serving
        lane.close()
        server.server_close()
