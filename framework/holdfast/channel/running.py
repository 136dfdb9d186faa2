"""Running a program to its end over any channel, from the pieces that each channel has."""

import asyncio
from collections.abc import Sequence

from holdfast.channel.port import Channel, Completed
from holdfast.errors import Unknown


class Collected:
    """A receiver that keeps what a program says until it ends.

    Args:
        limit_bytes: how much is kept; a program that says more is not listened to any more.
    """

    def __init__(self, limit_bytes: int = 64 << 20) -> None:
        self.ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.stdout = bytearray()
        self._limit_bytes = limit_bytes

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        if len(self.stdout) + len(data) <= self._limit_bytes:
            self.stdout += data

    def ended(self, reason: str) -> None:
        """Remember why."""
        if not self.ending.done():
            self.ending.set_result(reason)


async def run_to_end(
    channel: Channel, argv: Sequence[str], stdin: bytes, *, deadline: float
) -> Completed:
    """Start a program, feed it, and wait for its end; ``Unknown`` where that is not seen."""
    collected = Collected()
    process = await channel.start(argv, collected, deadline=deadline)
    try:
        if stdin:
            process.write(stdin)
        process.end_input()
        async with asyncio.timeout_at(deadline):
            await collected.ending
    except TimeoutError:
        process.abort()
        raise Unknown(f"{argv[0]} on {channel.where} did not end in time") from None
    except BaseException:
        process.abort()
        raise
    status = process.status
    if status is None:
        raise Unknown(f"{argv[0]} on {channel.where}: {collected.ending.result()}")
    return Completed(status=status, stdout=bytes(collected.stdout), stderr=process.stderr)
