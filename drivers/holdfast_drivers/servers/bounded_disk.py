"""A server's disk of a size of its own, which outlives the server and can be filled."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.container_images import BASE_IMAGE
from holdfast_drivers.servers.container_volumes import remove_volume, volume_folder
from holdfast_drivers.servers.owner_process import container_name
from holdfast_drivers.servers.running_servers import Server, run_server
from holdfast_drivers.servers.server_specs import Mount, ServerSpec, Volume

FOLDER: Final = "/disk"
"""Where its keeper sees the disk."""
_FULL: Final = f"{FOLDER}/.full"
_FILL: Final = f"fallocate -l $(df --output=avail -B1 {FOLDER} | tail -n 1) {_FULL}"


class BoundedDisk:
    """A file system in memory that a container of its own keeps, so that servers can be killed.

    Args:
        keeper: the container.
        size_bytes: how much it holds.
    """

    def __init__(self, keeper: Server, size_bytes: int) -> None:
        self._keeper = keeper
        self._size_bytes = size_bytes

    def at(self, target: str) -> Volume:
        """The disk as a server sees it under a folder."""
        return Volume(name=self._keeper.name, size_bytes=self._size_bytes, target=target)

    async def folder(self) -> Path:
        """The disk as this machine sees it; only root may look."""
        return await runtime().run_blocking(volume_folder, self._keeper.name)

    async def fill(self) -> None:
        """Take all space that is left."""
        await self.run(("sh", "-c", _FILL))

    async def free(self) -> None:
        """Give back what ``fill`` took."""
        await self.run(("rm", "-f", _FULL))

    async def run(self, argv: Sequence[str]) -> None:
        """Run a program beside the disk, which is at ``FOLDER`` there, also while no server runs.

        Raises:
            EnvironmentUnavailable: it fails.
        """
        result = await self._keeper.exec(argv)
        if result.status:
            text = result.stderr.decode(errors="replace").strip()
            raise EnvironmentUnavailable(f"the disk {self._keeper.name}: {text}")


@asynccontextmanager
async def bounded_disk(
    backend: str, run: str, size_bytes: int, tools: tuple[Mount, ...] = ()
) -> AsyncIterator[BoundedDisk]:
    """A disk for a server of this run, or the one that the run has already; removed at the end.

    Args:
        backend: whose disk it is.
        run: the run that it belongs to.
        size_bytes: how much it holds.
        tools: programs that its keeper needs for ``run``.

    Raises:
        EnvironmentUnavailable: there is no engine, or the base image was not built.
    """
    spec = ServerSpec(
        backend=f"{backend}-disk",
        image=BASE_IMAGE,
        entrypoint=("sleep", "infinity"),
        mounts=tools,
        volumes=(
            Volume(
                name=container_name(f"{backend}-disk", run), size_bytes=size_bytes, target=FOLDER
            ),
        ),
    )
    try:
        async with run_server(spec, run, _is_there) as keeper:
            yield BoundedDisk(keeper, size_bytes)
    finally:
        name = container_name(spec.backend, run)
        await runtime().run_blocking(remove_volume, name)


async def _is_there(keeper: Server) -> bool:
    return await keeper.pid() != 0
