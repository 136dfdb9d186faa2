"""Counts who uses a client, so that all that is open on one store shares one agent.

A connection is no truth about a store: whoever opens a driver and its life cycle at once has one
agent for both, and the last to close ends it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Final

from holdfast.host_agent.client import RemoteClient

_Key = tuple[asyncio.AbstractEventLoop, Hashable]


class _Held:
    """A client and how many use it."""

    def __init__(self, client: RemoteClient) -> None:
        self.client = client
        self.users = 0


_held: Final[dict[_Key, _Held]] = {}


@asynccontextmanager
async def shared_client(
    key: Hashable, make: Callable[[], RemoteClient]
) -> AsyncIterator[RemoteClient]:
    """The client under a key in this event loop, made where there is none, closed after the last.

    Args:
        key: all that the client is made of.
        make: makes it; nothing is connected before the first call.
    """
    place = (asyncio.get_running_loop(), key)
    held = _held.get(place)
    if held is None:
        held = _held[place] = _Held(make())
    held.users += 1
    try:
        yield held.client
    finally:
        held.users -= 1
        if not held.users:
            del _held[place]
            await held.client.close()
