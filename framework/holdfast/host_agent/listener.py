"""An agent that waits on a Unix socket, with everything imported, and forks for each client.

A client then costs a fork instead of a start of Python. The socket belongs to whoever started this,
and nobody else may connect.
"""

import asyncio
import contextlib
import importlib
import os
import signal
import socket

from holdfast.host_agent.agent import serve_connection

_WAITING_MAX = 128


def listen(path: str, entry: str) -> int:
    """Serve an entry on a socket until this process is ended, each client in its own process."""
    importlib.import_module(entry.partition(":")[0])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)  # noqa: PTH108 - of a listener that was killed
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        listener.bind(fresh)
        os.umask(before)
        listener.listen(_WAITING_MAX)
        # Between the two a client would be refused: who sees the name finds somebody who listens.
        os.replace(fresh, path)  # noqa: PTH105 - as a text, like the address of a socket
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    _serve_and_end(listener, connection, entry)


def _serve_and_end(listener: socket.socket, connection: socket.socket, entry: str) -> None:
    status = 1
    try:
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asyncio.run(serve_connection(entry, connection))
        status = 0
    finally:
        os._exit(status)
