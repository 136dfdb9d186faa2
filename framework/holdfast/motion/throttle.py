"""Limits in bytes a second: of a job, a store or a link; several transfers share one fairly."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import UsageError

_BURST_S: Final = 0.25
"""So much of a second's bytes may pass at once after a pause."""


class Limit:
    """A token bucket. Who asks first is served first, and asks for one piece at a time, so that
    transfers beside each other get equal shares.

    Args:
        bytes_per_s: at most so many; ``None`` is no limit.
    """

    def __init__(self, bytes_per_s: int | None = None) -> None:
        self._rate = _checked(bytes_per_s)
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._owed_bytes = 0.0
        self._as_of: float | None = None

    @property
    def bytes_per_s(self) -> int | None:
        """The limit in force."""
        return self._rate

    def change(self, bytes_per_s: int | None) -> None:
        """Another limit, from now on, for those who wait too."""
        rate = _checked(bytes_per_s)
        self._settle()
        self._rate = rate
        self._changed.set()

    async def take(self, count: int) -> None:
        """Return when ``count`` bytes may pass."""
        async with self._turn:
            self._settle()
            self._owed_bytes += count
            try:
                await self._until_passed()
            except asyncio.CancelledError:
                self.give_back(count)
                raise

    def give_back(self, count: int) -> None:
        """``count`` bytes that were taken never passed."""
        self._owed_bytes = max(0.0, self._owed_bytes - count)

    async def _until_passed(self) -> None:
        while (wait_s := self._wait_s()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                # Not looked at again: what is left of the wait may be too short for the clock.
                self._settle()
                return
            self._settle()

    def _wait_s(self) -> float:
        """How long until all that was taken has passed, but for the burst."""
        if self._rate is None:
            self._owed_bytes = 0.0
            return 0.0
        return self._owed_bytes / self._rate - _BURST_S

    def _settle(self) -> None:
        """What has passed since the last look."""
        now = runtime().now()
        if self._rate is not None and self._as_of is not None:
            self._owed_bytes = max(0.0, self._owed_bytes - (now - self._as_of) * self._rate)
        self._as_of = now


async def take_all(limits: Sequence[Limit], count: int) -> None:
    """Return when ``count`` bytes may pass all of the limits."""
    for number, limit in enumerate(limits):
        try:
            await limit.take(count)
        except asyncio.CancelledError:
            give_back_all(limits[:number], count)
            raise


def give_back_all(limits: Iterable[Limit], count: int) -> None:
    """``count`` bytes that were taken never passed."""
    for limit in limits:
        limit.give_back(count)


def _checked(bytes_per_s: int | None) -> int | None:
    if bytes_per_s is not None and bytes_per_s <= 0:
        raise UsageError(
            f"a limit of {bytes_per_s} bytes a second lets nothing pass; give more, or pause"
        )
    return bytes_per_s
