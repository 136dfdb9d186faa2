"""The daemons of one plane: one per host, started where the host is, replaced when it is gone."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.testbed import HostPlace

if TYPE_CHECKING:
    from holdfast.storage_daemon.daemon import StorageDaemon


class Host:
    """One host's daemon.

    Args:
        name: the host's name, for people.
        folder: a private folder; each daemon gets one in it.
        place_of: where hosts are.
    """

    def __init__(self, name: str, folder: Path, place_of: Callable[[str], HostPlace]) -> None:
        self.lock = asyncio.Lock()
        """Held while something is attached or detached: QEMU does that one at a time anyway."""
        self._name = name
        self._folder = folder
        self._place_of = place_of
        self._daemon: StorageDaemon | None = None
        self._started = 0

    async def daemon(self) -> "StorageDaemon":
        """The running daemon; the caller holds the lock.

        Raises:
            EnvironmentUnavailable: it does not start.
        """
        if self._daemon is None or not self._daemon.alive:
            if self._daemon is not None:
                await self._daemon.quit()
            self._started += 1
            folder = Path(f"{self._folder}.{self._started}")
            try:
                from holdfast.storage_daemon.daemon import (  # noqa: PLC0415 - optional dependency
                    start_daemon,
                )
            except ImportError as problem:
                raise EnvironmentUnavailable(
                    f"{problem.name} is not installed; install holdfast[block]"
                ) from problem
            self._daemon = await start_daemon(self._place_of(self._name), folder, self._name)
        return self._daemon

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The tasks that the daemon's connection needs."""
        return frozenset() if self._daemon is None else self._daemon.tasks

    @property
    def processes(self) -> frozenset[int]:
        """The daemon's process id, where it runs."""
        if self._daemon is None or not self._daemon.alive:
            return frozenset()
        return frozenset({self._daemon.pid})

    async def quit(self) -> None:
        """End the daemon in order."""
        if self._daemon is not None:
            await self._daemon.quit()
