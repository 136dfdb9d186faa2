"""How a channel leaves what it started or talks to."""

import asyncio
from typing import Final

from holdfast.host_channel.port import ChannelProcess

FAREWELL_S: Final = 5.0


async def bid_farewell(process: ChannelProcess, gone: "asyncio.Future[None]") -> None:
    """End a process's input and wait until it is ``gone``; one that takes too long is aborted."""
    process.end_input()
    try:
        async with asyncio.timeout(FAREWELL_S):
            await asyncio.shield(gone)
    except TimeoutError:
        process.abort()
