"""A storage host's agent on plain files that gets stuck where it is told, and a client to kill.

``python -m stuck_agents CONFIG FENCE`` is the client: it has an agent revert volume ``v``.
"""

import asyncio
import contextlib
import fcntl
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import HealthInfo, HealthState
from holdfast.contract.handles import FileHandle
from holdfast.contract.requests import CallContext, Role
from holdfast.files import mutations
from holdfast.files.mutations import Mutation, MutationKind
from holdfast.host_agent.client import RemoteClient
from holdfast.host_agent.service import Service
from holdfast.host_channel.local import LocalChannel
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.volumes import Volumes
from holdfast_drivers.storage_host.agent import Agent
from holdfast_drivers.storage_host.service import StoreService, VolumeServer

ENTRY = "stuck_agents:entry"
_held = contextlib.ExitStack()


class Told(msgspec.Struct, frozen=True):
    """What an agent works on, and where its first revert is stuck until a file is there.

    ``folder`` has the files by which it is followed: ``alive`` is locked while the agent lives,
    ``begun`` appears when it is stuck, and ``go`` lets it go on.
    """

    root: str
    folder: str = ""
    in_the_middle: bool = False


class _Plain(VolumeServer):
    """Nothing serves the files; before each verb it may be slow."""

    def __init__(self, place: Place, told: Told) -> None:
        self._place = place
        self._told = told

    def settle(self) -> None:
        if self._told.folder and not self._told.in_the_middle:
            stuck(Path(self._told.folder))

    def health(self) -> HealthInfo:
        return HealthInfo(state=HealthState.UP)

    def open(self, request: requests.Open) -> FileHandle:
        path = self._place.folder.path / "volumes" / request.volume / "data"
        return FileHandle(path=str(path), size_bytes=path.stat().st_size)

    def forget(self) -> None:
        """Nothing is served."""


class _Slow:
    """Is stuck in the middle of a call that holds its locks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def before(self, mutation: Mutation) -> None:
        """At the first change of a name."""
        if mutation.kind is MutationKind.RENAME:
            stuck(self._folder)

    def after(self, mutation: Mutation) -> None:
        """Nothing."""


def stuck(folder: Path) -> None:
    """Wait until somebody says ``go``."""
    (folder / "begun").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)


def entry(config: bytes) -> Service:
    """The verbs of one store."""
    told = msgspec.json.decode(config, type=Told)
    if told.folder:
        alive = os.open(Path(told.folder) / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(alive, fcntl.LOCK_EX)
    if told.in_the_middle:
        _held.enter_context(mutations.observe(_Slow(Path(told.folder))))
    place = Place(LocalConfig(root=told.root, namespace="n"), Role.PRIMARY)
    return StoreService(place, Volumes(place), _Plain(place, told)).service()


@asynccontextmanager
async def agent(told: Told) -> AsyncIterator[Agent]:
    """An agent of its own, ended afterwards."""
    client = RemoteClient(
        LocalChannel(), ENTRY, msgspec.json.encode(told), python=(sys.executable,)
    )
    try:
        yield Agent(client)
    finally:
        await client.close()


def context(fence: int, seconds: float = 600.0) -> CallContext:
    """A call with a fence and much time."""
    return CallContext(operation="op", fence=fence, deadline=runtime().now() + seconds)


async def _main(config: str, fence: int) -> None:
    async with agent(msgspec.json.decode(config, type=Told)) as asked:
        request = requests.RevertVolume(key="v", snapshot="s")
        await asked.call(context(fence), request, object)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
